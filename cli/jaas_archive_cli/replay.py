"""`replay`: journaled events through the pipeline again, so that records are made anew and open files are fetched."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from jaas_archive.backlog import OpenFile
from jaas_archive.errors import InvalidMessageError
from jaas_archive.events import read_event
from jaas_archive.files import FileStatus
from jaas_archive.messages import EventMessage
from jaas_archive.queues import Queue, fit
from jaas_archive_cli.browse import list_sessions
from jaas_archive_cli.stack import Stack

_OPEN = (FileStatus.PENDING, FileStatus.COPYING)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What of a session goes through the pipeline again; of files `without_message` no link is left."""

    session_id: str
    events: int
    files: int
    without_message: int


def sessions_between(stack: Stack, since: datetime, until: datetime) -> list[str]:
    """Ids of the sessions that have events on any day of the range."""
    found: dict[str, None] = {}
    day = since.date()
    while day <= until.date():
        found |= dict.fromkeys(row.session_id for row in list_sessions(stack, f"DAY#{day.isoformat()}"))
        day += timedelta(days=1)
    return list(found)


def replay(
    stack: Stack, session_ids: list[str], *, since: datetime | None, until: datetime | None, send: bool
) -> Iterator[Replayed]:
    """Send the sessions' events of that time, and messages for their open files; without `send`, only count."""
    meeting_queue = Queue(stack.sqs, stack.outputs["MeetingQueueUrl"])
    download_queue = Queue(stack.sqs, stack.outputs["DownloadQueueUrl"])
    for session_id in session_ids:
        events = [message for message in _events(stack, session_id) if _is_between(message, since, until)]
        kept = [_announcement(stack, file) for file in _open_files(stack, session_id)]
        files = [message for message in kept if message and _is_between(message, since, until)]
        if send and events:
            # The journal has these events, so they are no news by themselves.
            stack.meetings.sessions.ask_for_projection(session_id)
            for message in events:
                meeting_queue.send(fit(message, stack.claims))
        if send:
            for message in files:
                download_queue.send(fit(message, stack.claims))
        if events or files:
            yield Replayed(session_id, len(events), len(files), kept.count(None))


def _events(stack: Stack, session_id: str) -> Iterator[EventMessage]:
    for stored in stack.meetings.records(session_id).events:
        document = json.loads(stored.content or stack.archive.read(stored.object_key))
        yield EventMessage(document, stored.received_at_ms)


def _is_between(message: EventMessage, since: datetime | None, until: datetime | None) -> bool:
    at_ms = read_event(message.document, received_at_ms=message.received_at_ms).timestamp_ms
    return (since is None or since.timestamp() * 1000 <= at_ms) and (until is None or at_ms < until.timestamp() * 1000)


def _open_files(stack: Stack, session_id: str) -> Iterator[OpenFile]:
    return (file for file in stack.backlog.session_files(session_id) if file.status in _OPEN)


def _announcement(stack: Stack, file: OpenFile) -> EventMessage | None:
    """The message that announced the file, if it is left."""
    try:
        return stack.announcements.find(file.announcement) if file.announcement else None
    except InvalidMessageError:
        return None
