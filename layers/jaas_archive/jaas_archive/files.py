"""Files in the table: what JaaS announced, who copies it, and what became of it."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from jaas_archive.archive import StoredObject
from jaas_archive.errors import InProgressError
from jaas_archive.events import Json
from jaas_archive.items import Item, new_item, plain_values, shard_of, whole_number
from jaas_archive.kinds import AnnouncedFile
from jaas_archive.names import iso_time
from jaas_archive.table import ConditionError, Table
from jaas_archive.uploads import Checkpoint


class FileStatus(StrEnum):
    """What became of a file that JaaS announced."""

    PENDING = "pending"
    COPYING = "copying"
    ARCHIVED = "archived"
    EXPIRED = "expired"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file as the table knows it; times in ms.

    `title` is what people call it, `owner_id` the JWT user id of whose it is.
    """

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
    title: str = ""
    owner_id: str = ""
    erased_at_ms: int | None = None
    """When the admin had somebody's words and names taken out of it."""
    without_picture: int = 0
    """How often all of a list of pictures came but what is no picture."""


@dataclass(frozen=True, slots=True)
class Files:
    """The `FILE#` items; times are passed in as milliseconds since 1970."""

    table: Table

    def get(self, session_id: str, sort_key: str) -> FileRecord | None:
        """A file as it stands."""
        item = self.table.get(session_id, sort_key)
        return file_of(item) if item else None

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
                "deadline": file.deadline_ms,
                "starts_at": file.starts_at_ms,
                "duration_seconds": None if file.duration_seconds is None else str(file.duration_seconds),
                "title": file.title,
                "owner": file.owner_id,
                "tries": 0,
                "announced_at": now_ms,
            },
        )
        try:
            self.table.put_new(item)
        except ConditionError as error:
            return file_of(error.item)
        return file_of(item)

    def note_announcement(self, session_id: str, file: AnnouncedFile, key: str) -> bool:
        """Note where the message lies that announced a file; False if the file does not need it any more."""
        try:
            self.table.update(
                session_id,
                file_sort_key(file),
                {"announcement": key},
                condition="#status IN (:pending, :copying) OR (#status <> :archived AND deadline < :deadline)",
                values={
                    ":pending": FileStatus.PENDING,
                    ":copying": FileStatus.COPYING,
                    ":archived": FileStatus.ARCHIVED,
                    ":deadline": file.deadline_ms,
                },
            )
        except ConditionError:
            return False
        return True

    def claim(self, session_id: str, file: AnnouncedFile, *, now_ms: int, lease_ms: int) -> FileRecord:
        """Become the only one who copies this file until the lease ends; an archived file is returned as it is.

        Raises:
            InProgressError: another holds the lease.
        """
        known = self.announce(session_id, file, now_ms=now_ms)
        told: dict[str, Json] = {"deadline": file.deadline_ms, **_open_index(session_id, file_sort_key(file), file)}
        # The deadline of a link that lives longer is not overwritten by an older one that comes late.
        is_older = known.deadline_ms > file.deadline_ms and known.status in (FileStatus.PENDING, FileStatus.COPYING)
        try:
            item = self.table.update(
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
            record = file_of(error.item)
            if record.status is FileStatus.ARCHIVED:
                return record
            left_ms = int(error.item["lease_until"]["N"]) - now_ms
            raise InProgressError("another invocation copies this file", pause_seconds=left_ms // 1000 + 1) from None
        return file_of(item)

    def renew(self, session_id: str, record: FileRecord, *, until_ms: int) -> None:
        """Keep the lease of that claim.

        Raises:
            InProgressError: another has claimed the copy meanwhile.
        """
        self._update_ours(session_id, record, {"lease_until": until_ms})

    def note_upload(self, session_id: str, record: FileRecord, checkpoint: Checkpoint | None) -> None:
        """Note the upload that the copy of that claim goes on with, or that there is none.

        Raises:
            InProgressError: another has claimed the copy meanwhile.
        """
        values = {name: None if checkpoint is None else getattr(checkpoint, field) for name, field in _UPLOAD.items()}
        self._update_ours(
            session_id,
            record,
            {name: value for name, value in values.items() if value is not None},
            remove=[name for name, value in values.items() if value is None],
        )

    def note_without_picture(self, session_id: str, record: FileRecord, times: int) -> None:
        """Note how often all of that list came but what is no picture.

        Raises:
            InProgressError: another has claimed the list meanwhile.
        """
        self._update_ours(session_id, record, {"without_picture": times})

    def release(self, session_id: str, record: FileRecord, *, reason: str, mismatched: bool = False) -> None:
        """Give the lease of that claim back after a failed copy; nothing happens if it is another's by now."""
        values: dict[str, Json] = {"status": FileStatus.PENDING, "reason": reason}
        if mismatched:
            values["mismatched"] = True
        with suppress(ConditionError):
            self.table.update(session_id, record.sort_key, values, remove=("lease_until",), **_still_ours(record))

    def add(self, session_id: str, file: AnnouncedFile, stored: StoredObject, *, now_ms: int) -> FileRecord:
        """Note a file that is archived and was not announced before."""
        item = new_item(
            session_id,
            file_sort_key(file),
            {
                "kind": file.kind.name,
                "id": file.id,
                "status": FileStatus.ARCHIVED,
                "deadline": file.deadline_ms,
                "starts_at": file.starts_at_ms,
                "tries": 1,
                "announced_at": now_ms,
                "archived_at": now_ms,
                **_stored(stored),
            },
        )
        with suppress(ConditionError):
            self.table.put_new(item)
        return file_of(item)

    def _update_ours(
        self, session_id: str, record: FileRecord, values: Mapping[str, Json], *, remove: Sequence[str] = ()
    ) -> None:
        try:
            self.table.update(session_id, record.sort_key, values, remove=remove, **_still_ours(record))
        except ConditionError:
            raise InProgressError("another invocation copies this file") from None

    def finish(self, session_id: str, sort_key: str, stored: StoredObject, *, now_ms: int) -> None:
        """The file is archived; its announcement is not needed any more."""
        self.table.update(
            session_id,
            sort_key,
            {"status": FileStatus.ARCHIVED, "archived_at": now_ms, **_stored(stored)},
            remove=("announcement", "lease_until", "reason", "without_picture", "gsi2pk", "gsi2sk", *_UPLOAD),
        )

    def give_up(
        self, session_id: str, sort_key: str, status: FileStatus, *, reason: str, kept: StoredObject | None = None
    ) -> None:
        """The file will never come, or may never be fetched. `kept` is what was kept aside."""
        self.table.update(
            session_id,
            sort_key,
            {
                "status": status,
                "reason": reason,
                "gsi2pk": f"FAILED#{shard_of(session_id)}",
                **(_stored(kept) if kept else {}),
            },
            remove=("announcement", "lease_until", *_UPLOAD),
            condition="#status <> :archived",
            values={":archived": FileStatus.ARCHIVED},
        )


def file_sort_key(file: AnnouncedFile) -> str:
    """`FILE#<kind>#<id>`."""
    return f"FILE#{file.kind.name}#{file.id}"


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


def _open_index(session_id: str, sort_key: str, file: AnnouncedFile) -> dict[str, str]:
    return {"gsi2pk": f"OPEN#{shard_of(session_id)}", "gsi2sk": f"{iso_time(file.deadline_ms)}#{sort_key}"}


def file_item(session_id: str, file: FileRecord) -> Item:
    """The item of a file without its announcement, which may be gone; the message in the queue will keep it again."""
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
            "title": file.title,
            "owner": file.owner_id,
            "archived_at": file.archived_at_ms,
            "erased_at": file.erased_at_ms,
        },
    )


def file_of(item: Item) -> FileRecord:
    """The file that an item is."""
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
        title=values.get("title", ""),
        owner_id=values.get("owner", ""),
        erased_at_ms=whole_number(values.get("erased_at")),
        without_picture=int(values.get("without_picture", 0)),
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
