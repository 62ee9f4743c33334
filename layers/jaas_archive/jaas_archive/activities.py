"""What people did in a meeting beside talking: polls, reactions, roles, documents deleted, time as speaker."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from jaas_archive.events import Event, Json, milliseconds
from jaas_archive.kinds import identified_file
from jaas_archive.people import Guests, Person
from jaas_archive.traces import in_order, object_of, objects_of, text_of


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer of a poll and who gave it."""

    key: str
    name: str
    voters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Poll:
    """A poll and its votes; a voter's last answer counts."""

    id: str
    asked_at_ms: int | None
    question: str
    asked_by: str
    choices: tuple[Choice, ...]
    voters: int


@dataclass(frozen=True, slots=True)
class Reaction:
    """Somebody clapped, laughed, …"""

    at_ms: int
    reaction: str
    name: str
    person: str = ""


@dataclass(frozen=True, slots=True)
class RoleChange:
    """Somebody was given a role."""

    at_ms: int
    role: str
    to: str
    by: str
    person: str = ""


def polls(events: Iterable[Event], guests: Guests) -> tuple[Poll, ...]:
    """The polls by the time of their first event."""
    of_poll: defaultdict[str, list[Event]] = defaultdict(list)
    for event in in_order(events):
        if event.type in ("POLL_CREATED", "POLL_ANSWER"):
            of_poll[text_of(event.fields, "pollId")].append(event)
    return tuple(_poll(poll_id, group, guests) for poll_id, group in of_poll.items())


def _poll(poll_id: str, events: Sequence[Event], guests: Guests) -> Poll:
    asked = next((event for event in events if event.type == "POLL_CREATED"), None)
    names: dict[str, str] = {}
    votes: dict[str, tuple[str, set[str]]] = {}
    for event in sorted(events, key=lambda event: event.type, reverse=True):
        answers = objects_of(event.fields.get("answers"))
        for number, answer in enumerate(answers):
            names.setdefault(_answer_key(answer, number), text_of(answer, "name"))
        if event.type == "POLL_ANSWER":
            user = object_of(event.fields, "user")
            person = guests.find(user_id=text_of(user, "id"), jid=text_of(user, "participantJid"))
            name = text_of(user, "currentName") or text_of(user, "name")
            voter = person.id if person else text_of(user, "participantJid") or name or event.idempotency_key
            chosen = {
                _answer_key(answer, number)
                for number, answer in enumerate(answers)
                if answer.get("value") in (True, "true", 1)
            }
            votes[voter] = (person.name if person and person.name else name, chosen)
    user = object_of(asked.fields, "user") if asked else {}
    author = guests.find(user_id=text_of(user, "id"), jid=text_of(user, "participantJid"))
    return Poll(
        id=poll_id,
        asked_at_ms=asked.timestamp_ms if asked else None,
        question=text_of(asked.fields, "question") if asked else "",
        asked_by=author.name if author and author.name else text_of(user, "currentName") or text_of(user, "name"),
        choices=tuple(
            Choice(key, name, tuple(sorted(voter for voter, chosen in votes.values() if key in chosen)))
            for key, name in names.items()
        ),
        voters=sum(bool(chosen) for _, chosen in votes.values()),
    )


def _answer_key(answer: Mapping[str, Json], number: int) -> str:
    return text_of(answer, "key") or text_of(answer, "name") or str(number)


def reactions(events: Iterable[Event], guests: Guests) -> tuple[Reaction, ...]:
    """The reactions by time.

    JaaS tells them one by one and again gathered; of the two, the fuller account of each person's counts.
    """
    events = in_order(events)
    accounts: list[defaultdict[tuple[str, str], list[Reaction]]] = []
    for told in (_single_reactions(events), _gathered_reactions(events)):
        account: defaultdict[tuple[str, str], list[Reaction]] = defaultdict(list)
        for user_id, jid, reaction in told:
            person = guests.find(user_id=user_id, jid=jid)
            name = (person.name if person else "") or reaction.name
            account[person.id if person else name, reaction.reaction].append(
                Reaction(reaction.at_ms, reaction.reaction, name, person.id if person else "")
            )
        accounts.append(account)
    single, gathered = accounts
    keys = {*single, *gathered}
    fuller = (single[key] if len(single[key]) > len(gathered[key]) else gathered[key] for key in keys)
    return tuple(
        sorted((one for group in fuller for one in group), key=lambda one: (one.at_ms, one.name, one.reaction))
    )


def _single_reactions(events: Sequence[Event]) -> Iterator[tuple[str, str, Reaction]]:
    for event in events:
        if event.type == "REACTIONS":
            fields = event.fields
            who = text_of(fields, "participantId"), text_of(fields, "participantJid")
            told = fields.get("reactions")
            for reaction in told if isinstance(told, list) else []:
                word = reaction if isinstance(reaction, str) else text_of(_as_object(reaction), "reaction")
                if word:
                    yield *who, Reaction(event.timestamp_ms, word, text_of(fields, "participantName"))


def _gathered_reactions(events: Sequence[Event]) -> Iterator[tuple[str, str, Reaction]]:
    seen = set()
    for event in events:
        if event.type == "AGGREGATED_REACTIONS":
            for told in objects_of(event.data):
                at_ms = milliseconds(told.get("timestamp")) or event.timestamp_ms
                reaction = Reaction(at_ms, text_of(told, "reaction"), text_of(told, "participantName"))
                one = text_of(told, "participantId"), "", reaction
                if reaction.reaction and one not in seen:
                    seen.add(one)
                    yield one


def role_changes(events: Iterable[Event], guests: Guests) -> tuple[RoleChange, ...]:
    """The changes of roles by time."""
    changes = []
    for event in in_order(events):
        if event.type == "ROLE_CHANGED":
            to = _named(object_of(event.fields, "grantedTo"), guests)
            by = _named(object_of(event.fields, "grantedBy"), guests)
            role = text_of(event.fields, "role")
            changes.append(
                RoleChange(event.timestamp_ms, role, to.name if to else "", by.name if by else "", to.id if to else "")
            )
    return tuple(changes)


def _named(user: Mapping[str, Json], guests: Guests) -> Person | None:
    return guests.find(user_id=text_of(user, "id"), jid=text_of(user, "participantJid"))


@dataclass(frozen=True, slots=True)
class Deletion:
    """Somebody deleted a document in the meeting; the archive keeps it."""

    at_ms: int
    by: str
    person: str = ""


def deletions(events: Iterable[Event], guests: Guests) -> Mapping[str, Deletion]:
    """When each document was deleted first, by the document's id."""
    found: dict[str, Deletion] = {}
    for event in in_order(events):
        if event.type == "DOCUMENT_DELETED" and (file_id := identified_file("document", event.fields)):
            who = guests.find(user_id=text_of(event.fields, "initiatorId"))
            found.setdefault(file_id, Deletion(event.timestamp_ms, who.name if who else "", who.id if who else ""))
    return found


def talk_seconds(events: Iterable[Event], guests: Guests) -> Mapping[str, float]:
    """Seconds as speaker by person, out of SPEAKER_STATS, which counts up for each connection."""
    of_jid: dict[str, tuple[float, str]] = {}
    for event in in_order(events):
        if event.type == "SPEAKER_STATS":
            for jid, stats in event.fields.items():
                spoken = _as_object(stats).get("time")
                if isinstance(spoken, int | float) and not isinstance(spoken, bool) and spoken >= 0:
                    user_id = text_of(_as_object(stats), "id")
                    of_jid[jid] = max(of_jid.get(jid, (0.0, "")), (spoken / 1000, user_id))
    total: Counter[str] = Counter()
    exact: dict[str, float] = defaultdict(float)
    for jid, (seconds, user_id) in sorted(of_jid.items()):
        if person := guests.find(user_id=user_id, jid=jid):
            exact[person.id] += seconds
            total[person.id] += 1
    return {person: round(seconds, 3) for person, seconds in exact.items()}


def _as_object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}
