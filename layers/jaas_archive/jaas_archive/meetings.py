"""The meetings table: sessions, their events and files, and what was made of them.

One item collection a session, `pk = SESSION#<session id>`:

    SESSION                        room, fqn, app id, folder, versions, counts
    DAY#<YYYY-MM-DD>               the session in the list of that day
    EVENT#<ms>#<idempotency key>   the journal: events as they came, links removed
    FILE#<kind>#<id>               a file's status
    MESSAGE#<ms>#<n>               a chat message or a spoken line
    PARTICIPANT#<jid>              a connection of a person
    PERSON#<user id or e-mail>     the session in the list of that person

Beside them `pk = FOLDER#<folder>` says whose a folder is. docs/table.md tells them all. Nothing is ever deleted: what
counts no more carries `superseded_by`. Every write is conditional or gives the same result when repeated, so any number
of functions may work on one session.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jaas_archive.events import Event, Json
from jaas_archive.files import FileRecord, Files, file_item, file_of
from jaas_archive.items import Item, item_key, new_item, plain_values
from jaas_archive.names import iso_time, safe_name
from jaas_archive.sessions import Session, Sessions, folder_item, session_item
from jaas_archive.table import Table

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import TransactWriteItemTypeDef


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """An event in the journal; where it is too large for an item, `object_key` says where it lies.

    `files` are the sort keys of the files it names.
    """

    event: Event
    received_at_ms: int
    content: str
    object_key: str = ""
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as the journal holds it: JSON text, or the key of the object that holds that.

    `files` are the sort keys of the files it names.
    """

    sort_key: str
    type: str
    received_at_ms: int
    content: str = ""
    object_key: str = ""
    files: tuple[str, ...] = ()


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

    @property
    def sessions(self) -> Sessions:
        """The sessions themselves."""
        return Sessions(self._items)

    @property
    def files(self) -> Files:
        """Their files."""
        return Files(self._items)

    def journal(self, session_id: str, entries: Sequence[JournalEntry], changed_files: Sequence[FileRecord]) -> None:
        """Note events and files' new statuses; the session's version grows if any of it is news."""
        events = (_journal_item(session_id, entry) for entry in entries)
        news = {item["sk"]["S"]: self._new(item) for item in events}
        news |= {file.sort_key: self._noted(session_id, file) for file in changed_files}
        self._items.write_news(session_id, news.values(), counter="version")

    def records(self, session_id: str) -> StoredRecords:
        """Everything that the session's record is made from."""
        events: list[StoredEvent] = []
        files: list[FileRecord] = []
        days: set[str] = set()
        for item in self._items.query(session_id, "sk < :to", {":to": "MESSAGE#"}):
            match item["sk"]["S"].split("#")[0]:
                case "EVENT":
                    events.append(_entry(item))
                case "FILE":
                    files.append(file_of(item))
                case "DAY":
                    days.add(item["sk"]["S"].removeprefix("DAY#"))
        return StoredRecords(tuple(events), tuple(files), frozenset(days))

    def write_participants(self, session_id: str, participants: Mapping[str, Mapping[str, Json]]) -> int:
        """Make the stored connections, by JID, be these; returns how many had to be written."""
        return self._items.write_changed(session_id, "PARTICIPANT#", participants)

    def write_people(self, session_id: str, people: Mapping[str, Mapping[str, Json]]) -> int:
        """Make the session's entries in the lists of people be these; returns how many had to be written."""
        return self._items.write_changed(session_id, "PERSON#", people)

    def write_messages(self, session_id: str, messages: Mapping[str, Mapping[str, Json]]) -> int:
        """Make the stored messages, by `<ms>#<n>`, be these; returns how many had to be written."""
        # From here until finish_projection nobody can say what is stored: the digest must not claim it.
        self._items.update(session_id, "SESSION", {}, remove=("messages_digest",))
        return self._items.write_changed(session_id, "MESSAGE#", messages)

    def list_under_days(self, session: Session, days: Iterable[str]) -> None:
        """List the session under each of these days."""
        self._items.write(
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
                    "files": event.files or None,
                },
            )
            for event in events
        ]
        known = [session_item(session), folder_item(session.folder, session.id)]
        self._items.put_missing([*known, *(file_item(session.id, file) for file in files), *told])
        self._items.update(session.id, "SESSION", {}, remove=("projected_version",))

    @property
    def _items(self) -> Table:
        return Table(self.client, self.table)

    def _new(self, item: Item) -> "TransactWriteItemTypeDef":
        return {"Put": {"TableName": self.table, "ConditionExpression": "attribute_not_exists(pk)", "Item": item}}

    def _noted(self, session_id: str, file: FileRecord) -> "TransactWriteItemTypeDef":
        return {
            "Update": {
                "TableName": self.table,
                "Key": item_key(session_id, file.sort_key),
                "UpdateExpression": "SET noted_status = :status",
                "ConditionExpression": "attribute_not_exists(noted_status) OR noted_status <> :status",
                "ExpressionAttributeValues": {":status": {"S": file.status}},
            }
        }


def message_name(timestamp_ms: int, number: int) -> str:
    """What stands after `MESSAGE#`: the time, and a number for messages of the same millisecond."""
    return f"{timestamp_ms:013d}#{number:06d}"


def _journal_item(session_id: str, entry: JournalEntry) -> Item:
    event = entry.event
    key = safe_name(event.idempotency_key)
    return new_item(
        session_id,
        # Sent again, an event without a time of its own has to meet itself here.
        f"EVENT#{event.timestamp_ms if event.dated else 0:013d}#{key}",
        {
            "type": event.type,
            "timestamp": event.timestamp_ms,
            "received_at": entry.received_at_ms,
            "event": None if entry.object_key else entry.content,
            "event_key": entry.object_key,
            # The links in the stored text are removed, and some files are known only by them.
            "files": entry.files or None,
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
        files=tuple(values.get("files", ())),
    )
