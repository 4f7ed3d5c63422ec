"""Batches to report on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from oumi_fireworks.money import Prices
from oumi_fireworks.report import JobFacts, ReportBuilder, Row, RunFacts

START = datetime(2026, 11, 1, 14, 3, 22, tzinfo=UTC)

ATTACKS = [
    "<script>window.pwned = 1</script>",
    "</script><script>window.pwned = 2</script>",
    "<img src=x onerror='window.pwned = 3'>",
    "<svg/onload=window.pwned=4>",
    '" onfocus="window.pwned=5" autofocus x="',
    "</style></title></textarea><iframe src=javascript:window.top.pwned=6>",
    "{{ 7 * 7 }} {% for x in y %} ${window.pwned = 7}",
    "<!-- --!><details open ontoggle=window.pwned=8>",
    "invoice\u202egpj.exe\u202c \u2066isolated\u2069 \u200fright",
    "nul \0\0\0 escape \x1b[31m lone \ud83d separators \u2028\u2029",
    "👩‍👩‍👧‍👦 family, 🏳️‍🌈 flag, e\u0301, Z͑ͫ̓ͪ̂ͫ̽͏̴̙a͓͇l̘g̲͠o",
    "مرحبا بالعالم and שלום",
    "W" * 1_048_576,
    "\u202e<" * 524_288,
    "\n" * 100_000,
]


def prompt(text: str) -> list[dict[str, object]]:
    return [{"role": "user", "content": text}]


def answered(
    index: int,
    text: str,
    *,
    asked: str = "What is it?",
    finish_reason: str = "stop",
    tokens: tuple[int, int] = (10, 20),
    **message: object,
) -> Row:
    return Row.from_completion(
        index,
        {
            "choices": [
                {
                    "message": {"role": "assistant", "content": text, **message},
                    "finish_reason": finish_reason,
                }
            ],
            "usage": {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]},
        },
        conversation_id=f"conversation-{index}",
        prompt=prompt(asked),
    )


def report(rows: Iterable[Row], run: RunFacts | None = None, **options: Any) -> ReportBuilder:
    builder = ReportBuilder(**options)
    for row in rows:
        builder.add(row)
    builder.set_run(run or RunFacts())
    return builder


def ordinary() -> ReportBuilder:
    """Forty rows, of which two failed, two were cut off, one is empty and one is missing."""
    rows = [
        answered(index, f"It is number {index}.", tokens=(10 + index, 20)) for index in range(40)
    ]
    rows[3] = answered(3, "A needle in a haystack is")
    rows[5] = answered(5, "This answer goes on and o", finish_reason="length", tokens=(10, 64))
    rows[6] = answered(6, "word " * 500 + "and o", finish_reason="length", tokens=(10, 64))
    rows[8] = answered(8, "")
    rows[11] = Row.from_failure(
        11,
        {"kind": "too_long", "message": "The prompt is too long.", "code": 400},
        prompt=prompt("x"),
    )
    rows[12] = Row.from_failure(12, "overloaded")
    rows[20] = Row(20, "conversation-20", prompt("Where did this go?"))
    job = JobFacts(
        id="oumi-abc",
        state="JOB_STATE_COMPLETED",
        created=START,
        validated=START + timedelta(minutes=1),
        started=START + timedelta(minutes=2),
        ended=START + timedelta(minutes=8, seconds=12),
        rows=40,
        window=timedelta(hours=48),
    )
    run = RunFacts(
        batch_id="oumi-abc",
        model="accounts/fireworks/models/gpt-oss-20b",
        state="JOB_STATE_COMPLETED",
        jobs=(job,),
        prices=Prices.of({"input": 100, "output": 1000}),
        notes=("2 lines could not be read.",),
    )
    return report(rows, run, title="questions.jsonl")


def hostile(times: int = 1) -> ReportBuilder:
    """Attacks in every place that others fill, in rows of every kind."""
    rows: list[Row] = []
    for index in range(4 * times * len(ATTACKS)):
        attack = ATTACKS[index % len(ATTACKS)]
        message = {"role": attack, "content": attack}
        kind = index // len(ATTACKS) % 4
        if kind == 0:
            row = Row.from_failure(
                index,
                {"kind": attack, "message": attack, "code": attack},
                conversation_id=attack,
                prompt=[message],
            )
        elif kind == 1:
            row = Row(index, attack, [message])
        else:
            calls = [{"function": {"name": attack, "arguments": attack}}, attack]
            reply = {**message, "reasoning_content": attack, "tool_calls": calls}
            row = Row.from_completion(
                index,
                {
                    "choices": [
                        {"message": reply, "finish_reason": attack if kind == 2 else "length"}
                    ]
                },
                conversation_id=attack,
                prompt=[
                    {
                        "role": "user",
                        "content": [{"type": "image_url", "image_url": {"url": attack}}],
                    },
                    {
                        "role": "user",
                        "content": [{"type": attack}, {"type": "text", "text": attack}, 7],
                    },
                ],
            )
        rows.append(row)
    jobs = tuple(
        JobFacts(
            attack[:2000], attack[:2000], attack[:2000], created=START, ended=START, message=attack
        )
        for attack in ATTACKS
    )
    run = RunFacts(ATTACKS[0], ATTACKS[8], ATTACKS[2], jobs, notes=tuple(ATTACKS[:12]))
    return report(rows, run, title=ATTACKS[1] + ATTACKS[8])
