"""The meetings table: sessions, their events and files, and what was made of them.

One item collection a session, `pk = SESSION#<session id>`:

    SESSION                        room, fqn, app id, folder, versions, counts
    DAY#<YYYY-MM-DD>               the session in the list of that day
    EVENT#<ms>#<idempotency key>   the journal: events as they came, links removed
    FILE#<kind>#<id>               a file's status
    MESSAGE#<ms>#<n>               a chat message or a spoken line
    PARTICIPANT#<jid>              a connection of a person
    PERSON#<user id or e-mail>     the session in the list of that person

docs/table.md tells them all. Nothing is ever deleted: what counts no more carries `superseded_by`. Every write is
conditional or gives the same result when repeated, so any number of functions may work on one session.
"""

import hashlib
import random
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import batched, chain, islice
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from jaas_archive.archive import StoredObject
from jaas_archive.aws import error_code, translated
from jaas_archive.errors import AwsUnavailableError, InProgressError
from jaas_archive.events import Event, Json, milliseconds
from jaas_archive.items import Item, item_key, new_item, plain_values, session_pk, typed, whole_number
from jaas_archive.kinds import AnnouncedFile, announced_file
from jaas_archive.names import iso_time, safe_name, session_folder
from jaas_archive.uploads import Checkpoint

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

OPEN_FILE_SHARDS = 8
"""Partitions of the index of open files: one alone would cap all writes at 1,000 a second."""
AUDIT_AFTER_MS = 3_600_000
_TRANSACTION_ITEMS = 90
_TRANSACTION_ATTEMPTS = 8
_BATCH_ITEMS = 25
_LONGEST_WAIT_SECONDS = 60
_BATCH_ATTEMPTS = 10
_WRITERS = 8
_LAST_KEY = "\U0010ffff"


class FileStatus(StrEnum):
    """What became of a file that JaaS announced."""

    PENDING = "pending"
    COPYING = "copying"
    ARCHIVED = "archived"
    EXPIRED = "expired"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Session:
    """A meeting. `version` counts what was learned of it, `projected_version` what was made into its record."""

    id: str
    room: str
    fqn: str
    app_id: str
    folder: str
    started_at_ms: int
    version: int
    messages_digest: str


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file as the table knows it; times in ms."""

    sort_key: str
    kind: str
    id: str
    status: FileStatus
    deadline_ms: int
    tries: int
    key: str
    size: int | None
    checksum: str
    content_type: str
    source_etag: str
    reason: str
    starts_at_ms: int | None
    duration_seconds: float | None
    plays_seconds: float | None
    archived_at_ms: int | None
    mismatched: bool
    checkpoint: Checkpoint | None


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """An event in the journal; where it is too large for an item, `object_key` says where it lies."""

    event: Event
    received_at_ms: int
    content: str
    object_key: str = ""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as the journal holds it: JSON text, or the key of the object that holds that.

    `file` is the sort key of the file it names.
    """

    sort_key: str
    type: str
    received_at_ms: int
    content: str = ""
    object_key: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True)
class StoredRecords:
    """All that a session's record is made from, and the days it is listed under."""

    events: tuple[StoredEvent, ...]
    files: tuple[FileRecord, ...]
    days: frozenset[str]


@dataclass(frozen=True, slots=True)
class Meetings:
    """The table; times are passed in as milliseconds since 1970."""

    client: "DynamoDBClient"
    table: str

    def ensure_session(self, event: Event) -> Session:
        """The event's session; the first event ever decides its folder and start, for good."""
        started_at_ms = _start_of(event)
        first = {
            "session_id": event.session_id,
            "room": event.room,
            "fqn": event.fqn,
            "app_id": event.app_id,
            "folder": session_folder(event.room, event.session_id, started_at_ms),
            "started_at": started_at_ms,
            "gsi1pk": f"ROOM#{event.room}",
            "gsi1sk": iso_time(started_at_ms),
        }
        with translated("write a session"):
            answer = self.client.update_item(
                TableName=self.table,
                Key=item_key(event.session_id, "SESSION"),
                UpdateExpression="SET " + ", ".join(f"#{name} = if_not_exists(#{name}, :{name})" for name in first),
                ExpressionAttributeNames={f"#{name}": name for name in first},
                ExpressionAttributeValues={f":{name}": typed(value) for name, value in first.items()},
                ReturnValues="ALL_NEW",
            )
        return _session(answer["Attributes"])

    def session(self, session_id: str) -> Session | None:
        """The session as it stands."""
        item = self._get(session_id, "SESSION")
        return _session(item) if item else None

    def file(self, session_id: str, sort_key: str) -> FileRecord | None:
        """A file as it stands."""
        item = self._get(session_id, sort_key)
        return _file(item) if item else None

    def announce(self, session_id: str, file: AnnouncedFile, *, now_ms: int) -> FileRecord:
        """The file's record; made now if this is the first that is heard of it."""
        sort_key = file_sort_key(file)
        item = new_item(
            session_id,
            sort_key,
            {
                **_open_index(session_id, sort_key, file),
                "kind": file.kind.name,
                "id": file.id,
                "status": FileStatus.PENDING,
                "link": file.link,
                "deadline": file.deadline_ms,
                "starts_at": file.starts_at_ms,
                "duration_seconds": None if file.duration_seconds is None else str(file.duration_seconds),
                "tries": 0,
                "announced_at": now_ms,
            },
        )
        try:
            with translated("write a file"), _refused():
                self.client.put_item(
                    TableName=self.table,
                    Item=item,
                    ConditionExpression="attribute_not_exists(pk)",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
        except ConditionError as error:
            return _file(error.item)
        return _file(item)

    def claim_copy(self, session_id: str, file: AnnouncedFile, *, now_ms: int, lease_ms: int) -> FileRecord:
        """Become the only one who copies this file until the lease ends; an archived file is returned as it is.

        Raises:
            InProgressError: another holds the lease.
        """
        known = self.announce(session_id, file, now_ms=now_ms)
        told: dict[str, Json] = {"link": file.link, "deadline": file.deadline_ms}
        told |= _open_index(session_id, file_sort_key(file), file)
        # A link that lives longer is not overwritten by an older one that comes late.
        is_older = known.deadline_ms > file.deadline_ms and known.status in (FileStatus.PENDING, FileStatus.COPYING)
        try:
            item = self._update(
                session_id,
                file_sort_key(file),
                {
                    **({} if is_older else told),
                    "status": FileStatus.COPYING,
                    "lease_until": now_ms + lease_ms,
                    "tried_at": now_ms,
                },
                add={"tries": 1},
                condition="#status <> :archived AND (attribute_not_exists(lease_until) OR lease_until < :now)",
                values={":archived": FileStatus.ARCHIVED, ":now": now_ms},
            )
        except ConditionError as error:
            record = _file(error.item)
            if record.status is FileStatus.ARCHIVED:
                return record
            left_ms = int(error.item["lease_until"]["N"]) - now_ms
            raise InProgressError("another invocation copies this file", pause_seconds=left_ms // 1000 + 1) from None
        return _file(item)

    def renew_copy(self, session_id: str, record: FileRecord, *, until_ms: int) -> None:
        """Keep the lease of that claim.

        Raises:
            InProgressError: another has claimed the copy meanwhile.
        """
        try:
            self._update(session_id, record.sort_key, {"lease_until": until_ms}, **_still_ours(record))
        except ConditionError:
            raise InProgressError("another invocation copies this file") from None

    def note_upload(self, session_id: str, sort_key: str, checkpoint: Checkpoint | None) -> None:
        """Note the upload that a copy goes on with, or that there is none."""
        values = {name: None if checkpoint is None else getattr(checkpoint, field) for name, field in _UPLOAD.items()}
        self._update(
            session_id,
            sort_key,
            {name: value for name, value in values.items() if value is not None},
            remove=[name for name, value in values.items() if value is None],
        )

    def release_copy(self, session_id: str, record: FileRecord, *, reason: str, mismatched: bool = False) -> None:
        """Give the lease of that claim back after a failed copy; nothing happens if it is another's by now."""
        values: dict[str, Json] = {"status": FileStatus.PENDING, "reason": reason}
        if mismatched:
            values["mismatched"] = True
        with suppress(ConditionError):
            self._update(session_id, record.sort_key, values, remove=("lease_until",), **_still_ours(record))

    def finish_copy(self, session_id: str, sort_key: str, stored: StoredObject, *, now_ms: int) -> None:
        """The file is archived; its link is forgotten."""
        self._update(
            session_id,
            sort_key,
            {"status": FileStatus.ARCHIVED, "archived_at": now_ms, **_stored(stored)},
            remove=("link", "lease_until", "reason", "gsi2pk", "gsi2sk", *_UPLOAD),
        )

    def give_up(
        self, session_id: str, sort_key: str, status: FileStatus, *, reason: str, kept: StoredObject | None = None
    ) -> None:
        """The file will never come, or may never be fetched; its link is forgotten. `kept` is what was kept aside."""
        self._update(
            session_id,
            sort_key,
            {
                "status": status,
                "reason": reason,
                "gsi2pk": f"FAILED#{shard_of(session_id)}",
                **(_stored(kept) if kept else {}),
            },
            remove=("link", "lease_until", *_UPLOAD),
            condition="#status <> :archived",
            values={":archived": FileStatus.ARCHIVED},
        )

    def journal(self, session_id: str, entries: Sequence[JournalEntry], changed_files: Sequence[FileRecord]) -> None:
        """Note events and files' new statuses; the session's version grows if any of it is news."""
        news = {
            entry_item["sk"]["S"]: {"Put": {**self._absent, "Item": entry_item}}
            for entry in entries
            if (entry_item := _journal_item(session_id, entry))
        } | {file.sort_key: self._noted(session_id, file) for file in changed_files}
        for chunk in batched(news.values(), _TRANSACTION_ITEMS, strict=False):
            self._grow(session_id, list(cast("tuple[TransactWriteItemTypeDef, ...]", chunk)))

    def ask_for_projection(self, session_id: str) -> None:
        """Let the next message of the session make its record anew, though nothing is news.

        Raises:
            ConditionError: there is no such session.
        """
        self._update(session_id, "SESSION", {}, add={"version": 1})

    def records(self, session_id: str) -> StoredRecords:
        """Everything that the session's record is made from."""
        events: list[StoredEvent] = []
        files: list[FileRecord] = []
        days: set[str] = set()
        for item in self._query(session_id, "sk < :to", {":to": "MESSAGE#"}):
            match item["sk"]["S"].split("#")[0]:
                case "EVENT":
                    events.append(_entry(item))
                case "FILE":
                    files.append(_file(item))
                case "DAY":
                    days.add(item["sk"]["S"].removeprefix("DAY#"))
        return StoredRecords(tuple(events), tuple(files), frozenset(days))

    def claim_projection(self, session_id: str, *, now_ms: int, lease_ms: int) -> Session | None:
        """Become the only one who makes the session's record; None if it is up to date.

        Raises:
            InProgressError: another is at it.
        """
        try:
            return _session(
                self._update(
                    session_id,
                    "SESSION",
                    {"projection_lease_until": now_ms + lease_ms},
                    condition="version > projected_version OR attribute_not_exists(projected_version)",
                    also="attribute_not_exists(projection_lease_until) OR projection_lease_until < :now",
                    values={":now": now_ms},
                )
            )
        except ConditionError as error:
            values = plain_values(error.item)
            if values.get("projected_version", -1) >= values.get("version", 0):
                return None
            # He will see our news as well, but he may die before he does.
            left_ms = int(values.get("projection_lease_until", now_ms)) - now_ms
            pause_seconds = min(max(1, left_ms // 1000 + 1), _LONGEST_WAIT_SECONDS)
            raise InProgressError("another makes the record", pause_seconds=pause_seconds) from None

    def finish_projection(self, session: Session, summary: Mapping[str, str | int], *, now_ms: int) -> bool:
        """Release the lease and store the summary; False, with the lease kept, if there is news meanwhile.

        The auditor looks at the session when nothing more was heard of it for an hour.
        """
        try:
            self._update(
                session.id,
                "SESSION",
                {
                    "projected_version": session.version,
                    **summary,
                    "heard_at": now_ms,
                    "gsi2pk": f"AUDIT#{shard_of(session.id)}",
                    "gsi2sk": iso_time(now_ms + AUDIT_AFTER_MS),
                },
                remove=("projection_lease_until",),
                condition="version = :version",
                values={":version": session.version},
            )
        except ConditionError:
            return False
        return True

    def release_projection(self, session_id: str) -> None:
        """Give the lease back undone."""
        self._update(session_id, "SESSION", {}, remove=("projection_lease_until",))

    def write_participants(self, session_id: str, participants: Mapping[str, Mapping[str, Json]]) -> int:
        """Make the stored connections, by JID, be these; returns how many had to be written."""
        return self._write_changed(session_id, "PARTICIPANT#", participants)

    def write_people(self, session_id: str, people: Mapping[str, Mapping[str, Json]]) -> int:
        """Make the session's entries in the lists of people be these; returns how many had to be written."""
        return self._write_changed(session_id, "PERSON#", people)

    def write_messages(self, session_id: str, messages: Mapping[str, Mapping[str, Json]]) -> int:
        """Make the stored messages, by `<ms>#<n>`, be these; returns how many had to be written."""
        # From here until finish_projection nobody can say what is stored: the digest must not claim it.
        self._update(session_id, "SESSION", {}, remove=("messages_digest",))
        return self._write_changed(session_id, "MESSAGE#", messages)

    def list_under_days(self, session: Session, days: Iterable[str]) -> None:
        """List the session under each of these days."""
        self._write(
            [
                new_item(
                    session.id,
                    f"DAY#{day}",
                    {
                        "gsi1pk": f"DAY#{day}",
                        "gsi1sk": iso_time(session.started_at_ms),
                        "session_id": session.id,
                        "room": session.room,
                        "folder": session.folder,
                    },
                )
                for day in days
            ]
        )

    def restore(self, session: Session, files: Iterable[FileRecord], events: Iterable[StoredEvent]) -> None:
        """Put back what is missing of a session, so that its record is made anew; what is there is newer and stays."""
        told = [
            new_item(
                session.id,
                event.sort_key,
                {
                    "type": event.type,
                    "timestamp": int(event.sort_key.split("#")[1]),
                    "received_at": event.received_at_ms,
                    "event": event.content,
                    "event_key": event.object_key,
                    "file": event.file,
                },
            )
            for event in events
        ]
        items = [_session_item(session), *(_file_item(session.id, file) for file in files), *told]
        with ThreadPoolExecutor(_WRITERS) as pool:
            for _ in pool.map(self._put_if_absent, items):
                pass
        self._update(session.id, "SESSION", {}, remove=("projected_version",))

    def _put_if_absent(self, item: Item) -> None:
        with suppress(ConditionError), translated("restore an item"), _refused():
            self.client.put_item(TableName=self.table, Item=item, ConditionExpression="attribute_not_exists(pk)")

    @property
    def _absent(self) -> dict[str, str]:
        return {"TableName": self.table, "ConditionExpression": "attribute_not_exists(pk)"}

    def _noted(self, session_id: str, file: FileRecord) -> dict[str, Any]:
        return {
            "Update": {
                "TableName": self.table,
                "Key": item_key(session_id, file.sort_key),
                "UpdateExpression": "SET noted_status = :status",
                "ConditionExpression": "attribute_not_exists(noted_status) OR noted_status <> :status",
                "ExpressionAttributeValues": {":status": {"S": file.status}},
            }
        }

    def _grow(self, session_id: str, news: "list[TransactWriteItemTypeDef]") -> None:
        """Write the news that is news, and count the version up, in one transaction."""
        for attempt in range(_TRANSACTION_ATTEMPTS):
            if not news:
                return
            version: TransactWriteItemTypeDef = {
                "Update": {
                    "TableName": self.table,
                    "Key": item_key(session_id, "SESSION"),
                    "UpdateExpression": "ADD version :one",
                    "ExpressionAttributeValues": {":one": {"N": "1"}},
                }
            }
            try:
                with translated("write to the journal"), _cancelled():
                    self.client.transact_write_items(TransactItems=[*news, version])
            except TransactionError as error:
                known = {number for number, code in enumerate(error.codes) if code == "ConditionalCheckFailed"}
                news = [write for number, write in enumerate(news) if number not in known]
                if not known:
                    # Another function writes to the same session at this moment.
                    time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311 - spreads load only
                continue
            return
        raise AwsUnavailableError("could not write to the journal: the session is too busy")

    def _write_changed(self, session_id: str, prefix: str, wanted: Mapping[str, Mapping[str, Json]]) -> int:
        """Write what differs from what is stored; both come by sort key, so neither has to be held as a whole."""
        written = 0

        def changed() -> Iterator[Item]:
            nonlocal written
            stored = self._query(session_id, "begins_with(sk, :prefix)", {":prefix": prefix})
            for wanted_item, stored_item in _side_by_side(
                (new_item(session_id, prefix + name, wanted[name]) for name in sorted(wanted)), stored
            ):
                item = wanted_item or _superseded(stored_item or {})
                if item != stored_item:
                    written += 1
                    yield item

        self._write(changed())
        return written

    def _write(self, items: Iterable[Item]) -> None:
        """Write in batches, several at a time and never more of them in memory than that."""
        batches = iter(batched(items, _BATCH_ITEMS, strict=False))
        first = list(islice(batches, 2))
        if len(first) <= 1:
            for batch in first:
                self._write_batch(batch)
            return
        with ThreadPoolExecutor(_WRITERS) as pool:
            under_way: deque[Future[None]] = deque()
            for batch in chain(first, batches):
                if len(under_way) >= 2 * _WRITERS:
                    under_way.popleft().result()
                under_way.append(pool.submit(self._write_batch, batch))
            for writing in under_way:
                writing.result()

    def _write_batch(self, items: Sequence[Item]) -> None:
        requests = cast("Any", {self.table: [{"PutRequest": {"Item": item}} for item in items]})
        for attempt in range(_BATCH_ATTEMPTS):
            with translated("write a batch"):
                requests = self.client.batch_write_item(RequestItems=requests)["UnprocessedItems"]
            if not requests:
                return
            time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311 - spreads load only
        raise AwsUnavailableError("could not write a batch: DynamoDB throttles")

    def _query(self, session_id: str, condition: str, values: Mapping[str, str]) -> Iterator[Item]:
        pages = self.client.get_paginator("query").paginate(
            TableName=self.table,
            KeyConditionExpression=f"pk = :pk AND {condition}",
            ExpressionAttributeValues={":pk": {"S": session_pk(session_id)}}
            | {name: {"S": value} for name, value in values.items()},
            ConsistentRead=True,
        )
        with translated("query a session"):
            for page in pages:
                yield from page["Items"]

    def _get(self, session_id: str, sort_key: str) -> Item | None:
        with translated("read an item"):
            answer = self.client.get_item(TableName=self.table, Key=item_key(session_id, sort_key), ConsistentRead=True)
        return answer.get("Item")

    def _update(
        self,
        session_id: str,
        sort_key: str,
        attributes: Mapping[str, Json],
        *,
        add: Mapping[str, int] | None = None,
        remove: Sequence[str] = (),
        condition: str = "",
        also: str = "",
        values: Mapping[str, str | int] | None = None,
    ) -> Item:
        """Set, add and remove attributes of an item that exists; returns it as it is afterwards.

        Raises:
            ConditionError: a condition does not hold.
        """
        add = add or {}
        clauses = [
            ("SET", [f"#{name} = :{name}" for name in attributes]),
            ("ADD", [f"#{name} :{name}" for name in add]),
            ("REMOVE", [f"#{name}" for name in remove]),
        ]
        names = {*attributes, *add, *remove} | ({"status"} if "#status" in condition else set())
        named = {f":{name}": typed(value) for name, value in {**attributes, **add}.items()}
        named |= {name: typed(value) for name, value in (values or {}).items()}
        some_values: Any = {"ExpressionAttributeValues": named} if named else {}
        with translated("update an item"), _refused():
            answer = self.client.update_item(
                TableName=self.table,
                Key=item_key(session_id, sort_key),
                UpdateExpression=" ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses if parts),
                ConditionExpression=" AND ".join(
                    f"({part})" for part in ("attribute_exists(pk)", condition, also) if part
                ),
                ExpressionAttributeNames={f"#{name}": name for name in names},
                **some_values,
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        return answer["Attributes"]


class ConditionError(Exception):
    """A condition on an item does not hold; `item` is what is there."""

    def __init__(self, item: Item) -> None:
        super().__init__("a condition on an item does not hold")
        self.item = item


class TransactionError(Exception):
    """A transaction was cancelled; `codes` says for each of its writes why."""

    def __init__(self, codes: Sequence[str]) -> None:
        super().__init__("a transaction was cancelled")
        self.codes = codes


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error_code(error) == "ConditionalCheckFailedException":
            raise ConditionError(cast("Any", error.response).get("Item", {})) from error
        raise


@contextmanager
def _cancelled() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error_code(error) == "TransactionCanceledException":
            reasons = cast("Any", error.response).get("CancellationReasons", [])
            raise TransactionError([reason.get("Code", "") for reason in reasons]) from error
        raise


def file_sort_key(file: AnnouncedFile) -> str:
    """`FILE#<kind>#<id>`."""
    return f"FILE#{file.kind.name}#{file.id}"


def message_name(timestamp_ms: int, number: int) -> str:
    """What stands after `MESSAGE#`: the time, and a number for messages of the same millisecond."""
    return f"{timestamp_ms:013d}#{number:06d}"


def _side_by_side(one: Iterable[Item], other: Iterable[Item]) -> Iterator[tuple[Item | None, Item | None]]:
    """The items of two sorted streams in pairs with the same sort key; None where one stream lacks it."""
    ones, others = iter(one), iter(other)
    left, right = next(ones, None), next(others, None)
    while left or right:
        left_key = left["sk"]["S"] if left else _LAST_KEY
        right_key = right["sk"]["S"] if right else _LAST_KEY
        yield left if left_key <= right_key else None, right if right_key <= left_key else None
        if left_key <= right_key:
            left = next(ones, None)
        if right_key <= left_key:
            right = next(others, None)


def _superseded(item: Item) -> Item:
    """An item that nothing speaks for any more, such as a line that an older version of the archive read otherwise."""
    kept = {name: value for name, value in item.items() if name not in ("gsi1pk", "gsi1sk")}
    return {"superseded_by": {"S": "another reading"}} | kept


_UPLOAD = {
    "upload_id": "upload_id",
    "upload_key": "key",
    "upload_part_bytes": "part_bytes",
    "upload_length": "length",
    "upload_etag": "etag",
}
"""A checkpoint's fields, by the attributes that hold them."""


def _still_ours(record: FileRecord) -> dict[str, Any]:
    """Each claim counts the tries up, so their number tells one claim from the next."""
    return {
        "condition": "#status = :copying AND tries = :tries",
        "values": {":copying": FileStatus.COPYING, ":tries": record.tries},
    }


def _stored(stored: StoredObject) -> dict[str, Json]:
    return {
        "key": stored.key,
        "size": stored.size,
        "checksum": stored.checksum,
        "content_type": stored.content_type,
        "source_etag": stored.metadata.get("source-etag", ""),
        **({} if stored.seconds is None else {"plays_seconds": str(stored.seconds)}),
    }


def _journal_item(session_id: str, entry: JournalEntry) -> Item:
    event = entry.event
    key = safe_name(event.idempotency_key)
    file = announced_file(event)
    return new_item(
        session_id,
        f"EVENT#{event.timestamp_ms:013d}#{key}",
        {
            "type": event.type,
            "timestamp": event.timestamp_ms,
            "received_at": entry.received_at_ms,
            "event": None if entry.object_key else entry.content,
            "event_key": entry.object_key,
            # The links in the stored text are removed, and some files are known only by them.
            "file": file_sort_key(file) if file else None,
        },
    )


def _entry(item: Item) -> StoredEvent:
    values = plain_values(item)
    return StoredEvent(
        sort_key=values["sk"],
        type=values["type"],
        received_at_ms=int(values["received_at"]),
        content=values.get("event", ""),
        object_key=values.get("event_key", ""),
        file=values.get("file", ""),
    )


def _start_of(event: Event) -> int:
    """When the meeting began, as far as one event can tell: a recording's start lies before its upload."""
    earlier = milliseconds(event.fields.get("startTimestamp"))
    day_ms = 86_400_000
    return earlier if earlier and 0 <= event.timestamp_ms - earlier <= day_ms else event.timestamp_ms


def _open_index(session_id: str, sort_key: str, file: AnnouncedFile) -> dict[str, str]:
    return {"gsi2pk": f"OPEN#{shard_of(session_id)}", "gsi2sk": f"{iso_time(file.deadline_ms)}#{sort_key}"}


def shard_of(session_id: str) -> int:
    """Where in OpenFilesIndex a session's entries are."""
    return hashlib.sha256(session_id.encode()).digest()[0] % OPEN_FILE_SHARDS


def _session(item: Item) -> Session:
    values = plain_values(item)
    return Session(
        id=values["session_id"],
        room=values["room"],
        fqn=values["fqn"],
        app_id=values["app_id"],
        folder=values["folder"],
        started_at_ms=int(values["started_at"]),
        version=int(values.get("version", 0)),
        messages_digest=values.get("messages_digest", ""),
    )


def _session_item(session: Session) -> Item:
    return new_item(
        session.id,
        "SESSION",
        {
            "session_id": session.id,
            "room": session.room,
            "fqn": session.fqn,
            "app_id": session.app_id,
            "folder": session.folder,
            "started_at": session.started_at_ms,
            "version": session.version,
            "gsi1pk": f"ROOM#{session.room}",
            "gsi1sk": iso_time(session.started_at_ms),
        },
    )


def _file_item(session_id: str, file: FileRecord) -> Item:
    """The item of a file without its link, which only the event's own message in its queue still knows."""
    status = FileStatus.PENDING if file.status is FileStatus.COPYING else file.status
    shard = shard_of(session_id)
    lists = {FileStatus.PENDING: f"OPEN#{shard}", FileStatus.EXPIRED: f"FAILED#{shard}"}
    lists[FileStatus.REFUSED] = lists[FileStatus.EXPIRED]
    return new_item(
        session_id,
        file.sort_key,
        {
            "gsi2pk": lists.get(status),
            "gsi2sk": f"{iso_time(file.deadline_ms)}#{file.sort_key}" if status in lists else None,
            "kind": file.kind,
            "id": file.id,
            "status": status,
            "noted_status": status,
            "deadline": file.deadline_ms,
            "tries": file.tries,
            "key": file.key,
            "size": file.size,
            "checksum": file.checksum,
            "content_type": file.content_type,
            "source_etag": file.source_etag,
            "reason": file.reason,
            "starts_at": file.starts_at_ms,
            "duration_seconds": None if file.duration_seconds is None else str(file.duration_seconds),
            "plays_seconds": None if file.plays_seconds is None else str(file.plays_seconds),
            "mismatched": True if file.mismatched else None,
            "archived_at": file.archived_at_ms,
        },
    )


def _file(item: Item) -> FileRecord:
    values = plain_values(item)
    return FileRecord(
        sort_key=values["sk"],
        kind=values["kind"],
        id=values["id"],
        status=FileStatus(values["status"]),
        deadline_ms=int(values["deadline"]),
        tries=int(values["tries"]),
        key=values.get("key", ""),
        size=whole_number(values.get("size")),
        checksum=values.get("checksum", ""),
        content_type=values.get("content_type", ""),
        source_etag=values.get("source_etag", ""),
        reason=values.get("reason", ""),
        starts_at_ms=whole_number(values.get("starts_at")),
        duration_seconds=float(values["duration_seconds"]) if "duration_seconds" in values else None,
        plays_seconds=float(values["plays_seconds"]) if "plays_seconds" in values else None,
        archived_at_ms=whole_number(values.get("archived_at")),
        mismatched=values.get("mismatched", False),
        checkpoint=_checkpoint(values),
    )


def _checkpoint(values: Mapping[str, Any]) -> Checkpoint | None:
    if "upload_id" not in values:
        return None
    return Checkpoint(
        key=values["upload_key"],
        upload_id=values["upload_id"],
        part_bytes=int(values["upload_part_bytes"]),
        length=int(values["upload_length"]),
        etag=values["upload_etag"],
    )
