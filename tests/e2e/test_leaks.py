"""Credentials and what people wrote are in no log, metric, alarm or error, and links not in the table either."""

import gzip
import json
import secrets
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import pytest

from local.cloud import Stack
from local.jaas.client import WebhookClient
from local.jaas.files import FileServer
from local.jaas.signing import signature_header
from local.story import Archive, put_secret
from tests.e2e.roles import function_name, resource

DEAD_LETTERS = ("DownloadDeadLetterQueueUrl", "MeetingDeadLetterQueueUrl")
_WAIT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Canaries:
    """What was sent, by what it is."""

    credentials: Mapping[str, str]
    words: Mapping[str, str]
    session_id: str


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.3)


def event(kind: str, session_id: str, **data: Any) -> bytes:
    now_ms = int(time.time() * 1000)
    document = {
        "eventType": kind,
        "idempotencyKey": str(uuid.uuid4()),
        "sessionId": session_id,
        "timestamp": now_ms,
        "fqn": "app/leaks",
        "data": {"linkExpiration": now_ms + 3_600_000, **data},
    }
    return json.dumps(document).encode()


@pytest.fixture(scope="module")
def inbox(stack: Stack) -> str:
    """A subscriber of the alarms."""
    sqs, sns = stack.cloud.client("sqs"), stack.cloud.client("sns")
    url: str = sqs.create_queue(QueueName=f"inbox-{uuid.uuid4()}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Statement": [allow]})})
    sns.subscribe(TopicArn=stack.outputs["AlarmTopicArn"], Protocol="sqs", Endpoint=arn)
    return url


@pytest.fixture(scope="module")
def canaries(stack: Stack, file_server_port: int, inbox: str) -> Iterator[Canaries]:
    """The whole way, and every way to fail, each with words of its own; ends when all of it has had its effect."""
    session_id, archive = str(uuid.uuid4()), Archive(stack)
    names = ("secret", "authorization", "signature of nobody", "refused link", "dead link", "link in a text")
    told = {name: f"canary{secrets.token_hex(12)}" for name in names}
    words = {
        name: f"canary{secrets.token_hex(12)}"
        for name in ("message", "name", "e-mail", "feedback", "broken JSON", "message of nobody")
    }
    secret, (url, headers) = f"whsec_{told['secret']}", stack.webhook()
    put_secret(stack, secret)
    purge(stack, *DEAD_LETTERS)
    headers |= {"Authorization": f"Bearer {told['authorization']}"}
    with FileServer(port=file_server_port) as files, WebhookClient(url, secret, headers, timeout_seconds=30) as jaas:
        jid = "8e1fd0e1-990e-4093-9ab9-3e31a0ae87ba@8x8.vc"
        line = {"jid": f"{jid}/r", "content": words["message"], "timestamp": int(time.time() * 1000)}
        chat = files.publish(json.dumps({"messages": [line]}).encode(), name="app/leaks-chat.json")
        told["link"] = chat.url.split("/")[4]
        joined = {"participantJid": jid, "participantFullJid": f"{jid}/r", "id": "user", "name": words["name"]}
        joined["email"] = f"{words['e-mail']}@example.com"
        bodies = [
            event("PARTICIPANT_JOINED", session_id, **joined),
            event("CHAT_UPLOADED", session_id, preAuthenticatedLink=chat.url),
            event(
                "TRANSCRIPTION_UPLOADED",
                session_id,
                preAuthenticatedLink=f"https://x.example/p/{told['refused link']}/f",
            ),
            event(
                "RECORDING_UPLOADED",
                session_id,
                preAuthenticatedLink=f"http://127.0.0.1:{file_server_port}/p/{told['dead link']}/o/recording.mp4",
            ),
            event("FEEDBACK", session_id, comments=f"{words['feedback']} https://x.example/p/{told['link in a text']}"),
        ]
        for number, body in enumerate(bodies):
            header = signature_header(secret, body, int(time.time()))
            told[f"signature {number}"] = header.partition("v1=")[2]
            assert jaas.post(body, signature=header).status_code == HTTPStatus.ACCEPTED
        forged = jaas.post(bodies[0], signature=f"t={int(time.time())},v1={told['signature of nobody']}")
        assert forged.status_code == HTTPStatus.UNAUTHORIZED
        assert jaas.post(f'{{"{words["broken JSON"]}'.encode()).status_code == HTTPStatus.BAD_REQUEST
        stack.cloud.client("sqs").send_message(
            QueueUrl=stack.outputs["MeetingQueueUrl"], MessageBody=json.dumps({"text": words["message of nobody"]})
        )
        until(lambda: {"archived", "refused"} <= {item["status"] for item in archive.items(session_id, "FILE#")})
        until(lambda: any("reason" in item for item in archive.items(session_id, "FILE#recording")))
        until(lambda: archive.progress(session_id).lines == 1 and archive.progress(session_id).record_is_current)
        until(lambda: all(archive.waiting([output]) for output in DEAD_LETTERS))
        stack.cloud.client("lambda").invoke(FunctionName=function_name(stack, "auditor"), Payload=b"{}")
        until(lambda: bool(received(stack, inbox, session_id)))
    yield Canaries(told, words, session_id)
    purge(stack, "DownloadQueueUrl", "UrgentDownloadQueueUrl", *DEAD_LETTERS)


def purge(stack: Stack, *outputs: str) -> None:
    for output in outputs:
        stack.cloud.client("sqs").purge_queue(QueueUrl=stack.outputs[output])


def received(stack: Stack, url: str, text: str = "") -> list[Any]:
    """The messages of a queue that hold a text; they stay there."""
    answer = stack.cloud.client("sqs").receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0, MessageAttributeNames=["All"]
    )
    return [message for message in answer.get("Messages", []) if text in message["Body"]]


def logs(stack: Stack) -> str:
    """All log groups there are; metrics are lines of them."""
    client = stack.cloud.client("logs")
    groups = [
        group["logGroupName"]
        for page in client.get_paginator("describe_log_groups").paginate()
        for group in page["logGroups"]
    ]
    return "\n".join(
        event["message"]
        for group in groups
        for page in client.get_paginator("filter_log_events").paginate(logGroupName=group)
        for event in page["events"]
    )


def metrics(stack: Stack) -> str:
    pages = stack.cloud.client("cloudwatch").get_paginator("list_metrics").paginate()
    alarms = stack.cloud.client("cloudwatch").describe_alarm_history()["AlarmHistoryItems"]
    return json.dumps([*[metric for page in pages for metric in page["Metrics"]], *alarms], default=str)


def table(stack: Stack) -> str:
    pages = stack.cloud.client("dynamodb").get_paginator("scan").paginate(TableName=stack.outputs["MeetingsTableName"])
    return json.dumps([item for page in pages for item in page["Items"]], ensure_ascii=False)


def reasons(stack: Stack) -> str:
    """What dead letters say beside their bodies."""
    letters = [letter for output in DEAD_LETTERS for letter in received(stack, stack.outputs[output])]
    assert len(letters) >= len(DEAD_LETTERS)
    return json.dumps([letter["MessageAttributes"] for letter in letters], default=str)


def archived(stack: Stack) -> str:
    """All objects of the session, with their metadata."""
    s3, bucket, texts = stack.cloud.client("s3"), stack.outputs["ArchiveBucketName"], []
    for item in Archive(stack).objects("leaks/"):
        stored = s3.get_object(Bucket=bucket, Key=item.key)
        body = stored["Body"].read()
        text = (gzip.decompress(body) if item.key.endswith(".gz") else body).decode()
        texts += [item.key, json.dumps(stored["Metadata"]), text]
    return "\n".join(texts)


def kept_announcements(stack: Stack) -> str:
    s3, bucket = stack.cloud.client("s3"), resource(stack, "ClaimBucket")
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="announcements/").get("Contents", [])
    return "\n".join(s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read().decode() for item in listed)


def leaked(text: str, *kinds: Mapping[str, str]) -> list[str]:
    return [name for kind in kinds for name, canary in kind.items() if canary in text]


def test_no_log_line_and_no_metric_holds_any_of_it(stack: Stack, canaries: Canaries) -> None:
    text = logs(stack)
    assert canaries.session_id in text
    assert '"_aws"' in text
    assert leaked(text + metrics(stack), canaries.credentials, canaries.words) == []


def test_no_alarm_and_no_reason_holds_any_of_it(stack: Stack, inbox: str, canaries: Canaries) -> None:
    told = [message["Body"] for message in received(stack, inbox)]
    assert any(canaries.session_id in text for text in told)
    assert leaked("\n".join([*told, reasons(stack)]), canaries.credentials, canaries.words) == []


@pytest.mark.parametrize("read", [table, archived])
def test_the_archive_holds_what_people_wrote_and_no_credential(
    stack: Stack, canaries: Canaries, read: Callable[[Stack], str]
) -> None:
    text = read(stack)
    assert leaked(text, canaries.credentials) == []
    assert leaked(text, canaries.words) == ["message", "name", "e-mail", "feedback"]


def test_links_wait_where_they_are_needed_and_no_longer(stack: Stack, canaries: Canaries) -> None:
    assert leaked(kept_announcements(stack), canaries.credentials) == ["dead link"]
