import json
from pathlib import Path
from typing import Any

import pytest

from jaas_archive.events import read_event
from jaas_archive.kinds import AnnouncedFile, announced_files

EVENTS = Path(__file__).parents[2] / "events"
HOUR_MS = 3_600_000


def announced(name: str, **data: Any) -> AnnouncedFile | None:
    document = json.loads((EVENTS / f"{name}.json").read_bytes())
    document["data"] |= data
    return next(iter(announced_files(read_event(document, received_at_ms=0))), None)


def recording(**data: Any) -> AnnouncedFile:
    file = announced("RECORDING_UPLOADED", **data)
    assert file
    return file


def test_a_recording_is_named_by_its_start_and_id() -> None:
    assert recording().stem == "recording_20260701T090211Z_tgwrnkqp"


def test_a_link_lives_a_day_unless_the_event_says_otherwise() -> None:
    assert recording().deadline_ms == 1782899220000 + 24 * HOUR_MS
    assert recording(linkExpiration=1782899220000 + HOUR_MS).deadline_ms == 1782899220000 + HOUR_MS
    assert recording(linkExpiration="2026-07-01T11:00:00Z").deadline_ms == 1782903600000


@pytest.mark.parametrize("nonsense", [0, -1, True, "soon", 1, None, [], 10**30])
def test_a_nonsensical_expiry_is_ignored(nonsense: Any) -> None:
    assert recording(linkExpiration=nonsense).deadline_ms == 1782899220000 + 24 * HOUR_MS


def test_a_link_made_anew_names_the_same_file() -> None:
    one = announced("CHAT_UPLOADED", preAuthenticatedLink="https://a.example/p/token1/n/ns/b/one/o/app/chat.json")
    other = announced("CHAT_UPLOADED", preAuthenticatedLink="https://b.example/p/token2/n/ns/b/two/o/app/chat.json")
    third = announced("CHAT_UPLOADED", preAuthenticatedLink="https://b.example/p/token2/n/ns/b/two/o/app/other.json")
    assert one
    assert other
    assert third
    assert one.id == other.id != third.id


@pytest.mark.parametrize(
    "again",
    [
        "https://8x8.vc/shot?id=1&X-Amz-Signature=b&X-Amz-Date=20260701T090000Z",
        "https://8x8.vc/shot?Expires=2&id=1&Key-Pair-Id=b",
        "https://8x8.vc/shot?accessToken=b&id=1&sig=c",
        "https://elsewhere.8x8.vc/shot?jwt=b&id=1#top",
    ],
)
def test_what_a_link_asks_for_names_the_file_and_what_proves_it_does_not(again: str) -> None:
    ids = [
        announced("CHAT_UPLOADED", preAuthenticatedLink=link)
        for link in ("https://8x8.vc/shot?id=1&token=a", again, "https://8x8.vc/shot?id=2&token=a")
    ]
    one, same, other = (file.id for file in ids if file)
    assert one == same != other


def test_a_blank_in_a_link_is_sent_as_what_it_stands_for() -> None:
    assert (
        recording(preAuthenticatedLink=" https://a.example/o/my call.mp4 ").link == "https://a.example/o/my%20call.mp4"
    )


def test_recordings_without_an_id_are_told_apart_by_their_link() -> None:
    link = "https://a.example/p/t/n/ns/b/one/o/app/{}.mp4"
    ids = {recording(recordingSessionId=None, preAuthenticatedLink=link.format(name)).id for name in "aab"}
    assert len(ids) == 2


@pytest.mark.parametrize("link", [None, "", "  ", 7, ["https://x"], {}])
def test_an_event_without_a_link_announces_no_file(link: Any) -> None:
    assert announced("RECORDING_UPLOADED", preAuthenticatedLink=link) is None


def test_a_link_that_is_no_url_is_still_announced_so_that_its_loss_shows() -> None:
    assert recording(recordingSessionId=None, preAuthenticatedLink="http://[").link == "http://["


@pytest.mark.parametrize(
    ("trap", "stem", "suffix"),
    [
        ("document_name_leaves_its_folder", "documents/meeting", ".json"),
        ("document_name_reserved", "documents/_CON", ".pdf"),
        ("document_name_twice", "documents/Q3-road-map-draft-2-", ".pdf"),
        ("document_name_of_any_script", "documents/बैठक-का-सार-", ".pdf"),
        ("document_size_wrong", "documents/Q3-road-map-draft-2-", ".pdf"),
        ("screenshots_link_dead", "screenshots/list_20260701T0944", ""),
    ],
)
def test_the_traps_of_files_have_names(trap: str, stem: str, suffix: str) -> None:
    file = announced(f"trap_{trap}")
    assert file
    assert (file.stem[: len(stem)], file.suffix) == (stem, suffix)
    assert set(file.stem.split("/")[1:]).isdisjoint({"..", "."})


@pytest.mark.parametrize("trap", ["document_link_missing", "rtcstats_link_missing", "document_deleted_before_added"])
def test_a_trap_without_a_link_announces_nothing(trap: str) -> None:
    assert announced(f"trap_{trap}") is None


def test_a_list_whose_link_is_said_to_be_dead_is_asked_all_the_same() -> None:
    file = announced("trap_screenshots_link_dead")
    assert file
    assert file.deadline_ms > 1782899060000


def test_two_documents_of_one_name_differ_in_their_id() -> None:
    one, other = announced("DOCUMENT_ADDED"), announced("trap_document_name_twice")
    assert one
    assert other
    assert (one.stem, one.title) == (other.stem, other.title)
    assert one.id != other.id
