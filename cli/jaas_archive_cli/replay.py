"""`replay`: journaled events through the pipeline again, so that records are made anew and open files are fetched."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from jaas_archive.backlog import OpenFile
from jaas_archive.events import read_event
from jaas_archive.files import FileStatus
from jaas_archive.messages import EventMessage
from jaas_archive.queues import Queue, fit
from jaas_archive_cli.browse import list_sessions
from jaas_archive_cli.stack import Stack

_OPEN = (FileStatus.PENDING, FileStatus.COPYING)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What of a session goes through the pipeline again."""

    session_id: str
    events: int
    files: int


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
        messages = list(_messages(stack, session_id, since, until))
        files = [stack.announcements.find(file.announcement) for file in _open_files(stack, session_id)]
        if send and messages:
            # The journal has these events, so they are no news by themselves.
            stack.meetings.sessions.ask_for_projection(session_id)
            for message in messages:
                meeting_queue.send(fit(message, stack.claims))
        if send:
            for message in files:
                download_queue.send(fit(message, stack.claims))
        if messages or files:
            yield Replayed(session_id, len(messages), len(files))


def _messages(stack: Stack, session_id: str, since: datetime | None, until: datetime | None) -> Iterator[EventMessage]:
    for stored in stack.meetings.records(session_id).events:
        document = json.loads(stored.content or stack.archive.read(stored.object_key))
        at_ms = read_event(document, received_at_ms=stored.received_at_ms).timestamp_ms
        if (since is None or since.timestamp() * 1000 <= at_ms) and (until is None or at_ms < until.timestamp() * 1000):
            yield EventMessage(document, stored.received_at_ms)


def _open_files(stack: Stack, session_id: str) -> Iterator[OpenFile]:
    return (file for file in stack.backlog.session_files(session_id) if file.status in _OPEN and file.announcement)
