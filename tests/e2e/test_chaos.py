"""A few random meetings while AWS and the links fail; `make chaos` is the same with hundreds, and worse."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from local.chaos.comparison import Sort, differences
from local.chaos.meetings import DOCUMENT, KINDS, SCREENSHOTS
from local.chaos.plan import Plan, make_plan
from local.chaos.run import Outcome, make_film, running_chaos
from local.chaos.snapshot import Snapshot

SEED = 6830


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


def test_every_kind_of_file_is_in_the_plan(plan: Plan) -> None:
    kinds = {file.kind for meeting in plan.meetings for file in meeting.files}
    kinds |= {SCREENSHOTS for meeting in plan.meetings if meeting.lists}
    assert kinds == set(KINDS)


def test_a_deletion_two_documents_of_one_name_and_a_list_of_several_pages_are_in_the_plan(plan: Plan) -> None:
    documents = [file for meeting in plan.meetings for file in meeting.files if file.kind is DOCUMENT]
    assert any(file.deletion for file in documents)
    assert len({file.title for file in documents}) < len(documents)
    lists = [one for meeting in plan.meetings for one in meeting.lists]
    # In no other form, too: where there is one, it may hold all that a lost page told of.
    assert any(max(one.forms.values()) < len(one.pictures) for one in lists)


def without_the_first(archive: Snapshot, place: str) -> Snapshot:
    gone = next(key for key in archive.objects if place in key)
    return replace(archive, objects={key: sha for key, sha in archive.objects.items() if key != gone})


def without_a_file(archive: Snapshot) -> Snapshot:
    return without_the_first(archive, "/chat")


def without_a_picture(archive: Snapshot) -> Snapshot:
    return without_the_first(archive, "/screenshots/2")


def without_a_page_of_a_list(archive: Snapshot) -> Snapshot:
    return without_the_first(archive, "_page2.json")


def with_a_list_that_nobody_gave(archive: Snapshot) -> Snapshot:
    key = next(key for key in archive.objects if "/screenshots/list_" in key)
    return replace(archive, objects={**archive.objects, key: "0" * 64})


def with_a_document_under_another_name(archive: Snapshot) -> Snapshot:
    key = next(key for key in archive.objects if "/documents/" in key)
    objects = {**archive.objects, key.replace("/documents/", "/documents/copy-of-"): archive.objects[key]}
    return without_the_first(replace(archive, objects=objects), key)


def with_a_file_twice(archive: Snapshot) -> Snapshot:
    key = next(key for key in archive.objects if "/chat" in key)
    return replace(archive, objects={**archive.objects, key.replace("/chat", "/copy-of-chat"): archive.objects[key]})


def with_another_name_on_a_message(archive: Snapshot) -> Snapshot:
    items = {
        session: [item | ({"name": "Somebody Else"} if item["sk"].startswith("MESSAGE#") else {}) for item in some]
        for session, some in archive.items.items()
    }
    return replace(archive, items=items)


def with_other_deletions(archive: Snapshot, **told: str) -> Snapshot:
    documents = {
        key: document | {"files": [file | (told if "deleted_at" in file else {}) for file in document["files"]]}
        for key, document in archive.documents.items()
    }
    return replace(archive, documents=documents)


def with_deletions_at_another_time(archive: Snapshot) -> Snapshot:
    return with_other_deletions(archive, deleted_at="2026-07-01T09:00:00.000Z")


def with_deletions_by_somebody_else(archive: Snapshot) -> Snapshot:
    return with_other_deletions(archive, deleted_by="Somebody Else")


def without_a_word_of_deletions(archive: Snapshot) -> Snapshot:
    return with_other_deletions(archive, deleted_at="", deleted_by="")


def with_statistics_that_die_after_a_day(archive: Snapshot) -> Snapshot:
    items = {
        session: [
            item | ({"deadline": item["deadline"] - 24 * 3_600_000} if item["sk"].startswith("FILE#rtcstats#") else {})
            for item in some
        ]
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
        (without_a_picture, Sort.LOST),
        (without_a_page_of_a_list, Sort.LOST),
        (with_a_list_that_nobody_gave, Sort.LOST),
        (with_a_file_twice, Sort.DOUBLED),
        (with_a_document_under_another_name, Sort.WRONG_NAME),
        (with_deletions_at_another_time, Sort.LOST),
        (with_deletions_by_somebody_else, Sort.LOST),
        (without_a_word_of_deletions, Sort.LOST),
        (with_statistics_that_die_after_a_day, Sort.LOST),
        (with_another_name_on_a_message, Sort.WRONG_NAME),
        (without_an_event, Sort.LOST),
        (with_an_unfinished_upload, Sort.LEFT_OVER),
    ],
)
def test_the_comparison_sees_what_is_wrong(
    plan: Plan, outcome: Outcome, spoil: Callable[[Snapshot], Snapshot], sort: Sort
) -> None:
    assert sort in {
        difference.sort for difference in differences(plan.meetings, outcome.answers, spoil(outcome.archive))
    }
