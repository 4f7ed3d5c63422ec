"""Text that others wrote, made fit for a terminal, a log and an error.

Control characters can clear a terminal, set its title, fill the clipboard, reorder the text around
them or hide in it: each is shown by its code instead, such as [U+001B]. The two joiners stay as
they are: emoji and many scripts cannot be written without them. A line that does not begin the
text is indented, so that none of the service's can be taken for one of ours. And what is secret is
blanked out, wherever it is repeated.
"""

from __future__ import annotations

import re

UNSEEN = re.compile(
    "(["
    r"\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 and C1 controls
    r"\xad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # invisible letters and marks
    r"\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"  # zero width, bidi, line separators
    r"\u3164\ufdd0-\ufdef\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    r"\ud800-\udfff"  # half of a character
    r"\U000e0000-\U000e0fff"  # tags: text that no font shows
    r"])\1*"
)
"""A run of one character that cannot be seen, but for tab and line feed."""

_LINE_BREAKS = re.compile(r"\s*[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]\s*")
_LINE_AT_THE_MARGIN = re.compile(r"\n(?=\S)")
_SECRETS = re.compile(
    r"(?P<before>://)[^\s/?#'\"<>]+(?=@)"  # user name and password of a URL
    r"|(?i:(?P<name>\b(?:x-goog-signature|x-goog-credential|x-amz-signature|x-amz-credential"
    r"|x-amz-security-token|signature|access_token)=))[^\s&'\"<>]+"
    r"|(?i:(?P<scheme>\bbearer\s+))[\w.~+/=-]{8,}"
    r"|\bfw_[A-Za-z0-9]{16,}"  # a key of Fireworks
)

_SHORTEST_KEY = 8
"""Characters of a key: shorter ones are none of Fireworks, and would blank out common words."""

_keys: set[str] = set()


def keep_secret(key: str) -> None:
    """Have a key blanked out from now on, in every text that goes through :func:`safe`."""
    if len(key) >= _SHORTEST_KEY:
        _keys.add(key)


def safe(text: str) -> str:
    """Return a text as it may be shown and logged. Idempotent."""
    return _LINE_AT_THE_MARGIN.sub("\n  ", visible(without_secrets(text)))


def visible(text: str) -> str:
    """Return a text with everything unseen replaced by its code."""
    return UNSEEN.sub(lambda run: f"[{codepoints(run)}]", text.replace("\r\n", "\n"))


def without_secrets(text: str) -> str:
    """Return a text without keys, passwords in URLs, and the signatures of signed URLs."""
    for key in _keys:
        if key in text:
            text = text.replace(key, "***")
    return _SECRETS.sub(_blanked, text)


def one_line(text: str) -> str:
    """Return a text of the service on one line."""
    return _LINE_BREAKS.sub(" ", text).strip()


def codepoints(run: re.Match[str]) -> str:
    """Return the code of an unseen character, and how often it stands there."""
    code = f"U+{ord(run[1]):04X}"
    return code if len(run[0]) == 1 else f"{code} ×{len(run[0]):,}"


def _blanked(found: re.Match[str]) -> str:
    return f"{found['before'] or found['name'] or found['scheme'] or ''}***"
