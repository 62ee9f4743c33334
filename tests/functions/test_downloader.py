import base64
import gzip
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from fastcrc.crc32 import iscsi as crc32c

from functions.downloader import app as downloader_app
from jaas_archive.batches import records_of
from jaas_archive.messages import EventMessage
from jaas_archive.queues import Queue
from local.jaas.faults import Changed, Corrupt, Cut, Drop, Fail, Header, HtmlPage, Redirect, Trickle, Truncate
from local.jaas.files import FileServer, Link
from tests.functions.conftest import ARCHIVE, ROOT, World, context, load_event, mp4
from tests.functions.faulty_s3 import FaultyS3

MIB = 1 << 20
RECORDING = "recording_20260701T090211Z_tgwrnkqp.mp4"
FOLDER = r"weeklysync/\d{4}-\d\d-\d\d_\d\d-\d\d-\d\dZ_4be1f0a7"


def uploaded(link: Link, event_type: str = "RECORDING_UPLOADED", **data: Any) -> dict[str, Any]:
    """The event that announces a file, now."""
    event = load_event(event_type)
    event["timestamp"] = int(time.time() * 1000)
    event["data"] |= {"preAuthenticatedLink": link.url, "linkExpiration": int(time.time() * 1000) + 3_600_000} | data
    return event


def publish(files: FileServer, content: bytes, name: str = "app/tgwrnkqpzdbmxjvu/weeklysync.mp4") -> Link:
    return files.publish(content, name=name)


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


@pytest.mark.parametrize(
    "fault",
    [
        Fail(503),
        Fail(404, "ObjectNotFound"),
        Fail(401, "NotAuthenticated"),
        Drop(),
        HtmlPage(),
        Header("Content-MD5", base64.b64encode(bytes(16)).decode()),
        Redirect("http://169.254.169.254/latest/meta-data/"),
    ],
    ids=repr,
)
def test_a_failing_copy_leaves_nothing_behind_and_is_tried_again(world: World, files: FileServer, fault: Any) -> None:
    content = mp4(20 * MIB)
    link = publish(files, content)
    link.faults.then(fault)
    world.accept(uploaded(link))
    world.settle()
    if isinstance(fault, Redirect):
        assert world.items("FILE#")[0]["status"] == "refused"
        return
    assert world.copied_keys() == []
    assert world.s3.list_multipart_uploads(Bucket=ARCHIVE).get("Uploads", []) == []
    item = world.items("FILE#")[0]
    assert item["status"] == "pending"
    assert item["reason"]
    assert item["gsi2pk"].startswith("OPEN#")
    world.show_all("download")
    world.settle()
    assert world.object(".mp4") == content


def test_no_reason_holds_the_link(world: World, files: FileServer) -> None:
    for fault in (Fail(500), Drop(), Cut(after_bytes=30), Truncate(after_bytes=30)):
        link = publish(files, mp4(200_000))
        link.faults.then(fault)
        world.accept(uploaded(link, recordingSessionId=type(fault).__name__))
        world.settle()
    reasons = [item["reason"] for item in world.items("FILE#")]
    assert len(reasons) == 4
    assert not any("/p/" in reason or "http" in reason for reason in reasons)


def test_follows_a_redirect_to_an_allowed_origin(world: World, files: FileServer) -> None:
    link, target = publish(files, b""), publish(files, mp4(200))
    link.faults.always(Redirect(target.url))
    world.accept(uploaded(link))
    world.settle()
    assert world.object(".mp4") == mp4(200)


def test_a_link_that_is_not_allowed_ends_in_the_dead_letter_queue_at_once(world: World, files: FileServer) -> None:
    event = load_event("RECORDING_UPLOADED")
    event["data"]["preAuthenticatedLink"] = "http://169.254.169.254/latest/meta-data/"
    world.accept(event)
    world.settle()
    (item,) = world.items("FILE#")
    assert item["status"] == "refused"
    assert "AllowedLinkOrigins" in item["reason"]
    assert "announcement" not in item
    assert world.announcements() == [""]
    (letter,) = world.receive("download-dead")
    assert letter["MessageAttributes"]["reason"]["StringValue"] == item["reason"]
    assert world.meeting()["files"][0]["status"] == "refused"


def test_a_redirect_that_is_not_allowed_ends_in_the_dead_letter_queue_at_once(world: World, files: FileServer) -> None:
    link = publish(files, mp4(200))
    link.faults.always(Redirect("http://169.254.169.254/latest/meta-data/"))
    world.accept(uploaded(link))
    world.settle()
    (item,) = world.items("FILE#")
    assert (item["status"], item["tries"]) == ("refused", "1")
    assert world.failed["download"] == []
    assert len(world.receive("download-dead")) == 1


def test_a_packed_file_is_kept_as_it_came_and_says_so(world: World, files: FileServer) -> None:
    packed = gzip.compress(b'{"messages": []}')
    link = publish(files, packed, "app/chat.json")
    link.faults.always(Header("Content-Encoding", "gzip"))
    world.accept(uploaded(link, "CHAT_UPLOADED"))
    world.settle()
    (item,) = world.items("FILE#")
    stored = world.s3.get_object(Bucket=ARCHIVE, Key=item["key"])
    assert (stored["Body"].read(), stored["Metadata"]["source-encoding"]) == (packed, "gzip")


def test_a_link_that_is_dead_after_its_deadline_ends_as_expired(world: World, files: FileServer) -> None:
    link = publish(files, mp4(200))
    link.expire()
    event = uploaded(link)
    del event["data"]["linkExpiration"]
    event["timestamp"] = int((time.time() - 25 * 3600) * 1000)
    world.accept(event)
    world.settle()
    (item,) = world.items("FILE#")
    assert (item["status"], item["gsi2pk"].split("#")[0]) == ("expired", "FAILED")
    assert "announcement" not in item
    assert world.announcements() == [""]
    assert len(world.receive("download-dead")) == 1


def test_a_link_that_works_after_its_deadline_is_copied(world: World, files: FileServer) -> None:
    event = uploaded(publish(files, mp4(200)))
    del event["data"]["linkExpiration"]
    event["timestamp"] = int((time.time() - 25 * 3600) * 1000)
    world.accept(event)
    world.settle()
    assert world.object(".mp4") == mp4(200)


def test_an_expired_file_is_archived_when_a_later_event_brings_a_new_link(world: World, files: FileServer) -> None:
    dead = publish(files, mp4(200))
    dead.expire()
    event = uploaded(dead)
    del event["data"]["linkExpiration"]
    event["timestamp"] = int((time.time() - 25 * 3600) * 1000)
    world.accept(event)
    world.settle()
    world.accept(uploaded(publish(files, mp4(200))) | {"idempotencyKey": "recovered"})
    world.settle()
    assert [item["status"] for item in world.items("FILE#")] == ["archived"]


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
    world.dynamodb.update_item(
        TableName="meetings",
        Key={"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}},
        UpdateExpression="SET #s = :copying, lease_until = :until REMOVE #k, #n",
        ExpressionAttributeNames={"#s": "status", "#k": "key", "#n": "size"},
        ExpressionAttributeValues={":copying": {"S": "copying"}, ":until": {"N": "1"}},
    )
    world.accept(event)
    world.settle()
    (again,) = world.items("FILE#")
    assert (again["status"], again["key"], again["size"]) == ("archived", item["key"], item["size"])
    assert len(link.requests) == asked
    assert len([key for key in world.archived_keys() if key.endswith(".mp4")]) == 1


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


def test_a_corrupt_file_is_found_out_by_its_md5(world: World, files: FileServer) -> None:
    content = mp4(200)
    link = publish(files, content)
    link.faults.then(Corrupt(at_byte=50))
    link.faults.then(Changed())
    world.accept(uploaded(link))
    world.settle()
    assert "MD5" in world.items("FILE#")[0]["reason"]
    world.show_all("download")
    world.settle()
    assert world.object(".mp4") == content


def test_a_cut_recording_is_tried_again_and_then_kept_aside(world: World, files: FileServer) -> None:
    content = mp4(20 * MIB)[:-1000]
    world.accept(uploaded(publish(files, content)))
    world.settle()
    assert world.items("FILE#")[0]["status"] == "pending"
    world.show_all("download")
    world.settle()
    (item,) = world.items("FILE#")
    assert item["status"] == "refused"
    assert "boxes reach to byte" in item["reason"]
    assert item["key"].endswith(f"/aside/{RECORDING}")
    assert world.object(".mp4") == content
    assert len(world.receive("download-dead")) == 1
    assert world.s3.list_multipart_uploads(Bucket=ARCHIVE).get("Uploads", []) == []


def test_what_lies_aside_is_not_taken_for_the_file_after_a_crash(world: World, files: FileServer) -> None:
    event = uploaded(publish(files, mp4(20 * MIB)[:-1000]))
    world.accept(event)
    world.settle()
    world.show_all("download")
    world.settle()
    (item,) = world.items("FILE#")
    # As it was between storing the file aside and giving it up.
    world.dynamodb.update_item(
        TableName="meetings",
        Key={"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}},
        UpdateExpression="SET #s = :copying, lease_until = :n, upload_id = :x, upload_key = :key, upload_etag = :x, "
        "upload_part_bytes = :n, upload_length = :n",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={
            ":copying": {"S": "copying"},
            ":n": {"N": "1"},
            ":x": {"S": "x"},
            ":key": {"S": item["key"]},
        },
    )
    world.accept(event)
    world.settle()
    (again,) = world.items("FILE#")
    assert (again["status"], again["key"]) == ("refused", item["key"])


def test_a_recording_that_was_cut_only_once_is_archived(world: World, files: FileServer) -> None:
    content = mp4(20 * MIB)
    link = publish(files, content[:-1000])
    world.accept(uploaded(link))
    world.settle()
    link.stored.replace(content)
    world.show_all("download")
    world.settle()
    assert world.items("FILE#")[0]["status"] == "archived"
    assert world.object(".mp4") == content


@pytest.mark.parametrize("seconds", [1200, 3600])
def test_a_recording_far_from_its_announced_length_is_not_archived(
    world: World, files: FileServer, seconds: int
) -> None:
    world.accept(uploaded(publish(files, mp4(300, seconds=seconds))))
    world.settle()
    assert f"plays {seconds} s, announced were 2381 s" in world.items("FILE#")[0]["reason"]


def test_the_verdict_stands_in_the_table_and_in_meeting_json(world: World, files: FileServer) -> None:
    world.accept(uploaded(publish(files, mp4(17 * MIB, seconds=2379))))
    world.settle()
    (item,) = world.items("FILE#")
    (file,) = world.meeting()["files"]
    assert (item["plays_seconds"], file["plays_seconds"]) == ("2379.0", 2379.0)
    assert item["checksum"] == file["checksum_crc32c"]


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


def long_ago(event: dict[str, Any], *, hours: float) -> dict[str, Any]:
    """The event as it would have been so long ago, with the usual lifetime of its link."""
    event["data"].pop("linkExpiration", None)
    return event | {"timestamp": int((time.time() - hours * 3600) * 1000)}


def test_trouble_with_s3_does_not_end_a_file_at_its_deadline(world: World, files: FileServer) -> None:
    world.s3.delete_bucket(Bucket=ARCHIVE)
    world.accept(long_ago(uploaded(publish(files, mp4(200))), hours=30))
    world.settle()
    assert world.items("FILE#")[0]["status"] == "pending"


def test_trouble_with_s3_that_lasts_a_day_longer_is_a_dead_letter(world: World, files: FileServer) -> None:
    world.s3.delete_bucket(Bucket=ARCHIVE)
    world.accept(long_ago(uploaded(publish(files, mp4(200))), hours=50))
    world.settle()
    (item,) = world.items("FILE#")
    assert (item["status"], item["gsi2pk"].split("#")[0], "announcement" in item) == ("expired", "FAILED", False)
    assert "NoSuchBucket" in item["reason"]
    assert len(world.receive("download-dead")) == 1


def test_a_source_in_trouble_is_asked_again_after_the_deadline(world: World, files: FileServer) -> None:
    link = publish(files, mp4(200))
    link.faults.then(Fail(503))
    world.accept(long_ago(uploaded(link), hours=25))
    world.settle()
    assert world.items("FILE#")[0]["status"] == "pending"
    world.show_all("download")
    world.settle()
    assert world.items("FILE#")[0]["status"] == "archived"


@dataclass(frozen=True, slots=True)
class NotedPauses(Queue):
    """A queue that notes for how long messages are put off."""

    pauses: list[int] = field(default_factory=list)

    def show_again_in(self, receipt_handle: str, seconds: int) -> None:  # noqa: ARG002
        self.pauses.append(seconds)


def test_a_source_that_is_down_for_20_hours_costs_nothing_but_the_wait(world: World, files: FileServer) -> None:
    link = publish(files, mp4(200))
    link.faults.always(Fail(503))
    began = time.time()
    document = uploaded(link, linkExpiration=int((began + 24 * 3600) * 1000))
    world.sqs.send_message(QueueUrl=world.queues["download"], MessageBody="kept for its receipt")
    (event,) = (world.lambda_event(messages) for messages in world.receive_one_by_one("download"))
    (record,) = records_of(event)
    batch = downloader_app.new_batch(record.event_source_arn)
    queue = NotedPauses(batch.queue.client, batch.queue.url)

    def deliver(after_seconds: int) -> None:
        downloader = replace(downloader_app.downloader(), clock=lambda: began + after_seconds)
        record.raw_event["attributes"]["ApproximateReceiveCount"] = str(len(queue.pauses) + 1)
        with replace(batch, queue=queue, _failed={}).guard([record]):
            downloader.download(EventMessage(document, int(began * 1000)))

    while sum(queue.pauses) < 20 * 3600:
        deliver(sum(queue.pauses))
    assert 22 <= queue.pauses[0] <= 38
    assert max(queue.pauses) <= 3600
    assert queue.pauses[:6] == sorted(queue.pauses[:6])
    assert len(queue.pauses) < 60, "far from the 300 receives that the queue allows"
    link.faults.clear()
    deliver(sum(queue.pauses))
    assert world.items("FILE#")[0]["status"] == "archived"


def test_a_link_that_is_said_to_live_for_months_is_given_up_all_the_same(world: World, files: FileServer) -> None:
    link = publish(files, mp4(200))
    link.expire()
    event = long_ago(uploaded(link), hours=80)
    event["data"]["linkExpiration"] = int(time.time() * 1000) + 180 * 86_400_000
    world.accept(event)
    world.settle()
    assert world.items("FILE#")[0]["status"] == "expired"


def test_giving_up_leaves_no_upload(world: World, files: FileServer) -> None:
    link = publish(files, mp4(20 * MIB))
    link.faults.then(times=4).then(Fail(404, "ObjectNotFound"), times=500)
    world.accept(long_ago(uploaded(link), hours=25))
    world.settle()
    assert world.items("FILE#")[0]["status"] == "expired"
    assert world.s3.list_multipart_uploads(Bucket=ARCHIVE).get("Uploads", []) == []


@pytest.mark.parametrize("content", [b"<Ada> hello\n", b"<?xml version='1.0'?><tt/>"])
def test_a_transcript_that_begins_with_a_bracket_is_no_web_page(
    world: World, files: FileServer, content: bytes
) -> None:
    world.accept(uploaded(files.publish(content, name="app/transcript"), "TRANSCRIPTION_UPLOADED"))
    world.settle()
    assert world.object("transcript.txt") == content


def test_a_link_with_letters_of_any_script_is_fetched(world: World, files: FileServer) -> None:
    link = files.publish(mp4(200), name="app/Réunion/会議.mp4")
    event = uploaded(link)
    event["data"]["preAuthenticatedLink"] = unquote(link.url)
    world.accept(event)
    world.settle()
    assert world.object(".mp4") == mp4(200)


def test_an_older_event_that_comes_late_does_not_undo_a_newer_link(world: World, files: FileServer) -> None:
    dead, alive = publish(files, mp4(200)), publish(files, mp4(200))
    dead.expire()
    alive.faults.then(Fail(503))
    world.accept(uploaded(alive))
    world.settle()
    world.accept(long_ago(uploaded(dead), hours=25) | {"idempotencyKey": "older"})
    world.settle()
    (item,) = world.items("FILE#")
    assert item["status"] == "pending"
    assert alive.url in world.announcements()[0]
    world.show_all("download")
    world.settle()
    assert world.items("FILE#")[0]["status"] == "archived"


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
