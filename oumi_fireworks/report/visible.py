"""Text that others wrote, as HTML: what cannot be seen becomes visible."""

from markupsafe import Markup, escape

from oumi_fireworks.safe_text import UNSEEN, codepoints, visible

plain = visible
"""For attributes and titles."""


def rich(text: str) -> Markup:
    """Return a text as HTML, where everything unseen is an element of its own with its code."""
    lines = text.replace("\r\n", "\n")
    return Markup(UNSEEN.sub(lambda run: f"<b>{codepoints(run)}</b>", str(escape(lines))))  # noqa: S704
