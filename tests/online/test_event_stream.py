"""Server-sent events, cut anywhere."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oumi_fireworks.online.event_stream import EventReader


def read(stream: bytes, cuts: list[int] | None = None) -> list[bytes]:
    """Feed a stream in pieces, and take what there is after each."""
    reader = EventReader()
    events = []
    edges = [0, *sorted(cuts or []), len(stream)]
    for begin, end in itertools.pairwise(edges):
        reader.feed(stream[begin:end])
        events += reader.take()
    return events + reader.take(at_end=True)


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: one\n\ndata: two\n\n", [b"one", b"two"]),
        (b"data:one\r\n\r\ndata: two\r\n\r\n", [b"one", b"two"]),
        (b"data: one\r\rdata: two\r\r", [b"one", b"two"]),
        (b": a comment\n\ndata: one\n\n:\n\n", [b"one"]),
        (b"event: chunk\nid: 7\nretry: 10\ndata: one\n\n", [b"one"]),
        (b"data: one\ndata: two\n\n", [b"one\ntwo"]),
        (b"data:  two blanks\n\n", [b" two blanks"]),
        (b"\xef\xbb\xbfdata: one\n\n", [b"one"]),
        (b"\n\n\ndata: one\n\n\n\ndata: two\n\n", [b"one", b"two"]),
        (b"data: one\n\ndata: no blank line", [b"one", b"no blank line"]),
        (b"data:\n\ndata\n\ndatum: x\n\n", []),
        (b"", []),
    ],
)
def test_an_event_is_the_data_of_its_lines(stream: bytes, events: list[bytes]) -> None:
    assert read(stream) == events
    assert read(stream, list(range(len(stream)))) == events


@given(
    st.lists(
        st.text(
            st.characters(blacklist_characters="\r\n", blacklist_categories=["Cs"]), min_size=1
        ),
        max_size=8,
    ),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.data(),
)
def test_events_do_not_depend_on_where_they_are_cut(
    texts: list[str], end: str, data: st.DataObject
) -> None:
    stream = "".join(f"data: {text}{end}: ping{end}{end}" for text in texts).encode()
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=12))
    assert read(stream, cuts) == [text.encode() for text in texts]


@given(st.binary(), st.data())
def test_no_bytes_are_too_odd(stream: bytes, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=12))
    assert read(stream, cuts) == read(stream)
