"""One meeting from its webhooks to the archive, and what must be true afterwards; the demo and the tests share it."""

import gzip
import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError

from local.cloud import Stack
from local.jaas.client import Backoff, Delivery, WebhookClient
from local.jaas.events import disorder, events_of
from local.jaas.files import Link
from local.jaas.meeting import SCREENSHOTS_ON_A_PAGE, Meeting, MeetingFile, Person

type Item = dict[str, Any]
"""An item of the meetings table, or an entry of `meeting.json`."""

DEAD_LETTER_QUEUES = ("DownloadDeadLetterQueueUrl", "MeetingDeadLetterQueueUrl")
FUNCTIONS = ("receiver", "downloader", "transcript_enricher")
_COUNTS = tuple(f"ApproximateNumberOfMessages{which}" for which in ("", "NotVisible", "Delayed"))
RECORD_NAMES = ("journal.jsonl.gz", "meeting.html", "meeting.json")
_POLL_SECONDS = 0.3
_BLOCK_BYTES = 1024 * 1024
_plain = TypeDeserializer().deserialize


class StoryError(Exception):
    """The story cannot go on; the text says why."""


@dataclass(frozen=True, slots=True)
class Check:
    """A fact that must hold, whether it does, and what was found instead."""

    fact: str
    holds: bool
    found: str = ""


@dataclass(frozen=True, slots=True)
class ArchivedObject:
    """An object of the archive bucket."""

    key: str
    size: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of a meeting the archive has; its record is current if it was made from all of that."""

    events: int
    files: int
    lines: int
    record_is_current: bool

    def __str__(self) -> str:
        record = "a current record" if self.record_is_current else "no current record yet"
        return f"{self.events} events, {self.files} files, {self.lines} chat and speech lines, {record}"


@dataclass(frozen=True, slots=True)
class Archive:
    """What a deployed stack has kept, read as its admin reads it."""

    stack: Stack

    def objects(self, prefix: str = "") -> list[ArchivedObject]:
        """The bucket's objects by key."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [ArchivedObject(item["Key"], item["Size"]) for page in pages for item in page.get("Contents", [])]

    def unfinished_uploads(self) -> list[str]:
        """Keys of multipart uploads that were never completed."""
        return [upload["Key"] for upload in self._s3.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])]

    def sha256(self, key: str) -> str:
        """The hash of an object's bytes."""
        digest = hashlib.sha256()
        for block in self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].iter_chunks(_BLOCK_BYTES):
            digest.update(block)
        return digest.hexdigest()

    def content_type(self, key: str) -> str:
        """How a browser will take the object."""
        content_type: str = self._s3.head_object(Bucket=self.bucket, Key=key)["ContentType"]
        return content_type

    def text(self, key: str) -> str:
        """An object as text, out of gzip if it is in there; what is no text is told as well as it can be."""
        body: bytes = self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return (gzip.decompress(body) if key.endswith(".gz") else body).decode(errors="replace")

    def document(self, key: str) -> Item:
        """A JSON object, or nothing where there is none."""
        try:
            body = self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                return {}
            raise
        document: Item = json.loads(body)
        return document

    def items(self, session_id: str, prefix: str = "") -> list[Item]:
        """The items of a session whose sort key begins so, in order."""
        pages = (
            self.stack.cloud.client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=self.stack.outputs["MeetingsTableName"],
                KeyConditionExpression="pk = :pk" + (" AND begins_with(sk, :prefix)" if prefix else ""),
                ExpressionAttributeValues={":pk": {"S": f"SESSION#{session_id}"}}
                | ({":prefix": {"S": prefix}} if prefix else {}),
                ConsistentRead=True,
            )
        )
        return [
            {name: _plain(value) for name, value in item.items()} for page in pages for item in page.get("Items", [])
        ]

    def progress(self, session_id: str) -> Progress:
        """How much of a meeting is there."""
        items = self.items(session_id)
        kinds = Counter(item["sk"].partition("#")[0] for item in items)
        session = next((item for item in items if item["sk"] == "SESSION"), {})
        record = self.document(f"{session['folder']}/meeting.json") if session else {}
        return Progress(
            events=kinds["EVENT"],
            files=sum(item.get("status") == "archived" for item in items),
            lines=kinds["MESSAGE"],
            record_is_current=bool(record) and record["version"] == session.get("version"),
        )

    def waiting(self, outputs: Sequence[str]) -> int:
        """How many messages are in these queues, those under way and those postponed included."""
        sqs = self.stack.cloud.client("sqs")
        attributes = [
            sqs.get_queue_attributes(QueueUrl=self.stack.outputs[output], AttributeNames=["All"])["Attributes"]
            for output in outputs
        ]
        return sum(int(queue.get(count, 0)) for queue in attributes for count in _COUNTS)

    @property
    def bucket(self) -> str:
        """The archive bucket's name."""
        return self.stack.outputs["ArchiveBucketName"]

    @property
    def _s3(self) -> Any:
        return self.stack.cloud.client("s3")


def put_secret(stack: Stack, secret: str) -> None:
    """Do what an admin does after "Reveal secret" in the JaaS console."""
    stack.cloud.client("secretsmanager").put_secret_value(
        SecretId=stack.outputs["WebhookSecretArn"], SecretString=secret
    )


@dataclass(frozen=True, slots=True)
class Story:
    """A meeting that is told to a stack which knows `secret`; `links` are where the stack finds the meeting's files."""

    stack: Stack
    secret: str
    meeting: Meeting
    links: Mapping[str, Link]

    @property
    def archive(self) -> Archive:
        """Where the story ends up."""
        return Archive(self.stack)

    def tell(self, *, doubled: float = 0.3) -> Iterator[Delivery]:
        """Deliver the meeting's events, in disorder and partly twice.

        Raises:
            StoryError: one was not accepted.
        """
        url, headers = self.stack.webhook()
        deliveries = disorder(events_of(self.meeting, self.links), seed=self.meeting.seed, doubled=doubled)
        with WebhookClient(url, self.secret, headers, Backoff(tries=5), timeout_seconds=30) as client:
            for delivery in client.deliver_all(event.body for event in deliveries):
                if not delivery.accepted:
                    said = f"says {delivery.status}" if delivery.status else "does not answer"
                    raise StoryError(f"the webhook {said}, {delivery.tries} times: {delivery.answer}")
                yield delivery

    def wait_until_archived(
        self, *, seconds: float = 120, on_progress: Callable[[Progress], None] = lambda _: None
    ) -> None:
        """Wait until the archive knows all events, has all files, and has made its record of them.

        The queues would tell less: the second delivery of a file's event may lie postponed in there for long.

        Raises:
            StoryError: it takes longer, or a message has landed in a dead-letter queue.
        """
        meeting = self.meeting
        wanted = Progress(
            events=len(events_of(meeting, self.links)),
            files=len(meeting.files) + len(meeting.screenshots) + 1,
            lines=len(meeting.chat) + len(meeting.speech),
            record_is_current=True,
        )
        give_up_at = time.monotonic() + seconds
        while (progress := self.archive.progress(meeting.session_id)) != wanted:
            on_progress(progress)
            if dead := self.archive.waiting(DEAD_LETTER_QUEUES):
                raise StoryError(f"{dead} messages are in the dead-letter queues")
            if time.monotonic() > give_up_at:
                raise StoryError(f"after {seconds:.0f} s the archive has {progress}; there should be {wanted}")
            time.sleep(_POLL_SECONDS)
        on_progress(progress)

    def check(self) -> list[Check]:
        """Compare everything that the archive holds of the meeting with what happened in it."""
        return list(_Examiner(self).checks())


def _differences(wanted: Sequence[Any], found: Sequence[Any]) -> str:
    """What is missing and what is too much, shortened."""
    missing = [item for item in wanted if item not in found]
    surplus = [item for item in found if item not in wanted]
    parts = [f"missing {missing[:3]}" if missing else "", f"not expected {surplus[:3]}" if surplus else ""]
    return "; ".join(filter(None, parts)) or f"{len(found)} instead of {len(wanted)}, or in another order"


class _Examiner:
    """Holds what was read once for all checks."""

    def __init__(self, story: Story) -> None:
        self._archive = story.archive
        self._meeting = story.meeting
        self._links = story.links
        self._secret = story.secret
        self._items = self._archive.items(self._meeting.session_id)
        session = next((item for item in self._items if item["sk"] == "SESSION"), {})
        self._folder: str = session.get("folder", "")
        self._document = self._archive.document(f"{self._folder}/meeting.json") if self._folder else {}
        self._keys = [item.key for item in self._archive.objects(f"{self._folder}/")] if self._folder else []

    def checks(self) -> Iterator[Check]:
        yield self._folder_is_named_for_the_meeting()
        if not self._folder:
            return
        yield self._bucket_holds_the_files_and_nothing_else()
        for file in (*self._meeting.files, *self._meeting.screenshots):
            yield self._file_is_archived(file)
        yield self._list_of_screenshots_is_kept()
        yield self._chat("the table", [self._message(item) for item in self._sorted("MESSAGE#", "chat")])
        yield self._speech("the table", [self._spoken(item) for item in self._sorted("MESSAGE#", "speech")])
        yield self._participants("the table", [item for item in self._items if item["sk"].startswith("PARTICIPANT#")])
        entries = self._document.get("messages", [])
        yield self._chat("meeting.json", [self._message(item) for item in entries if item["source"] == "chat"])
        yield self._speech("meeting.json", [self._spoken(item) for item in entries if item["source"] == "speech"])
        yield self._participants("meeting.json", self._document.get("participants", []))
        yield self._meeting_is_described()
        yield self._deletion_is_told()
        yield self._journal_holds_every_event_once()
        yield self._nothing_is_left_over()
        yield self._credentials_are_nowhere()

    def _folder_is_named_for_the_meeting(self) -> Check:
        # What is unsafe in a name becomes a hyphen, and then a hash keeps the name apart from others.
        room = re.sub(r"[^\w.-]+", "-", self._meeting.room)
        digest = "" if room == self._meeting.room else "-[0-9a-f]{8}"
        session = self._meeting.session_id[:8]
        pattern = rf"{re.escape(room)}{digest}/\d{{4}}-\d\d-\d\d_\d\d-\d\d-\d\dZ_{session}"
        return Check(
            "the session has a folder that is named for room, time and session",
            re.fullmatch(pattern, self._folder) is not None,
            self._folder or "the table knows no such session",
        )

    def _bucket_holds_the_files_and_nothing_else(self) -> Check:
        files = [self._key(file) for file in (*self._meeting.files, *self._meeting.screenshots)]
        files += self._list_pages
        recordings = [self._key(file) for file in self._meeting.files if file.recording]
        captions = [str(PurePosixPath(key).with_suffix(".vtt")) for key in recordings]
        wanted = sorted([*files, *captions, *(f"{self._folder}/{name}" for name in RECORD_NAMES)])
        found = sorted(self._keys)
        return Check(f"the folder holds {len(wanted)} objects", wanted == found, _differences(wanted, found))

    def _file_is_archived(self, file: MeetingFile) -> Check:
        key = self._key(file)
        fact = f"{PurePosixPath(key).name} is the file that JaaS had, byte for byte"
        try:
            found = (self._archive.sha256(key), self._archive.content_type(key))
        except ClientError as error:
            return Check(fact, holds=False, found=f"cannot be read: {error}")
        status = [item["status"] for item in self._items if item.get("key") == key]
        return Check(fact, (*found, status) == (file.sha256, file.content_type, ["archived"]), f"{found}, {status}")

    def _list_of_screenshots_is_kept(self) -> Check:
        wanted = sorted(picture.object_name for picture in self._meeting.screenshots)
        found = sorted(
            item["fileName"] for key in self._list_pages for item in self._archive.document(key).get("items", [])
        )
        return Check(
            f"the list of {len(wanted)} screenshots is kept as it came, in {len(self._list_pages)} pages",
            wanted == found and len(self._list_pages) == -(-len(wanted) // SCREENSHOTS_ON_A_PAGE),
            _differences(wanted, found),
        )

    @property
    def _list_pages(self) -> list[str]:
        return [key for key in self._keys if re.search(r"/screenshots/list_\w+\.json$", key)]

    def _chat(self, where: str, found: list[tuple[Any, ...]]) -> Check:
        wanted = [
            (line.timestamp_ms, line.content, line.jid, *self._identity(line.author), line.matched_by)
            if line.matched_by != "unknown"
            else (line.timestamp_ms, line.content, line.jid, "", "", "", "unknown")
            for line in self._meeting.chat
        ]
        named = sum(line.matched_by != "unknown" for line in self._meeting.chat)
        return Check(
            f"{where} has {len(wanted)} chat messages, {named} with the name of who wrote them",
            sorted(wanted) == sorted(found),
            _differences(wanted, found),
        )

    def _speech(self, where: str, found: list[tuple[Any, ...]]) -> Check:
        wanted = [(line.timestamp_ms, line.content, line.speaker.name) for line in self._meeting.speech]
        return Check(
            f"{where} has {len(wanted)} spoken lines with the speaker's name",
            sorted(wanted) == sorted(found),
            _differences(wanted, found),
        )

    def _participants(self, where: str, items: list[Item]) -> Check:
        wanted = sorted(
            (stay.jid, *self._identity(stay.person)) for stay in self._meeting.presences if stay.person.has_token
        )
        found = sorted(tuple(item.get(name, "") for name in ("jid", "name", "email", "user_id")) for item in items)
        return Check(
            f"{where} has {len(wanted)} connections of participants", wanted == found, _differences(wanted, found)
        )

    def _meeting_is_described(self) -> Check:
        wanted = {
            "schema_version": 1,
            "session_id": self._meeting.session_id,
            "app_id": self._meeting.app_id,
            "room": self._meeting.room,
            "folder": self._folder,
            "started_at_ms": self._meeting.started_at_ms,
            "ended_at_ms": self._meeting.ended_at_ms,
            "files": sorted(
                (file.kind, "archived", file.size_bytes) for file in (*self._meeting.files, *self._meeting.screenshots)
            ),
        }
        document = self._document
        found = {name: document.get(name) for name in ("schema_version", "session_id", "app_id", "room", "folder")} | {
            "started_at_ms": _milliseconds(document.get("started_at")),
            "ended_at_ms": _milliseconds(document.get("ended_at")),
            "files": sorted(
                (str(file.get("kind")), str(file.get("status")), file.get("size") or 0)
                for file in document.get("files", [])
                if file.get("kind") != "screenshots"
            ),
        }
        differing = {name: found[name] for name in wanted if wanted[name] != found[name]}
        return Check("meeting.json describes the meeting and its files", not differing, f"differs in {differing}")

    def _deletion_is_told(self) -> Check:
        deleted = self._meeting.deleted
        host = self._meeting.people[0]
        wanted = [(deleted.data["fileName"], host.name, deleted.announced_at_ms + 20_000, host.name)]
        found = [
            (file.get("title"), file.get("by"), _milliseconds(file["deleted_at"]), file.get("deleted_by"))
            for file in self._document.get("files", [])
            if "deleted_at" in file
        ]
        fact = "meeting.json says which document was deleted in the meeting, when and by whom; its file is kept"
        return Check(fact, wanted == found, _differences(wanted, found))

    def _journal_holds_every_event_once(self) -> Check:
        wanted = sorted(event.type for event in events_of(self._meeting, self._links))
        found = sorted(item["type"] for item in self._items if item["sk"].startswith("EVENT#"))
        fact = f"the journal holds the {len(wanted)} events, each once"
        return Check(fact, wanted == found, _differences(wanted, found))

    def _nothing_is_left_over(self) -> Check:
        found = {
            "messages in dead-letter queues": self._archive.waiting(DEAD_LETTER_QUEUES),
            "unfinished uploads": len(self._archive.unfinished_uploads()),
        }
        left = {name: count for name, count in found.items() if count}
        return Check("no dead letter and no unfinished upload is left over", not left, str(left))

    def _credentials_are_nowhere(self) -> Check:
        places = {
            "the table": json.dumps(self._items, default=str),
            **{PurePosixPath(key).name: self._archive.text(key) for key in self._keys_of_the_record()},
            **{f"the log of {name}": "\n".join(self._archive.stack.logs(name)) for name in FUNCTIONS},
        }
        tokens = [link.url.split("/")[4] for link in self._links.values()]
        telling = [place for place, text in places.items() if any(word in text for word in (*tokens, self._secret))]
        fact = "no link and no secret stands in the table, in the meeting's record or in a log"
        return Check(fact, not telling, ", ".join(telling))

    def _keys_of_the_record(self) -> list[str]:
        """What the archive itself wrote into the folder."""
        files = {self._key(file) for file in self._meeting.files}
        return [key for key in self._keys if key not in files]

    def _key(self, file: MeetingFile) -> str:
        """The file's key, or its pattern if there is no such key."""
        names = (key.removeprefix(f"{self._folder}/") for key in self._keys)
        return f"{self._folder}/{next((name for name in names if re.fullmatch(file.key, name)), file.key)}"

    def _sorted(self, prefix: str, source: str) -> list[Item]:
        return [item for item in self._items if item["sk"].startswith(prefix) and item.get("source") == source]

    @staticmethod
    def _identity(person: Person) -> tuple[str, str, str]:
        return person.name, person.email, person.user_id

    @staticmethod
    def _message(item: Item) -> tuple[Any, ...]:
        identity = [item.get(name, "") for name in ("jid", "name", "email", "user_id", "matched_by")]
        return (_when(item), item.get("content", ""), *identity)

    @staticmethod
    def _spoken(item: Item) -> tuple[Any, ...]:
        return _when(item), item.get("content", ""), item.get("name", "")


def _when(item: Item) -> int:
    """The time of a line, which the table has as a number and `meeting.json` as text."""
    return int(item["timestamp"]) if "timestamp" in item else _milliseconds(item.get("at"))


def _milliseconds(text: Any) -> int:
    if not isinstance(text, str):
        return -1
    moment = datetime.fromisoformat(text)
    return round(moment.timestamp() * 1000)
