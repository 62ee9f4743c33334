"""Who was in a meeting: connections by JID, the people behind them, and what says so; pure functions over events.

JaaS tells of comings and goings only where there is a JWT. Others leave traces: a vote, a reaction, a phone call, their
time as speaker. A trace can name somebody, but never decides who was there when.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby
from operator import itemgetter

from jaas_archive.events import Event
from jaas_archive.traces import (
    JOINED,
    LEFT,
    LOBBY_JOINED,
    LOBBY_LEFT,
    Trace,
    bare_jid,
    call_kind,
    in_order,
    node_of,
    short_id,
    text_of,
    traces_of,
)

MAIN_ROOM = ""


@dataclass(frozen=True, slots=True)
class Stay:
    """From when to when somebody was in a room; None where no event told. `room` is blank for the main one."""

    room: str
    joined_at_ms: int | None
    left_at_ms: int | None = None
    left_because: str = ""


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection to the meeting under one JID; `kind` is `participant`, `phone` or `sip`.

    `key` names it in the table; it is blank for a connection of which no event tells the JID. `is_participant` says
    that JaaS told of it as a participant; it does of some callers too.
    """

    key: str
    jid: str
    kind: str = "participant"
    full_jid: str = ""
    participant_id: str = ""
    name: str = ""
    email: str = ""
    user_id: str = ""
    moderator: bool = False
    is_participant: bool = True
    stays: tuple[Stay, ...] = ()
    lobby: tuple[Stay, ...] = ()

    @property
    def joined_at_ms(self) -> int | None:
        """When it was first there."""
        return min((stay.joined_at_ms for stay in self.stays if stay.joined_at_ms is not None), default=None)

    @property
    def left_at_ms(self) -> int | None:
        """When it was last there; None while it is."""
        return self.stays[-1].left_at_ms if self.stays else None

    @property
    def left_because(self) -> str:
        """Why it went."""
        return self.stays[-1].left_because if self.stays else ""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody: all connections with one JWT user id, or one connection or trace without any.

    `seen_in` are the kinds of events that tell of them.
    """

    id: str
    name: str
    email: str
    user_id: str
    kind: str
    names: tuple[str, ...]
    emails: tuple[str, ...]
    connections: tuple[Connection, ...]
    traces: tuple[Trace, ...]

    @property
    def seen_in(self) -> tuple[str, ...]:
        return tuple(sorted({trace.source for trace in self.traces}))


def connections(events: Iterable[Event]) -> tuple[Connection, ...]:
    """The connections that JaaS tells of, phone and SIP calls included, whatever the order of the events."""
    told: defaultdict[str, list[tuple[Event, Trace]]] = defaultdict(list)
    for event in in_order(events):
        if event.type in (JOINED, LEFT, LOBBY_JOINED, LOBBY_LEFT) or call_kind(event.type):
            for trace in traces_of(event):
                told[trace.jid or f"?{trace.participant_id or trace.user_id or event.idempotency_key}"].append(
                    (event, trace)
                )
    found = []
    for jid in sorted(told):
        for number, (full_jid, group) in enumerate(_by_full_jid(told[jid])):
            # The bare JID is the key of the first, so that the set of keys only grows with what is learned.
            key = "" if jid.startswith("?") else full_jid if number else jid
            found.append(_connection(key, "" if jid.startswith("?") else jid, full_jid, group))
    return tuple(found)


def _by_full_jid(told: Sequence[tuple[Event, Trace]]) -> list[tuple[str, list[tuple[Event, Trace]]]]:
    """The events of one bare JID by full JID; those without one go where they can only belong."""
    full_jids = sorted({trace.full_jid for _, trace in told if trace.full_jid})
    if len(full_jids) <= 1:
        return [(full_jids[0] if full_jids else "", list(told))]
    groups: dict[str, list[tuple[Event, Trace]]] = {full_jid: [] for full_jid in ("", *full_jids)}
    for event, trace in told:
        candidates = [trace.full_jid] if trace.full_jid else _same_person(trace, told)
        groups[candidates[0] if len(candidates) == 1 else ""].append((event, trace))
    return [(full_jid, group) for full_jid, group in groups.items() if group]


def _same_person(trace: Trace, told: Sequence[tuple[Event, Trace]]) -> list[str]:
    return sorted({other.full_jid for _, other in told if other.full_jid and same_identity(trace, other)})


def same_identity(one: "Trace | Connection", other: "Trace | Connection") -> bool:
    """Whether two may be one person: the JWT user id decides, without it the name and the e-mail."""
    if one.user_id and other.user_id:
        return one.user_id == other.user_id
    same_email = not one.email or not other.email or one.email.casefold() == other.email.casefold()
    return bool(one.name) and one.name.casefold() == other.name.casefold() and same_email


def _connection(key: str, jid: str, full_jid: str, group: Sequence[tuple[Event, Trace]]) -> Connection:
    # The first word on who it is counts; a caller's number gives way to a participant's name.
    words = sorted(group, key=lambda pair: bool(call_kind(pair[0].type)))
    told = [trace for _, trace in words]
    events = [event for event, _ in group]
    kinds = [kind for event in events if (kind := call_kind(event.type))]
    return Connection(
        key=key,
        jid=jid,
        kind=kinds[0] if kinds else "participant",
        full_jid=full_jid,
        participant_id=_first(trace.participant_id for trace in told),
        name=_first(trace.name for trace in told),
        email=_first(trace.email for trace in told),
        user_id=_first(trace.user_id for trace in told),
        moderator=any(event.fields.get("moderator") in (True, "true") for event in events if event.type == JOINED),
        is_participant=len(kinds) < len(events),
        stays=_stays(
            [event for event in events if event.type == JOINED or event.type.endswith("_STARTED")],
            [event for event in events if event.type == LEFT or event.type.endswith("_ENDED")],
        ),
        lobby=_stays(
            [event for event in events if event.type == LOBBY_JOINED],
            [event for event in events if event.type == LOBBY_LEFT],
        ),
    )


def _stays(comings: Sequence[Event], goings: Sequence[Event]) -> tuple[Stay, ...]:
    by_room: defaultdict[str, list[tuple[int, bool, str]]] = defaultdict(list)
    for event, coming in chain(((event, True) for event in comings), ((event, False) for event in goings)):
        room = (
            text_of(event.fields, "breakoutRoomId") if event.fields.get("isBreakout") in (True, "true") else MAIN_ROOM
        )
        because = "" if coming else text_of(event.fields, "disconnectReason")
        by_room[room].append((event.timestamp_ms, coming, because))
    stays: list[Stay] = []
    for room, told in by_room.items():
        since: int | None = None
        for _, moment in groupby(sorted(set(told)), key=itemgetter(0)):
            # At one moment, who is there goes and comes again, and who is not comes and goes.
            for at_ms, coming, because in sorted(moment, reverse=since is None):
                if coming:
                    since = at_ms if since is None else since
                elif since is not None or not stays or stays[-1].room != room:
                    stays.append(Stay(room, since, at_ms, because))
                    since = None
                else:
                    # Two events tell of one departure: the later one counts.
                    stays[-1] = replace(stays[-1], left_at_ms=at_ms, left_because=because)
        if since is not None:
            stays.append(Stay(room, since))
    return tuple(sorted(stays, key=lambda stay: (_first_time(stay), stay.room)))


def _first_time(stay: Stay) -> int:
    return stay.joined_at_ms if stay.joined_at_ms is not None else stay.left_at_ms or 0


@dataclass(frozen=True, slots=True)
class Guests:
    """The people of a meeting, and how an address leads to one of them."""

    people: tuple[Person, ...]
    _by_address: Mapping[str, Person | None]

    def find(self, *, user_id: str = "", jid: str = "") -> Person | None:
        """The person with that user id or else that JID, full, bare or short; None for nobody or several."""
        addresses = [f"user:{user_id}"] if user_id else []
        if jid:
            addresses += [f"full:{jid}", f"bare:{bare_jid(jid)}", f"node:{node_of(jid)}", f"short:{short_id(jid)}"]
        for address in addresses:
            if address in self._by_address:
                return self._by_address[address]
        return None


def guests(known: Sequence[Connection], told: Sequence[Trace]) -> Guests:
    """The people behind these connections and traces."""
    members: defaultdict[str, list[Connection]] = defaultdict(list)
    for connection in known:
        members[_person_key(connection)].append(connection)
    followed: defaultdict[str, list[Trace]] = defaultdict(list)
    addresses = _Addresses()
    for key, group in members.items():
        for connection in group:
            addresses.add(connection, key)
    for trace in told:
        # A trace that fits nobody is a person too: a guest without a JWT who voted.
        key = addresses.find(trace) or _person_key(trace)
        if key:
            followed[key].append(trace)
            addresses.add(trace, key)
    keys = {*members, *followed}
    ordered = sorted(keys, key=lambda key: (_first_seen(members[key], followed[key]), key))
    by_key = {key: _person(f"p{number}", members[key], followed[key]) for number, key in enumerate(ordered, start=1)}
    return Guests(
        tuple(by_key.values()),
        {address: by_key[key] if key else None for address, key in addresses.keys.items()},
    )


class _Addresses:
    """Which address is whose; None for one that leads to several people."""

    def __init__(self) -> None:
        self.keys: dict[str, str | None] = {}

    def add(self, one: Connection | Trace, key: str) -> None:
        for address in _addresses(one):
            self.keys[address] = key if self.keys.get(address, key) == key else None

    def find(self, one: Connection | Trace) -> str | None:
        """The key that the surest known address leads to; None for nobody, several, or another user."""
        for address in _addresses(one):
            if address in self.keys:
                key = self.keys[address]
                other_user = one.user_id and key and key.startswith("user:") and key != f"user:{one.user_id}"
                return None if other_user else key
        return None


def _addresses(one: Connection | Trace) -> Iterator[str]:
    """The addresses of a connection, the surest first."""
    if one.user_id:
        yield f"user:{one.user_id}"
    if one.full_jid:
        yield f"full:{one.full_jid}"
    if one.jid:
        yield f"bare:{one.jid}"
        if node := node_of(one.jid):
            yield f"node:{node}"
    if short := short_id(one.participant_id) or short_id(one.jid):
        yield f"short:{short}"


def _person_key(one: Connection | Trace) -> str:
    if one.user_id:
        return f"user:{one.user_id}"
    if isinstance(one, Connection):
        return f"connection:{one.key or one.participant_id or one.name}"
    address = one.full_jid or one.jid or one.participant_id
    return f"trace:{address}" if address and one.is_identity else ""


def _first_seen(known: Sequence[Connection], told: Sequence[Trace]) -> int:
    times = [_first_time(stay) for connection in known for stay in (*connection.stays, *connection.lobby)]
    return min(times or [trace.at_ms for trace in told], default=0)


def _person(person_id: str, known: Sequence[Connection], told: Sequence[Trace]) -> Person:
    words: list[Connection | Trace] = [
        *sorted(known, key=lambda connection: (_first_seen([connection], []), connection.key)),
        *told,
    ]
    return Person(
        id=person_id,
        name=_first(word.name for word in words),
        email=_first(word.email for word in words),
        user_id=_first(word.user_id for word in words),
        kind=next((connection.kind for connection in known), "trace"),
        names=_distinct(word.name for word in words),
        emails=_distinct(word.email for word in words),
        connections=tuple(sorted(known, key=lambda connection: (_first_seen([connection], []), connection.key))),
        traces=tuple(told),
    )


def _first(texts: Iterable[str]) -> str:
    return next((text for text in texts if text), "")


def _distinct(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))
