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


def test_recordings_without_an_id_are_told_apart_by_their_link() -> None:
    link = "https://a.example/p/t/n/ns/b/one/o/app/{}.mp4"
    ids = {recording(recordingSessionId=None, preAuthenticatedLink=link.format(name)).id for name in "aab"}
    assert len(ids) == 2


@pytest.mark.parametrize("link", [None, "", "  ", 7, ["https://x"], {}])
def test_an_event_without_a_link_announces_no_file(link: Any) -> None:
    assert announced("RECORDING_UPLOADED", preAuthenticatedLink=link) is None


def test_a_link_that_is_no_url_is_still_announced_so_that_its_loss_shows() -> None:
    assert recording(recordingSessionId=None, preAuthenticatedLink="http://[").link == "http://["
