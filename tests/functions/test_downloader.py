import base64
import gzip
import hashlib
import json
import re
from urllib.parse import urlsplit

import pytest
from fastcrc.crc32 import iscsi as crc32c

from local.jaas.faults import Header
from local.jaas.files import FileServer
from tests.functions.announced import FOLDER, MIB, RECORDING, publish, uploaded
from tests.functions.conftest import ARCHIVE, World, mp4


@pytest.mark.parametrize("size", [200, 4096, 4097, 8 * MIB, 16 * MIB, 16 * MIB + 1, 40 * MIB])
def test_archives_a_recording_byte_for_byte(world: World, files: FileServer, size: int) -> None:
    content = mp4(size)
    world.accept(uploaded(publish(files, content)))
    world.settle()
    assert hashlib.sha256(world.object(".mp4")).digest() == hashlib.sha256(content).digest()
    assert any(re.fullmatch(f"{FOLDER}/{RECORDING}", key) for key in world.archived_keys())


def test_notes_file_and_status_in_the_table(world: World, files: FileServer) -> None:
    content = mp4(17 * MIB)
    link = publish(files, content)
    world.accept(uploaded(link))
    world.settle()
    (item,) = world.items("FILE#")
    assert item["sk"] == "FILE#recording#tgwrnkqpzdbmxjvu.1782896531000"
    assert (item["status"], item["size"]) == ("archived", str(len(content)))
    assert re.fullmatch(f"{FOLDER}/{RECORDING}", item["key"])
    assert item["checksum"] == base64.b64encode(crc32c(content).to_bytes(4, "big")).decode()
    assert item["source_etag"] == link.stored.etag
    assert {"announcement", "lease_until", "reason", "gsi2pk"}.isdisjoint(item)


@pytest.mark.parametrize("size", [200, 17 * MIB])
def test_sets_content_type_and_metadata(world: World, files: FileServer, size: int) -> None:
    link = publish(files, mp4(size))
    event = uploaded(link)
    event["fqn"] = "app/Réunion du lundi"
    world.accept(event)
    world.settle()
    (key,) = [key for key in world.archived_keys() if key.endswith(".mp4")]
    head = world.s3.head_object(Bucket=ARCHIVE, Key=key)
    assert head["ContentType"] == "video/mp4"
    assert head["Metadata"] == {
        "file": "4be1f0a7-63c2-4d1e-9b57-20c8de715f3a/FILE%23recording%23tgwrnkqpzdbmxjvu.1782896531000",
        "session": "4be1f0a7-63c2-4d1e-9b57-20c8de715f3a",
        "room": "R%C3%A9union du lundi",
        "event": "0adceb10-e496-4e8b-a1e5-243286b8c742",
        "duration-seconds": "2381",
        "source-etag": link.stored.etag,
    }


def test_a_second_delivery_copies_nothing(world: World, files: FileServer) -> None:
    link = publish(files, mp4(200))
    event = uploaded(link)
    for _ in range(3):
        world.accept(event)
        world.settle()
    assert [request.method for request in link.requests] == ["GET"]
    assert world.items("FILE#")[0]["tries"] == "1"


def test_an_archived_file_is_not_replaced_by_another_event(world: World, files: FileServer) -> None:
    content = mp4(200)
    world.accept(uploaded(publish(files, content)))
    world.settle()
    other = uploaded(files.publish(mp4(300, seed=2), name="elsewhere.mp4"))
    world.accept(other | {"idempotencyKey": "another"})
    world.settle()
    assert world.object(".mp4") == content


def test_two_recordings_of_a_session_lie_side_by_side(world: World, files: FileServer) -> None:
    world.accept(uploaded(publish(files, mp4(200))))
    # Same start, and ids that agree in the eight characters of the name.
    world.accept(
        uploaded(publish(files, mp4(200, seed=2)), recordingSessionId="tgwrnkqpOTHER") | {"idempotencyKey": "2"}
    )
    world.settle()
    recordings = [key for key in world.archived_keys() if key.endswith(".mp4")]
    assert len(recordings) == 2
    bodies = {world.s3.get_object(Bucket=ARCHIVE, Key=key)["Body"].read() for key in recordings}
    assert bodies == {mp4(200), mp4(200, seed=2)}


def test_a_packed_file_is_kept_as_it_came_and_says_so(world: World, files: FileServer) -> None:
    packed = gzip.compress(b'{"messages": []}')
    link = publish(files, packed, "app/chat.json")
    link.faults.always(Header("Content-Encoding", "gzip"))
    world.accept(uploaded(link, "CHAT_UPLOADED"))
    world.settle()
    (item,) = world.items("FILE#")
    stored = world.s3.get_object(Bucket=ARCHIVE, Key=item["key"])
    assert (stored["Body"].read(), stored["Metadata"]["source-encoding"]) == (packed, "gzip")


@pytest.mark.parametrize(
    ("content", "name", "content_type"),
    [
        (b'{"messages":[]}', "transcript.json", "application/json"),
        (b"WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n", "transcript.vtt", "text/vtt; charset=utf-8"),
        (b"Ada: hello\n", "transcript.txt", "text/plain; charset=utf-8"),
    ],
)
def test_a_transcript_gets_its_true_extension(
    world: World, files: FileServer, content: bytes, name: str, content_type: str
) -> None:
    world.accept(uploaded(files.publish(content, name="app/transcript.json"), "TRANSCRIPTION_UPLOADED"))
    world.settle()
    assert world.object(name) == content
    (key,) = [key for key in world.archived_keys() if key.endswith(name)]
    assert world.s3.head_object(Bucket=ARCHIVE, Key=key)["ContentType"] == content_type


def test_two_chats_of_a_session_are_both_kept(world: World, files: FileServer) -> None:
    bodies = {json.dumps({"messages": [], "n": number}).encode() for number in range(2)}
    for number, body in enumerate(sorted(bodies)):
        event = uploaded(files.publish(body, name=f"app/chat-{number}.json"), "CHAT_UPLOADED")
        world.accept(event | {"idempotencyKey": str(number)})
    world.settle()
    chats = [key for key in world.archived_keys() if "/chat" in key]
    assert len(chats) == 2
    assert {world.s3.get_object(Bucket=ARCHIVE, Key=key)["Body"].read() for key in chats} == bodies


@pytest.mark.parametrize("room", ["../../etc/passwd", "..", "a/b/../c", "\u202egnp.exe", "x" * 2000, "<script>", "."])
def test_no_room_name_leaves_its_folder(world: World, files: FileServer, room: str) -> None:
    event = uploaded(publish(files, mp4(200)))
    event["fqn"] = f"app/{room}"
    world.accept(event)
    world.settle()
    assert len(world.copied_keys()) == 1
    for key in world.archived_keys():
        assert key.count("/") == 2
        assert not {"..", ".", ""} & set(key.split("/"))
        assert len(key.encode()) < 1024
        assert "<" not in key


def test_the_link_is_gone_from_the_journal(world: World, files: FileServer) -> None:
    link = publish(files, mp4(200))
    world.accept(uploaded(link))
    world.settle()
    everything = json.dumps(world.items()) + world.object("meeting.json").decode()
    assert urlsplit(link.url).path not in everything


@pytest.mark.parametrize("content", [b"<Ada> hello\n", b"<?xml version='1.0'?><tt/>"])
def test_a_transcript_that_begins_with_a_bracket_is_no_web_page(
    world: World, files: FileServer, content: bytes
) -> None:
    world.accept(uploaded(files.publish(content, name="app/transcript"), "TRANSCRIPTION_UPLOADED"))
    world.settle()
    assert world.object("transcript.txt") == content
