"""Somebody in one meeting: what events, files and items call them, what of these is theirs, and what stays of it."""

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from jaas_archive.conversation import Line
from jaas_archive.events import Json
from jaas_archive.people import Connection, Person
from jaas_archive.traces import Trace, bare_jid, node_of, short_id, text_of

ERASED = "[erased]"
"""Stands where a name or a text was."""

_USER_IDS = ("userId", "user_id")
_JIDS = ("participantFullJid", "full_jid", "jid", "participantJid", "bare_jid")
_SHORT_IDS = ("participantId", "participant_id", "endpointId", "id")
_NAMES = ("name", "currentName", "participantName", "displayName", "nick", "speaker")
_BLANKED = frozenset({"email", "avatar", "avatarUrl", "avatarURL"})
_AUTHORS = ("participant", "speaker", "user", "from")
_EVERYBODYS = frozenset({"answers"})
"""Answers of a poll look like people: they have a name."""
# What else an object about somebody holds is theirs: a token's own fields are copied into events.
_KEPT = _EVERYBODYS | {
    *("jid", "bare_jid", "full_jid", "participantJid", "participantFullJid", "endpointId", "conference"),
    *("isBreakout", "breakoutRoomId", "disconnectReason", "moderator", "hidden-from-recorder", "flip", "role"),
    *("timestamp", "time", "startTimestamp", "endTimestamp", "start", "end", "start_time", "end_time"),
    *("reaction", "reactions", "rating", "direction", "callDirection", "pollId", "question", "confidence"),
    *("messageID", "message_id", "messageType", "language", "event", "type", "source", "customerId", "kid"),
    *("sessionId", "appId", "recordingSessionId", "fileId"),
}


class AmbiguousError(Exception):
    """Several people of a meeting have that name; the text lists their user ids."""


@dataclass(frozen=True, slots=True)
class Identity:
    """All that one person is called in one meeting, and by nobody else there.

    Marks are texts such as `user:auth0|ada`, `jid:…`, `node:…`, `short:1a2b3c4d`, `email:…`, `name:ada nwosu`.
    `pseudonym` takes the place of the user id: what belonged together still does, in this meeting only.
    """

    marks: frozenset[str]
    pseudonym: str

    def owns(self, fields: Mapping[str, Json]) -> bool:
        """Whether an object tells of this person: by user id, else by any address, by name only without these."""
        if user_id := next(filter(None, (text_of(fields, name) for name in _USER_IDS)), ""):
            return f"user:{user_id}" in self.marks
        addresses = list(_addresses(fields))
        # Where an event has the JWT user id under the name that others have for the connection's.
        user_ids = (f"user:{text_of(fields, name)}" for name in _SHORT_IDS)
        if self.marks.intersection(addresses) or self.marks.intersection(user_ids):
            return True
        return not addresses and self.names(fields)

    def names(self, fields: Mapping[str, Json]) -> bool:
        """Whether an object has this person's name, which others may have too."""
        return any(f"name:{text_of(fields, name).casefold()}" in self.marks for name in _NAMES)

    def parts(self, value: Json) -> Iterator[dict[str, Json]]:
        """What of some JSON tells of this person, outermost objects only."""
        match value:
            case dict() if self._wrote(value):
                yield value
            case dict():
                for name, element in value.items():
                    if name in _EVERYBODYS:
                        continue
                    if isinstance(element, dict) and self._is_called(name):
                        yield {"jid": name} | element
                    else:
                        yield from self.parts(element)
            case list():
                for element in value:
                    yield from self.parts(element)

    def without(self, document: Json) -> Json:
        """An event or a file without this person's words and names; the shape, times and JIDs stay."""
        if isinstance(document, dict):
            return {name: self.erased(element, name) for name, element in document.items()}
        return self.erased(document)

    def erased(self, value: Json, name: str = "") -> Json:
        """Any part of one."""
        match value:
            case dict() if self._wrote(value):
                return self._emptied(value)
            case dict():
                return {
                    key: self._emptied(element)
                    if isinstance(element, dict) and self._is_called(key)
                    else element
                    if key in _EVERYBODYS
                    else self.erased(element, key)
                    for key, element in value.items()
                }
            case list():
                return [self.erased(element, name) for element in value]
            case str() if name.endswith("Id") and name not in _KEPT and f"user:{value.strip()}" in self.marks:
                return self.pseudonym
        return value

    def _wrote(self, fields: Mapping[str, Json]) -> bool:
        authors = (fields.get(name) for name in _AUTHORS)
        return self.owns(fields) or any(isinstance(author, dict) and self.owns(author) for author in authors)

    def _is_called(self, jid: str) -> bool:
        return "@" in jid and bool(self.marks.intersection(_of_jid(jid)))

    def _emptied(self, value: Json, name: str = "") -> Json:
        match value:
            case dict():
                return {key: self._emptied(element, key) for key, element in value.items()}
            case list() if name not in _KEPT:
                return [self._emptied(element, name) for element in value]
            case str() | int() | float() if not isinstance(value, bool) and value != "":
                return self._emptied_text(value, name)
        return value

    def _emptied_text(self, value: str | float, name: str) -> Json:
        text = str(value).strip()
        if name in _BLANKED:
            return ""
        if f"user:{text}" in self.marks and name not in _KEPT:
            return self.pseudonym
        is_address = name in _SHORT_IDS and short_id(text)
        return value if name in _KEPT or is_address or text == self.pseudonym else ERASED


def find_person(
    person: str, people: Sequence[Person], lines: Iterable[Line], *, by_name: bool = False
) -> Identity | None:
    """Who is meant among a meeting's people and those who only wrote lines; None if nobody is.

    `person` is a JWT user id, an e-mail address or, where `by_name` says so, a name.

    Raises:
        AmbiguousError: several people with different user ids have that name.
    """
    wanted = person.casefold()
    chosen = [one for one in people if wanted in map(str.casefold, one.emails) or one.user_id == person]
    if by_name:
        chosen = chosen or [one for one in people if wanted in map(str.casefold, one.names)]
        user_ids = sorted({one.user_id for one in chosen if one.user_id})
        if len(user_ids) > 1:
            raise AmbiguousError(f"{person} may be any of {', '.join(user_ids)}")
    emails = {wanted} | {email.casefold() for one in chosen for email in one.emails}
    # Who was there once more without a token.
    chosen += [
        one for one in people if one not in chosen and not one.user_id and emails & set(map(str.casefold, one.emails))
    ]
    wrote = [
        line
        for line in lines
        if line.user_id == person or line.email.casefold() in emails or (by_name and line.name.casefold() == wanted)
    ]
    others = [one for one in people if one not in chosen]
    marks = marks_of([*chosen, *wrote]) - marks_of(others)
    return Identity(marks, f"erased-{secrets.token_hex(8)}") if marks else None


def marks_of(ones: Iterable[Person | Connection | Trace | Line]) -> frozenset[str]:
    """Everything that these are called."""
    marks: set[str] = set()
    for one in ones:
        if isinstance(one, Person):
            marks |= marks_of([*one.connections, *one.traces])
            continue
        jids = (one.jid,) if isinstance(one, Line) else (one.jid, one.full_jid, one.participant_id)
        marks |= {mark for jid in jids for mark in _of_jid(jid)}
        marks |= {f"user:{one.user_id}", f"email:{one.email.casefold()}", f"name:{one.name.casefold()}"}
    return frozenset(mark for mark in marks if not mark.endswith((":", ERASED)))


def _addresses(fields: Mapping[str, Json]) -> Iterator[str]:
    for name in (*_JIDS, *_SHORT_IDS):
        yield from _of_jid(text_of(fields, name))
    if email := text_of(fields, "email"):
        yield f"email:{email.casefold()}"


def _of_jid(jid: str) -> Iterator[str]:
    """A JID, full, bare or short, in all forms in which it may be met again."""
    if node := node_of(jid):
        yield from (f"jid:{jid}", f"jid:{bare_jid(jid)}", f"node:{node}")
    if short := short_id(jid):
        yield f"short:{short}"
