"""What chunks of a stream have in common, so that most of them need not be parsed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["ChunkTemplate"]


@dataclass(frozen=True, slots=True)
class ChunkTemplate:
    """A chunk that carries one piece of text, without that piece.

    The chunks of an answer differ in nothing else. What stands between the two parts is the inside
    of a JSON string as long as it holds no quotation mark and does not end in a backslash.

    Attributes:
        before: The chunk's JSON up to the piece.
        after: The rest of it.
        index: The choice that the piece belongs to.
        name: The field of its message.
    """

    before: bytes
    after: bytes
    index: int
    name: str

    @classmethod
    def of(cls, data: bytes, chunk: Mapping[str, Any]) -> ChunkTemplate | None:
        """Return the template of a chunk, or None where it carries something else.

        Args:
            data: The chunk as it came.
            chunk: The same, parsed.
        """
        match chunk.get("choices"):
            case [{"index": int(index), "delta": {**delta}, **others}] if len(delta) == 1:
                ((name, text),) = delta.items()
            case _:
                return None
        if not isinstance(name, str) or name == "role" or not isinstance(text, str) or not text:
            return None
        if any(others.values()):
            return None
        quoted = b'"%b"' % text.encode("utf-8", "replace")
        if b"\\" in quoted or data.count(quoted) != 1:
            return None
        at = data.index(quoted) + 1
        return cls(data[:at], data[at + len(quoted) - 2 :], index, name)

    def texts_in(self, events: list[bytes]) -> list[bytes]:
        """Return the pieces of text of the chunks at the beginning that are of this kind.

        Args:
            events: Chunks as they came.
        """
        before, after = self.before, self.after
        alike = [event.startswith(before) and event.endswith(after) for event in events]
        count = alike.index(False) if False in alike else len(events)
        begin, end = len(before), -len(after)
        texts = [event[begin:end] for event in events[:count]]
        together = b"\n".join(texts) + b"\n"  # which no JSON string has inside
        if b'"' in together or b"\\\n" in together:
            odd = (place for place, text in enumerate(texts) if b'"' in text or text[-1:] == b"\\")
            del texts[next(odd) :]
        return texts
