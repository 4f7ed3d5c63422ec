"""Server-sent events: bytes that are cut anywhere → what each event carries."""

from __future__ import annotations

__all__ = ["EventReader"]

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_FIELD = b"data: "
_NEXT = b"\n\n" + _FIELD


class EventReader:
    """Reads an event stream as the HTML standard defines it ("Server-sent events", 9.2.6).

    Only ``data`` counts here; comments, and the fields ``event``, ``id`` and ``retry``, are
    skipped. An event that the stream's end cuts off is read all the same, since some servers
    leave out the last blank line.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._at_start = True

    def feed(self, data: bytes) -> None:
        """Take bytes as they come."""
        self._pieces.append(data)

    def take(self, *, at_end: bool = False) -> list[bytes]:
        """Return the data of the events that are complete since the last call.

        Args:
            at_end: Whether nothing comes any more, so that what is left is an event too.
        """
        buffer = b"".join(self._pieces)
        if self._at_start and (at_end or len(buffer) >= len(_BYTE_ORDER_MARK)):
            buffer = buffer.removeprefix(_BYTE_ORDER_MARK)
            self._at_start = False
        if b"\r" in buffer:
            # The other half of a line's end may still be to come.
            held = b"\r" if buffer.endswith(b"\r") and not at_end else b""
            buffer = buffer.removesuffix(held) if held else buffer
            buffer = buffer.replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held
        end = len(buffer) if at_end else buffer.rfind(b"\n\n")
        if end < 0:
            self._pieces = [buffer]
            return []
        self._pieces = [buffer[end + 2 :]]
        complete = buffer[:end]
        if complete.startswith(_FIELD):
            # Nearly all streams: events of one line. Then one split does all the work.
            complete = complete.removesuffix(b"\n\n")
            events = complete[len(_FIELD) :].split(_NEXT)
            if complete.count(b"\n") == 2 * (len(events) - 1) and b"" not in events:
                return events
        return [data for event in complete.split(b"\n\n") if (data := _data_of(event))]


def _data_of(event: bytes) -> bytes:
    """Return the data of an event's lines, empty where it has none."""
    return b"\n".join(
        line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")
    )
