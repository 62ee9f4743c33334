"""Chat and transcript files, read tolerantly: whatever is a line becomes one, and the rest is left alone."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from jaas_archive.events import Json, milliseconds, read_json


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """A chat message or a spoken line; `source` is `chat` or `speech`, the name and e-mail are the file's own."""

    timestamp_ms: int
    source: str
    jid: str
    content: str
    name: str = ""
    email: str = ""


def read_lines(content: bytes, source: str) -> tuple[Line, ...]:
    """The lines of a chat or transcript file; none if it is of no known shape.

    Known are 8x8's chat file, transcripts of the same shape, and jigasi's (`events` of type `SPEECH`).
    """
    try:
        document = read_json(content)
    except ValueError:
        return ()
    if not isinstance(document, dict):
        return ()
    entries = [*_list(document.get("messages")), *_list(document.get("events"))]
    # A line without a time is a line all the same.
    written_at_ms = milliseconds(document.get("timestamp")) or 0
    return tuple(line for entry in entries if (line := _line(entry, source, written_at_ms)))


def merged(files: Iterable[Iterable[Line]]) -> tuple[Line, ...]:
    """The lines of several files in order; a line that several files hold counts once, twice in one counts twice."""
    most: Counter[Line] = Counter()
    for lines in files:
        most |= Counter(lines)
    return tuple(sorted(most.elements()))


def numbered(lines: Iterable[Line]) -> Iterator[tuple[Line, int]]:
    """Each line, in order, with its number among those of the same millisecond."""
    previous, number = None, 0
    for line in lines:
        number = number + 1 if line.timestamp_ms == previous else 0
        previous = line.timestamp_ms
        yield line, number


def _line(entry: Json, source: str, written_at_ms: int) -> Line | None:
    if not isinstance(entry, dict):
        return None
    content = entry.get("content")
    if not isinstance(content, str):
        content = " ".join(chain.from_iterable(_texts(part) for part in _list(entry.get("transcript"))))
    if not content:
        return None
    participant = entry.get("participant")
    person = participant if isinstance(participant, dict) else entry
    return Line(
        timestamp_ms=milliseconds(entry.get("timestamp")) or written_at_ms,
        source=source,
        jid=_text(person.get("jid") or person.get("bare_jid") or person.get("id")),
        content=content,
        name=_text(person.get("name")),
        email=_text(person.get("email")),
    )


def _texts(part: Json) -> Iterator[str]:
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        yield part["text"]


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""
