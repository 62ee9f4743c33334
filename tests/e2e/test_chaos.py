"""A few random meetings while AWS and the links fail; `make chaos` is the same with hundreds, and worse."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from local.chaos.comparison import Snapshot, Sort, differences
from local.chaos.plan import Plan, make_plan
from local.chaos.run import Outcome, make_film, running_chaos

SEED = 10


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(SEED, 2, film=make_film(), now_ms=int(time.time() * 1000), disturbances=())


@pytest.fixture(scope="module")
def outcome(plan: Plan) -> Iterator[Outcome]:
    with running_chaos(SEED) as chaos:
        yield chaos.play(plan, drained=False)


def test_what_jaas_sent_is_archived_once_and_under_the_right_names(outcome: Outcome) -> None:
    assert outcome.differences == ()
    assert outcome.faults.total() > 0


def without_a_file(archive: Snapshot) -> Snapshot:
    gone = next(key for key in archive.objects if "/chat" in key)
    return replace(archive, objects={key: sha for key, sha in archive.objects.items() if key != gone})


def with_a_file_twice(archive: Snapshot) -> Snapshot:
    key = next(key for key in archive.objects if "/chat" in key)
    return replace(archive, objects={**archive.objects, key.replace("/chat", "/copy-of-chat"): archive.objects[key]})


def with_another_name_on_a_message(archive: Snapshot) -> Snapshot:
    items = {
        session: [item | ({"name": "Somebody Else"} if item["sk"].startswith("MESSAGE#") else {}) for item in some]
        for session, some in archive.items.items()
    }
    return replace(archive, items=items)


def without_an_event(archive: Snapshot) -> Snapshot:
    items = {
        session: [item for item in some if not (item["sk"].startswith("EVENT#") and item["type"] == "ROOM_CREATED")]
        for session, some in archive.items.items()
    }
    return replace(archive, items=items)


def with_an_unfinished_upload(archive: Snapshot) -> Snapshot:
    return replace(archive, unfinished_uploads=1)


@pytest.mark.parametrize(
    ("spoil", "sort"),
    [
        (without_a_file, Sort.LOST),
        (with_a_file_twice, Sort.DOUBLED),
        (with_another_name_on_a_message, Sort.WRONG_NAME),
        (without_an_event, Sort.LOST),
        (with_an_unfinished_upload, Sort.LEFT_OVER),
    ],
)
def test_the_comparison_sees_what_is_wrong(
    plan: Plan, outcome: Outcome, spoil: Callable[[Snapshot], Snapshot], sort: Sort
) -> None:
    assert sort in {difference.sort for difference in differences(plan.meetings, spoil(outcome.archive))}
