"""``--notify URL``: a message to a person, by any service that Apprise knows."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from oumi_fireworks.display.words import dollars
from oumi_fireworks.errors import ConfigurationError
from oumi_fireworks.events.event import Event, RunEnded
from oumi_fireworks.grammar import form, number

if TYPE_CHECKING:
    from apprise import Apprise

_MOST_LOOKS = 5
"""Messages of one run that ask for a look; what comes after them is only in the log."""

_PATIENCE = 30.0
"""Seconds that the end of a run waits for messages that are still being sent."""

_EXTRA = "pip install 'oumi-fireworks[notify]'"


class NotSentError(RuntimeError):
    """A message was not taken by a service."""


class Notifications:
    """Sends messages: when a run has ended, and when it needs a look.

    Messages are sent by a thread of their own, so that a slow service does not hold up the run.

    Args:
        urls: Where to, as Apprise writes it: `slack://...`, `mailto://...`, `json://...`.

    Raises:
        ConfigurationError: If Apprise is not installed, or does not know such a URL.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        try:
            from apprise import Apprise
        except ImportError as error:
            raise ConfigurationError(f"Notifications need Apprise: {_EXTRA}.") from error
        self._apprise: Apprise = Apprise()
        for url in urls:
            if not self._apprise.add(url):
                # The rest of such a URL is often a token.
                scheme = url.partition("://")[0] if "://" in url else "..."
                raise ConfigurationError(
                    f"Apprise cannot use the notification URL {scheme}://...: no such service, or "
                    "something is missing in it. See https://appriseit.com/services."
                )
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="notifications")
        self._sent: list[Future[None]] = []
        self._looks: set[str] = set()

    def hear(self, event: Event) -> None:
        """Send a message about an event that a person waits for."""
        if event["event"] == "run_ended":
            self._send(*ending(event))
        elif event["event"] == "cap_reached":
            self._send(
                "warning",
                "A Fireworks run has reached its cap",
                f"{number(event['rows'], 'row')} {form(event['rows'], 'was', 'were')} not sent. "
                "The same command with a higher max_cost goes on, and pays nothing twice.",
            )
        elif event["event"] == "needs_a_look":
            message = event["message"]
            if message not in self._looks and len(self._looks) < _MOST_LOOKS:
                self._looks.add(message)
                self._send("warning", "A Fireworks run needs a look", message)

    def close(self) -> None:
        """Wait for the messages under way, but not for ever.

        Raises:
            NotSentError: If one was not taken.
        """
        done, late = wait(self._sent, _PATIENCE)
        self._thread.shutdown(wait=False, cancel_futures=True)
        if late:
            raise NotSentError(f"no answer in {_PATIENCE:.0f} seconds")
        for each in done:
            each.result()

    def _send(self, kind: str, title: str, body: str) -> None:
        self._sent.append(self._thread.submit(self._notify, kind, title, body))

    def _notify(self, kind: str, title: str, body: str) -> None:
        if not self._apprise.notify(body=body, title=title, notify_type=kind):
            raise NotSentError("the service did not take a message")


def ending(event: RunEnded) -> tuple[str, str, str]:
    """Return kind, title and body of the message about the end of a run."""
    rows = event["rows"]
    total = rows["total"]
    answered = rows["answered"]
    parts = [
        f"{number(answered, 'row')} answered"
        if total is None
        else f"{answered:,} of {number(total, 'row')} answered",
        f"{rows['rejected']:,} rejected" if rows["rejected"] else "",
        f"{rows['failed']:,} failed" if rows["failed"] else "",
        f"{rows['over_budget']:,} over budget" if rows["over_budget"] else "",
    ]
    lines = [f"{', '.join(filter(None, parts))}."]
    if (tokens := event["tokens"]) is not None:
        cost = "" if event["cost"] is None else f": {dollars(event['cost'])}"
        lines.append(f"Tokens: {tokens['input']:,} in, {tokens['output']:,} out{cost}.")
    if event["error"]:
        lines.append(event["error"])
    if event["output"]:
        lines.append(f"Output: {event['output']}")
    kind, title = {
        "answered": ("success", "A Fireworks run has ended: every row answered"),
        "rows_open": ("warning", "A Fireworks run has ended: rows are open"),
        "failed": ("failure", "A Fireworks run has failed"),
        "interrupted": ("warning", "A Fireworks run was interrupted; the same command goes on"),
    }[event["outcome"]]
    return kind, title, "\n".join(lines)
