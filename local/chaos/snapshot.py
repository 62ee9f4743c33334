"""The archive, read as its admin reads it."""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from local.cloud import Stack

_plain = TypeDeserializer().deserialize

type Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that an archive holds: SHA-256 by key, the texts of meeting.json by key, items by session."""

    objects: Mapping[str, str]
    documents: Mapping[str, Item]
    items: Mapping[str, Sequence[Item]]
    unfinished_uploads: int = 0
    dead_letters: int = 0


def read(stack: Stack) -> Snapshot:
    """Read the whole archive."""
    s3, sqs, bucket = stack.cloud.client("s3"), stack.cloud.client("sqs"), stack.outputs["ArchiveBucketName"]
    objects, documents = {}, {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", []):
            body = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
            objects[entry["Key"]] = hashlib.sha256(body).hexdigest()
            # Not what somebody handed round under that name.
            if re.fullmatch(r"[^/]+/[^/]+/meeting\.json", entry["Key"]):
                documents[entry["Key"]] = json.loads(body)
    items: defaultdict[str, list[Item]] = defaultdict(list)
    scan = stack.cloud.client("dynamodb").get_paginator("scan")
    for page in scan.paginate(TableName=stack.outputs["MeetingsTableName"], ConsistentRead=True):
        for item in page["Items"]:
            values = {name: _plain(value) for name, value in item.items()}
            items[values["pk"].removeprefix("SESSION#")].append(values)
    letters = [
        sqs.get_queue_attributes(QueueUrl=stack.outputs[name], AttributeNames=["ApproximateNumberOfMessages"])
        for name in ("DownloadDeadLetterQueueUrl", "MeetingDeadLetterQueueUrl")
    ]
    return Snapshot(
        objects,
        documents,
        items,
        len(s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])),
        sum(int(letter["Attributes"]["ApproximateNumberOfMessages"]) for letter in letters),
    )
