"""No permission too few, none too many: each statement is needed by some step, and whatever else is tried is denied."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from http import HTTPStatus
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local.cloud import Cloud, Stack, deploy
from local.jaas.client import WebhookClient
from local.jaas.faults import Fail
from local.jaas.files import FileServer, Link
from local.story import Archive, put_secret
from tests.e2e.roles import FUNCTIONS, Role, client_of, function_name, resource

SECRET = "whsec_0123456789abcdef0123456789abcdef"
QUEUES = {
    "downloader": ("DownloadQueueUrl", "UrgentDownloadQueueUrl"),
    "transcript_enricher": ("MeetingQueueUrl",),
}
DEAD_LETTERS = ("DownloadDeadLetterQueueUrl", "MeetingDeadLetterQueueUrl")
DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError"}
"""What services call it; the last is SNS."""
LARGE = "x" * 1_200_000
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS


@dataclass(frozen=True, slots=True)
class Scene:
    """The deployed stack with its queues cut off from its functions, so that messages are handed over by hand."""

    stack: Stack
    files: FileServer
    webhook: WebhookClient
    sessions: Callable[[str], boto3.Session]

    def as_role(self, function: str, service: str) -> Any:
        return client_of(self.sessions(function), self.stack, service)

    def post(self, **data: Any) -> bool:
        return self.webhook.post(json.dumps(event(**data)).encode()).status_code == HTTPStatus.ACCEPTED

    def deliver(self, function: str, body: str) -> bool:
        """Hand a message to its function; whether it is done with it."""
        message, queue = self.taken(function, body)
        record = {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message["Attributes"],
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": f"arn:aws:sqs:us-east-1:000000000000:{queue.rpartition('/')[2]}",
        }
        done: bool = self.invoke(function, {"Records": [record]}) == {"batchItemFailures": []}
        return done

    def taken(self, function: str, body: str) -> tuple[dict[str, Any], str]:
        """A message as the function's queue gives it out, and the queue."""
        sqs, url = self.stack.cloud.client("sqs"), self.stack.outputs[QUEUES[function][0]]
        # What other steps have sent here is not to come instead.
        sqs.purge_queue(QueueUrl=url)
        sqs.send_message(QueueUrl=url, MessageBody=body)
        (message,) = sqs.receive_message(QueueUrl=url, AttributeNames=["All"], VisibilityTimeout=60)["Messages"]
        return message, url

    def invoke(self, function: str, payload: Any) -> Any:
        """A function's answer, None if it failed."""
        answer = self.stack.cloud.client("lambda").invoke(
            FunctionName=function_name(self.stack, function), Payload=json.dumps(payload).encode()
        )
        return None if "FunctionError" in answer else json.load(answer["Payload"])

    def audit(self) -> bool:
        answer = self.stack.cloud.client("lambda").invoke(
            FunctionName=function_name(self.stack, "auditor"), Payload=b"{}"
        )
        return "FunctionError" not in answer

    def chat(self) -> Link:
        return self.files.publish(b'{"messages": []}', name=f"app/{uuid.uuid4()}.json")

    def claim(self, body: str) -> str:
        """A message that lies in the claim bucket."""
        key = f"events/{uuid.uuid4()}.json"
        bucket = resource(self.stack, "ClaimBucket")
        self.stack.cloud.client("s3").put_object(Bucket=bucket, Key=key, Body=body.encode())
        return json.dumps({"type": "claim", "key": key})

    def change(self, session_id: str, sort_key: str, **values: str | int) -> None:
        """Let time pass for an item."""
        self.stack.cloud.client("dynamodb").update_item(
            TableName=self.stack.outputs["MeetingsTableName"],
            Key={"pk": {"S": f"SESSION#{session_id}"}, "sk": {"S": sort_key}},
            UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in values),
            ExpressionAttributeValues={
                f":{name}": {"S": value} if isinstance(value, str) else {"N": str(value)}
                for name, value in values.items()
            },
        )

    def file(self, session_id: str) -> dict[str, Any]:
        (item,) = Archive(self.stack).items(session_id, "FILE#")
        return item

    def announced(self, *, expires_in_ms: int = _HOUR_MS, padding: str = "") -> str:
        """A session with a file that only the enricher has heard of."""
        session_id = str(uuid.uuid4())
        document = event("CHAT_UPLOADED", session_id, preAuthenticatedLink=self.chat().url, padding=padding)
        document["data"]["linkExpiration"] = document["timestamp"] + expires_in_ms
        body = message(document)
        assert self.deliver("transcript_enricher", self.claim(body) if padding else body)
        return session_id


def event(kind: str = "ROOM_CREATED", session_id: str = "", *, age_ms: int = 0, **data: Any) -> dict[str, Any]:
    return {
        "eventType": kind,
        "idempotencyKey": str(uuid.uuid4()),
        "sessionId": session_id or str(uuid.uuid4()),
        "timestamp": int(time.time() * 1000) - age_ms,
        "fqn": "app/permissions",
        "data": data,
    }


def message(document: dict[str, Any]) -> str:
    return json.dumps({"type": "event", "received_at": document["timestamp"], "event": document})


def allowed(call: Callable[[], Any]) -> bool:
    """Whether a call gets further than IAM."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"] not in DENIED
    return True


# --- steps, each of which needs a statement; they say whether they worked ---------------------------------------------


def read_secret(scene: Scene, _: str) -> bool:
    """By itself, since a receiver that is warm remembers the secret for a while."""
    client = scene.as_role("receiver", "secretsmanager")
    return allowed(lambda: client.get_secret_value(SecretId=scene.stack.outputs["WebhookSecretArn"]))


def take_event(scene: Scene, _: str) -> bool:
    return scene.post()


def take_large_event(scene: Scene, _: str) -> bool:
    return scene.post(padding=LARGE)


def archive_chat(scene: Scene, function: str) -> bool:
    return scene.deliver(function, message(event("CHAT_UPLOADED", preAuthenticatedLink=scene.chat().url)))


def archive_chat_of_large_event(scene: Scene, function: str) -> bool:
    return scene.deliver(function, scene.claim(message(event("CHAT_UPLOADED", preAuthenticatedLink=scene.chat().url))))


def archive_chat_at_the_second_try(scene: Scene, function: str) -> bool:
    link = scene.chat()
    link.faults.then(Fail(503))
    document = event("CHAT_UPLOADED", preAuthenticatedLink=link.url)
    scene.deliver(function, message(document))
    return scene.deliver(function, message(document))


def record_event(scene: Scene, function: str) -> bool:
    return scene.deliver(function, message(event()))


def record_large_event(scene: Scene, function: str) -> bool:
    return scene.deliver(function, scene.claim(message(event())))


def record_file(scene: Scene, function: str) -> bool:
    return scene.deliver(function, message(event("CHAT_UPLOADED", preAuthenticatedLink=scene.chat().url)))


def bury_message(scene: Scene, function: str) -> bool:
    return scene.deliver(function, "{}")


def tell_of_meeting(scene: Scene, function: str) -> bool:
    return scene.deliver(function, message(event("ROOM_DESTROYED")))


def postpone_message(scene: Scene, function: str) -> bool:
    """A message that leads nowhere is to come back after the first pause, a second, and not after the queue's own."""
    taken, url = scene.taken(function, "{}")
    client, handle = scene.as_role(function, "sqs"), taken["ReceiptHandle"]
    calls: list[Callable[[], Any]] = [
        lambda: client.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=30),
        lambda: client.get_queue_attributes(QueueUrl=url),
        lambda: client.receive_message(QueueUrl=url),
        lambda: client.delete_message(QueueUrl=url, ReceiptHandle=handle),
    ]
    worked = [allowed(call) for call in calls]
    assert len(set(worked)) == 1
    return worked[0]


def audit(scene: Scene, _: str) -> bool:
    return scene.audit()


def queue_file_again(scene: Scene, _: str, *, padding: str = "") -> bool:
    session_id = scene.announced(padding=padding)
    scene.audit()
    return "urgent" in scene.file(session_id)


def look_for_lost_messages(scene: Scene, _: str) -> bool:
    session_id = scene.announced(expires_in_ms=_DAY_MS)
    scene.change(session_id, scene.file(session_id)["sk"], announced_at=int(time.time() * 1000) - 3 * _HOUR_MS)
    scene.audit()
    return "queued_at" in scene.file(session_id)


def give_up_what_nobody_can_try(scene: Scene, _: str) -> bool:
    session_id = scene.announced()
    past_ms = int(time.time() * 1000) - 2 * _DAY_MS
    scene.change(session_id, scene.file(session_id)["sk"], announced_at=past_ms, deadline=past_ms, announcement="")
    scene.audit()
    return bool(scene.file(session_id)["status"] == "expired")


def see_that_an_object_is_there(scene: Scene, _: str) -> bool:
    session_id = str(uuid.uuid4())
    document = event("CHAT_UPLOADED", session_id, age_ms=3 * _DAY_MS, preAuthenticatedLink=scene.chat().url)
    document["data"]["linkExpiration"] = document["timestamp"] + 3 * _DAY_MS - 1
    assert scene.deliver("downloader", message(document))
    assert scene.deliver("transcript_enricher", message(document))
    scene.change(session_id, "SESSION", gsi2sk="2000-01-01T00:00:00.000Z")
    scene.audit()
    return not Archive(scene.stack).items(session_id, "FINDING#object_missing")


def tell_people(scene: Scene, _: str) -> bool:
    session_id = scene.announced()
    scene.audit()
    return "told_at" in Archive(scene.stack).items(session_id, "FINDING#")[0]


def use_alarm_key(scene: Scene, _: str) -> bool:
    """What SNS does on behalf of the role; the embedded cloud does not ask."""
    kms, key = scene.as_role("auditor", "kms"), resource(scene.stack, "AlarmKey")
    return allowed(lambda: kms.generate_data_key(KeyId=key, KeySpec="AES_256"))


STEPS: dict[tuple[str, str], Callable[[Scene, str], bool]] = {
    ("receiver", "ReadWebhookSecret"): read_secret,
    ("receiver", "HandOverEvents"): take_event,
    ("receiver", "StoreLargeEvents"): take_large_event,
    ("downloader", "TakeFromDownloadQueues"): archive_chat,
    ("downloader", "ReadLargeEvents"): archive_chat_of_large_event,
    ("downloader", "StoreFiles"): archive_chat,
    ("downloader", "FindAbandonedUploads"): archive_chat_at_the_second_try,
    ("downloader", "RecordFiles"): archive_chat,
    ("downloader", "SayWhatBecameOfFiles"): archive_chat,
    ("transcript_enricher", "TakeFromMeetingQueue"): postpone_message,
    ("transcript_enricher", "ReadLargeEvents"): record_large_event,
    ("transcript_enricher", "KeepAnnouncements"): record_file,
    ("transcript_enricher", "ReadFilesAndWriteRecord"): record_event,
    ("transcript_enricher", "KeepRecordOfMeetings"): record_event,
    ("transcript_enricher", "BuryHopelessMessages"): bury_message,
    ("transcript_enricher", "TellOfArchivedMeetings"): tell_of_meeting,
    ("auditor", "LookThroughTable"): audit,
    ("auditor", "LookThroughOpenFiles"): audit,
    ("auditor", "LookAtObjects"): see_that_an_object_is_there,
    ("auditor", "ReadAnnouncements"): queue_file_again,
    ("auditor", "QueueFilesAgain"): queue_file_again,
    ("auditor", "TellWhatWasGivenUp"): give_up_what_nobody_can_try,
    ("auditor", "SeeHowManyWait"): look_for_lost_messages,
    ("auditor", "StoreLargeEvents"): partial(queue_file_again, padding=LARGE),
    ("auditor", "TellPeople"): tell_people,
    ("auditor", "EncryptWhatItTells"): use_alarm_key,
}


@pytest.fixture(scope="module")
def scene(cloud: Cloud, stack: Stack, file_server_port: int) -> Iterator[Scene]:
    """What was built for `stack`, deployed a second time, since its functions are to fail."""
    origin = f"http://127.0.0.1:{file_server_port}"
    own = deploy(cloud, "permissions", {"AllowedLinkOrigins": origin, "MeetingNotifications": "sns"})
    put_secret(own, SECRET)
    client, names = cloud.client("lambda"), [function_name(own, function) for function in FUNCTIONS]
    for mapping in client.list_event_source_mappings()["EventSourceMappings"]:
        if mapping["FunctionArn"].rpartition(":")[2] in names:
            client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    url, headers = own.webhook()
    with FileServer(port=file_server_port) as files, WebhookClient(url, SECRET, headers, timeout_seconds=30) as webhook:
        yield Scene(own, files, webhook, cache(lambda function: Role(own, function).session()))


def test_every_statement_has_its_step(scene: Scene) -> None:
    """But one: the embedded cloud writes logs without asking the role, and takes the ARN of a log group for another."""
    statements = {(function, sid) for function in FUNCTIONS for sid in Role(scene.stack, function).statements()}
    assert statements == {*STEPS, *((function, "WriteOwnLog") for function in FUNCTIONS)}


@pytest.mark.parametrize(("function", "sid"), STEPS, ids=lambda value: value)
def test_without_a_statement_its_step_fails_and_with_it_works(scene: Scene, function: str, sid: str) -> None:
    step = STEPS[function, sid]
    with Role(scene.stack, function).without(sid):
        assert not step(scene, function)
    assert step(scene, function)


# --- what no role may -------------------------------------------------------------------------------------------------


def forbidden(scene: Scene, function: str) -> dict[str, Callable[[], Any]]:
    """What somebody would try who holds the function, each on what is there."""
    outputs = scene.stack.outputs
    client = cache(partial(scene.as_role, function))
    archive, claims = outputs["ArchiveBucketName"], resource(scene.stack, "ClaimBucket")
    item = {"pk": {"S": "SESSION#x"}, "sk": {"S": "SESSION"}}
    table = outputs["MeetingsTableName"]
    s3, dynamodb, sqs = client("s3"), client("dynamodb"), client("sqs")
    calls: dict[str, Callable[[], Any]] = {
        "list the buckets": s3.list_buckets,
        "list the archive": lambda: s3.list_objects_v2(Bucket=archive),
        "list the claims": lambda: s3.list_objects_v2(Bucket=claims),
        "read beside the claims": lambda: s3.get_object(Bucket=claims, Key="other/key"),
        "write beside the claims": lambda: s3.put_object(Bucket=claims, Key="other/key", Body=b""),
        "delete an object": lambda: s3.delete_object(Bucket=archive, Key="key"),
        "delete a version": lambda: s3.delete_object(Bucket=archive, Key="key", VersionId="null"),
        "delete a claim": lambda: s3.delete_object(Bucket=claims, Key="events/key"),
        "open the bucket": lambda: s3.put_bucket_policy(Bucket=archive, Policy='{"Statement": []}'),
        "close the bucket": lambda: s3.delete_bucket_policy(Bucket=archive),
        "end versioning": lambda: s3.put_bucket_versioning(
            Bucket=archive, VersioningConfiguration={"Status": "Suspended"}
        ),
        "let objects expire": lambda: s3.put_bucket_lifecycle_configuration(
            Bucket=archive,
            LifecycleConfiguration={"Rules": [{"Status": "Enabled", "Prefix": "", "Expiration": {"Days": 1}}]},
        ),
        "delete an item": lambda: dynamodb.delete_item(TableName=table, Key=item),
        "delete items in a batch": lambda: dynamodb.batch_write_item(
            RequestItems={table: [{"DeleteRequest": {"Key": item}}]}
        ),
        "delete an item in a transaction": lambda: dynamodb.transact_write_items(
            TransactItems=[{"Delete": {"TableName": table, "Key": item}}]
        ),
        "read the whole table": lambda: dynamodb.scan(TableName=table),
        "unprotect the table": lambda: dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False),
        "put the secret": lambda: client("secretsmanager").put_secret_value(
            SecretId=outputs["WebhookSecretArn"], SecretString="x"
        ),
        "empty a queue": lambda: sqs.purge_queue(QueueUrl=outputs["DownloadQueueUrl"]),
        "read dead letters": lambda: sqs.receive_message(QueueUrl=outputs["DownloadDeadLetterQueueUrl"]),
        "widen its own role": lambda: client("iam").put_role_policy(
            RoleName=Role(scene.stack, function).name, PolicyName="more", PolicyDocument='{"Statement": []}'
        ),
        "change a function": lambda: client("lambda").update_function_code(
            FunctionName=function_name(scene.stack, function), ZipFile=b""
        ),
        "decrypt with the alarms' key": lambda: client("kms").generate_data_key(
            KeyId=resource(scene.stack, "AlarmKey"), KeySpec="AES_256"
        ),
        "publish to the topic": lambda: client("sns").publish(TopicArn=outputs["AlarmTopicArn"], Message="x"),
        "read the secret": lambda: client("secretsmanager").get_secret_value(SecretId=outputs["WebhookSecretArn"]),
        "read an archived file": lambda: s3.get_object(Bucket=archive, Key="key"),
        "write to the archive": lambda: s3.put_object(Bucket=archive, Key="key", Body=b""),
        "read the table": lambda: dynamodb.get_item(TableName=table, Key=item),
        "read a large event": lambda: s3.get_object(Bucket=claims, Key="events/key"),
        "read an announcement": lambda: s3.get_object(Bucket=claims, Key="announcements/key"),
        "abort an upload": lambda: s3.abort_multipart_upload(Bucket=archive, Key="key", UploadId="x"),
    }
    for output in (*QUEUES["downloader"], *QUEUES["transcript_enricher"], *DEAD_LETTERS):
        calls[f"send to {output}"] = partial(sqs.send_message, QueueUrl=outputs[output], MessageBody="{}")
    return calls


MAY = {
    "receiver": {"read the secret", "send to DownloadQueueUrl", "send to MeetingQueueUrl"},
    "downloader": {
        "read an archived file",
        "write to the archive",
        "abort an upload",
        "read the table",
        "read a large event",
        "send to MeetingQueueUrl",
        "send to DownloadDeadLetterQueueUrl",
    },
    "transcript_enricher": {
        "read an archived file",
        "write to the archive",
        "read the table",
        "read a large event",
        "send to MeetingDeadLetterQueueUrl",
    },
    "auditor": {
        "read an archived file",
        "read the table",
        "read an announcement",
        "publish to the topic",
        "decrypt with the alarms' key",
        "send to DownloadQueueUrl",
        "send to UrgentDownloadQueueUrl",
        "send to MeetingQueueUrl",
    },
}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_who_holds_a_function_can_do_what_it_does_and_nothing_else(scene: Scene, function: str) -> None:
    calls = forbidden(scene, function)
    assert {name for name, call in calls.items() if allowed(call)} == MAY[function]


def test_aborting_an_upload_leaves_what_is_finished(scene: Scene) -> None:
    """The only right of any role that ends something."""
    root, s3 = scene.stack.cloud.client("s3"), scene.as_role("downloader", "s3")
    target = {"Bucket": scene.stack.outputs["ArchiveBucketName"], "Key": f"permissions/{uuid.uuid4()}"}
    upload = root.create_multipart_upload(**target)["UploadId"]
    part = root.upload_part(**target, UploadId=upload, PartNumber=1, Body=b"finished")
    root.complete_multipart_upload(
        **target, UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    )
    with pytest.raises(ClientError, match="NoSuchUpload"):
        s3.abort_multipart_upload(**target, UploadId=upload)
    assert root.get_object(**target)["Body"].read() == b"finished"


def test_what_is_overwritten_can_be_had_again(scene: Scene) -> None:
    """Our code never writes over a file; whoever holds it could."""
    root, s3 = scene.stack.cloud.client("s3"), scene.as_role("downloader", "s3")
    target = {"Bucket": scene.stack.outputs["ArchiveBucketName"], "Key": f"permissions/{uuid.uuid4()}"}
    first = root.put_object(**target, Body=b"archived")["VersionId"]
    s3.put_object(**target, Body=b"")
    assert not allowed(lambda: s3.delete_object(**target, VersionId=first))
    assert root.get_object(**target, VersionId=first)["Body"].read() == b"archived"
