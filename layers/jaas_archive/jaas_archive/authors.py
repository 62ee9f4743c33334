"""Who wrote a line: a ladder of ways to tell, the surest first, each result with how it was found.

A wrong name is worse than none: where one rung leads to two people, nobody is named.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from jaas_archive.conversation import Line
from jaas_archive.people import Connection, Person, same_identity
from jaas_archive.traces import Trace, bare_jid, node_of, short_id


class Confidence(StrEnum):
    """How sure a name is."""

    CERTAIN = "certain"
    """JaaS itself told whose connection it is, by its full or bare JID or the JWT user id."""
    STRONG = "strong"
    """The connection's UUID fits, or another event named who has this JID."""
    WEAK = "weak"
    """Only 32 bits of the JID fit; where the file says the same name, that makes it strong."""
    CLAIMED = "claimed"
    """The file says so itself: whatever name somebody chose."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote a line; `matched_by` is a rung's name, `file`, `ambiguous` or `unknown`."""

    matched_by: str
    confidence: Confidence
    name: str = ""
    email: str = ""
    user_id: str = ""


type _Known = Connection | Trace


@dataclass(frozen=True, slots=True)
class _Rung:
    matched_by: str
    confidence: Confidence
    key_of: Callable[[Line], str]
    known: Mapping[str, _Known | None]

    def find(self, line: Line) -> "tuple[bool, _Known | None]":
        """Whether the line's key is known here, and whose it is, if only one person's."""
        key = self.key_of(line)
        return (bool(key) and key in self.known, self.known.get(key) if key else None)


_UNKNOWN = Author("unknown", Confidence.NONE)
_AMBIGUOUS = Author("ambiguous", Confidence.NONE)
_TRACE_SOURCES = ("speaker_stats", "reaction", "poll", "transcription_chunk", "call", "rtc_stats")


@dataclass(frozen=True, slots=True)
class Directory:
    """Finds the author of a line."""

    rungs: Sequence[_Rung]
    people: Mapping[str, Person]

    def author(self, line: Line) -> Author:
        """Who wrote a line."""
        nameless: Author | None = None
        for number, rung in enumerate(self.rungs):
            met, known = rung.find(line)
            if not met:
                continue
            if known is None or (rung.confidence is Confidence.WEAK and self._denied(line, known, number)):
                return _AMBIGUOUS
            author = _agreed(self._author(rung, known), line)
            if author.name:
                return author
            nameless = nameless or author
        if line.name:
            return Author("file", Confidence.CLAIMED, line.name, line.email)
        return nameless or _UNKNOWN

    def _denied(self, line: Line, weakly: _Known, number: int) -> bool:
        """Whether a surer way below says that it was somebody else."""
        others = (rung.find(line)[1] for rung in self.rungs[number + 1 :] if rung.confidence is not Confidence.WEAK)
        return any(other and other.name and not same_identity(weakly, other) for other in others)

    def _author(self, rung: _Rung, known: _Known) -> Author:
        person = self.people.get(known.user_id)
        return Author(
            rung.matched_by,
            rung.confidence,
            known.name or (person.name if person else ""),
            known.email or (person.email if person else ""),
            known.user_id,
        )


def _agreed(author: Author, line: Line) -> Author:
    """Two weak words that agree are a strong one."""
    if author.confidence is Confidence.WEAK and author.name and author.name.casefold() == line.name.casefold():
        return replace(author, confidence=Confidence.STRONG)
    return author


def directory(connections: Iterable[Connection], traces: Iterable[Trace], people: Iterable[Person]) -> Directory:
    """The ladder over what is known (https://developer.8x8.com/jaas/docs/webhooks-payload; docs/attribution.md)."""
    participants = [connection for connection in connections if connection.is_participant]
    told = [trace for trace in traces if trace.source in _TRACE_SOURCES and trace.is_identity]
    by_source = [(source, [trace for trace in told if trace.source == source]) for source in _TRACE_SOURCES]
    rungs = [
        *_rungs("full_jid", Confidence.CERTAIN, lambda line: line.jid, participants, lambda known: known.full_jid),
        *_rungs("user_id", Confidence.CERTAIN, lambda line: line.user_id, participants, lambda known: known.user_id),
        *_rungs("bare_jid", Confidence.CERTAIN, _bare, participants, lambda known: known.jid),
        *_rungs("node", Confidence.STRONG, _node, participants, lambda known: node_of(known.jid)),
        *_rungs("participant_id", Confidence.WEAK, _short, participants, _short_of),
    ]
    strong, weak = Confidence.STRONG, Confidence.WEAK
    for key_of_line, key_of, confidence in (
        (lambda line: line.jid, lambda known: known.full_jid, strong),
        (lambda line: line.user_id, lambda known: known.user_id, strong),
        (_bare, lambda known: known.jid, strong),
        (_node, lambda known: node_of(known.jid), strong),
        (_short, _short_of, weak),
    ):
        for source, group in by_source:
            rungs += _rungs(source, confidence, key_of_line, group, key_of)
    return Directory(rungs, {person.user_id: person for person in people if person.user_id})


def _rungs(
    matched_by: str,
    confidence: Confidence,
    key_of_line: Callable[[Line], str],
    known: Iterable[_Known],
    key_of: Callable[[_Known], str],
) -> list[_Rung]:
    index: defaultdict[str, list[_Known]] = defaultdict(list)
    for one in known:
        if key := key_of(one):
            index[key].append(one)
    if not index:
        return []
    return [_Rung(matched_by, confidence, key_of_line, {key: _only(group) for key, group in index.items()})]


def _only(group: Sequence[_Known]) -> _Known | None:
    """The one person that all of these are; None for several. The first that has a name speaks for them."""
    named = [one for one in group if one.name] or group
    told = [one for one in group if one.name or one.user_id]
    return named[0] if all(same_identity(told[0], other) for other in told[1:]) else None


def _bare(line: Line) -> str:
    return bare_jid(line.jid)


def _node(line: Line) -> str:
    return node_of(line.jid)


def _short(line: Line) -> str:
    return short_id(line.jid)


def _short_of(known: _Known) -> str:
    return short_id(known.participant_id) or short_id(known.jid)
