"""The auditor and the operator's command on the deployed stack, with its roles enforced."""

import gzip
import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from jaas_archive_cli.main import app
from local.cloud import Stack
from local.jaas.client import WebhookClient
from local.story import put_secret

SECRET = "whsec_0123456789abcdef0123456789abcdef"
_WAIT_SECONDS = 60

type Run = Callable[..., Result]


@pytest.fixture
def run(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command, as an admin of the embedded cloud runs it."""
    for name, value in stack.cloud.environment().items():
        monkeypatch.setenv(name, value)
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, [*arguments, "--stack-name", stack.name], catch_exceptions=False)


@pytest.fixture
def inbox(stack: Stack) -> Callable[[], list[dict[str, Any]]]:
    """What a subscriber of the alarms gets."""
    sqs, sns = stack.cloud.client("sqs"), stack.cloud.client("sns")
    url = sqs.create_queue(QueueName=f"inbox-{uuid.uuid4()}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    principal = {"Service": "sns.amazonaws.com"}
    allow = {"Effect": "Allow", "Principal": principal, "Action": "sqs:SendMessage", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=stack.outputs["AlarmTopicArn"], Protocol="sqs", Endpoint=arn)

    def read() -> list[dict[str, Any]]:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
        return [json.loads(message["Body"]) for message in messages]

    return read


def audit(stack: Stack) -> None:
    """One round, now."""
    function = stack.cloud.client("cloudformation").describe_stack_resource(
        StackName=stack.name, LogicalResourceId="AuditorFunction"
    )["StackResourceDetail"]["PhysicalResourceId"]
    answer = stack.cloud.client("lambda").invoke(FunctionName=function, Payload=b"{}")
    assert "FunctionError" not in answer, answer["Payload"].read()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.5)


def test_a_refused_file_is_reported_once_and_can_be_driven_again(
    stack: Stack, run: Run, inbox: Callable[[], list[dict[str, Any]]]
) -> None:
    put_secret(stack, SECRET)
    session_id = str(uuid.uuid4())
    event = {
        "eventType": "RECORDING_UPLOADED",
        "sessionId": session_id,
        "fqn": "vpaas-magic-cookie-e2e/operations",
        "timestamp": int(time.time() * 1000),
        "idempotencyKey": str(uuid.uuid4()),
        "data": {"preAuthenticatedLink": "https://files.example.com/recording.mp4", "recordingSessionId": "abcdefgh"},
    }
    url, headers = stack.webhook()
    with WebhookClient(url, SECRET, headers, timeout_seconds=30) as client:
        deliveries = list(client.deliver_all([json.dumps(event).encode()]))
    assert [delivery.accepted for delivery in deliveries] == [True]

    def letters(*options: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(run("redrive", "--session", session_id, "--json", *options).stdout)
        return [letter for letter in found if letter["session_id"] == session_id]

    until(lambda: bool(letters()))
    (letter,) = letters()
    assert letter["reason"]
    assert letter["to"] == "DownloadQueueUrl"

    until(lambda: run("show", session_id).exit_code == 1 and "refused" in run("show", session_id).stdout)
    audit(stack)
    audit(stack)
    messages: list[dict[str, Any]] = []

    def arrived() -> bool:
        messages.extend(message for message in inbox() if session_id in message["Message"])
        return bool(messages)

    until(arrived)
    assert "jaas-archive redrive" in messages[0]["Message"]
    assert [message for message in inbox() if session_id in message["Message"]] == []

    assert [letter["moved"] for letter in letters("--yes")] == [True]
    # Its link is still not allowed.
    until(lambda: bool(letters()))
    stack.cloud.client("sqs").purge_queue(QueueUrl=stack.outputs["DownloadDeadLetterQueueUrl"])


def test_the_doctor_sends_an_event_all_the_way_and_removes_it(stack: Stack, run: Run) -> None:
    put_secret(stack, SECRET)
    checks = {check["name"]: check for check in json.loads(run("doctor", "--json").stdout)}
    for name in ("stack", "secret", "test event"):
        assert checks[name]["ok"], checks[name]
    bucket = stack.outputs["ArchiveBucketName"]
    versions = stack.cloud.client("s3").list_object_versions(Bucket=bucket, Prefix="jaas-archive-doctor/")
    assert "Versions" not in versions


def test_a_person_is_given_out_and_taken_out(stack: Stack, run: Run) -> None:
    put_secret(stack, SECRET)
    session_id, user_id = str(uuid.uuid4()), f"canary-{uuid.uuid4()}"
    event = {
        "eventType": "PARTICIPANT_JOINED",
        "sessionId": session_id,
        "fqn": "vpaas-magic-cookie-e2e/people",
        "timestamp": int(time.time() * 1000),
        "idempotencyKey": str(uuid.uuid4()),
        "data": {"id": user_id, "name": "Canary", "participantJid": f"{uuid.uuid4()}@8x8.vc"},
    }
    url, headers = stack.webhook()
    with WebhookClient(url, SECRET, headers, timeout_seconds=30) as client:
        assert all(delivery.accepted for delivery in client.deliver_all([json.dumps(event).encode()]))

    def sessions() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(run("export", "--person", user_id, "--json").stdout)["sessions"]
        return found

    until(lambda: bool(sessions()))
    folder = sessions()[0]["folder"]
    result = run("erase", "--person", user_id, "--yes")
    assert (result.exit_code, sessions()) == (0, []), result.output
    s3, bucket = stack.cloud.client("s3"), stack.outputs["ArchiveBucketName"]
    for version in s3.list_object_versions(Bucket=bucket, Prefix=folder)["Versions"]:
        body = s3.get_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])["Body"].read()
        assert user_id not in (gzip.decompress(body) if version["Key"].endswith(".gz") else body).decode()


def test_the_auditor_reports_its_round(stack: Stack) -> None:
    audit(stack)
    lines = [json.loads(line) for line in stack.logs("auditor") if line.startswith('{"_aws"')]
    assert lines[-1]["AuditsCompleted"] == [1.0]
    assert lines[-1]["_aws"]["CloudWatchMetrics"][0]["Namespace"] == f"JaasArchive/{stack.name}"
    assert lines[-1]["service"] == "auditor"
