"""Sessions in the table: where each meeting's files go, and who makes its record."""

from collections.abc import Mapping
from dataclasses import dataclass

from jaas_archive.errors import InProgressError
from jaas_archive.events import Event, milliseconds
from jaas_archive.items import Item, new_item, plain_values, shard_of, typed
from jaas_archive.names import iso_time, session_folders
from jaas_archive.table import ConditionError, Table

AUDIT_AFTER_MS = 3_600_000
_LONGEST_WAIT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Session:
    """A meeting. `version` counts what was learned of it, `projected_version` what was made into its record.

    `notified_digest` is that of the last message "meeting archived".
    """

    id: str
    room: str
    fqn: str
    app_id: str
    folder: str
    started_at_ms: int
    version: int
    messages_digest: str
    notified_digest: str = ""


@dataclass(frozen=True, slots=True)
class Sessions:
    """The `SESSION` items; times are passed in as milliseconds since 1970."""

    table: Table

    def ensure(self, event: Event) -> Session:
        """The event's session; the first event ever decides its folder and start, for good."""
        if session := self.get(event.session_id):
            return session
        started_at_ms = _start_of(event)
        first = {
            "session_id": event.session_id,
            "room": event.room,
            "fqn": event.fqn,
            "app_id": event.app_id,
            "folder": self._take_folder(event, started_at_ms),
            "started_at": started_at_ms,
            "gsi1pk": f"ROOM#{event.room}",
            "gsi1sk": iso_time(started_at_ms),
        }
        return session_of(self.table.ensure(event.session_id, "SESSION", first))

    def _take_folder(self, event: Event, started_at_ms: int) -> str:
        """A folder that is this session's alone, also where another of the room began in the same second."""
        usual, own = session_folders(event.room, event.session_id, started_at_ms)
        try:
            self.table.put_new(folder_item(usual, event.session_id))
        except ConditionError as error:
            if error.item["session_id"] != typed(event.session_id):
                return own
        return usual

    def get(self, session_id: str) -> Session | None:
        """The session as it stands."""
        item = self.table.get(session_id, "SESSION")
        return session_of(item) if item else None

    def with_record(self, session_id: str) -> Session | None:
        """The session, if its record holds all that is known of it."""
        item = self.table.get(session_id, "SESSION")
        values = plain_values(item) if item else {}
        return session_of(item) if item and values.get("projected_version", -1) >= values.get("version", 0) else None

    def ask_for_projection(self, session_id: str) -> None:
        """Let the next message of the session make its record anew, though nothing is news.

        Raises:
            ConditionError: there is no such session.
        """
        self.table.update(session_id, "SESSION", {}, add={"version": 1})

    def claim_projection(self, session_id: str, *, now_ms: int, lease_ms: int) -> Session | None:
        """Become the only one who makes the session's record; None if it is up to date.

        Raises:
            InProgressError: another is at it.
        """
        try:
            return session_of(
                self.table.update(
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

    def renew_projection(self, session_id: str, held_until_ms: int, until_ms: int) -> None:
        """Keep the lease that was held until then.

        Raises:
            InProgressError: it ended, and another has it.
        """
        try:
            self.table.update(
                session_id,
                "SESSION",
                {"projection_lease_until": until_ms},
                condition="projection_lease_until = :held",
                values={":held": held_until_ms},
            )
        except ConditionError:
            raise InProgressError("another makes the record") from None

    def finish_projection(self, session: Session, summary: Mapping[str, str | int], *, now_ms: int) -> bool:
        """Release the lease and store the summary; False, with the lease kept, if there is news meanwhile.

        The auditor looks at the session when nothing more was heard of it for an hour.
        """
        try:
            self.table.update(
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
        self.table.update(session_id, "SESSION", {}, remove=("projection_lease_until",))


def _start_of(event: Event) -> int:
    """When the meeting began, as far as one event can tell: a recording's start lies before its upload."""
    earlier = milliseconds(event.fields.get("startTimestamp"))
    day_ms = 86_400_000
    return earlier if earlier and 0 <= event.timestamp_ms - earlier <= day_ms else event.timestamp_ms


def folder_item(folder: str, session_id: str) -> Item:
    """Says whose a folder is."""
    return folder_key(folder) | {"session_id": typed(session_id)}


def folder_key(folder: str) -> Item:
    """The primary key of that."""
    return {"pk": typed(f"FOLDER#{folder}"), "sk": typed("FOLDER")}


def session_of(item: Item) -> Session:
    """The session that an item is."""
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
        notified_digest=values.get("notified_digest", ""),
    )


def session_item(session: Session) -> Item:
    """The item of a session whose record is still to be made."""
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
