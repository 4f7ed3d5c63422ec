"""Text that others wrote, made safe to show: what cannot be seen becomes visible.

Control characters could reorder the text around them, hide in it, or not survive in HTML, and
lone surrogates cannot be written at all. Each is shown by its code instead, such as U+202E. The
two joiners stay as they are: emoji and many scripts cannot be written without them.
"""

import re

from markupsafe import Markup, escape

_UNSEEN = re.compile(
    "(["
    r"\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 and C1 controls, but for tab and line feed
    r"\xad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # invisible letters and marks
    r"\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"  # zero width, bidi, line separators
    r"\u3164\ufdd0-\ufdef\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    r"\ud800-\udfff"  # half of a character
    r"\U000e0000-\U000e0fff"  # tags: text that no font shows
    r"])\1*"
)


def plain(text: str) -> str:
    """`text` with everything unseen replaced by its code, for attributes and titles."""
    return _UNSEEN.sub(lambda run: f"[{_code(run)}]", _lines(text))


def rich(text: str) -> Markup:
    """`text` as HTML, where everything unseen is an element of its own that shows its code."""
    return Markup(_UNSEEN.sub(lambda run: f"<b>{_code(run)}</b>", str(escape(_lines(text)))))  # noqa: S704


def _code(run: re.Match[str]) -> str:
    code = f"U+{ord(run[1]):04X}"
    return code if len(run[0]) == 1 else f"{code} ×{len(run[0]):,}"


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")
