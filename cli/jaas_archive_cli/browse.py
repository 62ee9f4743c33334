"""`ls` and `show`: what the archive has of a room, a day or a session."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import batched
from typing import Any

from jaas_archive.archive import is_let_go
from jaas_archive.errors import InvalidMessageError
from jaas_archive.events import read_event
from jaas_archive.files import FileStatus
from jaas_archive.items import plain_values, session_pk, whole_number
from jaas_archive.kinds import announced_files, identified_file
from jaas_archive.names import iso_time
from jaas_archive_cli.stack import MOST_ITEMS, Stack

PAST_RETENTION = "past retention"
"""The verdict on a file that the bucket deleted as `RetentionDays` asks it to."""
_NEXT_STEPS = {
    FileStatus.PENDING: "wait: it is tried again until its link dies",
    FileStatus.COPYING: "wait: it is being copied",
    FileStatus.EXPIRED: "ask 8x8 support at once: the link is dead",
    FileStatus.REFUSED: "mend the reason (AllowedLinkOrigins?), then: jaas-archive redrive --yes",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A session in a list; of the files nothing is known before its record was made for the first time."""

    session_id: str
    started_at: str
    room: str
    folder: str
    files: int | None = None
    files_archived: int | None = None

    @property
    def files_text(self) -> str:
        """`3` if all of the files are archived, else `2 of 3`."""
        if self.files is None or self.files_archived is None:
            return "?"
        return f"{self.files}" if self.files_archived == self.files else f"{self.files_archived} of {self.files}"


@dataclass(frozen=True, slots=True)
class ShownFile:
    """A file of a session and what the bucket says of it.

    `title` is what people call it, `deleted_at` when a document was deleted in the meeting, which the archive keeps.
    """

    file: str
    kind: str
    title: str
    deleted_at: str
    status: str
    verdict: str
    key: str
    size: int | None
    link_dies_at: str
    tries: int
    reason: str
    next_step: str
    link: str

    @property
    def where_or_why(self) -> str:
        """Its key, or why it has none; both for one that was kept aside."""
        if self.status == FileStatus.ARCHIVED or not self.key:
            return self.key or self.reason
        return f"{self.reason}; kept as {self.key}"


@dataclass(frozen=True, slots=True)
class Shown:
    """A session."""

    session_id: str
    room: str
    folder: str
    started_at: str
    counts: dict[str, int]
    events: dict[str, int]
    kinds: dict[str, int]
    files: list[ShownFile]
    findings: list[str]


def list_sessions(stack: Stack, partition: str) -> Iterator[Row]:
    """The sessions of a room (`ROOM#…`) or of a day (`DAY#…`) by time; the list of a day does not tell of files."""
    for item in stack.listed(partition):
        values = plain_values(item)
        yield Row(values["session_id"], values["gsi1sk"], values["room"], values["folder"], *_counts(values))


def with_files(stack: Stack, rows: Iterable[Row]) -> Iterator[Row]:
    """The sessions of a day with how many files there are.

    Their own items say so, as of the last record; those of the list would have to be written with each piece of news.
    """
    for some in batched(rows, MOST_ITEMS, strict=False):
        found = stack.session_items(row.session_id for row in some)
        for row in some:
            files, archived = _counts(plain_values(found.get(row.session_id, {})))
            yield replace(row, files=files, files_archived=archived)


def _counts(values: Mapping[str, Any]) -> tuple[int | None, int | None]:
    return whole_number(values.get("files")), whole_number(values.get("files_archived"))


def show_session(stack: Stack, session_id: str, *, with_links: bool, now_ms: int) -> Shown | None:
    """All that is known of a session; archived files are looked up in the bucket."""
    items = [plain_values(item) for item in _items(stack, session_id)]
    session = next((item for item in items if item["sk"] == "SESSION"), None)
    if session is None:
        return None
    events: dict[str, int] = {}
    for item in items:
        if item["sk"].startswith("EVENT#"):
            events[item["type"]] = events.get(item["type"], 0) + 1
    deleted_at = _deletions(stack, items)
    files = [
        _file(stack, item, deleted_at, with_links=with_links, now_ms=now_ms)
        for item in items
        if item["sk"].startswith("FILE#")
    ]
    return Shown(
        session_id=session_id,
        room=session["room"],
        folder=session["folder"],
        started_at=iso_time(int(session["started_at"])),
        counts={
            name: int(session[name]) for name in ("participants", "messages", "messages_attributed") if name in session
        },
        events=events,
        kinds=dict(Counter(file.kind for file in files)),
        files=files,
        findings=[f"{item['kind']}: {item['subject']}" for item in items if item["sk"].startswith("FINDING#")],
    )


def _items(stack: Stack, session_id: str) -> Iterator[dict[str, Any]]:
    """The session's items, without its messages and participants."""
    client = stack.client("dynamodb")
    table = stack.outputs["MeetingsTableName"]
    pages = client.get_paginator("query").paginate(
        TableName=table,
        KeyConditionExpression="pk = :pk AND sk < :messages",
        ExpressionAttributeValues={":pk": {"S": session_pk(session_id)}, ":messages": {"S": "MESSAGE#"}},
    )
    for page in pages:
        yield from page["Items"]
    key = {"pk": {"S": session_pk(session_id)}, "sk": {"S": "SESSION"}}
    if session := client.get_item(TableName=table, Key=key).get("Item"):
        yield session


def _deletions(stack: Stack, items: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """When each document was deleted in the meeting first, by its id; the items are in the order of time."""
    found: dict[str, str] = {}
    for item in items:
        if item["sk"].startswith("EVENT#") and item["type"] == "DOCUMENT_DELETED":
            content = item.get("event") or stack.archive.read(item["event_key"])
            event = read_event(json.loads(content), received_at_ms=int(item["received_at"]))
            if file_id := identified_file("document", event.fields):
                found.setdefault(file_id, iso_time(event.timestamp_ms))
    return found


def _file(
    stack: Stack, item: dict[str, Any], deleted_at: Mapping[str, str], *, with_links: bool, now_ms: int
) -> ShownFile:
    status = FileStatus(item["status"])
    verdict, next_step = "", _NEXT_STEPS.get(status, "")
    if status is FileStatus.ARCHIVED:
        stored = stack.archive.find(item["key"])
        retention_days = int(stack.parameters.get("RetentionDays") or 0)
        if stored is None and is_let_go(int(item.get("archived_at", 0)), now_ms, retention_days=retention_days):
            verdict, next_step = PAST_RETENTION, ""
        elif stored is None:
            verdict, next_step = "missing", "show versions in the S3 console and remove the delete marker"
        elif stored.size != int(item["size"]):
            verdict, next_step = "changed", "show versions in the S3 console and restore the first one"
        else:
            verdict = "ok"
    return ShownFile(
        file=item["sk"].removeprefix("FILE#"),
        kind=item["kind"],
        title=item.get("title", ""),
        deleted_at=deleted_at.get(item["id"], "") if item["kind"] == "document" else "",
        status=status.value,
        verdict=verdict,
        key=item.get("key", ""),
        size=int(item["size"]) if "size" in item else None,
        link_dies_at="" if status is FileStatus.ARCHIVED else iso_time(int(item["deadline"])),
        tries=int(item["tries"]),
        reason=item.get("reason", ""),
        next_step=next_step,
        link=_link(stack, item) if with_links else "",
    )


def _link(stack: Stack, item: dict[str, Any]) -> str:
    """The link of a file that is not archived, out of what announced it."""
    if "announcement" not in item:
        return ""
    try:
        message = stack.announcements.find(item["announcement"])
    except InvalidMessageError:
        return ""
    file = next(iter(announced_files(read_event(message.document, received_at_ms=message.received_at_ms))), None)
    return file.link if file else ""
