"""What the auditor reads and writes in the meetings table: open files, sessions to look at, findings.

Beside the open files, OpenFilesIndex lists, each in as many partitions:

    OPEN#<n>     files that are not archived, by deadline
    FAILED#<n>   files that were given up, by deadline
    AUDIT#<n>    sessions by when the auditor should look at them
    UNTOLD#<n>   findings that nobody has been told of yet, by when they were made
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Any

from jaas_archive.aws import translated
from jaas_archive.files import FileStatus
from jaas_archive.findings import Finding, FindingKind
from jaas_archive.items import (
    OPEN_FILE_SHARDS,
    Item,
    item_key,
    new_item,
    plain_values,
    session_pk,
    shard_of,
    typed,
    whole_number,
)
from jaas_archive.names import iso_time
from jaas_archive.table import ConditionError, refused

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

INDEX = "OpenFilesIndex"
_AUDITOR = "auditor"
"""Stands where other items have a session: what belongs to none."""
_AFTER_ALL_TEXT = "\uffff"
_LAST = 50
_MOST_KEYS = 100
"""DynamoDB: in one BatchGetItem."""


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file that is not archived, or never will be; times in ms, 0 for never.

    `announcement` is where the message lies that announced it, empty if it was not kept.
    """

    session_id: str
    sort_key: str
    kind: str
    status: FileStatus
    deadline_ms: int
    tries: int
    reason: str
    announced_at_ms: int
    tried_at_ms: int
    lease_until_ms: int
    queued_at_ms: int
    urgent: bool
    announcement: str

    @property
    def last_moved_at_ms(self) -> int:
        """When somebody last did something about it, as far as can be known."""
        return max(self.announced_at_ms, self.tried_at_ms, self.lease_until_ms, self.queued_at_ms)


@dataclass(frozen=True, slots=True)
class DueSession:
    """A session that the auditor should look at; `heard_at_ms` is when its record last changed."""

    session_id: str
    room: str
    first_seen_ms: int
    last_seen_ms: int
    heard_at_ms: int
    due: str


@dataclass(frozen=True, slots=True)
class JournaledEvent:
    """What the journal says of an event, without reading all of it; `files` are the sort keys of the files it names."""

    type: str
    timestamp_ms: int
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file of a session."""

    sort_key: str
    kind: str
    status: FileStatus
    key: str
    size: int | None
    starts_at_ms: int | None
    archived_at_ms: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """The part of the table that says what is still to be done."""

    client: "DynamoDBClient"
    table: str

    def open_files(self) -> Iterator[OpenFile]:
        """All files that are not archived, in each partition by deadline."""
        for shard in range(OPEN_FILE_SHARDS):
            for item in self._index(f"OPEN#{shard}"):
                yield _open_file(item)

    def session_files(self, session_id: str) -> list[OpenFile]:
        """All files of a session, the archived ones too."""
        pages = self.client.get_paginator("query").paginate(
            TableName=self.table,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
            ExpressionAttributeValues={":pk": {"S": session_pk(session_id)}, ":prefix": {"S": "FILE#"}},
            ConsistentRead=True,
        )
        with translated("query a session"):
            return [_open_file(item) for page in pages for item in page["Items"]]

    def failed_files(self, *, deadline_after_ms: int) -> Iterator[OpenFile]:
        """Files that were given up and whose deadline is not longer ago."""
        for shard in range(OPEN_FILE_SHARDS):
            for item in self._index(f"FAILED#{shard}", since=iso_time(deadline_after_ms)):
                yield _open_file(item)

    def due_sessions(self, *, now_ms: int) -> Iterator[DueSession]:
        """Sessions to look at now."""
        for shard in range(OPEN_FILE_SHARDS):
            for item in self._index(f"AUDIT#{shard}", until=iso_time(now_ms)):
                yield _due_session(item)

    def last_heard_at_ms(self) -> int:
        """When the record of any session last changed, of those still to be looked at; 0 if there is none."""
        last = (item for shard in range(OPEN_FILE_SHARDS) for item in self._last(f"AUDIT#{shard}"))
        return max((_due_session(item).heard_at_ms for item in last), default=0)

    def session_contents(self, session_id: str) -> tuple[list[JournaledEvent], list[KnownFile]]:
        """A session's events, without their contents, and its files."""
        events: list[JournaledEvent] = []
        files: list[KnownFile] = []
        pages = self.client.get_paginator("query").paginate(
            TableName=self.table,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :from AND :to",
            ExpressionAttributeValues={
                ":pk": {"S": session_pk(session_id)},
                ":from": {"S": "EVENT#"},
                ":to": {"S": "FILE#" + _AFTER_ALL_TEXT},
            },
            ProjectionExpression="sk, #type, #timestamp, #files, kind, #status, #key, #size, starts_at, archived_at",
            ExpressionAttributeNames={
                f"#{name}": name for name in ("type", "timestamp", "files", "status", "key", "size")
            },
            ConsistentRead=True,
        )
        with translated("query a session"):
            for page in pages:
                for item in page["Items"]:
                    values = plain_values(item)
                    if values["sk"].startswith("EVENT#"):
                        events.append(_journaled_event(values))
                    else:
                        files.append(_known_file(values))
        return events, files

    def note_queued(self, file: OpenFile, *, now_ms: int, urgent: bool) -> None:
        """A message for the file was sent again."""
        with translated("note a message"):
            self.client.update_item(
                TableName=self.table,
                Key=item_key(file.session_id, file.sort_key),
                UpdateExpression="SET queued_at = :now" + (", urgent = :true" if urgent else ""),
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeValues={":now": typed(now_ms)} | ({":true": typed(True)} if urgent else {}),  # noqa: FBT003
            )

    def not_noted(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        """Those that were not written down before; few requests, since a long outage has them in every round."""
        for some in batched(findings, _MOST_KEYS, strict=False):
            wanted = {(finding.session_id or _AUDITOR, finding.sort_key): finding for finding in some}
            noted = self._existing(list(wanted))
            yield from (finding for key, finding in wanted.items() if key not in noted)

    def _existing(self, keys: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        """Which of these items there are. One that DynamoDB did not get to counts as missing: writing it tells."""
        wanted = {session_pk(session_id): session_id for session_id, _ in keys}
        with translated("read findings"):
            answer = self.client.batch_get_item(
                RequestItems={
                    self.table: {"Keys": [item_key(*key) for key in keys], "ProjectionExpression": "pk, sk"},
                }
            )
        found = (plain_values(item) for item in answer["Responses"].get(self.table, []))
        return {(wanted[values["pk"]], values["sk"]) for values in found}

    def note(self, finding: Finding, *, now_ms: int) -> bool:
        """Write a finding down; False if that was done before."""
        item = new_item(
            finding.session_id or _AUDITOR,
            finding.sort_key,
            {
                "gsi2pk": f"UNTOLD#{shard_of(finding.session_id)}",
                "gsi2sk": iso_time(now_ms),
                "kind": finding.kind,
                "subject": finding.subject,
                "room": finding.room,
                "reason": finding.reason,
                "deadline": finding.deadline_ms,
                "found_at": now_ms,
            },
        )
        try:
            with translated("write a finding"), refused():
                self.client.put_item(TableName=self.table, Item=item, ConditionExpression="attribute_not_exists(pk)")
        except ConditionError:
            return False
        return True

    def untold(self) -> Iterator[Finding]:
        """Findings of earlier runs that nobody was told of, because those runs died."""
        for shard in range(OPEN_FILE_SHARDS):
            for item in self._index(f"UNTOLD#{shard}"):
                values = plain_values(item)
                session_id = values["pk"].removeprefix("SESSION#")
                yield Finding(
                    kind=FindingKind(values["kind"]),
                    session_id="" if session_id == _AUDITOR else session_id,
                    subject=values["subject"],
                    room=values.get("room", ""),
                    reason=values.get("reason", ""),
                    deadline_ms=whole_number(values.get("deadline")),
                )

    def note_told(self, finding: Finding, *, now_ms: int) -> None:
        """People were told of it."""
        with translated("note a finding as told"):
            self.client.update_item(
                TableName=self.table,
                Key=item_key(finding.session_id or _AUDITOR, finding.sort_key),
                UpdateExpression="SET told_at = :now REMOVE gsi2pk, gsi2sk",
                ExpressionAttributeValues={":now": typed(now_ms)},
            )

    def look_again(self, session: DueSession, *, at_ms: int) -> None:
        """Put the session's audit off."""
        self._change_due(session, "SET gsi2sk = :at", {":at": {"S": iso_time(at_ms)}})

    def finish(self, session: DueSession) -> None:
        """The session was looked at; news of it will bring it back."""
        self._change_due(session, "REMOVE gsi2pk, gsi2sk", {})

    def state(self) -> dict[str, int]:
        """What the auditor remembers from one run to the next."""
        with translated("read the auditor's state"):
            item = self.client.get_item(TableName=self.table, Key=item_key(_AUDITOR, "STATE")).get("Item", {})
        return {name: int(value) for name, value in plain_values(item).items() if name not in ("pk", "sk")}

    def remember(self, state: dict[str, int]) -> None:
        """Keep the auditor's state."""
        with translated("write the auditor's state"):
            self.client.put_item(TableName=self.table, Item=new_item(_AUDITOR, "STATE", state))

    def _change_due(self, session: DueSession, change: str, values: dict[str, Any]) -> None:
        with suppress(ConditionError), translated("note an audit"), refused():
            self.client.update_item(
                TableName=self.table,
                Key=item_key(session.session_id, "SESSION"),
                UpdateExpression=change,
                # News that came meanwhile has made another appointment.
                ConditionExpression="gsi2sk = :due",
                ExpressionAttributeValues={":due": {"S": session.due}, **values},
            )

    def _index(self, partition: str, *, since: str = "", until: str = _AFTER_ALL_TEXT) -> Iterator[Item]:
        pages = self.client.get_paginator("query").paginate(
            TableName=self.table,
            IndexName=INDEX,
            KeyConditionExpression="gsi2pk = :partition AND gsi2sk BETWEEN :since AND :until",
            ExpressionAttributeValues={
                ":partition": {"S": partition},
                ":since": {"S": since or " "},
                ":until": {"S": until},
            },
        )
        with translated("query open files"):
            for page in pages:
                yield from page["Items"]

    def _last(self, partition: str) -> list[Item]:
        """Not only the very last: a meeting whose end nobody heard of is looked at hours after it was heard of."""
        with translated("query sessions"):
            return self.client.query(
                TableName=self.table,
                IndexName=INDEX,
                KeyConditionExpression="gsi2pk = :partition",
                ExpressionAttributeValues={":partition": {"S": partition}},
                ScanIndexForward=False,
                Limit=_LAST,
            )["Items"]


def _open_file(item: Item) -> OpenFile:
    values = plain_values(item)
    return OpenFile(
        session_id=values["pk"].removeprefix("SESSION#"),
        sort_key=values["sk"],
        kind=values["kind"],
        status=FileStatus(values["status"]),
        deadline_ms=int(values["deadline"]),
        tries=int(values["tries"]),
        reason=values.get("reason", ""),
        announced_at_ms=int(values.get("announced_at", 0)),
        tried_at_ms=int(values.get("tried_at", 0)),
        lease_until_ms=int(values.get("lease_until", 0)),
        queued_at_ms=int(values.get("queued_at", 0)),
        urgent=bool(values.get("urgent", False)),
        announcement=values.get("announcement", ""),
    )


def _due_session(item: Item) -> DueSession:
    values = plain_values(item)
    return DueSession(
        session_id=values["session_id"],
        room=values["room"],
        first_seen_ms=int(values.get("first_seen", values["started_at"])),
        last_seen_ms=int(values.get("last_seen", values["started_at"])),
        heard_at_ms=int(values["heard_at"]),
        due=values["gsi2sk"],
    )


def _journaled_event(values: dict[str, Any]) -> JournaledEvent:
    return JournaledEvent(
        type=values["type"], timestamp_ms=int(values["timestamp"]), files=tuple(values.get("files", ()))
    )


def _known_file(values: dict[str, Any]) -> KnownFile:
    return KnownFile(
        sort_key=values["sk"],
        kind=values["kind"],
        status=FileStatus(values["status"]),
        key=values.get("key", ""),
        size=whole_number(values.get("size")),
        starts_at_ms=whole_number(values.get("starts_at")),
        archived_at_ms=int(values.get("archived_at", 0)),
    )
