import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from functions.downloader import app as downloader_app
from jaas_archive.copying import HandOverError
from jaas_archive.errors import InProgressError
from jaas_archive.events import read_event
from jaas_archive.kinds import announced_files
from jaas_archive.meetings import Meetings
from jaas_archive.messages import EventMessage
from jaas_archive.uploads import Checkpoint
from local.jaas.faults import Trickle
from local.jaas.files import FileServer
from tests.functions.announced import MIB, publish, uploaded
from tests.functions.conftest import ARCHIVE, ROOT, World, context, mp4
from tests.functions.faulty_s3 import FaultyS3


def test_a_copy_that_another_holds_is_left_alone_until_its_lease_ends(world: World, files: FileServer) -> None:
    link = publish(files, mp4(200))
    event = uploaded(link)
    world.accept(event)
    world.settle()
    (item,) = world.items("FILE#")
    world.dynamodb.update_item(
        TableName="meetings",
        Key={"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}},
        UpdateExpression="SET #s = :copying, lease_until = :until",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={
            ":copying": {"S": "copying"},
            ":until": {"N": str(int(time.time() * 1000) + 900_000)},
        },
    )
    world.accept(event)
    world.settle()
    assert len(link.requests) == 1


@pytest.mark.parametrize("size", [200, 17 * MIB])
def test_an_object_stored_by_an_invocation_that_died_is_adopted(world: World, files: FileServer, size: int) -> None:
    link = publish(files, mp4(size))
    event = uploaded(link)
    world.accept(event)
    world.settle()
    asked = len(link.requests)
    (item,) = world.items("FILE#")
    _as_before_it_was_noted(world)
    world.accept(event)
    world.settle()
    (again,) = world.items("FILE#")
    assert (again["status"], again["key"], again["size"]) == ("archived", item["key"], item["size"])
    assert len(link.requests) == asked
    assert len([key for key in world.archived_keys() if key.endswith(".mp4")]) == 1


def _as_before_it_was_noted(world: World) -> None:
    """The only file as an invocation leaves it that stored it and died before it could note that."""
    (item,) = world.items("FILE#")
    world.dynamodb.update_item(
        TableName="meetings",
        Key={"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}},
        UpdateExpression="SET #s = :copying, lease_until = :until REMOVE #k, #n",
        ExpressionAttributeNames={"#s": "status", "#k": "key", "#n": "size"},
        ExpressionAttributeValues={":copying": {"S": "copying"}, ":until": {"N": "1"}},
    )


def test_a_file_with_the_longest_of_ids_is_adopted_too(world: World, files: FileServer) -> None:
    """S3 keeps no more than the beginning of what its metadata say."""
    link = publish(files, b"minutes")
    event = uploaded(link, "DOCUMENT_ADDED", fileName="minutes.txt", fileId="\u00e9" * 60, fileSize=7)
    for _ in range(3):
        world.accept(event)
        world.settle()
        (item,) = world.items("FILE#")
        assert (item["status"], item["key"].rpartition("/")[2]) == ("archived", "minutes.txt")
        _as_before_it_was_noted(world)
    assert len(world.copied_keys()) == 1


@pytest.mark.parametrize(
    ("event_type", "content", "data"),
    [
        ("DOCUMENT_ADDED", b"minutes", {"fileName": "minutes.txt", "fileSize": 7}),
        ("TRANSCRIPTION_UPLOADED", b"WEBVTT\n", {}),
        ("RTCSTATS_UPLOADED", b"\x1f\x8b", {}),
    ],
)
def test_what_was_stored_and_not_noted_is_not_lost_with_its_link(
    world: World, files: FileServer, event_type: str, content: bytes, data: dict[str, Any]
) -> None:
    """What the file is called may hang on bytes that cannot be had any more."""
    link = publish(files, content)
    event = uploaded(link, event_type, statsUrl=link.url, **data)
    world.accept(event)
    world.settle()
    (before,) = world.items("FILE#")
    _as_before_it_was_noted(world)
    link.expire()
    world.accept(event)
    world.settle()
    (item,) = world.items("FILE#")
    assert (item["status"], item["key"]) == ("archived", before["key"])


def test_an_invocation_that_lost_its_lease_does_not_touch_the_upload_of_the_next(
    world: World, files: FileServer
) -> None:
    event, meetings = read_event(uploaded(publish(files, b"")), received_at_ms=0), Meetings(world.dynamodb, "meetings")
    session, known = meetings.sessions.ensure(event), meetings.files
    (file,) = announced_files(event)
    first = known.claim(session.id, file, now_ms=0, lease_ms=1000)
    second = known.claim(session.id, file, now_ms=2000, lease_ms=1000)
    known.note_upload(session.id, second, Checkpoint("key", "of the second", 8 * MIB, 20 * MIB, "etag"))
    with pytest.raises(InProgressError):
        known.note_upload(session.id, first, Checkpoint("key", "of the first", 8 * MIB, 20 * MIB, "etag"))
    with pytest.raises(InProgressError):
        known.note_upload(session.id, first, None)
    (item,) = world.items("FILE#")
    assert item["upload_id"] == "of the second"


def test_two_deliveries_at_once_copy_once(world: World, files: FileServer) -> None:
    content = mp4(20 * MIB)
    link = publish(files, content)
    event = uploaded(link)
    for _ in range(2):
        world.accept(event)
    with ThreadPoolExecutor(2) as pool:
        one, other = (world.lambda_event(messages) for messages in world.receive_one_by_one("download"))
        answers = list(pool.map(lambda records: downloader_app.handler(records, context()), (one, other)))
    assert sum(len(answer["batchItemFailures"]) for answer in answers) <= 1
    assert world.object(".mp4") == content
    assert world.items("FILE#")[0]["tries"] == "1"


def test_a_worker_killed_ten_times_over_one_copy_loses_nothing(
    world: World, files: FileServer, aws: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each process is killed when some more of the file has flowed; the next one goes on."""
    with FaultyS3(aws) as s3:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.url)
        _kill_ten_times(world, files, s3)


def _kill_ten_times(world: World, files: FileServer, s3: FaultyS3) -> None:
    content = mp4(240 * MIB)
    link = publish(files, content)
    world.accept(uploaded(link))
    (messages,) = world.receive_one_by_one("download")
    event = json.dumps(world.lambda_event(messages))
    link.faults.always(Trickle(bytes_per_second=20 * MIB))
    # Killed when so many parts are under way: of the eight that begin together, or after the first are done.
    for begun in (1, 3, 8, 9, 2, 5, 9, 1, 7, 4):
        before = s3.parts_sent()
        worker = subprocess.Popen(
            [sys.executable, "-m", "tests.functions.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=ROOT,
        )
        assert worker.stdin
        worker.stdin.write(event.encode())
        worker.stdin.close()
        while worker.poll() is None and s3.parts_sent() < before + begun:
            time.sleep(0.01)
        worker.kill()
        # It was at work until then: it neither finished nor failed.
        assert worker.wait() == -signal.SIGKILL
        world.end_lease()
    link.faults.clear()
    parts_before = s3.parts_sent()
    downloader_app.handler(json.loads(event), context())
    assert world.object(".mp4") == content
    assert world.items("FILE#")[0]["status"] == "archived"
    assert s3.parts_sent() - parts_before < 30
    assert world.s3.list_multipart_uploads(Bucket=ARCHIVE).get("Uploads", []) == []


def test_a_long_copy_keeps_its_message_and_its_lease(world: World, files: FileServer) -> None:
    link = publish(files, mp4(17 * MIB))
    link.faults.always(Trickle(bytes_per_second=8 * MIB))
    world.accept(uploaded(link))
    world.settle()
    kept: list[int] = []
    downloader = replace(downloader_app.downloader(), beat_seconds=0.1)
    event = uploaded(link, recordingSessionId="another")
    leases: set[str] = set()

    def keep(seconds: int) -> None:
        kept.append(seconds)
        leases.update(item["lease_until"] for item in world.items("FILE#") if "lease_until" in item)

    downloader.download(EventMessage(event, 0), keep=keep)
    assert len(kept) > 3
    assert len(leases) > 3


def test_an_invocation_hands_over_before_its_own_end(world: World, files: FileServer) -> None:
    content = mp4(20 * MIB)
    link = publish(files, content)
    world.accept(uploaded(link))
    (messages,) = world.receive_one_by_one("download")
    event = world.lambda_event(messages)
    ending = context()
    ending.get_remaining_time_in_millis = lambda: 1000 * downloader_app.HAND_OVER_SECONDS - 1
    assert len(downloader_app.handler(event, ending)["batchItemFailures"]) == 1
    assert world.items("FILE#")[0]["reason"] == "handed over to the next invocation"
    # The message is back at once.
    world.settle()
    assert world.object(".mp4") == content


def test_who_lost_the_lease_stops_and_leaves_the_copy_to_the_next(world: World, files: FileServer) -> None:
    link = publish(files, mp4(17 * MIB))
    link.faults.always(Trickle(bytes_per_second=MIB))
    document = uploaded(link)
    event = read_event(document, received_at_ms=0)
    (file,) = announced_files(event)
    known = Meetings(world.dynamodb, "meetings").files

    def keep(_seconds: int) -> None:
        (item,) = world.items("FILE#")
        if "upload_id" in item and item["tries"] == "1":
            known.claim(event.session_id, file, now_ms=int(time.time() * 1000) + 3_600_000, lease_ms=60_000)

    began = time.monotonic()
    with pytest.raises(HandOverError):
        replace(downloader_app.downloader(), beat_seconds=0.1).download(EventMessage(document, 0), keep=keep)
    assert time.monotonic() - began < 5
    (item,) = world.items("FILE#")
    assert (item["status"], item["tries"], "lease_until" in item) == ("copying", "2", True)


def test_only_uploads_of_the_very_key_are_forgotten(world: World) -> None:
    for key in ("room/plan", "room/plan.pdf"):
        world.s3.create_multipart_upload(Bucket=ARCHIVE, Key=key)
    downloader_app.downloader().archive.abort_all("room/plan")
    assert [upload["Key"] for upload in world.s3.list_multipart_uploads(Bucket=ARCHIVE)["Uploads"]] == ["room/plan.pdf"]
