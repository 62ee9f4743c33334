import base64
import time
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

import pytest

from functions.downloader import app as downloader_app
from jaas_archive.batches import records_of
from jaas_archive.messages import EventMessage
from jaas_archive.queues import Queue
from local.jaas.faults import Cut, Drop, Fail, Header, HtmlPage, Redirect, Truncate
from local.jaas.files import FileServer
from tests.functions.announced import MIB, long_ago, publish, uploaded
from tests.functions.conftest import ARCHIVE, World, load_event, mp4


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


@dataclass(frozen=True, slots=True)
class NotedPauses(Queue):
    """A queue that notes for how long messages are put off."""

    pauses: list[int] = field(default_factory=list)

    def show_again_in(self, receipt_handle: str, seconds: int) -> None:  # noqa: ARG002
        self.pauses.append(seconds)


@pytest.mark.parametrize("retry_after_seconds", [None, 0, 1, 30, 86_400])
def test_a_source_that_is_down_for_20_hours_costs_nothing_but_the_wait(
    world: World, files: FileServer, retry_after_seconds: int | None
) -> None:
    link = publish(files, mp4(200))
    link.faults.always(Fail(503, retry_after_seconds=retry_after_seconds))
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
        assert len(queue.pauses) < 60, "far from the 300 receives that the queue allows"
    assert 22 <= queue.pauses[0] <= 38
    assert max(queue.pauses) <= 3600
    assert queue.pauses[:6] == sorted(queue.pauses[:6])
    link.faults.clear()
    deliver(sum(queue.pauses))
    assert world.items("FILE#")[0]["status"] == "archived"
