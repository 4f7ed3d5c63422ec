"""Texts of the service reach no terminal, no log and no error as they are."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

import oumi_fireworks
from oumi_fireworks.display.safe_console import SafeConsole
from oumi_fireworks.errors import APIError, BadLinesError, FireworksError, Place, Problem
from oumi_fireworks.logs import logger_for
from oumi_fireworks.safe_text import UNSEEN, keep_secret, one_line, safe, without_secrets

HOSTILE = {
    "title": "\x1b]0;owned\x07",
    "clipboard": "\x1b]52;c;cm0gLXJm\x07",
    "clear": "\x1b[2J\x1b[H",
    "c1": "\x9b2J\x9d0;owned\x9c",
    "bidi": "\u202egnp.exe",
    "return": "done\rFAILED",
    "backspace": "no\b\byes",
    "surrogate": "\ud800",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_a_terminal_would_obey_is_shown_by_its_code(text: str) -> None:
    shown = safe(text)
    assert not UNSEEN.search(shown)
    assert "[U+" in shown
    assert str(FireworksError(f"the service says {text}")) == f"the service says {shown}"


@given(st.text())
def test_nothing_unseen_is_left_and_twice_is_as_once(text: str) -> None:
    shown = safe(text)
    assert not UNSEEN.search(shown)
    assert safe(shown) == shown
    assert all(line[:1] in ("", " ", "\t") or line[0].isspace() for line in shown.split("\n")[1:])


def test_a_line_of_the_service_cannot_be_taken_for_ours() -> None:
    forged = "no such model\noumi-fireworks: 5 rows, all answered."
    assert safe(forged) == "no such model\n  oumi-fireworks: 5 rows, all answered."
    assert one_line("a\r\n\u2028b \x85 c ") == "a b c"
    problems = BadLinesError([Problem(Place("a.jsonl", 1), "bad")])
    assert str(problems) == "1 line cannot be sent:\n  a.jsonl:1: bad"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "407 url='http://user:pa55word@proxy.example:3128/'",
            "407 url='http://***@proxy.example:3128/'",
        ),
        ("https://token@a.example/x?q=b@c", "https://***@a.example/x?q=b@c"),
        (
            "PUT https://s.example/b/o?X-Goog-Date=1&X-Goog-Signature=abcdef&x=1",
            "PUT https://s.example/b/o?X-Goog-Date=1&X-Goog-Signature=***&x=1",
        ),
        ("x-amz-security-token=abc", "x-amz-security-token=***"),
        ("Authorization: Bearer abcdefgh.ijk", "Authorization: Bearer ***"),
        ("the key fw_3ZabcDEFghiJKLmnoPQR is bad", "the key *** is bad"),
        ("mail me@a.example about https://a.example/me@home", None),
        ("the bearer of bad news; a signature is missing", None),
    ],
)
def test_secrets_are_blanked_out(text: str, shown: str | None) -> None:
    assert without_secrets(text) == (text if shown is None else shown)
    assert str(APIError(text)) == (text if shown is None else shown)


def test_a_key_that_is_known_is_blanked_out_wherever_it_stands() -> None:
    keep_secret("an-odd-key-4711")
    assert safe("https://a.example/an-odd-key-4711") == "https://a.example/***"
    keep_secret("short")
    assert safe("in short") == "in short"


def test_log_lines_are_safe_for_any_handler(caplog: pytest.LogCaptureFixture) -> None:
    logger = logger_for("oumi_fireworks.test")
    assert logger_for("oumi_fireworks.test") is logger
    logger.warning("The job says %s and %d", "\x1b[2J\nforged", 5)
    try:
        raise ValueError("no")
    except ValueError:
        logger.exception("with %r", {"a": 1})
    assert [record.getMessage() for record in caplog.records] == [
        "The job says [U+001B][2J\n  forged and 5",
        "with {'a': 1}",
    ]
    assert logging.getLogger("oumi_fireworks.test").filters == logger.filters
    assert len(logger.filters) == 1


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_console_shows_colours_of_its_own_and_escapes_of_nobody_else() -> None:
    keep_secret("an-odd-key-4711")
    table = Table("name")
    table.add_row("\x1b]0;owned\x07")
    for what in (Text("\x1b[2J \x9b2J", style="red"), "\u202eabc", table, "an-odd-key-4711"):
        console = SafeConsole(file=io.StringIO(), force_terminal=True, highlight=False)
        console.print(what)
        for trace in ("\x1b[2J", "\x9b", "\u202e", "\x1b]0", "4711"):
            assert trace not in printed(console)
    assert "\x1b[31m[U+001B][2J" in _red()


def _red() -> str:
    console = SafeConsole(file=io.StringIO(), force_terminal=True, highlight=False)
    console.print(Text("\x1b[2J", style="red"))
    return printed(console)


def test_a_live_display_is_safe_as_well() -> None:
    console = SafeConsole(file=io.StringIO(), force_terminal=True)
    with Live(Text("\x1b]0;owned\x07"), console=console, auto_refresh=False) as live:
        live.update(Text("now \x1b]52;c;x\x07"), refresh=True)
        console.print("above \x1b[2J")
    assert "[U+001B]]52" in printed(console)
    assert "\x1b]" not in printed(console)
    assert "\x1b[2J" not in printed(console)


def test_every_logger_of_ours_is_one_of_these() -> None:
    own = {"logs.py", "loop.py"}  # the event loop knows no text of others, and only the stdlib
    package = Path(oumi_fireworks.__file__).parent
    for file in package.rglob("*.py"):
        if file.name not in own and "emulator" not in file.relative_to(package).parts:
            assert "logging.getLogger(__name__)" not in file.read_text("utf-8"), file
