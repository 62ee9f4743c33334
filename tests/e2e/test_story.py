"""The story of the demo, made smaller, and what may come to the webhook of the deployed stack."""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from local.cloud import ROOT, Stack
from local.jaas.client import WebhookClient
from local.jaas.faults import Cut, NoRanges
from local.jaas.files import FileServer
from local.jaas.meeting import Meeting, build_meeting
from local.recording import make_small_recording
from local.story import FUNCTIONS, Archive, Story, put_secret

EVENTS = ROOT / "events"
VECTOR_SECRET = "whsec_9635df66714a4cf088ee9d0979dd3bf6"
VECTOR_SIGNATURE = "t=1632490060,v1=xlzqEojlh4qb21sQpXYsWgyK8x9HVpz+RQldsv18rV0="


@pytest.fixture(scope="module")
def files(file_server_port: int) -> Iterator[FileServer]:
    with FileServer(port=file_server_port) as server:
        yield server


@pytest.fixture(scope="module")
def secret(stack: Stack) -> str:
    secret = f"whsec_{secrets.token_hex(16)}"
    # Of 8x8's published vector the age is checked as well: with both secrets set, "too old" proves that it matched.
    put_secret(stack, f"{secret} {VECTOR_SECRET}")
    return secret


@pytest.fixture(scope="module")
def jaas(stack: Stack, secret: str) -> Iterator[WebhookClient]:
    url, headers = stack.webhook()
    with WebhookClient(url, secret, headers, timeout_seconds=30) as client:
        yield client


def wait_for(fact: Callable[[], bool], *, seconds: float = 60) -> None:
    give_up_at = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < give_up_at, "it did not become true in time"
        time.sleep(0.2)


def test_a_meeting_is_archived_whole(stack: Stack, secret: str, files: FileServer, tmp_path: Path) -> None:
    recording = make_small_recording(tmp_path / "recording.mp4")
    lasts_ms = build_meeting(7, started_at_ms=0, recordings=[recording]).ended_at_ms
    meeting: Meeting = build_meeting(
        7,
        started_at_ms=int(time.time() * 1000) - lasts_ms - 10_000,
        recordings=[recording],
        segments=[recording],
    )
    story = Story(stack, secret, meeting, meeting.publish(files))
    for _ in story.tell():
        pass
    story.wait_until_archived()
    assert [check for check in story.check() if not check.holds] == []


@pytest.mark.parametrize("path", sorted(EVENTS.glob("*.json")), ids=lambda path: path.stem)
def test_each_sample_event_is_taken_and_kept(stack: Stack, jaas: WebhookClient, path: Path) -> None:
    body = path.read_bytes()
    document = json.loads(body)
    if path.stem == "signature_vector":
        answer = jaas.post(body, signature=VECTOR_SIGNATURE)
        assert answer.status_code == HTTPStatus.UNAUTHORIZED
        # That it is only its age proves that the signature itself fits.
        wait_for(lambda: any("too old" in line for line in stack.logs("receiver")))
        return
    answer = jaas.post(body)
    if "SETTINGS_PROVISIONING" in path.stem or set(document) == {"fqn"}:
        assert (answer.status_code, answer.json()) == (HTTPStatus.OK, {})
        return
    assert (answer.status_code, answer.json()) == (HTTPStatus.ACCEPTED, {"status": "accepted"})
    prefix = f"EVENT#{document['timestamp']}#"
    wait_for(
        lambda: any(
            json.loads(item["event"])["idempotencyKey"] == document["idempotencyKey"]
            for item in Archive(stack).items(document["sessionId"], prefix)
        )
    )


def test_what_jaas_did_not_sign_leaves_no_trace(stack: Stack, jaas: WebhookClient) -> None:
    body = json.dumps({"eventType": "ROOM_CREATED", "fqn": "app/forged", "sessionId": "forged"}).encode()
    forged = WebhookClient(jaas.url, "whsec_forged", jaas.headers)
    assert forged.post(body).status_code == HTTPStatus.UNAUTHORIZED
    assert jaas.post(body[:-1]).status_code == HTTPStatus.BAD_REQUEST
    assert Archive(stack).items("forged") == []


def test_an_event_larger_than_a_message_is_kept(stack: Stack, jaas: WebhookClient) -> None:
    event = {
        "eventType": "FEEDBACK",
        "idempotencyKey": "large",
        "sessionId": "large-event",
        "timestamp": 1782896401240,
        "fqn": "app/large",
        "data": {"comments": "é" * 1_200_000},
    }
    assert jaas.post(json.dumps(event).encode()).status_code == HTTPStatus.ACCEPTED
    archive = Archive(stack)
    wait_for(lambda: bool(archive.items("large-event", "EVENT#")))
    (item,) = archive.items("large-event", "EVENT#")
    assert archive.document(item["event_key"]) == event


def test_fifty_thousand_messages_are_attributed(stack: Stack, jaas: WebhookClient, files: FileServer) -> None:
    jid = "8e1fd0e1-990e-4093-9ab9-3e31a0ae87ba@8x8.vc"
    messages = [{"jid": f"{jid}/r", "content": f"message {n}", "timestamp": 1782896401240 + n} for n in range(50_000)]
    link = files.publish(json.dumps({"messages": messages}).encode(), name="app/fifty-thousand.json")
    common = {"sessionId": "fifty-thousand", "fqn": "app/large", "timestamp": 1782896401240}
    chat = {"eventType": "CHAT_UPLOADED", "idempotencyKey": "c", "data": {"preAuthenticatedLink": link.url}} | common
    join = {
        "eventType": "PARTICIPANT_JOINED",
        "idempotencyKey": "j",
        "data": {"name": "Ada", "participantJid": jid, "participantFullJid": f"{jid}/r"},
    } | common
    archive = Archive(stack)

    def attributed() -> int:
        return int(next((item.get("messages_attributed", 0) for item in archive.items("fifty-thousand", "SESSION")), 0))

    for event in (join, chat):
        assert jaas.post(json.dumps(event).encode()).status_code == HTTPStatus.ACCEPTED
    wait_for(lambda: attributed() == len(messages), seconds=240)
    items = archive.items("fifty-thousand", "MESSAGE#")
    assert {item["name"] for item in items} == {"Ada"}
    assert len(items) == len(messages)


def test_whoever_subscribes_hears_of_an_archived_meeting(stack: Stack, jaas: WebhookClient) -> None:
    sqs = stack.cloud.client("sqs")
    url = sqs.create_queue(QueueName="heard-of-meetings")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow | {"Resource": arn}]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    stack.cloud.client("sns").subscribe(TopicArn=stack.outputs["MeetingTopicArn"], Protocol="sqs", Endpoint=arn)
    event = {"eventType": "ROOM_DESTROYED", "idempotencyKey": "told", "sessionId": "told-meeting", "fqn": "app/told"}
    assert jaas.post(json.dumps(event).encode()).status_code == HTTPStatus.ACCEPTED
    heard: list[str] = []

    def told() -> bool:
        letters = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
        heard.extend(json.loads(json.loads(letter["Body"])["Message"])["session_id"] for letter in letters)
        return "told-meeting" in heard

    wait_for(told)


def announcement(kind: str, session_id: str, link: str, **data: object) -> bytes:
    """An event that announces a file, now."""
    event = {
        "eventType": kind,
        "idempotencyKey": session_id,
        "sessionId": session_id,
        "timestamp": int(time.time() * 1000),
        "fqn": "app/permissions",
        "data": {"preAuthenticatedLink": link, **data},
    }
    return json.dumps(event).encode()


def status(stack: Stack, session_id: str) -> str:
    """The status of a session's only file."""
    return next((item["status"] for item in Archive(stack).items(session_id, "FILE#")), "")


def take_letter(stack: Stack, output: str, text: str) -> dict[str, str]:
    """Wait for the dead letter that holds a text, and take it away; its attributes."""
    sqs, url = stack.cloud.client("sqs"), stack.outputs[output]
    letters: list[dict[str, Any]] = []

    def arrived() -> bool:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
        letters.extend(message for message in answer.get("Messages", []) if text in message["Body"])
        return bool(letters)

    wait_for(arrived)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=letters[0]["ReceiptHandle"])
    return {name: value["StringValue"] for name, value in letters[0]["MessageAttributes"].items()}


def test_a_refused_link_ends_as_a_dead_letter_with_its_reason(stack: Stack, jaas: WebhookClient) -> None:
    body = announcement("RECORDING_UPLOADED", "refused-link", "http://169.254.169.254/latest/meta-data/")
    assert jaas.post(body).status_code == HTTPStatus.ACCEPTED
    letter = take_letter(stack, "DownloadDeadLetterQueueUrl", "refused-link")
    assert (letter["error"], "AllowedLinkOrigins" in letter["reason"]) == ("LinkRefusedError", True)
    assert status(stack, "refused-link") == "refused"


def test_a_large_event_with_a_file_gets_its_file_archived(stack: Stack, jaas: WebhookClient, files: FileServer) -> None:
    link = files.publish(b'{"messages": []}', name="app/large-chat.json")
    body = announcement("CHAT_UPLOADED", "large-with-file", link.url, padding="x" * 1_200_000)
    assert jaas.post(body).status_code == HTTPStatus.ACCEPTED
    wait_for(lambda: status(stack, "large-with-file") == "archived")


def test_an_upload_that_breaks_is_cleared_away_and_done_again(
    stack: Stack, jaas: WebhookClient, files: FileServer
) -> None:
    content = b"plain text " * (2 << 20)
    link = files.publish(content, name="app/long-transcript.txt")
    link.faults.always(NoRanges()).then(Cut(after_bytes=18 << 20))
    body = announcement("TRANSCRIPTION_UPLOADED", "broken-upload", link.url)
    assert jaas.post(body).status_code == HTTPStatus.ACCEPTED
    wait_for(lambda: status(stack, "broken-upload") == "archived")
    assert len(link.requests) == 2
    assert Archive(stack).unfinished_uploads() == []


def test_a_message_that_is_not_ours_ends_as_a_dead_letter(stack: Stack) -> None:
    stack.cloud.client("sqs").send_message(QueueUrl=stack.outputs["MeetingQueueUrl"], MessageBody='{"of": "strangers"}')
    assert take_letter(stack, "MeetingDeadLetterQueueUrl", "strangers")["error"] == "InvalidMessageError"


def test_no_function_failed_or_was_denied_anything(stack: Stack) -> None:
    lines = [line for name in FUNCTIONS for line in stack.logs(name)]
    assert len(lines) > len(FUNCTIONS)
    assert [line for line in lines if "AccessDenied" in line or '"level":"ERROR"' in line or "Traceback" in line] == []
