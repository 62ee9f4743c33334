"""The files of `events/`: every documented type and every trap, in the shapes of 8x8's documentation."""

import json
import re
import uuid
from typing import Any
from urllib.parse import urlsplit

import pytest

from local.jaas.samples import SAMPLES_FOLDER

DOCUMENTED_TYPES = [
    "ROOM_CREATED",
    "ROOM_DESTROYED",
    "PARTICIPANT_JOINED",
    "PARTICIPANT_LEFT",
    "PARTICIPANT_JOINED_LOBBY",
    "PARTICIPANT_LEFT_LOBBY",
    "ROLE_CHANGED",
    "RECORDING_STARTED",
    "RECORDING_ENDED",
    "RECORDING_UPLOADED",
    "VIDEO_SEGMENT_UPLOADED",
    "CHAT_UPLOADED",
    "TRANSCRIPTION_UPLOADED",
    "TRANSCRIPTION_CHUNK_RECEIVED",
    "SCREEN_SHARING_HISTORY",
    "DOCUMENT_ADDED",
    "DOCUMENT_DELETED",
    "RTCSTATS_UPLOADED",
    "LIVE_STREAM_STARTED",
    "LIVE_STREAM_ENDED",
    "SIP_CALL_IN_STARTED",
    "SIP_CALL_IN_ENDED",
    "SIP_CALL_OUT_STARTED",
    "SIP_CALL_OUT_ENDED",
    "DIAL_IN_STARTED",
    "DIAL_IN_ENDED",
    "DIAL_OUT_STARTED",
    "DIAL_OUT_ENDED",
    "FEEDBACK",
    "USAGE",
    "SPEAKER_STATS",
    "POLL_CREATED",
    "POLL_ANSWER",
    "REACTIONS",
    "AGGREGATED_REACTIONS",
    "SETTINGS_PROVISIONING",
]
ALL_FILES = sorted(path.stem for path in SAMPLES_FOLDER.glob("*.json"))
LINK_HOST = re.compile(r"objectstorage\.[a-z0-9-]+\.oraclecloud\.com|8x8\.vc|[a-z-]+\.s3\.[a-z0-9-]+\.amazonaws\.com")


def read(name: str) -> Any:
    return json.loads((SAMPLES_FOLDER / f"{name}.json").read_bytes())


def links(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [link for item in value.values() for link in links(item)]
    if isinstance(value, list):
        return [link for item in value for link in links(item)]
    return [value] if isinstance(value, str) and value.startswith("http") else []


def test_thirty_six_types_are_documented() -> None:
    assert len(set(DOCUMENTED_TYPES)) == 36


@pytest.mark.parametrize("event_type", DOCUMENTED_TYPES)
def test_every_documented_type_has_a_file_that_names_it(event_type: str) -> None:
    assert read(event_type)["eventType"] == event_type


@pytest.mark.parametrize("event_type", DOCUMENTED_TYPES)
def test_a_documented_event_belongs_to_a_session_and_a_room(event_type: str) -> None:
    event = read(event_type)
    assert {"idempotencyKey", "customerId", "sessionId", "timestamp", "fqn", "data"} <= set(event)


def test_no_two_events_share_a_key() -> None:
    keys = [event["idempotencyKey"] for event in map(read, ALL_FILES) if "idempotencyKey" in event]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("name", ALL_FILES)
def test_links_are_of_the_hosts_that_jaas_uses(name: str) -> None:
    hosts = {urlsplit(link).hostname or "" for link in links(read(name).get("data"))} - {
        "avatars.example.com",
        "169.254.169.254",
    }
    assert all(LINK_HOST.fullmatch(host) for host in hosts)


def test_the_signature_vector_is_one_line_without_an_end() -> None:
    assert b"\n" not in (SAMPLES_FOLDER / "signature_vector.json").read_bytes()


def test_trap_a_key_is_no_uuid() -> None:
    with pytest.raises(ValueError, match="UUID"):
        uuid.UUID(read("trap_idempotency_key_not_uuid")["idempotencyKey"])


@pytest.mark.parametrize(
    "name", ["trap_app_id_missing", "LIVE_STREAM_ENDED", "FEEDBACK", "POLL_CREATED", "POLL_ANSWER"]
)
def test_trap_the_app_id_is_missing(name: str) -> None:
    assert "appId" not in read(name)


def test_trap_the_app_id_comes_twice_with_different_values() -> None:
    text = (SAMPLES_FOLDER / "trap_app_id_twice.json").read_text()
    assert len(set(re.findall(r'"appId": "([^"]+)"', text))) == 2


def test_trap_the_app_id_is_a_number() -> None:
    assert isinstance(read("trap_app_id_number")["appId"], int)


@pytest.mark.parametrize("name", ["trap_data_list", "USAGE", "AGGREGATED_REACTIONS"])
def test_trap_data_is_a_list(name: str) -> None:
    assert isinstance(read(name)["data"], list)


@pytest.mark.parametrize("name", ["trap_data_map", "SPEAKER_STATS"])
def test_trap_data_is_a_map_of_full_jids(name: str) -> None:
    assert all(re.fullmatch(r"[0-9a-f-]{36}@8x8\.vc/\w+", jid) for jid in read(name)["data"])


def test_trap_moderator_is_a_text() -> None:
    assert read("trap_moderator_string")["data"]["moderator"] == "true"


def test_trap_unknown_fields_come_from_the_jwt() -> None:
    assert set(read("trap_moderator_string")["data"]) - set(read("PARTICIPANT_JOINED")["data"])


def test_trap_times_in_data_are_months_away() -> None:
    event = read("trap_data_timestamps_months_away")
    assert event["timestamp"] - event["data"]["startTimestamp"] > 150 * 24 * 3_600_000


@pytest.mark.parametrize("name", ["trap_unknown_event_type", "trap_unknown_event_type_with_file"])
def test_trap_the_type_is_not_documented(name: str) -> None:
    assert read(name)["eventType"] not in DOCUMENTED_TYPES


def test_trap_settings_are_asked_for_with_nothing_but_the_fqn() -> None:
    assert set(read("trap_settings_provisioning_only_fqn")) == {"fqn"}


def test_trap_the_full_jid_is_missing() -> None:
    assert "participantFullJid" not in read("trap_participant_full_jid_missing")["data"]


def test_trap_the_bare_jid_is_a_full_one() -> None:
    assert "/" in read("trap_participant_jid_full")["data"]["participantJid"]


def test_trap_somebody_joins_before_the_room_is_created() -> None:
    joined, created = read("trap_join_before_room_created"), read("ROOM_CREATED")
    assert (joined["sessionId"], joined["timestamp"] < created["timestamp"]) == (created["sessionId"], True)


def test_trap_the_chat_of_an_unheard_of_session_is_uploaded() -> None:
    event = read("trap_chat_before_room_created")
    assert event["sessionId"] != read("ROOM_CREATED")["sessionId"]


def test_trap_a_link_expires_earlier_than_documented() -> None:
    event = read("trap_link_expiration_not_documented")
    assert event["data"]["linkExpiration"] - event["timestamp"] < 24 * 3_600_000
