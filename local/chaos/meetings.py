"""What happened in an invented meeting: the events that JaaS sends of it, and what an archive must hold afterwards.

This is the model that the archive is compared with. It shares no code with the archive: what is expected follows from
what happened in the invented meeting, from README.md, and from docs/meeting-json.md.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from local.jaas.meeting import as_json

SECOND_MS = 1000
HOUR_MS = 3600 * SECOND_MS
RECORDING_SECONDS = 60


class Telling(Enum):
    """How JaaS tells who is behind a JID."""

    FULL = "PARTICIPANT_JOINED with participantFullJid"
    BARE = "PARTICIPANT_JOINED without it"
    VOTE = "no JWT, but a vote in a poll names them"
    NOTHING = "no JWT"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody; without a JWT they have neither e-mail nor user id."""

    name: str
    email: str
    user_id: str
    telling: Telling

    @property
    def has_token(self) -> bool:
        return self.telling in (Telling.FULL, Telling.BARE)


@dataclass(frozen=True, slots=True)
class Stay:
    """From when to when somebody was under one JID in one room; `breakout` is blank for the main one."""

    person: Person
    full_jid: str
    breakout: str
    from_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class Line:
    """What the archive must tell of one chat message or spoken line; a name that nobody can know is blank."""

    timestamp_ms: int
    source: str
    content: str
    name: str
    email: str = ""
    user_id: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """How JaaS tells of the files of one kind, and for how long it keeps them."""

    name: str
    event_type: str
    link_field: str = "preAuthenticatedLink"
    hours: int = 24


RECORDING = Kind("recording", "RECORDING_UPLOADED")
SEGMENT = Kind("segment", "VIDEO_SEGMENT_UPLOADED")
CHAT = Kind("chat", "CHAT_UPLOADED")
TRANSCRIPT = Kind("transcript", "TRANSCRIPTION_UPLOADED")
DOCUMENT = Kind("document", "DOCUMENT_ADDED")
RTC_STATS = Kind("rtcstats", "RTCSTATS_UPLOADED", "statsUrl", hours=48)
OTHER = Kind("other", "CERTIFIED_REC_UPLOADED", "certifiedRecording")
SCREENSHOT = Kind("screenshot", "")
"""No event tells of it, but a list."""
SCREENSHOTS = Kind("screenshots", "SCREEN_SHARING_HISTORY")
"""Such a list."""
KINDS = (RECORDING, SEGMENT, CHAT, TRANSCRIPT, DOCUMENT, RTC_STATS, OTHER, SCREENSHOT, SCREENSHOTS)


@dataclass(frozen=True, slots=True)
class Deletion:
    """When a document was deleted in the meeting, and who did it; blank if nobody can know."""

    at_ms: int
    by: str


@dataclass(frozen=True, slots=True)
class File:
    """A file that JaaS keeps for a while; `name` is a pattern of its name in the session's folder.

    `expires_at_ms` is when its link dies, if JaaS tells that. `title` is what people call it, and `by` whose it is.
    """

    kind: Kind
    object_name: str
    content: bytes = field(repr=False)
    name: str
    told_at_ms: int
    expires_at_ms: int = 0
    starts_at_ms: int = 0
    title: str = ""
    by: str = ""
    deletion: Deletion | None = None

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def deadline_ms(self) -> int:
        return self.expires_at_ms or self.told_at_ms + self.kind.hours * HOUR_MS


@dataclass(frozen=True, slots=True)
class PictureList:
    """A list of screenshots, which gives each a new link whenever it is asked.

    `forms` are the fields of the event that have a link to it, and how many pictures are on a page there. `name` and
    `name_of_more` are patterns of the names of its first page, and of those after it, in the session's folder;
    `name_of_part` of those that a try got before the list was whole.
    """

    object_name: str
    name: str
    name_of_more: str
    name_of_part: str
    deadline_ms: int
    pictures: tuple[File, ...]
    forms: Mapping[str, int]
    lifetime_seconds: int

    def form_name(self, link_field: str) -> str:
        """The object's name behind that link."""
        return f"{self.object_name}/{link_field}"


@dataclass(frozen=True, slots=True)
class Event:
    """One webhook event; `document` lacks the links, of which `links` has the objects' names by field."""

    document: dict[str, Any]
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        key: str = self.document["idempotencyKey"]
        return key

    def body(self, urls: Mapping[str, str]) -> bytes:
        """What is posted; `urls` are the links by object name."""
        links = {name: urls[object_name] for name, object_name in self.links.items()}
        return as_json(self.document | {"data": self.document["data"] | links})


@dataclass(frozen=True, slots=True)
class Meeting:
    """A meeting and what remains of it: `jids` are the connections that JaaS told of, by bare JID, with their names.

    Events tell of the `announced` files, and of the lists that tell of screenshots.
    """

    session_id: str
    room: str
    events: tuple[Event, ...]
    announced: tuple[File, ...]
    lists: tuple[PictureList, ...]
    lines: tuple[Line, ...]
    jids: dict[str, str]

    @property
    def files(self) -> tuple[File, ...]:
        """All that must be archived, beside the lists themselves; two lists may tell of one picture."""
        pictures = {picture.object_name: picture for one in self.lists for picture in one.pictures}
        return (*self.announced, *pictures.values())

    @property
    def captioned(self) -> list[File]:
        """Recordings in which somebody speaks."""
        spoken = [line.timestamp_ms for line in self.lines if line.source == "speech"]
        return [
            file
            for file in self.announced
            if file.kind is RECORDING
            and any(file.starts_at_ms <= at < file.starts_at_ms + RECORDING_SECONDS * SECOND_MS for at in spoken)
        ]


def sorted_lines(lines: Sequence[Line]) -> list[Line]:
    """By time, and then by all the rest."""
    return sorted(lines, key=lambda line: (line.timestamp_ms, line.source, line.content, line.name, line.user_id))


def compact(ms: int) -> str:
    """A time as names in the archive have it."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(ms // SECOND_MS))
