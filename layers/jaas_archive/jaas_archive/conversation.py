"""What was written and said: chat and transcript files and live chunks, read tolerantly.

Whatever is a line becomes one, and the rest is left alone.
"""

import math
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from jaas_archive.events import Event, Json, milliseconds, read_json
from jaas_archive.traces import in_order, object_of, text_of

CHAT, SPEECH = "chat", "speech"
_LISTS = ("messages", "events", "transcript", "transcription", "segments", "chunks", "lines")
_TEXTS = ("content", "text", "message", "final")
_TIMES = ("timestamp", "time", "startTimestamp", "start_time", "start")
_SPAN_SLACK_MS = 10_000
_SAME_WORDS_WITHIN_MS = 60_000


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """A chat message or a spoken line; `source` is `chat` or `speech`, the name and e-mail are the file's own.

    `superseded_by` says what a live chunk had to give way to; such a line is kept and counts no more. Where the file
    tells no time, `timestamp_ms` only keeps the line in its place.
    """

    timestamp_ms: int
    source: str
    jid: str
    content: str
    name: str = ""
    email: str = ""
    user_id: str = ""
    superseded_by: str = ""
    time_known: bool = True


def read_lines(content: bytes, source: str, *, otherwise_ms: int = 0) -> tuple[Line, ...]:
    """The lines of a chat or transcript file, in its order; none if it is of no known shape.

    A line without a time is a line all the same: it stays behind the one before it, the first at the file's own time or
    else at `otherwise_ms`.

    Known are 8x8's chat file, transcripts of the same shape, jigasi's (`events` of type `SPEECH`), such entries as a
    bare list, and one JSON object a line.
    """
    document = _document(content)
    if isinstance(document, list):
        document = {"messages": document}
    if not isinstance(document, dict):
        return ()
    entries = [entry for name in _LISTS for entry in _list(document.get(name))]
    at_ms = milliseconds(document.get("timestamp")) or milliseconds(document.get("start_time")) or otherwise_ms
    lines: list[Line] = []
    for entry in entries:
        if line := _line(entry, source, lines[-1].timestamp_ms if lines else at_ms):
            lines.append(line)
    return tuple(lines)


def merged(files: Iterable[Iterable[Line]]) -> tuple[Line, ...]:
    """The lines of several files by time; a line that several files hold counts once, twice in one counts twice.

    Lines of one millisecond stay in the order of their file: nothing else tells which was first.
    """
    found: list[Line] = []
    known: set[tuple[Line, int]] = set()
    for lines in sorted(map(tuple, files), key=lambda lines: (-len(lines), lines)):
        times: Counter[Line] = Counter()
        for line in lines:
            times[line] += 1
            if (line, times[line]) not in known:
                known.add((line, times[line]))
                found.append(line)
    return tuple(sorted(found, key=_by_time))


def _by_time(line: Line) -> tuple[int, str]:
    return line.timestamp_ms, line.source


def live_lines(events: Iterable[Event]) -> tuple[Line, ...]:
    """What TRANSCRIPTION_CHUNK_RECEIVED told while it was said; of one message's versions the last counts."""
    versions: defaultdict[str, list[Line]] = defaultdict(list)
    for event in in_order(events):
        content = event.fields.get("final")
        if event.type != "TRANSCRIPTION_CHUNK_RECEIVED" or not isinstance(content, str) or not content.strip():
            continue
        speaker = object_of(event.fields, "participant")
        line = Line(
            timestamp_ms=event.timestamp_ms,
            source=SPEECH,
            jid=text_of(speaker, "id"),
            content=content.strip(),
            name=text_of(speaker, "name"),
            email=text_of(speaker, "email"),
            user_id=text_of(speaker, "userId"),
        )
        versions[text_of(event.fields, "messageID") or event.idempotency_key].append(line)
    lines = []
    for group in versions.values():
        lines += [replace(line, superseded_by="a later version") for line in group[:-1]]
        lines.append(group[-1])
    return tuple(sorted(lines, key=_by_time))


def filled_in(from_files: Sequence[Sequence[Line]], live: Sequence[Line]) -> tuple[Line, ...]:
    """The lines of the files, and live chunks for where no transcript speaks.

    A transcript speaks from its first line to its last, a little before and after included, and without any time for
    the whole meeting; a chunk outside of that with words that a file has at about the same time is the same line too.
    """
    spans = [span for lines in from_files if (span := _span([line for line in lines if line.source == SPEECH]))]
    spoken: defaultdict[str, list[int]] = defaultdict(list)
    for line in sorted(line for lines in from_files for line in lines if line.source == SPEECH):
        spoken[_words(line.content)].append(line.timestamp_ms)

    def marked(line: Line) -> Line:
        at_ms = line.timestamp_ms
        covered = any(first <= at_ms <= last for first, last in spans)
        if line.superseded_by or not (covered or _is_near(at_ms, spoken.get(_words(line.content), []))):
            return line
        return replace(line, superseded_by="transcript")

    return tuple(sorted([*merged(from_files), *map(marked, live)], key=_by_time))


def _span(spoken: Sequence[Line]) -> tuple[float, float] | None:
    """From when to when a transcript speaks."""
    times = [line.timestamp_ms for line in spoken if line.time_known]
    if times:
        return min(times) - _SPAN_SLACK_MS, max(times) + _SPAN_SLACK_MS
    return (-math.inf, math.inf) if spoken else None


def _is_near(at_ms: int, times: Sequence[int]) -> bool:
    position = bisect_left(times, at_ms - _SAME_WORDS_WITHIN_MS)
    return position < len(times) and times[position] <= at_ms + _SAME_WORDS_WITHIN_MS


def _words(content: str) -> str:
    return " ".join(re.findall(r"\w+", content.casefold()))


def numbered(lines: Iterable[Line]) -> Iterator[tuple[Line, int]]:
    """Each line, in order, with its number among those of the same millisecond."""
    previous, number = None, 0
    for line in lines:
        number = number + 1 if line.timestamp_ms == previous else 0
        previous = line.timestamp_ms
        yield line, number


def _document(content: bytes) -> Json:
    try:
        return read_json(content)
    except ValueError:
        pass
    # One JSON object a line, where every line is one.
    try:
        return [read_json(line) for line in content.splitlines() if line.strip()]
    except ValueError:
        return None


def _line(entry: Json, source: str, otherwise_ms: int) -> Line | None:
    if not isinstance(entry, dict):
        return None
    content = next((text for name in _TEXTS if isinstance(text := entry.get(name), str)), "")
    content = content or _best_alternative(entry.get("transcript"))
    if not content.strip():
        return None
    participant = next(
        (who for name in ("participant", "speaker", "user", "from") if isinstance(who := entry.get(name), dict)), entry
    )
    at_ms = next((ms for name in _TIMES if (ms := milliseconds(entry.get(name)))), None)
    names = (participant.get("jid"), participant.get("participantJid"), participant.get("bare_jid"))
    short = participant.get("id") if participant is not entry else participant.get("participantId")
    speaker = entry.get("speaker")
    return Line(
        timestamp_ms=otherwise_ms if at_ms is None else at_ms,
        source=source,
        jid=next((jid for jid in (*names, short) if isinstance(jid, str) and jid.strip()), "").strip(),
        content=content,
        name=text_of(participant, "name") or (speaker.strip() if isinstance(speaker, str) else ""),
        email=text_of(participant, "email"),
        user_id=text_of(participant, "userId"),
        time_known=at_ms is not None,
    )


def _best_alternative(transcript: Json) -> str:
    """What was understood with the most confidence: jigasi lists alternatives of the same words."""
    if isinstance(transcript, str):
        return transcript
    alternatives = [part for part in _list(transcript) if isinstance(part, dict) and isinstance(part.get("text"), str)]
    best = max(alternatives, key=lambda part: _number(part.get("confidence")), default={"text": ""})
    text: str = best["text"]
    return text


def _number(value: Json) -> float:
    return value if isinstance(value, int | float) else 0.0


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
