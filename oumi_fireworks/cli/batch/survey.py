"""What an input amounts to as a batch: counted while it is read, in little memory."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from oumi_fireworks.batch import Request, ShardLimits
from oumi_fireworks.batch.output_size import most_output_bytes
from oumi_fireworks.batch.shards import Bound, Shard, ShardWriter
from oumi_fireworks.batch.unsent import UnsentCounts, UnsentRows
from oumi_fireworks.cli.batch.sample import RowSample
from oumi_fireworks.conversion import Prompt
from oumi_fireworks.errors import Place, Problem, RowError
from oumi_fireworks.money import Usage, most_usage
from oumi_fireworks.tables.conversations import ConversationReader
from oumi_fireworks.tables.source import InputRow
from oumi_fireworks.user_json import dumps

HOW_ESTIMATED = "UTF-8 bytes of text ÷ 4, plus 4 a message; images are not counted"
"""How prompt tokens are estimated, for people."""

_BYTES_PER_TOKEN = 4
"""Bytes of text that make a token, roughly."""

_TOKENS_PER_MESSAGE = 4
"""Tokens that the frame of a message takes, roughly."""

_LONGEST_SHOWN = 3
_PROBLEMS_SHOWN = 20


class LongRow(NamedTuple):
    """A row that is longer than others; its tokens come first, to sort by.

    Attributes:
        tokens: Estimated prompt tokens.
        place: Its line.
    """

    tokens: int
    place: Place


@dataclass
class Survey:
    """Counts over all rows.

    Attributes:
        unsent: How many of the rows are not sent, by the reason.
        rows: Conversations that can be sent, or need not be.
        bytes: Bytes of their requests, as they are uploaded.
        largest: Bytes of the largest request, its system message included.
        output_bytes: Bytes of their answers at the most, estimated.
        shards: The jobs that they take; nothing of them is written.
        split_by: Jobs by the bound that has ended them.
        shared_rows: Rows whose system message travels once, with their job.
        saved: Bytes that this saves.
        roles: Messages by role.
        images: Images.
        with_tools: Conversations with tools.
        unknown_fields: Rows by the field in them that is not sent.
        prompt_tokens: Estimated, see :data:`HOW_ESTIMATED`.
        completion_tokens: At the most.
        unlimited: Rows that set no limit, so that the service's own of 2,048 tokens holds.
        most: The most tokens that all of it can take.
        longest: The longest rows, the longest first.
        bad_lines: Lines that cannot be sent.
        cautions: What the user should know of the others.
        problems: The first of them.
    """

    unsent: UnsentCounts
    rows: int = 0
    bytes: int = 0
    largest: int = 0
    output_bytes: int = 0
    shards: list[Shard] = field(default_factory=list)
    split_by: Counter[Bound] = field(default_factory=Counter)
    shared_rows: int = 0
    saved: int = 0
    roles: Counter[str] = field(default_factory=Counter)
    images: int = 0
    with_tools: int = 0
    unknown_fields: Counter[str] = field(default_factory=Counter)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    unlimited: int = 0
    most: Usage = field(default_factory=Usage)
    longest: list[LongRow] = field(default_factory=list)
    bad_lines: int = 0
    cautions: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def take_survey(
    reader: ConversationReader,
    prepare: Callable[[Prompt, int, Mapping[str, Any]], Request],
    limits: ShardLimits,
    unsent: UnsentRows,
    sample: RowSample | None = None,
) -> Survey:
    """Read an input to its end.

    Args:
        reader: The input; it must skip bad lines, or the first twenty end the survey.
        prepare: Makes the row of a prompt.
        limits: How the batch will be split.
        unsent: Tells which rows are not sent; they are counted as rows, and no further.
        sample: Is offered each row that could be sent.
    """
    survey = Survey(unsent=unsent.counts)
    with ShardWriter(None, limits) as writer:
        for row in reader.prepared(prepare):
            current = reader.current
            assert current is not None
            if unsent.has(row):
                survey.rows += 1
                if sample is not None:
                    sample.offer(row)
                continue
            try:
                size = writer.add(row)
            except RowError as error:
                survey.bad_lines += 1
                survey.problems.append(Problem(current.place, str(error)))
                continue
            _count(survey, current, size, row.body)
            if sample is not None:
                sample.offer(row)
        shards = writer.finish()
    survey.shards = shards
    survey.split_by = Counter(shard.ended_by for shard in shards if shard.ended_by is not None)
    survey.shared_rows = sum(shard.shared_rows for shard in shards)
    survey.saved = sum(shard.saved for shard in shards)
    survey.bytes -= survey.saved
    survey.longest.sort(key=lambda row: (-row.tokens, row.place))
    survey.bad_lines += reader.bad_lines
    survey.cautions = reader.cautions.lines()
    survey.problems = [*survey.problems, *reader.problems()][:_PROBLEMS_SHOWN]
    return survey


def _count(survey: Survey, row: InputRow, size: int, body: Mapping[str, Any]) -> None:
    survey.rows += 1
    survey.bytes += size
    survey.most += (most := most_usage(body, size))
    survey.output_bytes += most_output_bytes(body, most.completion)
    survey.largest = max(survey.largest, size)
    messages, tools = body["messages"], body.get("tools")
    survey.roles.update(message["role"] for message in messages)
    survey.images += sum(_images(message.get("content")) for message in messages)
    survey.with_tools += bool(tools)
    survey.unknown_fields.update(row.unsent())
    tokens = _tokens(messages, tools)
    survey.prompt_tokens += tokens
    survey.completion_tokens += most.completion
    survey.unlimited += not (body.get("max_tokens") or body.get("max_completion_tokens"))
    keep = heapq.heappush if len(survey.longest) < _LONGEST_SHOWN else heapq.heappushpop
    keep(survey.longest, LongRow(tokens, row.place))


def _tokens(messages: Sequence[Mapping[str, Any]], tools: object) -> int:
    """Estimate the tokens of a prompt."""
    texts = sum(len(text.encode()) for message in messages for text in _texts(message))
    definitions = len(dumps(tools)) if tools else 0
    return (texts + definitions) // _BYTES_PER_TOKEN + _TOKENS_PER_MESSAGE * len(messages)


def _texts(message: Mapping[str, Any]) -> Iterator[str]:
    content = message.get("content")
    if isinstance(content, str):
        yield content
    elif content:
        yield from (part["text"] for part in content if part["type"] == "text")
    if reasoning := message.get("reasoning_content"):
        yield reasoning
    for call in message.get("tool_calls") or ():
        yield call["function"]["name"]
        yield call["function"]["arguments"]


def _images(content: object) -> int:
    if not isinstance(content, list):
        return 0
    return sum(part["type"] == "image_url" for part in content)
