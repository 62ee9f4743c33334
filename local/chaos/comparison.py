"""The archive, read as its admin reads it, against the model of what JaaS sent."""

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from local.chaos.meetings import Line, Meeting, sorted_lines
from local.cloud import Stack

_RECORD_NAMES = {"journal.jsonl.gz", "meeting.html", "meeting.json"}
_plain = TypeDeserializer().deserialize

type Item = dict[str, Any]


class Sort(StrEnum):
    """What is wrong with what the archive holds."""

    LOST = "lost"
    DOUBLED = "doubled"
    WRONG_NAME = "wrong name"
    LEFT_OVER = "left over"


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as it must be."""

    sort: Sort
    session_id: str
    what: str


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
            if entry["Key"].endswith("/meeting.json"):
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


def differences(meetings: Iterable[Meeting], archive: Snapshot) -> list[Difference]:
    """Everything in which the archive is not what it must be."""
    found: list[Difference] = []
    accounted: set[str] = set()
    for meeting in meetings:
        comparison = _Comparison(meeting, archive)
        found += comparison.run()
        accounted |= comparison.keys
    found += [Difference(Sort.LEFT_OVER, "", f"object {key}") for key in sorted(set(archive.objects) - accounted)]
    if archive.unfinished_uploads:
        found.append(Difference(Sort.LEFT_OVER, "", f"{archive.unfinished_uploads} unfinished uploads"))
    if archive.dead_letters:
        found.append(Difference(Sort.LEFT_OVER, "", f"{archive.dead_letters} dead letters"))
    return found


class _Comparison:
    """One meeting."""

    def __init__(self, meeting: Meeting, archive: Snapshot) -> None:
        self._meeting = meeting
        self._archive = archive
        items = archive.items.get(meeting.session_id, [])
        self._items = {str(item["sk"]): item for item in items}
        self._session = self._items.get("SESSION", {})
        self._folder: str = self._session.get("folder", "")
        self.keys: set[str] = {key for key in archive.objects if self._folder and key.startswith(f"{self._folder}/")}

    def run(self) -> list[Difference]:
        if not self._session:
            return [self._differs(Sort.LOST, "the whole session")]
        return [
            *self._folder_name(),
            *self._objects(),
            *self._events(),
            *self._files(),
            *self._lines("the table", self._table_lines()),
            *self._connections(),
            *self._document(),
        ]

    def _folder_name(self) -> Iterator[Difference]:
        room = re.sub(r"[^\w.-]+", "-", self._meeting.room).strip(".-")
        digest = "" if room == self._meeting.room else "-[0-9a-f]{8}"
        session = self._meeting.session_id[:8]
        pattern = rf"{re.escape(room)}{digest}/\d{{4}}-\d\d-\d\d_\d\d-\d\d-\d\dZ_{session}"
        if not re.fullmatch(pattern, self._folder):
            yield self._differs(Sort.WRONG_NAME, f"the folder is {self._folder}")

    def _objects(self) -> Iterator[Difference]:
        """Each file once, under a name of its own, and the record beside it."""
        found = {key.removeprefix(f"{self._folder}/"): self._archive.objects[key] for key in self.keys}
        places: defaultdict[str, list[str]] = defaultdict(list)
        for name, sha256 in found.items():
            places[sha256].append(name)
        accounted = set(_RECORD_NAMES)
        for file in self._meeting.files:
            names = places[file.sha256]
            if not names:
                yield self._differs(Sort.LOST, f"{file.kind} {file.object_name}")
            for name in names[1:]:
                yield self._differs(Sort.DOUBLED, f"{names[0]} as {name}")
            for name in names:
                if not re.fullmatch(file.name, name):
                    yield self._differs(Sort.WRONG_NAME, f"{file.kind} is called {name}")
            accounted |= set(names)
            if file in self._meeting.captioned and names:
                accounted.add(str(PurePosixPath(names[0]).with_suffix(".vtt")))
        for name in sorted(accounted - set(found)):
            yield self._differs(Sort.LOST, name)
        for name in sorted(set(found) - accounted):
            yield self._differs(Sort.LEFT_OVER, name)

    def _events(self) -> Iterator[Difference]:
        wanted = Counter(event.key for event in self._meeting.events)
        found = Counter(str(json.loads(item["event"])["idempotencyKey"]) for item in self._of_kind("EVENT#"))
        yield from self._counts("event", wanted, found)

    def _files(self) -> Iterator[Difference]:
        wanted = Counter((file.kind, "archived", len(file.content)) for file in self._meeting.files)
        items = self._of_kind("FILE#")
        yield from self._counts(
            "file item", wanted, Counter((item["kind"], item["status"], int(item.get("size", 0))) for item in items)
        )
        for item in items:
            if item.get("key") not in self._archive.objects:
                yield self._differs(Sort.LOST, f"{item['sk']} names the object {item.get('key')}")
            if "link" in item:
                yield self._differs(Sort.LEFT_OVER, f"the link of {item['sk']}")

    def _table_lines(self) -> list[Line]:
        return [
            Line(
                int(item["timestamp"]),
                item["source"],
                item["content"],
                item.get("name", ""),
                item.get("email", ""),
                item.get("user_id", ""),
            )
            for item in self._of_kind("MESSAGE#")
            if "superseded_by" not in item
        ]

    def _lines(self, where: str, found: Sequence[Line]) -> Iterator[Difference]:
        def words(lines: Iterable[Line]) -> Counter[tuple[Any, ...]]:
            return Counter((line.timestamp_ms, line.source, line.content) for line in lines)

        counts = list(self._counts(f"line in {where}", words(self._meeting.lines), words(found)))
        yield from counts
        if not counts:
            for wanted, line in zip(self._meeting.lines, sorted_lines(found), strict=True):
                if wanted != line:
                    yield self._differs(Sort.WRONG_NAME, f"in {where}: {line} instead of {wanted}")

    def _connections(self) -> Iterator[Difference]:
        found = Counter((item["jid"], item.get("name", "")) for item in self._of_kind("PARTICIPANT#"))
        yield from self._counts("connection", Counter(self._meeting.jids.items()), found)

    def _document(self) -> Iterator[Difference]:
        document = self._archive.documents.get(f"{self._folder}/meeting.json")
        if document is None:
            return  # the comparison of objects has said so
        if document["version"] != self._session["version"]:
            yield self._differs(Sort.LOST, f"meeting.json is of version {document['version']}")
        lines = [
            Line(
                round(datetime.fromisoformat(entry["at"]).timestamp() * 1000),
                *(entry.get(name, "") for name in ("source", "content", "name", "email", "user_id")),
            )
            for entry in document["messages"]
        ]
        yield from self._lines("meeting.json", lines)
        wanted = Counter((file.kind, "archived", len(file.content)) for file in self._meeting.files)
        found = Counter((file["kind"], file["status"], file.get("size", 0)) for file in document["files"])
        yield from self._counts("file in meeting.json", wanted, found)
        types = Counter(event.document["eventType"] for event in self._meeting.events)
        yield from self._counts("event in meeting.json", types, Counter(one["type"] for one in document["events"]))

    def _counts(self, what: str, wanted: Mapping[Any, int], found: Mapping[Any, int]) -> Iterator[Difference]:
        for one in sorted({*wanted, *found}, key=repr):
            missing = wanted.get(one, 0) - found.get(one, 0)
            if missing > 0:
                yield self._differs(Sort.LOST, f"{missing} x {what} {one}")
            elif missing < 0:
                yield self._differs(Sort.DOUBLED, f"{-missing} x {what} {one}")

    def _of_kind(self, prefix: str) -> list[Item]:
        return [item for name, item in self._items.items() if name.startswith(prefix)]

    def _differs(self, sort: Sort, what: str) -> Difference:
        return Difference(sort, self._meeting.session_id, what)
