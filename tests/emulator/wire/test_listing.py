"""Lists: pages, tokens, order, filters, read masks."""

from __future__ import annotations

import pytest

from oumi_fireworks.emulator.wire.listing import page_of
from tests.emulator.service import Service, message_of, row

COUNT = 7


@pytest.fixture
def jobs(service: Service) -> Service:
    """A service with seven jobs, the odd ones cancelled."""
    service.ready_dataset([row(0)])
    for number in range(COUNT):
        service.create_job(f"job-{number}", output=f"output-{number}").raise_for_status()
        if number % 2:
            service.emulator.set_job(f"job-{number}", "JOB_STATE_PAUSED")
    return service


def ids(service: Service, **params: object) -> list[str]:
    jobs = service.get("/batchInferenceJobs", **params).json()["batchInferenceJobs"]
    return [job["name"].rpartition("/")[2] for job in jobs]


ALL = [f"job-{number}" for number in range(COUNT)]


def test_the_oldest_job_comes_first(jobs: Service) -> None:
    answer = jobs.get("/batchInferenceJobs").json()
    assert answer["totalSize"] == COUNT
    assert answer["nextPageToken"] == ""
    assert ids(jobs) == ALL


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 200])
def test_pages_show_every_job_once(jobs: Service, size: int) -> None:
    seen, token, pages = [], "", 0
    while pages == 0 or token:
        page = jobs.get("/batchInferenceJobs", pageSize=size, pageToken=token).json()
        assert page["totalSize"] == COUNT
        assert len(page["batchInferenceJobs"]) <= size
        seen += [job["name"].rpartition("/")[2] for job in page["batchInferenceJobs"]]
        token, pages = page["nextPageToken"], pages + 1
    assert seen == ALL
    assert pages == -(-COUNT // size)


def test_pages_stand_still_while_jobs_come_and_go(jobs: Service) -> None:
    order = {"orderBy": "create_time desc", "pageSize": 3}
    first = jobs.get("/batchInferenceJobs", **order).json()
    jobs.create_job("new", output="new")
    jobs.delete("/batchInferenceJobs/job-4")
    jobs.emulator.clock.advance(10)
    second = ids(jobs, pageToken=first["nextPageToken"], **order)
    assert second == ["job-3", "job-2", "job-1"]


def test_a_token_is_opaque(jobs: Service) -> None:
    token = jobs.get("/batchInferenceJobs", pageSize=3).json()["nextPageToken"]
    assert "job" not in token
    for wrong in ("job-3", "accounts/emulator/batchInferenceJobs/job-3", token[:-2], "é"):
        response = jobs.get("/batchInferenceJobs", pageToken=wrong)
        assert "invalid page token" in message_of(response, 400, 3)


@pytest.mark.parametrize("other", [{"filter": "state=x"}, {"orderBy": "name"}])
def test_a_token_belongs_to_its_request(jobs: Service, other: dict[str, str]) -> None:
    token = jobs.get("/batchInferenceJobs", pageSize=3).json()["nextPageToken"]
    response = jobs.get("/batchInferenceJobs", pageToken=token, **other)
    assert "belongs to another request" in message_of(response, 400, 3)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("create_time desc", ALL[::-1]),
        ("createTime", ALL),
        ("created_time desc", ALL[::-1]),
        ("name desc", ALL[::-1]),
        ("state, name desc", ["job-5", "job-3", "job-1", "job-6", "job-4", "job-2", "job-0"]),
        ("state desc,create_time", [*ALL[::2], *ALL[1::2]]),
    ],
)
def test_the_order_can_be_chosen(jobs: Service, order: str, expected: list[str]) -> None:
    assert ids(jobs, orderBy=order) == expected
    token = jobs.get("/batchInferenceJobs", orderBy=order, pageSize=4).json()["nextPageToken"]
    assert ids(jobs, orderBy=order, pageSize=4, pageToken=token) == expected[4:]


def test_a_filter_narrows_the_list_and_its_total(jobs: Service) -> None:
    answer = jobs.get("/batchInferenceJobs", filter='state="JOB_STATE_PAUSED"', pageSize=2).json()
    assert answer["totalSize"] == 3
    assert len(answer["batchInferenceJobs"]) == 2
    assert answer["nextPageToken"]


def test_a_read_mask_narrows_the_fields(jobs: Service) -> None:
    (job, *_) = jobs.get("/batchInferenceJobs", readMask="name").json()["batchInferenceJobs"]
    assert job == {"name": "accounts/emulator/batchInferenceJobs/job-0"}


@pytest.mark.parametrize("params", [{"page_size": 2}, {"page_size": "2", "order_by": "name"}])
def test_parameters_may_be_spelled_both_ways(jobs: Service, params: dict[str, object]) -> None:
    assert ids(jobs, **params) == ALL[:2]


@pytest.mark.parametrize(
    "params",
    [
        {"pageSize": "-1"},
        {"pageSize": "--1"},
        {"pageSize": "x"},
        {"pageSize": "9" * 5000},
        {"orderBy": "name sideways"},
        {"orderBy": " "},
        {"orderBy": "name,,state"},
        {"filter": "("},
        {"filter": "(" * 2000},
        {"pageToken": "é"},
    ],
    ids=lambda params: str(params)[:30],
)
def test_nonsense_is_refused(jobs: Service, params: dict[str, str]) -> None:
    assert "invalid" in message_of(jobs.get("/batchInferenceJobs", **params), 400, 3)


@pytest.mark.parametrize(
    ("asked", "given"),
    [(None, 50), ("0", 50), ("199", 199), ("200", 200), ("201", 200), ("5000", 200)],
)
def test_a_page_holds_50_by_default_and_200_at_most(asked: str | None, given: int) -> None:
    items = [{"name": f"item-{number:03}"} for number in range(300)]
    query = {} if asked is None else {"pageSize": asked}
    page = page_of(items, query, "name", "secret")
    assert page.items == items[:given]
    assert page.total == 300
    rest = page_of(items, {**query, "pageToken": page.next_token}, "name", "secret")
    assert rest.items == items[given : 2 * given]


def test_datasets_are_listed_by_name(service: Service) -> None:
    for name in ("b", "c", "a"):
        service.create_dataset(name)
    answer = service.get("/datasets").json()
    assert [each["name"][-1] for each in answer["datasets"]] == ["a", "b", "c"]
    assert answer["totalSize"] == 3
    filtered = service.get("/datasets", filter='name="*/b"').json()["datasets"]
    assert [each["name"][-1] for each in filtered] == ["b"]
