"""A stack with a key of the admin, locked files and a log of requests: everything goes on, and nothing can be deleted.

It also puts events on the account's bus, where the stack of the other tests has a topic.

MiniStack takes keys without asking KMS whether the caller may use them, and does not know the condition on the source
of events; tests/template looks at those permissions.
"""

import json
import time

import pytest
from botocore.exceptions import ClientError

from local.cloud import Cloud, Stack, deploy
from local.jaas.client import WebhookClient
from local.jaas.files import FileServer
from local.story import Archive, put_secret
from tests.e2e.roles import Role

SECRET = "whsec_fedcba9876543210fedcba9876543210"
_WAIT_SECONDS = 60


@pytest.fixture(scope="module")
def key_arn(cloud: Cloud) -> str:
    arn: str = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    return arn


@pytest.fixture(scope="module")
def protected(cloud: Cloud, stack: Stack, file_server_port: int, key_arn: str) -> Stack:
    """What was built for `stack`, deployed a second time with all protection there is."""
    parameters = {
        "AllowedLinkOrigins": f"http://127.0.0.1:{file_server_port}",
        "KmsKeyArn": key_arn,
        "ObjectLockMode": "COMPLIANCE",
        "ObjectLockDays": "1",
        "AccessLogDays": "30",
        "MeetingNotifications": "eventbridge",
    }
    deployed = deploy(cloud, "protected", parameters)
    # MiniStack knows Object Lock, but its CloudFormation does not.
    cloud.client("s3").put_object_lock_configuration(
        Bucket=deployed.outputs["ArchiveBucketName"],
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}},
        },
    )
    Role(deployed, "transcript_enricher").ignore_condition("PutEventsOfArchivedMeetings")
    put_secret(deployed, SECRET)
    return deployed


def test_a_file_is_archived_and_locked(protected: Stack, file_server_port: int) -> None:
    url, headers = protected.webhook()
    with FileServer(port=file_server_port) as files, WebhookClient(url, SECRET, headers, timeout_seconds=30) as jaas:
        link = files.publish(b'{"messages": []}', name="app/locked.json")
        event = {
            "eventType": "CHAT_UPLOADED",
            "idempotencyKey": "locked",
            "sessionId": "locked",
            "timestamp": int(time.time() * 1000),
            "fqn": "app/locked",
            "data": {"preAuthenticatedLink": link.url},
        }
        assert jaas.post(json.dumps(event).encode()).ok
        deadline = time.monotonic() + _WAIT_SECONDS
        while not {"chat.json", "meeting.html"} <= _names(protected):
            assert time.monotonic() < deadline, _names(protected)
            time.sleep(0.2)
    s3, bucket = protected.cloud.client("s3"), protected.outputs["ArchiveBucketName"]
    for version in s3.list_object_versions(Bucket=bucket)["Versions"]:
        with pytest.raises(ClientError, match="object lock"):
            s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])


def test_a_rule_on_the_bus_hears_of_an_archived_meeting(protected: Stack) -> None:
    sqs, events = protected.cloud.client("sqs"), protected.cloud.client("events")
    queue = sqs.create_queue(QueueName="heard-on-the-bus")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["jaas-archive"], "detail-type": ["Meeting archived"]}
    events.put_rule(Name="archived", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="archived", Targets=[{"Id": "queue", "Arn": arn}])
    url, headers = protected.webhook()
    ended = {"eventType": "ROOM_DESTROYED", "idempotencyKey": "bus", "sessionId": "on-the-bus", "fqn": "app/bus"}
    with WebhookClient(url, SECRET, headers, timeout_seconds=30) as jaas:
        assert jaas.post(json.dumps(ended).encode()).ok
    heard: list[str] = []
    deadline = time.monotonic() + _WAIT_SECONDS
    while "on-the-bus" not in heard:
        assert time.monotonic() < deadline, protected.logs("transcript_enricher")[-30:]
        letters = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages", [])
        heard += [json.loads(letter["Body"])["detail"]["session_id"] for letter in letters]


def _names(stack: Stack) -> set[str]:
    return {entry.key.rpartition("/")[2] for entry in Archive(stack).objects()}


def test_queues_and_secret_have_the_key(protected: Stack, key_arn: str) -> None:
    sqs, secrets = protected.cloud.client("sqs"), protected.cloud.client("secretsmanager")
    urls = [url for name, url in protected.outputs.items() if name.endswith("QueueUrl")]
    keys = [sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["KmsMasterKeyId"]) for url in urls]
    assert [key["Attributes"]["KmsMasterKeyId"] for key in keys] == [key_arn] * len(urls)
    assert secrets.describe_secret(SecretId=protected.outputs["WebhookSecretArn"])["KmsKeyId"] == key_arn
