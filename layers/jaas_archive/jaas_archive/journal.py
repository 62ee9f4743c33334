"""The journal of a session as one file in its folder: with the raw files, all that its record is made from.

The table can be rebuilt from it. One JSON object a line, gzipped: first the session, then its files, then its events as
the table's journal holds them.
"""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from jaas_archive.files import FileRecord, FileStatus
from jaas_archive.meetings import StoredEvent
from jaas_archive.sessions import Session

JOURNAL_NAME = "journal.jsonl.gz"
JOURNAL_TYPE = "application/gzip"


@dataclass(frozen=True, slots=True)
class Journal:
    """A session, its files and its events."""

    session: Session
    files: tuple[FileRecord, ...]
    events: tuple[StoredEvent, ...]


def write_journal(session: Session, files: Sequence[FileRecord], events: Sequence[StoredEvent]) -> bytes:
    """The journal as a file; the same for the same content."""
    return gzip.compress("".join(line + "\n" for line in _lines(session, files, events)).encode(), mtime=0)


def read_journal(content: bytes) -> Journal:
    """Read what write_journal wrote.

    Raises:
        ValueError: it is no journal.
    """
    session: Session | None = None
    files: list[FileRecord] = []
    events: list[StoredEvent] = []
    try:
        # Not splitlines(): JSON leaves U+2028 and others as they are.
        for line in filter(None, gzip.decompress(content).decode().split("\n")):
            match json.loads(line):
                case {"session": dict(values)}:
                    session = Session(**_known(Session, values))
                case {"file": dict(values)}:
                    status = FileStatus(values["status"])
                    files.append(FileRecord(**_known(FileRecord, values | {"status": status, "checkpoint": None})))
                case {"event": dict(values)}:
                    values |= {"files": tuple(values.get("files", ()))}
                    events.append(StoredEvent(**_known(StoredEvent, values)))
    except (OSError, EOFError, TypeError, KeyError) as error:
        raise ValueError("not a journal of a session") from error
    if session is None:
        raise ValueError("not a journal of a session")
    return Journal(session, tuple(files), tuple(events))


def _known(record: type, values: dict[str, Any]) -> dict[str, Any]:
    """The values of a record's fields: an older journal may lack some, a newer one hold others."""
    return {
        field.name: values.get(field.name)
        for field in fields(record)
        if field.name in values or field.default is MISSING
    }


def _lines(session: Session, files: Sequence[FileRecord], events: Sequence[StoredEvent]) -> Iterator[str]:
    # What the table says of its own items is no part of what happened.
    yield _line("session", {**asdict(session), "messages_digest": "", "notified_digest": ""})
    for file in sorted(files, key=lambda file: file.sort_key):
        yield _line("file", {**asdict(file), "checkpoint": None})
    for event in sorted(events, key=lambda event: event.sort_key):
        yield _line("event", asdict(event))


def _line(name: str, values: dict[str, Any]) -> str:
    return json.dumps({name: values}, ensure_ascii=False, separators=(",", ":"))
