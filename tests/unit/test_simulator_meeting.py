"""The truth of a built meeting, and that its events and files tell the same."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from local.jaas.conversation import CHAT, Role
from local.jaas.events import disorder, events_of
from local.jaas.files import Link
from local.jaas.meeting import Meeting, MeetingFile, build_meeting
from local.jaas.storage import StoredObject
from local.recording import Recording

STARTED_AT_MS = 1_782_896_400_000
RECORDING = Recording(Path("call.mp4"), duration_seconds=80, size_bytes=36_000_000, sha256="ab" * 32)


@pytest.fixture
def meeting() -> Meeting:
    return build_meeting(7, started_at_ms=STARTED_AT_MS, recordings=[RECORDING])


@pytest.fixture
def events(meeting: Meeting) -> list[dict[str, Any]]:
    return documents(meeting)


def documents(meeting: Meeting) -> list[dict[str, Any]]:
    return [
        json.loads(event.body) for event in events_of(meeting, {file.object_name: link(file) for file in meeting.files})
    ]


def link(file: MeetingFile) -> Link:
    stored = StoredObject(file.object_name, file.bucket, file.source, file.content_type, written_at=0, expires_at=0)
    return Link(f"https://files.example.com/{file.object_name}", stored)


def file_of(meeting: Meeting, event_type: str) -> Any:
    (file,) = [file for file in meeting.files if file.event_type == event_type]
    assert isinstance(file.source, bytes)
    return json.loads(file.source)


def of_type(events: list[dict[str, Any]], *types: str) -> list[dict[str, Any]]:
    return [event for event in events if event["eventType"] in types]


def test_the_same_seed_is_the_same_meeting(meeting: Meeting) -> None:
    assert build_meeting(7, started_at_ms=STARTED_AT_MS, recordings=[RECORDING]) == meeting


def test_the_same_seed_gives_the_same_events(meeting: Meeting, events: list[dict[str, Any]]) -> None:
    assert documents(meeting) == events


def test_another_seed_is_another_session(meeting: Meeting) -> None:
    assert build_meeting(8, started_at_ms=STARTED_AT_MS).session_id != meeting.session_id


def test_five_people_meet(meeting: Meeting) -> None:
    assert len({person.name for person in meeting.people}) == 5


def test_one_person_comes_back_with_another_jid(meeting: Meeting) -> None:
    stays = Counter(presence.person.role for presence in meeting.presences)
    assert stays == {role: 2 if role is Role.REJOINER else 1 for role in Role}


def test_nobody_shares_a_jid(meeting: Meeting) -> None:
    assert len({presence.jid for presence in meeting.presences}) == len(meeting.presences)


def test_the_guest_never_joins(meeting: Meeting, events: list[dict[str, Any]]) -> None:
    (guest,) = [person for person in meeting.people if person.role is Role.GUEST]
    assert guest.name not in json.dumps(events, ensure_ascii=False)


def test_of_one_person_the_full_jid_is_never_told(events: list[dict[str, Any]]) -> None:
    joins = of_type(events, "PARTICIPANT_JOINED")
    assert sum("participantFullJid" not in join["data"] for join in joins) == 1


def test_everybody_who_joins_leaves(events: list[dict[str, Any]]) -> None:
    joined = Counter(event["data"]["participantJid"] for event in of_type(events, "PARTICIPANT_JOINED"))
    left = Counter(event["data"]["participantJid"] for event in of_type(events, "PARTICIPANT_LEFT"))
    assert joined == left


def test_every_event_has_a_key_of_its_own(events: list[dict[str, Any]]) -> None:
    assert len({event["idempotencyKey"] for event in events}) == len(events)


def test_the_events_come_in_the_order_of_time(events: list[dict[str, Any]]) -> None:
    times = [event["timestamp"] for event in events]
    assert times == sorted(times)


def test_forty_messages_are_written(meeting: Meeting) -> None:
    assert len(meeting.chat) == len(CHAT) == 40


def test_the_chat_file_holds_the_messages_as_they_were_written(meeting: Meeting) -> None:
    messages = file_of(meeting, "CHAT_UPLOADED")["messages"]
    assert messages == [{"jid": m.jid, "content": m.content, "timestamp": m.timestamp_ms} for m in meeting.chat]


def test_a_chat_without_messages_has_no_list() -> None:
    empty = build_meeting(7, started_at_ms=STARTED_AT_MS, messages=0)
    assert "messages" not in file_of(empty, "CHAT_UPLOADED")


def test_two_messages_are_written_in_the_same_millisecond(meeting: Meeting) -> None:
    assert max(Counter(line.timestamp_ms for line in meeting.chat).values()) == 2


def test_messages_beyond_the_conversation_differ_from_it() -> None:
    long = build_meeting(7, started_at_ms=STARTED_AT_MS, messages=120)
    assert len({line.content for line in long.chat}) >= 3 * len({content for _, content in CHAT})


def test_the_guest_cannot_be_known(meeting: Meeting) -> None:
    assert {line.matched_by for line in meeting.chat if line.author.role is Role.GUEST} == {"unknown"}


def test_every_way_of_matching_occurs(meeting: Meeting) -> None:
    assert {line.matched_by for line in meeting.chat} == {"full_jid", "bare_jid", "unknown"}


def test_the_rejoiner_writes_under_both_jids(meeting: Meeting) -> None:
    assert len({line.jid for line in meeting.chat if line.author.role is Role.REJOINER}) == 2


def test_the_transcript_holds_what_was_said(meeting: Meeting) -> None:
    messages = file_of(meeting, "TRANSCRIPTION_UPLOADED")["messages"]
    assert [message["content"] for message in messages] == [line.content for line in meeting.speech]


def test_the_recording_lies_between_its_start_and_its_end(events: list[dict[str, Any]]) -> None:
    (started,), (uploaded,), (ended,) = (
        of_type(events, f"RECORDING_{what}") for what in ("STARTED", "UPLOADED", "ENDED")
    )
    assert started["timestamp"] < uploaded["data"]["startTimestamp"] < uploaded["data"]["endTimestamp"]
    assert uploaded["data"]["endTimestamp"] < ended["timestamp"]


def test_the_recording_is_named_for_its_start(meeting: Meeting) -> None:
    assert meeting.files[0].object_name.endswith(f"/{meeting.room}_2026-07-01-09-02-00.mp4")


def test_a_meeting_may_have_several_recordings() -> None:
    several = build_meeting(7, started_at_ms=STARTED_AT_MS, recordings=[RECORDING, RECORDING])
    uploads = of_type(documents(several), "RECORDING_UPLOADED")
    assert len({upload["data"]["recordingSessionId"] for upload in uploads}) == 2


def test_disorder_loses_nothing() -> None:
    assert set(disorder(range(100), seed=1)) == set(range(100))


def test_disorder_doubles_a_share() -> None:
    assert len(disorder(range(100), seed=1, doubled=0.3)) == 130


def test_disorder_is_none_of_the_true_order() -> None:
    assert disorder(range(100), seed=1, doubled=0) != list(range(100))


def test_disorder_can_be_repeated() -> None:
    assert disorder(range(100), seed=1) == disorder(range(100), seed=1)
