"""The page as a file: what it says, what it holds, and what it can never do."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from oumi_fireworks.errors import WriteError
from oumi_fireworks.money import Prices, Usage
from oumi_fireworks.report import JobFacts, RejectedAnswers, ReportBuilder, Row, RunFacts
from tests.report.batches import START, answered, hostile, ordinary, report


class Page(HTMLParser):
    """What a page consists of."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str | None]] = []
        self.texts = {"style": "", "script": ""}
        self.words: list[str] = []
        self._inside: str | None = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attributes]
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside in self.texts:
            self.texts[self._inside] += data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def values(self, name: str) -> list[str]:
        return [value or "" for _, attribute, value in self.attributes if attribute == name]


@pytest.fixture(scope="module")
def page(ordinary_page: Path) -> Page:
    return Page(ordinary_page.read_text(encoding="utf-8"))


def test_the_page_tells_how_the_batch_came_out(page: Page) -> None:
    assert "questions.jsonl" in page.text
    assert "37 of 40 rows were answered." in page.text
    for part in ["Complete 34 85.0%", "Cut off 2 5.0%", "Empty 1 2.5%", "Failed 2", "Missing 1"]:
        assert part in page.text
    assert "2 lines could not be read." in page.text


def test_the_page_tells_what_it_took(page: Page) -> None:
    for part in ["Tokens in", "Tokens out 828", "Duration 8 min 12 s", "accounts/fireworks/models"]:
        assert part in page.text
    assert re.search(r"Cost \$0\.9\d \$2\d\.\d\d per 1,000 answers", page.text)


def test_failures_are_shown_by_kind_with_their_messages(page: Page) -> None:
    assert "too_long 1 row The prompt is too long. row 11 , code 400" in page.text
    assert "error 1 row overloaded row 12" in page.text
    assert "Missing 1 row In no result file" in page.text


def test_cut_off_answers_are_listed_with_their_ends(page: Page) -> None:
    assert "Cut off 2 rows, 5.4% of the answers" in page.text
    assert "5 64 This answer goes on and o" in page.text


def test_the_life_of_the_job_is_shown(page: Page) -> None:
    assert "oumi-abc: checking 1 min, waiting 1 min, running 6 min 12 s" in page.values(
        "aria-label"
    )
    assert "1 Nov 14:05:22" in page.text
    assert "oumi-abc completed 40 2 d" in page.text  # the rows, and the window


def test_every_link_has_its_target_and_every_id_is_unique(page: Page) -> None:
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    links = page.values("href") + [f"#{value}" for value in page.values("aria-labelledby")]
    assert {link for link in links if not link.startswith("#row-")} <= {f"#{id_}" for id_ in ids}
    assert {"#row-5", "#row-6", "#row-8", "#row-11", "#row-12", "#row-20"} <= set(links)
    assert set(links) <= {f"#{id_}" for id_ in ids}


@pytest.mark.parametrize("written", ["ordinary_page", "hostile_page"])
def test_the_page_can_load_nothing_and_run_only_its_own_script(
    written: str, request: pytest.FixtureRequest
) -> None:
    page = Page(request.getfixturevalue(written).read_text(encoding="utf-8"))
    [policy] = [value for value in page.values("content") if "default-src" in value]
    directives = dict(directive.strip().split(" ", 1) for directive in policy.split(";"))

    def hashed(kind: str) -> str:
        digest = hashlib.sha256(page.texts[kind].encode()).digest()
        return f"'sha256-{base64.b64encode(digest).decode()}'"

    assert directives == {
        "default-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "style-src": hashed("style"),
        "script-src": hashed("script"),
    }
    assert (page.tags["script"], page.tags["style"]) == (1, 1)
    assert not page.tags.keys() & {"img", "iframe", "link", "object", "embed", "base", "video"}
    names = {name for _, name, _ in page.attributes}
    assert not [name for name in names if name.startswith("on")]
    assert not names & {"src", "style", "srcset", "action", "xlink:href"}
    assert all(link.startswith("#") for link in page.values("href"))


def test_hostile_and_huge_content_makes_a_page_of_bounded_size() -> None:
    html = hostile(times=6).render()
    assert len(html.encode()) < 2_000_000
    assert not set(html) & set("\0\u202e\u2066\u2067\u2068\u2028")
    assert "1,048,576 characters" in html


def test_nothing_of_a_short_conversation_is_left_out() -> None:
    html = report([answered(0, "y" * 5000, asked="x" * 900)]).render()
    assert "y" * 5000 in html
    assert "x" * 900 in html


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ([], "There are no rows."),
        ([answered(0, "Yes.")], "The one row was answered."),
        ([answered(0, "Yes."), answered(1, "No.")], "All 2 rows were answered."),
        ([Row(0)], "0 of 1 row were answered."),
        ([Row.from_failure(0, "no"), answered(1, "Yes.")], "1 of 2 rows was answered."),
    ],
)
def test_batches_of_any_size_have_a_page(rows: list[Row], verdict: str) -> None:
    page = Page(report(rows).render())
    assert verdict in page.text


def test_results_without_token_counts_say_so() -> None:
    rows = [Row.from_oumi(0, {"messages": [{"role": "assistant", "content": "Yes."}]})]
    assert "do not say how many tokens" in Page(report(rows).render()).text


def test_sums_over_a_part_of_the_answers_say_so() -> None:
    bare = Row.from_oumi(1, {"messages": [{"role": "assistant", "content": "Yes."}]})
    assert (
        "1 of 2 answers say how many tokens" in Page(report([answered(0, "a"), bare]).render()).text
    )


def test_an_unfinished_job_lasts_until_now() -> None:
    run = RunFacts(jobs=(JobFacts("j", created=START),))
    page = Page(report([answered(0, "Yes.")], run).render(now=START + timedelta(hours=2)))
    assert "Duration 2 h still going" in page.text


def test_writing_replaces_the_file_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")
    ordinary().write(target)
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert list(tmp_path.iterdir()) == [target]


def test_a_report_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.mkdir()
    with pytest.raises(WriteError, match=re.escape(str(target))):
        ordinary().write(target)
    assert list(tmp_path.iterdir()) == [target]


def test_what_was_paid_is_told_beside_what_was_kept() -> None:
    builder = ReportBuilder()
    builder.add(answered(0, "yes", tokens=(100_000, 400_000)))
    prices = Prices.of({"input": 0.4, "output": 1.0})
    builder.set_run(RunFacts(prices=prices, paid=Usage(prompt=200_000, completion=400_000)))
    text = Page(builder.render()).text
    assert "Tokens in 200 k 0% from the cache Tokens out 400 k" in text  # what the cost is for
    assert "Cost $0.48 $480.00 per 1,000 answers" in text
    assert "Answered 1 100,000 400,000 $0.44" in text
    assert "Failed or missing 0 100,000 0 $0.0400" in text
    assert "All 1 200,000 400,000 $0.48" in text
    builder.set_run(RunFacts(prices=prices, paid=Usage(prompt=100_000, completion=400_000)))
    assert "Failed or missing" not in Page(builder.render()).text


USUAL, ONLINE = Prices.of({"input": 1, "output": 10}), Prices.of({"input": 2, "output": 20})


def outcomes() -> ReportBuilder:
    """Two answered rows, one of them online, a rejected, a failed and an unsent one."""
    late = {
        "choices": [{"message": {"content": "late"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 2_000, "completion_tokens": 3_000},
        "ran_online": True,
    }
    cut = {
        "choices": [{"message": {"content": "so"}, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 1_000, "completion_tokens": 5_000},
    }
    return report(
        [
            answered(0, "yes", tokens=(1_000, 2_000)),
            Row.from_completion(1, late),
            Row.from_rejected(2, {"kind": "cut off", "message": "It was cut off."}, cut),
            Row.from_failure(3, {"kind": "500", "message": "no", "code": 500}),
            Row.from_failure(4, {"kind": "over budget", "message": "not sent", "code": None}),
            Row.from_completion(5, {**late, "answered_by": "repeat", "ran_online": False}),
        ]
    )


def test_each_outcome_has_its_rows_tokens_and_cost_and_late_rows_theirs() -> None:
    builder = outcomes()
    rejections = (RejectedAnswers("cut off", 3, Usage(3_000, 15_000)),)
    builder.set_run(
        RunFacts(
            prices=USUAL,
            online_prices=ONLINE,
            paid=Usage(4_500, 17_000),
            online=Usage(2_000, 3_000),
            rejections=rejections,
        )
    )
    text = Page(builder.render()).text
    for line in [
        "Answered 3 3,000 5,000 $0.0850",  # 1,000 and 2,000 in the batch, the others online
        "Rejected 1 3,000 15,000 $0.15",
        "Failed or missing 1 500 0 $0.0005",
        "Over budget 1 0 0 $0.00",
        "All 6 6,500 20,000 $0.24",
        "Of these online, after the deadline 1 2,000 3,000 $0.0640",
    ]:
        assert line in text, line


@pytest.mark.parametrize(
    ("run", "lines"),
    [
        # An output tells of its answers alone.
        (
            RunFacts(prices=USUAL, online_prices=ONLINE),
            ["Rejected 1 1,000 5,000 $0.0510", "Failed or missing 1 – – –", "All 6 4,000 10,000"],
        ),
        (RunFacts(), ["Answered 3 3,000 5,000 –", "All 6 4,000 10,000 –"]),
        (RunFacts(prices=USUAL), ["Answered 3 3,000 5,000 –", "Rejected 1 1,000 5,000 $0.0510"]),
    ],
)
def test_what_nobody_knows_is_not_made_up(run: RunFacts, lines: list[str]) -> None:
    builder = outcomes()
    builder.set_run(run)
    text = Page(builder.render()).text
    for line in lines:
        assert line in text, line
