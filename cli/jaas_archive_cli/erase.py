"""`erase`: a person's words and names replaced in the sources of each session, and its record made anew from these.

A record is derived from the journal and the chat and transcript files, so these are what is changed, by the one holder
of the session's lease; then nothing can bring back what was erased. What is to go is written down first, in an item
`ERASURE#<person>` that is deleted last: a run that died half-way is finished by the next.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from fastcrc.crc32 import iscsi as crc32c

from jaas_archive.aws import error_code
from jaas_archive.choices import EVERYTHING
from jaas_archive.crc import as_text
from jaas_archive.enriching import LEASE_MS, LINES_IN, Enricher
from jaas_archive.errors import InProgressError
from jaas_archive.events import Json, read_json
from jaas_archive.files import FileRecord, FileStatus
from jaas_archive.items import item_key, new_item, plain_values
from jaas_archive.meetings import StoredEvent
from jaas_archive.names import iso_day, iso_time
from jaas_archive.table import Table
from jaas_archive_cli.person import ERASED, Identity, find_person, marks_of
from jaas_archive_cli.sources import Sources, sessions_of
from jaas_archive_cli.stack import Stack

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_s3.type_defs import CopySourceTypeDef

UNDER_WAY_MS = 15 * 86_400_000
"""How long what JaaS sent may lie in queues, and come in again."""
_PATIENCE_SECONDS = 400
"""Longer than the enricher's own lease."""
_ROUNDS = 10
_NAMED_AFTER_PEOPLE = "rtcstats"
_DERIVED = ("MESSAGE#", "PARTICIPANT#", "PERSON#")


class LockedError(Exception):
    """The bucket is under Object Lock; the text says how."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What was, or would be, erased of a session, and what is left there."""

    session_id: str
    room: str
    folder: str
    started_at: str
    events: int
    messages: int
    rewritten: list[str]
    items: int
    versions: int
    recordings: list[str]
    """Files that are no text, in which they may be heard or seen: not changed."""
    unreadable: list[str]
    """Chats and transcripts of no known shape: not changed."""
    open_files: list[str]
    """Chats, transcripts and files of theirs that may still come in."""
    namesakes: int
    """Lines under the same name that nothing proves to be theirs: not changed."""
    mentions: int
    """Lines of others that name them: not changed."""
    again_after: str
    """The day from which on nothing of the session can come in any more."""

    @property
    def needs_attention(self) -> bool:
        """Whether somebody must look at what is left."""
        return bool(self.unreadable or self.open_files or self.namesakes)


@dataclass(frozen=True, slots=True)
class _Changes:
    """The texts that become others."""

    events: list[tuple[StoredEvent, str]]
    files: list[tuple[FileRecord, bytes]]
    owned: list[FileRecord]
    """Files that are said to be theirs."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """Erases one person; without `write`, only looks at what there is to erase."""

    stack: Stack
    person: str
    write: bool
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep

    def run(self, session_id: str | None) -> Iterator[Erased]:
        """Each session as it is done: that one, where a name will do, or all in the person's list.

        Raises:
            LockedError: versions of objects cannot be removed.
            AmbiguousError: the name is that of several people.
        """
        self._check_lock()
        for each in [session_id] if session_id else sessions_of(self.stack, self.person):
            if erased := self._session(each, by_name=bool(session_id)):
                yield erased

    def _check_lock(self) -> None:
        try:
            answer = self.stack.s3.get_object_lock_configuration(Bucket=self._bucket)
        except ClientError as error:
            if error_code(error) == "ObjectLockConfigurationNotFoundError":
                return
            raise
        configuration = answer.get("ObjectLockConfiguration", {})
        rule = configuration.get("Rule", {}).get("DefaultRetention", {})
        if configuration.get("ObjectLockEnabled") == "Enabled":
            span = f"{rule['Days']} days" if "Days" in rule else f"{rule['Years']} years" if "Years" in rule else ""
            how = f"{rule.get('Mode', '').lower()} mode, {span}" if rule else "no default retention"
            raise LockedError(f"the bucket {self._bucket} is under Object Lock ({how}): older versions must stay")

    def _session(self, session_id: str, *, by_name: bool) -> Erased | None:
        sources = Sources.read(self.stack, session_id)
        if sources is None:
            return None
        lines = [line for lines in sources.lines for line in lines]
        identity = self._begun(session_id) or find_person(self.person, sources.people, lines, by_name=by_name)
        if identity is None:
            return None
        found = self._found(sources, identity)
        if not self.write:
            return found
        self._begin(sources, identity)
        for _ in range(_ROUNDS):
            self._erase_sources(session_id, identity)
            self._make_record(session_id)
            # What came in meanwhile may name them again.
            sources = Sources.read(self.stack, session_id) or sources
            changes = _changes(sources, identity)
            if not (changes.events or changes.files or changes.owned):
                break
        else:
            raise InProgressError("news of the session kept coming in")
        old = list(self._old_versions(sources))
        for key, version_id in old:
            self.stack.s3.delete_object(Bucket=self._bucket, Key=key, VersionId=version_id)
        self._delete(session_id, self._plan_key)
        return replace(found, versions=len(old))

    def _found(self, sources: Sources, identity: Identity) -> Erased:
        changes = _changes(sources, identity)
        people = tuple(one for one in sources.people if identity.marks & marks_of([one]))
        record = sources.record
        others = [entry for entry in record.document["messages"] if not identity.owns(entry)]
        words = {mark.partition(":")[2] for mark in identity.marks if mark.startswith(("name:", "email:"))}
        again_after_ms = record.summary["last_seen"] + UNDER_WAY_MS
        return Erased(
            session_id=sources.session.id,
            room=sources.session.room,
            folder=sources.session.folder,
            started_at=iso_time(sources.session.started_at_ms),
            events=len(changes.events),
            messages=len(record.document["messages"]) - len(others),
            rewritten=[file.key for file, _ in changes.files],
            items=len(self._items(sources.session.id, identity)),
            versions=len(list(self._old_versions(sources))),
            recordings=[
                file.key
                for file in sources.stored.files
                if file.key and file.kind not in LINES_IN and sources.shows(file, people)
            ],
            unreadable=_unreadable(sources),
            open_files=[
                file.sort_key
                for file in sources.stored.files
                if file.kind in LINES_IN or file in changes.owned
                if file.status in (FileStatus.PENDING, FileStatus.COPYING)
            ],
            namesakes=sum(identity.names(entry) for entry in others),
            mentions=sum(any(word in entry["content"].casefold() for word in words) for entry in others),
            again_after=iso_day(again_after_ms) if again_after_ms > self.clock() * 1000 else "",
        )

    def _erase_sources(self, session_id: str, identity: Identity) -> None:
        with self._lease(session_id) as keep:
            sources = Sources.read(self.stack, session_id)
            changes = _changes(sources, identity) if sources else _Changes([], [], [])
            for event, content in changes.events:
                keep()
                self._replace_event(session_id, event, content)
            for file, body in changes.files:
                keep()
                self._replace_file(session_id, file, body)
            for file in changes.owned:
                keep()
                self._disown(session_id, file, identity)
            # Without the digest all messages are written again, those deleted here too.
            self._table.update(session_id, "SESSION", {}, remove=("messages_digest",))
            for sort_key in self._items(session_id, identity):
                keep()
                self._delete(session_id, sort_key)

    def _replace_event(self, session_id: str, event: StoredEvent, content: str) -> None:
        told: dict[str, Json] = {"erased_at": self._now_ms()}
        if event.object_key:
            self.stack.s3.put_object(
                Bucket=self._bucket, Key=event.object_key, Body=content.encode(), ContentType="application/json"
            )
        else:
            told["event"] = content
        self._table.update(session_id, event.sort_key, told)

    def _replace_file(self, session_id: str, file: FileRecord, body: bytes) -> None:
        """Write another text under the file's key; the table first, so that what died in between is seen again."""
        checksum = as_text(crc32c(body))
        told: dict[str, Json] = {"size": len(body), "checksum": checksum, "erased_at": self._now_ms()}
        self._table.update(session_id, file.sort_key, told)
        old = self.stack.s3.head_object(Bucket=self._bucket, Key=file.key)
        self.stack.s3.put_object(
            Bucket=self._bucket,
            Key=file.key,
            Body=body,
            ContentType=old["ContentType"],
            Metadata=old["Metadata"],
            ChecksumAlgorithm="CRC32C",
            ChecksumCRC32C=checksum,
            IfMatch=old["ETag"],
        )

    def _disown(self, session_id: str, file: FileRecord, identity: Identity) -> None:
        """Call a file after nobody; statistics of a connection have its person's name in title and key."""
        told: dict[str, Json] = {"owner": identity.pseudonym, "erased_at": self._now_ms()}
        if file.kind == _NAMED_AFTER_PEOPLE:
            told["title"] = ERASED
            if file.key:
                told["key"] = self._move(file, f"{identity.pseudonym}_{file.id[:8]}")
        self._table.update(session_id, file.sort_key, told)

    def _move(self, file: FileRecord, stem: str) -> str:
        """Put a file under another name, and remove the old one with all its versions."""
        path = PurePosixPath(file.key)
        key = str(path.with_name(stem + path.suffix))
        if self.stack.archive.find(file.key):
            source: CopySourceTypeDef = {"Bucket": self._bucket, "Key": file.key}
            self.stack.s3.copy_object(Bucket=self._bucket, Key=key, CopySource=source, ChecksumAlgorithm="CRC32C")
        # The newest last: until then it is the one to copy.
        for version_id in reversed([each for old, each, _ in self._versions(file.key) if old == file.key]):
            self.stack.s3.delete_object(Bucket=self._bucket, Key=file.key, VersionId=version_id)
        return key

    def _versions(self, prefix: str) -> Iterator[tuple[str, str, bool]]:
        """Key and id of each version and delete marker, and whether it is the newest; of each key the newest first."""
        pages = self.stack.s3.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=prefix)
        for page in pages:
            found: list[Any] = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            for version in found:
                yield version["Key"], version["VersionId"], version["IsLatest"]

    def _items(self, session_id: str, identity: Identity) -> list[str]:
        """The sort keys of what was derived from their words and names, what stopped to count included."""
        return [
            values["sk"]
            for prefix in _DERIVED
            for item in self._table.query(session_id, "begins_with(sk, :prefix)", {":prefix": prefix})
            if identity.owns(values := plain_values(item))
        ]

    def _old_versions(self, sources: Sources) -> Iterator[tuple[str, str]]:
        """All versions of the folder's texts but the newest, and what lies below a delete marker."""
        unreadable = _unreadable(sources)
        kept = {file.key for file in sources.stored.files if file.kind not in LINES_IN or file.key in unreadable}
        for key, version_id, is_newest in self._versions(f"{sources.session.folder}/"):
            if not is_newest and key not in kept:
                yield key, version_id

    def _make_record(self, session_id: str) -> None:
        enricher = Enricher(self.stack.archive, self.stack.meetings, EVERYTHING, clock=self.clock)
        self._patiently(lambda: enricher.update_record(session_id))

    @contextmanager
    def _lease(self, session_id: str) -> Iterator[Callable[[], None]]:
        """Keep everybody else from making the session's record while inside; what it gives is to be called often."""
        sessions = self.stack.meetings.sessions
        until_ms = 0

        def claim() -> bool:
            nonlocal until_ms
            sessions.ask_for_projection(session_id)
            now_ms = self._now_ms()
            until_ms = now_ms + LEASE_MS
            return bool(sessions.claim_projection(session_id, now_ms=now_ms, lease_ms=LEASE_MS))

        def keep() -> None:
            nonlocal until_ms
            if self._now_ms() > until_ms - LEASE_MS // 2:
                sessions.renew_projection(session_id, until_ms, until_ms := self._now_ms() + LEASE_MS)

        while not self._patiently(claim):
            pass
        try:
            yield keep
        finally:
            if self._now_ms() < until_ms:
                sessions.release_projection(session_id)

    def _patiently[T](self, do: Callable[[], T]) -> T:
        """Do it as soon as nobody else makes the session's record."""
        until = self.clock() + _PATIENCE_SECONDS
        while True:
            try:
                return do()
            except InProgressError as error:
                if self.clock() >= until:
                    raise
                self.sleep(min(error.pause_seconds or 1, 5))

    @property
    def _plan_key(self) -> str:
        return f"ERASURE#{self.person}"

    def _begun(self, session_id: str) -> Identity | None:
        """Whom a run that did not come to its end was to erase."""
        item = self._table.get(session_id, self._plan_key)
        if item is None:
            return None
        values = plain_values(item)
        return Identity(frozenset(values["marks"]), values["pseudonym"])

    def _begin(self, sources: Sources, identity: Identity) -> None:
        """Write down what is to go, where the next run finds it by the same name."""
        plan = {
            "gsi1pk": f"PERSON#{self.person}",
            "gsi1sk": f"ERASURE#{iso_time(sources.session.started_at_ms)}",
            "marks": sorted(identity.marks),
            "pseudonym": identity.pseudonym,
        }
        self._table.write([new_item(sources.session.id, self._plan_key, plan)])

    def _delete(self, session_id: str, sort_key: str) -> None:
        self._dynamodb.delete_item(TableName=self._table.name, Key=item_key(session_id, sort_key))

    @property
    def _dynamodb(self) -> "DynamoDBClient":
        client: DynamoDBClient = self.stack.client("dynamodb")
        return client

    @property
    def _table(self) -> Table:
        return Table(self._dynamodb, self.stack.outputs["MeetingsTableName"])

    @property
    def _bucket(self) -> str:
        return self.stack.outputs["ArchiveBucketName"]

    def _now_ms(self) -> int:
        return int(self.clock() * 1000)


def _changes(sources: Sources, identity: Identity) -> _Changes:
    """What there is to replace; nothing once it is done."""
    return _Changes(
        [
            (event, _written(erased))
            for event, document in sources.documents
            if (erased := identity.without(document)) != document
        ],
        [
            (file, erased)
            for file in sources.stored.files
            if (text := sources.texts.get(file.sort_key))
            and (erased := _erased_text(text, identity)) not in (None, text)
        ],
        [file for file in sources.stored.files if f"user:{file.owner_id}" in identity.marks],
    )


def _erased_text(text: bytes, identity: Identity) -> bytes | None:
    """A chat or transcript without this person; None if it is of no known shape."""
    documents = _documents(text)
    if documents is None:
        return None
    erased = [identity.without(document) for document in documents]
    return text if erased == documents else "\n".join(map(_written, erased)).encode()


def _unreadable(sources: Sources) -> list[str]:
    return [
        file.key
        for file in sources.stored.files
        if (text := sources.texts.get(file.sort_key)) and _documents(text) is None
    ]


def _documents(text: bytes) -> list[Json] | None:
    """One JSON document, or one in each line; None if it is neither."""
    for parts in ([text], [line for line in text.splitlines() if line.strip()]):
        try:
            return [read_json(part) for part in parts]
        except ValueError:
            continue
    return None


def _written(document: Json) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
