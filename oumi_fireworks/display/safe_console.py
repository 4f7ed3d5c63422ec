"""A console that lets nothing unseen and no secret reach the terminal, whatever it prints."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from oumi_fireworks.safe_text import visible, without_secrets


class SafeConsole(Console):
    """Rich's console; it makes each piece of text safe, but for the colours that it adds itself."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render as rich does, and make the text of each segment safe."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                text = visible(without_secrets(segment.text))
                yield segment if text == segment.text else Segment(text, segment.style)
