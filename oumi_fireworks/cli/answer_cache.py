"""``oumi-fireworks cache``: what is in a folder of answers, and how it is emptied."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from oumi_fireworks.cache import CacheStats, clear_cache, stats_of
from oumi_fireworks.cli.batch.arguments import parse_duration
from oumi_fireworks.cli.exit_codes import ExitCode
from oumi_fireworks.cli.facts import facts_table
from oumi_fireworks.cli.json_outputs import CacheClearOutput, CacheStatsOutput
from oumi_fireworks.cli.terminal import confirm, print_json, say, show
from oumi_fireworks.display.words import size
from oumi_fireworks.grammar import number


def stats(folder: Path, *, as_json: bool) -> ExitCode:
    """Show what is in a cache."""
    found = stats_of(folder)
    if as_json:
        print_json(_as_json(found))
    else:
        show(facts_table(_facts(found)))
    return ExitCode.FINE


def clear(folder: Path, older_than: str | None, *, yes: bool, as_json: bool) -> ExitCode:
    """Remove answers."""
    before = None if older_than is None else datetime.now(UTC) - parse_duration(older_than)
    kept = stats_of(folder).answers
    which = f"the answers older than {older_than}" if older_than else number(kept, "answer")
    if kept and not (yes or confirm(f"Remove {which} from {folder}?")):
        say("Nothing was removed.")
        return ExitCode.FAILED
    removed = clear_cache(folder, before)
    if as_json:
        print_json(CacheClearOutput(removed=removed))
    else:
        say(f"Removed {number(removed, 'answer')}.")
    return ExitCode.FINE


def _as_json(found: CacheStats) -> CacheStatsOutput:
    return {
        "answers": found.answers,
        "bytes": found.bytes,
        "oldest": found.oldest.isoformat() if found.oldest else None,
        "newest": found.newest.isoformat() if found.newest else None,
        "models": found.models,
    }


def _facts(found: CacheStats) -> Iterator[tuple[str, str]]:
    yield "Answers", f"{found.answers:,}"
    yield "Size", size(found.bytes)
    if found.oldest and found.newest:
        yield "Oldest", _local(found.oldest)
        yield "Newest", _local(found.newest)
    for name, answers in found.models.items():
        yield "Model", f"{name}: {answers:,}"


def _local(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")
