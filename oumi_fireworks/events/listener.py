"""What every listener is: told each event, and closed at the end."""

from __future__ import annotations

from typing import Protocol

from oumi_fireworks.events.event import Event


class Listener(Protocol):
    """Somebody who wants to know what happens in a run.

    Both methods may raise: whoever tells it goes on without it, and says so once.
    """

    def hear(self, event: Event) -> None:
        """Take note of an event. Called in any thread, one event at a time; must be quick."""

    def close(self) -> None:
        """Finish what is under way."""
