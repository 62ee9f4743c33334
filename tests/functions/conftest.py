"""Whole handlers on moto: their queues, buckets, table and secret, and the messages carried between them."""

import base64
import json
import logging
import random
import struct
import threading
import time
import urllib.request
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from moto.dynamodb.models import DynamoDBBackend
from moto.server import ThreadedMotoServer
from typer.testing import CliRunner, Result

from functions.auditor import app as auditor_app
from functions.downloader import app as downloader_app
from functions.receiver import app as receiver_app
from functions.transcript_enricher import app as enricher_app
from jaas_archive.auditing import Audit, Auditor
from jaas_archive.signature import sign
from jaas_archive_cli.main import app as command
from local.jaas.files import FileServer

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_s3 import S3Client
    from types_boto3_secretsmanager import SecretsManagerClient
    from types_boto3_sqs import SQSClient

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "events"
SECRET = "whsec_0123456789abcdef0123456789abcdef"
ARCHIVE, CLAIMS, TABLE = "archive", "claims", "meetings"
RECORD_SUFFIXES = ("meeting.json", "meeting.html", "journal.jsonl.gz", ".vtt")
_MAX_ROUNDS = 50

type Run = Callable[..., Result]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the receiver answered."""

    status: int
    content: dict[str, Any]


@dataclass(slots=True)
class World:
    """The account that the functions run in."""

    s3: "S3Client"
    sqs: "SQSClient"
    dynamodb: "DynamoDBClient"
    secrets: "SecretsManagerClient"
    secret_arn: str
    topic_arn: str = ""
    queues: dict[str, str] = field(default_factory=dict)
    auditor: Auditor | None = None
    failed: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def post(
        self,
        body: bytes,
        *,
        headers: dict[str, str] | None = None,
        encoded: bool = False,
        source_ip: str = "52.26.201.32",
    ) -> Reply:
        """Send a request to the receiver; signed unless headers are given."""
        if headers is None:
            stamp = str(int(time.time()))
            headers = {"x-jaas-signature": f"t={stamp},v1={sign(SECRET, stamp, body)}"}
        event = {
            "headers": headers,
            "body": base64.b64encode(body).decode() if encoded else body.decode(),
            "isBase64Encoded": encoded,
            "requestContext": {"http": {"sourceIp": source_ip}},
        }
        answer = receiver_app.handler(event, context())
        return Reply(int(answer["statusCode"]), json.loads(answer["body"]))

    def accept(self, document: dict[str, Any]) -> None:
        """Send an event that must be taken."""
        reply = self.post(json.dumps(document).encode())
        assert reply.status in (HTTPStatus.OK, HTTPStatus.ACCEPTED), reply

    def settle(self) -> None:
        """Carry messages to their functions until none is left that can be had now."""
        for _ in range(_MAX_ROUNDS):
            if not any(
                [
                    self._deliver("urgent-download", downloader_app.handler),
                    self._deliver("download", downloader_app.handler),
                    self._deliver("meeting", enricher_app.handler),
                ]
            ):
                return
        pytest.fail("the queues never became empty")

    def _deliver(self, name: str, handler: Callable[[dict[str, Any], Any], dict[str, Any]]) -> bool:
        messages = self.receive(name)
        if not messages:
            return False
        event = self.lambda_event(messages, queue=name)
        records = event["Records"]
        failed = {item["itemIdentifier"] for item in handler(event, context())["batchItemFailures"]}
        for record in records:
            if record["messageId"] in failed:
                self.failed[name].append(record["receiptHandle"])
            else:
                self.sqs.delete_message(QueueUrl=self.queues[name], ReceiptHandle=record["receiptHandle"])
        return True

    def audit(self, *, hours_later: float = 0, minutes_later: float = 0) -> Audit:
        """Let the auditor make a round, as if so much time had passed."""
        later_seconds = hours_later * 3600 + minutes_later * 60
        auditor = replace(self.auditor or auditor_app.auditor(), clock=lambda: time.time() + later_seconds)
        return auditor.run(has_time=lambda: True)

    def told(self) -> list[dict[str, str]]:
        """The messages that the admin got since the last look."""
        told = []
        for message in self.receive("alarms"):
            told.append(json.loads(message["Body"]))
            self.sqs.delete_message(QueueUrl=self.queues["alarms"], ReceiptHandle=message["ReceiptHandle"])
        return told

    def announcements(self) -> list[str]:
        """What is kept of the messages that announced files."""
        listed = self.s3.list_objects_v2(Bucket=CLAIMS, Prefix="announcements/").get("Contents", [])
        return [self.s3.get_object(Bucket=CLAIMS, Key=item["Key"])["Body"].read().decode() for item in listed]

    def deliver_to_enricher(self) -> bool:
        """Carry some messages to the enricher only; whether there were any."""
        return self._deliver("meeting", enricher_app.handler)

    @staticmethod
    def lambda_event(messages: list[Any], *, queue: str = "download") -> dict[str, Any]:
        """Received messages as Lambda hands them to a function."""
        return {
            "Records": [
                {
                    "messageId": message["MessageId"],
                    "receiptHandle": message["ReceiptHandle"],
                    "body": message["Body"],
                    "attributes": message["Attributes"],
                    "eventSource": "aws:sqs",
                    "eventSourceARN": f"arn:aws:sqs:us-east-1:123456789012:{queue}",
                }
                for message in messages
            ]
        }

    def receive_one_by_one(self, name: str) -> list[list[Any]]:
        """The visible messages of a queue, each as a batch of its own."""
        return [[message] for message in self.receive(name)]

    def end_lease(self) -> None:
        """Let so much time pass that the lease of the only file ends."""
        (item,) = self.items("FILE#")
        self.dynamodb.update_item(
            TableName=TABLE,
            Key={"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}},
            UpdateExpression="SET lease_until = :past",
            ExpressionAttributeValues={":past": {"N": "1"}},
        )

    def receive(self, name: str) -> list[Any]:
        """Messages of a queue that are visible now."""
        return self.sqs.receive_message(
            QueueUrl=self.queues[name],
            MaxNumberOfMessages=10,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        ).get("Messages", [])

    def messages_in(self, name: str) -> list[dict[str, Any]]:
        """The visible messages' bodies; they stay."""
        return [json.loads(message["Body"]) for message in self.receive(name)]

    def show_all(self, name: str) -> None:
        """Make the messages of a queue that failed visible now."""
        for receipt_handle in self.failed.pop(name, []):
            self.sqs.change_message_visibility(
                QueueUrl=self.queues[name], ReceiptHandle=receipt_handle, VisibilityTimeout=0
            )

    def archived_keys(self) -> list[str]:
        """All keys of the archive."""
        return [item["Key"] for item in self.s3.list_objects_v2(Bucket=ARCHIVE).get("Contents", [])]

    def copied_keys(self) -> list[str]:
        """The keys of what came from JaaS."""
        return [key for key in self.archived_keys() if not key.endswith(RECORD_SUFFIXES)]

    def object(self, suffix: str) -> bytes:
        """The one object of the archive whose key ends so."""
        (key,) = [key for key in self.archived_keys() if key.endswith(suffix)]
        return self.s3.get_object(Bucket=ARCHIVE, Key=key)["Body"].read()

    def meeting(self) -> dict[str, Any]:
        """The only `meeting.json`."""
        return cast("dict[str, Any]", json.loads(self.object("meeting.json")))

    def items(self, prefix: str = "") -> list[dict[str, Any]]:
        """The table's items, by sort key."""
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=TABLE)
        items: list[dict[str, Any]] = [
            {name: next(iter(value.values())) for name, value in item.items()}
            for page in pages
            for item in page["Items"]
        ]
        return sorted((item for item in items if item["sk"].startswith(prefix)), key=lambda item: item["sk"])


def mp4(size: int, *, seed: int = 1, seconds: int = 2381) -> bytes:
    """An MP4 of that size that says it plays so long: real boxes around bytes of chance."""
    header = struct.pack(">I4sIIIII80x", 108, b"mvhd", 0, 0, 0, 1000, seconds * 1000) + bytes(4)
    start = struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"mp42", 0, b"mp42", b"isom")
    start += struct.pack(">I4s", 8 + len(header), b"moov") + header
    return (
        start + struct.pack(">I4s", size - len(start), b"mdat") + random.Random(seed).randbytes(size - len(start) - 8)
    )


def load_event(name: str) -> dict[str, Any]:
    """A sample event."""
    return cast("dict[str, Any]", json.loads((EVENTS / f"{name}.json").read_bytes()))


def context() -> Any:
    """What Lambda hands to a handler."""
    return SimpleNamespace(
        function_name="function",
        memory_limit_in_mb=512,
        invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:function",
        aws_request_id=str(uuid.uuid4()),
        get_remaining_time_in_millis=lambda: 900_000,
    )


@pytest.fixture
def files(socket_enabled: None) -> Iterator[FileServer]:
    """Where JaaS keeps files."""
    with FileServer() as server:
        yield server


@pytest.fixture(scope="session")
def aws() -> Iterator[str]:
    """An AWS that answers on loopback, since bodies reach S3 past boto3; its URL."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DynamoDBBackend, "transact_write_items", _one_at_a_time(DynamoDBBackend.transact_write_items))
        yield f"http://{host}:{port}"
    server.stop()


def _one_at_a_time(function: "Callable[..., Any]") -> "Callable[..., Any]":
    """Moto copies the table before each write of a transaction, and fails if another thread writes meanwhile."""
    lock = threading.Lock()

    def call(*arguments: Any, **keywords: Any) -> Any:
        with lock:
            return function(*arguments, **keywords)

    return call


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, files: FileServer, aws: str) -> World:
    """An empty account with the webhook secret set."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    urllib.request.urlopen(urllib.request.Request(f"{aws}/moto-api/reset", method="POST")).close()
    world = _build()
    environment = {
        "ARCHIVE_BUCKET_NAME": ARCHIVE,
        "CLAIM_BUCKET_NAME": CLAIMS,
        "MEETINGS_TABLE_NAME": TABLE,
        "WEBHOOK_SECRET_ARN": world.secret_arn,
        "SIGNATURE_TOLERANCE_SECONDS": "86400",
        "ALLOWED_APP_IDS": "",
        "FILE_KINDS": "all",
        "ALLOWED_SOURCE_IPS": "",
        "ALLOWED_LINK_ORIGINS": files.origin,
        "FIRST_RETRY_SECONDS": "30",
        "DOWNLOAD_QUEUE_URL": world.queues["download"],
        "URGENT_DOWNLOAD_QUEUE_URL": world.queues["urgent-download"],
        "DOWNLOAD_DEAD_LETTER_QUEUE_URL": world.queues["download-dead"],
        "MEETING_QUEUE_URL": world.queues["meeting"],
        "MEETING_DEAD_LETTER_QUEUE_URL": world.queues["meeting-dead"],
        "ALARM_TOPIC_ARN": world.topic_arn,
        "MEETING_TOPIC_ARN": "",
        "MEETING_EVENT_BUS": "",
        "STACK": "jaas-archive",
        "PENDING_HOURS": "2",
        "SILENCE_HOURS": "72",
        "RETENTION_DAYS": "0",
        "POWERTOOLS_METRICS_NAMESPACE": "JaasArchive",
        "POWERTOOLS_SERVICE_NAME": "test",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for app in (receiver_app, downloader_app, enricher_app, auditor_app):
        app.metrics.namespace = "JaasArchive"
        for made in vars(app).values():
            if hasattr(made, "cache_clear"):
                made.cache_clear()
    return world


def _build() -> World:
    s3, sqs, dynamodb = boto3.client("s3"), boto3.client("sqs"), boto3.client("dynamodb")
    secrets = boto3.client("secretsmanager")
    for bucket in (ARCHIVE, CLAIMS):
        s3.create_bucket(Bucket=bucket)
    dynamodb.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"}
            for name in ("pk", "sk", "gsi1pk", "gsi1sk", "gsi2pk", "gsi2sk")
        ],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": index,
                "KeySchema": [
                    {"AttributeName": f"{prefix}pk", "KeyType": "HASH"},
                    {"AttributeName": f"{prefix}sk", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
            for index, prefix in (("SessionsIndex", "gsi1"), ("OpenFilesIndex", "gsi2"))
        ],
    )
    secret = secrets.create_secret(Name="webhook", SecretString=SECRET)
    world = World(s3, sqs, dynamodb, secrets, secret["ARN"])
    for name in ("download", "urgent-download", "download-dead", "meeting", "meeting-dead"):
        world.queues[name] = sqs.create_queue(QueueName=name)["QueueUrl"]
    world.queues["alarms"] = sqs.create_queue(QueueName="alarms")["QueueUrl"]
    sns = boto3.client("sns")
    world.topic_arn = sns.create_topic(Name="alarms")["TopicArn"]
    sns.subscribe(TopicArn=world.topic_arn, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:alarms")
    return world


@pytest.fixture
def run(world: World) -> Run:
    """The command, with a stack that is the world."""
    outputs = {
        "WebhookUrl": "http://127.0.0.1:9/webhook",
        "WebhookSecretArn": world.secret_arn,
        "ArchiveBucketName": ARCHIVE,
        "MeetingsTableName": TABLE,
        "DownloadQueueUrl": world.queues["download"],
        "UrgentDownloadQueueUrl": world.queues["urgent-download"],
        "DownloadDeadLetterQueueUrl": world.queues["download-dead"],
        "MeetingQueueUrl": world.queues["meeting"],
        "MeetingDeadLetterQueueUrl": world.queues["meeting-dead"],
        "AlarmTopicArn": world.topic_arn,
    }
    alarm: Any = {
        "AlarmName": "files-at-risk",
        "AlarmActions": [world.topic_arn],
        "Namespace": "JaasArchive",
        "MetricName": "FilesAtRisk",
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": 0,
    }
    boto3.client("cloudwatch").put_metric_alarm(**alarm)
    template = {
        "Resources": {"ClaimBucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": CLAIMS}}},
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }
    world.s3.delete_bucket(Bucket=CLAIMS)
    cloudformation = boto3.client("cloudformation")
    cloudformation.create_stack(StackName="jaas-archive", TemplateBody=json.dumps(template))
    runner = CliRunner()
    return lambda *arguments: runner.invoke(command, arguments, catch_exceptions=False)
