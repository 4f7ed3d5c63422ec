"""A streamed completion, put together again as it would have come without streaming."""

from __future__ import annotations

from typing import Any

import orjson

from oumi_fireworks.api.lenient_json import loads_with_surrogates, mended
from oumi_fireworks.online.chunk_template import ChunkTemplate
from oumi_fireworks.online.event_stream import EventReader

__all__ = ["StreamedCompletion"]

_DONE = b"[DONE]"

_ENOUGH = 64 * 1024
"""Bytes of a stream that are read together: less work than piece by piece, and little memory."""

_FEWEST_ALIKE, _MOST_ALIKE = 8, 512
"""Chunks that are looked at together, as long as they differ in nothing but their text."""

_ALWAYS_WHOLE = frozenset({"id", "type", "role", "index", "object", "created", "model"})
"""Fields that never come in pieces."""


class StreamedCompletion:
    """Puts the chunks of a stream (``chat.completion.chunk``) together.

    Texts come in pieces, also those of tool calls; so do lists, such as log probabilities and
    token ids. Of anything else the last value counts. Usage comes with the last chunk of a
    choice, or in one of its own.

    Attributes:
        has_begun: Whether anything has come.
        is_done: Whether the stream said that this is all.
    """

    def __init__(self) -> None:
        self.has_begun = False
        self.is_done = False
        self._reader = EventReader()
        self._unread = 0
        self._tail = b""
        self._frame: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}
        self._pieces: dict[tuple[int, str], list[str]] = {}
        self._template: ChunkTemplate | None = None
        self._is_broken = False
        self._has_surrogates = False

    def feed(self, data: bytes) -> None:
        """Take bytes of the stream, cut anywhere."""
        self.has_begun = True
        self._reader.feed(data)
        self._unread += len(data)
        tail = self._tail + data
        if self._unread >= _ENOUGH or _DONE in tail:
            self._read(self._reader.take())
            self._unread = 0
        self._tail = tail[-len(_DONE) :]

    def completion(self) -> dict[str, Any] | None:
        """Return the completion after the stream has ended.

        Returns:
            The completion, or an object with the ``error`` that the service sent instead; None
            where the stream was cut: without ``[DONE]``, without a choice, or with one that has
            no finish reason.
        """
        self._read(self._reader.take(at_end=True))
        if "error" in self._frame:
            return self._frame
        choices = [self._choice(index) for index in sorted(self._choices)]
        finished = all(choice.get("finish_reason") for choice in choices)
        if self._is_broken or not self.is_done or not choices or not finished:
            return None
        completion = {**self._frame, "object": "chat.completion", "choices": choices}
        return mended(completion) if self._has_surrogates else completion

    def _read(self, events: list[bytes]) -> None:
        if _DONE in events:
            self.is_done = True
            events = events[: events.index(_DONE)]
        at, window = 0, _FEWEST_ALIKE
        while at < len(events):
            if self._template is not None:
                alike = self._template.texts_in(events[at : at + window])
                self._add_texts(self._template, alike)
                at += len(alike)
                # Many alike are looked at together, but not in vain where there are few.
                window = min(2 * window, _MOST_ALIKE) if len(alike) == window else _FEWEST_ALIKE
                if alike:
                    continue
            self._template = self._add_whole(events[at]) or self._template
            at += 1

    def _add_whole(self, event: bytes) -> ChunkTemplate | None:
        """Add a chunk; return its template, if it may have one."""
        chunk = self._parse(event)
        if not isinstance(chunk, dict):
            return None
        self._add(chunk)
        return ChunkTemplate.of(event, chunk)

    def _add_texts(self, template: ChunkTemplate, texts: list[bytes]) -> None:
        """Add pieces of text, each the inside of a JSON string."""
        if texts:
            text = self._parse(b'"%b"' % b"".join(texts))
            if isinstance(text, str):
                self._pieces[template.index, template.name].append(text)

    def _parse(self, data: bytes) -> Any:
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            self._has_surrogates = True
        try:
            return loads_with_surrogates(data)
        except ValueError:
            self._is_broken = True
            return None

    def _add(self, chunk: dict[str, Any]) -> None:
        for name, value in chunk.items():
            if name == "choices":
                for choice in value if isinstance(value, list) else ():
                    if isinstance(choice, dict):
                        self._add_choice(choice)
            elif value is not None or name not in self._frame:
                self._frame[name] = value

    def _add_choice(self, piece: dict[str, Any]) -> None:
        index = piece.get("index")
        index = index if isinstance(index, int) else 0
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = {"index": index, "message": {"role": "assistant"}}
        for name, value in piece.items():
            if name == "delta":
                if isinstance(value, dict):
                    self._add_delta(index, choice["message"], value)
            elif name == "logprobs":
                choice[name] = _together(choice.get(name), value)
            elif value is not None or name not in choice:
                choice[name] = (
                    choice[name] + value if _are_lists(choice.get(name), value) else value
                )

    def _add_delta(self, index: int, message: dict[str, Any], delta: dict[str, Any]) -> None:
        for name, value in delta.items():
            if type(value) is str and name != "role":
                pieces = self._pieces.get((index, name))
                if pieces is None:
                    self._pieces[index, name] = [value]
                    message[name] = ""
                else:
                    pieces.append(value)
            elif name == "tool_calls" and isinstance(value, list):
                calls = message.setdefault("tool_calls", [])
                for call in value:
                    if isinstance(call, dict):
                        _add_tool_call(calls, call)
            elif value is not None:
                message[name] = _together(message.get(name), value, name)

    def _choice(self, index: int) -> dict[str, Any]:
        choice = self._choices[index]
        message = choice["message"]
        for (of, name), pieces in self._pieces.items():
            if of == index:
                message[name] = "".join(pieces)
        message.setdefault("content", None if message.get("tool_calls") else "")
        if "tool_calls" in message:
            for call in message["tool_calls"]:
                call.pop("index", None)
                if isinstance(function := call.get("function"), dict):
                    function.setdefault("arguments", "")
        return choice


def _add_tool_call(calls: list[dict[str, Any]], piece: dict[str, Any]) -> None:
    """Add a piece to the call with its index, or with its id; without both, to the last."""
    key = "index" if piece.get("index") is not None else "id"
    for call in calls:
        if piece.get(key) is not None and call.get(key) == piece[key]:
            break
    else:
        if piece.get(key) is None and calls:
            call = calls[-1]
        else:
            call = {}
            calls.append(call)
    for name, value in piece.items():
        if value is not None:
            call[name] = _together(call.get(name), value) if name not in _ALWAYS_WHOLE else value


def _together(before: Any, value: Any, name: str = "") -> Any:
    """Return what two pieces of a value make."""
    if before is None or name in _ALWAYS_WHOLE:
        return value if value is not None else before
    if value is None:
        return before
    if isinstance(before, str) and isinstance(value, str):
        # A name is repeated by some servers where it is complete.
        return before if name == "name" and before == value else before + value
    if isinstance(before, dict) and isinstance(value, dict):
        return {
            **before,
            **{key: _together(before.get(key), item, key) for key, item in value.items()},
        }
    return before + value if _are_lists(before, value) else value


def _are_lists(one: Any, other: Any) -> bool:
    return isinstance(one, list) and isinstance(other, list)
