"""The page of a meeting for people: `meeting.json` as one file that needs nothing else and lets nothing out.

What people wrote or called themselves can be anything. The template escapes it, and the page's own policy runs exactly
one script and one style sheet, both known by their hash, and connects to nowhere.
"""

import base64
import hashlib
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import batched
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from jaas_archive.events import Json, milliseconds
from jaas_archive.formats import is_image
from jaas_archive.kinds import SCREENSHOT

_TEMPLATES = Path(__file__).parent / "templates"
_ROWS_IN_CHUNK = 200
"""Browsers skip the layout of a whole chunk that is out of sight."""
_SAME_BREATH_MS = 180_000
_LONG_CHARACTERS = 1_500
_HUES = 12
_TICKS = 5
_MINUTE_SECONDS, _HOUR_SECONDS = 60, 3600
_EMOJI = {
    "like": "👍",
    "clap": "👏",
    "laugh": "😂",
    "surprised": "😮",
    "boo": "👎",
    "silence": "🦗",
    "love": "❤️",
    "heart": "❤️",
}
_VERDICTS = {
    "archived": "Archived and verified",
    "pending": "Waiting to be copied",
    "copying": "Being copied",
    "expired": "Lost: the link died before the file could be copied",
    "refused": "Refused",
}
_BECAUSE = {
    "switch_room": ", changed rooms",
    "kicked": ", was removed",
    "unrecoverable_error": ", lost the connection",
}
_DOUBTS = {
    "weak": ("?", "matched by a part of the address only"),
    "claimed": ("self-named", "the name is what the file says, nothing proves it"),
}
_WHY_NOBODY = {
    "ambiguous": "the address fits several people, so nobody is named",
    "unknown": "nothing tells whose address this is",
}


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording that lies beside the page."""

    number: int
    name: str
    href: str
    label: str
    from_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the conversation; `jump` says where in which recording it was, as `number:seconds`."""

    number: int
    source: str
    name: str
    initials: str
    hue: int
    voice: int
    time: str
    at: str
    jump: str
    part: int
    content: str
    long: bool
    follows: bool
    doubt: str
    reason: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch on a line of time, in percent."""

    kind: str
    left: str
    width: str
    label: str


def render_page(document: Mapping[str, Json]) -> str:
    """Render `meeting.json`."""
    return "".join(_template().generate(view(document)))


def view(document: Mapping[str, Json]) -> dict[str, Any]:
    """What the template shows."""
    recordings = _recordings(document)
    from_ms = _ms(document["started_at"])
    until_ms = from_ms + round(document["duration_seconds"] * 1000)
    names: Counter[str] = Counter()
    rows = list(_rows(document["messages"], recordings, from_ms, names))
    line = _TimeLine(from_ms, max([until_ms, from_ms + 1000]))
    talked = max((person.get("talk_seconds", 0) for person in document["people"]), default=0)
    return {
        "style": Markup(_source("meeting.css")),  # noqa: S704 - our own file
        "script": Markup(_source("meeting.js")),  # noqa: S704 - our own file
        "style_hash": _hash("meeting.css"),
        "script_hash": _hash("meeting.js"),
        "meeting": document,
        "recordings": recordings,
        "until": document["ended_at"] or document["last_seen_at"],
        "ticks": line.ticks(),
        "recorded": [line.bar("recording", one.from_ms, one.until_ms, one.name) for one in recordings],
        "people": [_person(person, line, talked) for person in document["people"]],
        "present": sum(bool(person["stays"]) for person in document["people"]),
        "breakouts": sorted(
            {stay["room"] for person in document["people"] for stay in person["stays"] if stay["room"] != "main"}
        ),
        "chunks": [list(chunk) for chunk in batched(rows, _ROWS_IN_CHUNK, strict=False)],
        "voices": sorted(enumerate(names), key=lambda voice: (-names[voice[1]], voice[1].casefold())),
        "voice_counts": names,
        "rows_in_chunk": _ROWS_IN_CHUNK,
        "sources": Counter(row.source for row in rows),
        "polls": [_poll(poll) for poll in document["polls"]],
        "reactions": _reactions(document["reactions"]),
        "files": [_file(file) for file in document["files"] if not _is_screenshot(file)],
        "archived": sum(file["status"] == "archived" for file in document["files"]),
        "announced": len(document["files"]),
        "screenshots": [
            _screenshot(file, number, from_ms)
            for number, file in enumerate(filter(_is_screenshot, document["files"]), start=1)
        ],
        "unproven": sorted(document["coverage"]["confidence"].items()),
    }


def _rows(
    messages: Sequence[Mapping[str, Json]], recordings: Sequence[Recording], from_ms: int, names: Counter[str]
) -> Iterator[Row]:
    numbers: dict[str, int] = {}
    before: tuple[str, str, int] = ("", "", 0)
    for number, message in enumerate(messages, start=1):
        at_ms = _ms(message["at"])
        name = message.get("name") or _stranger(message)
        names[name] += 1
        recording = None if message.get("time_unknown") else _recording_at(at_ms, recordings)
        inside = recording is not None and recording.from_ms <= at_ms < recording.until_ms
        zero_ms = recording.from_ms if recording else from_ms
        doubt = message["confidence"] if message["confidence"] in (*_DOUBTS, "none") else ""
        follows = before[:2] == (name, message["source"]) and at_ms - before[2] < _SAME_BREATH_MS
        before = (name, message["source"], at_ms)
        yield Row(
            number=number,
            source=message["source"],
            name=name,
            initials=initials(name) if message.get("name") else "?",
            hue=hue(name) if message.get("name") else _HUES,
            voice=numbers.setdefault(name, len(numbers)),
            time="" if message.get("time_unknown") else clock((at_ms - zero_ms) / 1000),
            at=message["at"],
            jump=f"{recording.number}:{(at_ms - recording.from_ms) / 1000:g}" if recording and inside else "",
            part=recording.number + 1 if recording else 0,
            content=message["content"],
            long=len(message["content"]) > _LONG_CHARACTERS,
            follows=follows and not doubt,
            doubt=_DOUBTS[doubt][0] if doubt in _DOUBTS else "",
            reason=_DOUBTS[doubt][1] if doubt in _DOUBTS else _WHY_NOBODY.get(message["matched_by"], ""),
        )


def _stranger(message: Mapping[str, Json]) -> str:
    jid = message.get("jid", "")
    return f"Unknown ({jid[:8]})" if jid else "Unknown"


def _recordings(document: Mapping[str, Json]) -> list[Recording]:
    found = sorted(
        (file["starts_at"], file["name"], file.get("duration_seconds"))
        for file in document["files"]
        if file["kind"] == "recording" and file["status"] == "archived" and file.get("starts_at")
    )
    day_seconds = 24 * _HOUR_SECONDS
    started_ms = _ms(document["started_at"])
    return [
        Recording(
            number=number,
            name=name,
            href=_href(name),
            label=f"from {clock((_ms(starts_at) - started_ms) / 1000)}" + (f", {duration(seconds)}" if seconds else ""),
            from_ms=_ms(starts_at),
            until_ms=_ms(starts_at) + round((day_seconds if seconds is None else seconds) * 1000),
        )
        for number, (starts_at, name, seconds) in enumerate(found)
    ]


def _recording_at(at_ms: int, recordings: Sequence[Recording]) -> Recording | None:
    """The recording by which a time is told: the last that had begun, or else the first."""
    begun = [one for one in recordings if one.from_ms <= at_ms]
    return begun[-1] if begun else recordings[0] if recordings else None


@dataclass(frozen=True, slots=True)
class _TimeLine:
    from_ms: int
    until_ms: int

    def bar(self, kind: str, from_ms: int, until_ms: int, label: str) -> Bar:
        left, right = self._percent(from_ms), self._percent(until_ms)
        return Bar(kind, f"{left:.3f}%", f"{max(right - left, 0.4):.3f}%", label)

    def ticks(self) -> list[tuple[str, str, str]]:
        """Position, where the text is anchored, and time since the start."""
        anchors = {0: "start", _TICKS - 1: "end"}
        span_seconds = (self.until_ms - self.from_ms) / 1000
        return [
            (f"{share * 100:g}%", anchors.get(number, "middle"), clock(span_seconds * share))
            for number in range(_TICKS)
            for share in [number / (_TICKS - 1)]
        ]

    def _percent(self, at_ms: int) -> float:
        share = (at_ms - self.from_ms) / (self.until_ms - self.from_ms)
        return min(max(share, 0.0), 1.0) * 100


def _person(person: Mapping[str, Json], line: _TimeLine, talked: float) -> dict[str, Any]:
    stays = [("lobby", "in the lobby", stay) for stay in person["lobby"]] + [
        (("main", "there") if stay["room"] == "main" else ("breakout", "in a breakout room")) + (stay,)
        for stay in person["stays"]
    ]
    bars = [_stay_bar(kind, where, stay, line) for kind, where, stay in stays]
    name = person.get("name") or "No name"
    talk_seconds = person.get("talk_seconds", 0)
    return {
        **person,
        "email": person.get("email", ""),
        "shown_name": name,
        "initials": initials(name),
        "hue": hue(name),
        "bars": bars,
        "summary": "; ".join(bar.label for bar in bars),
        "present_for": duration(person["seconds_present"]) if "seconds_present" in person else "",
        "talked_for": duration(talk_seconds) if talk_seconds else "",
        "talked_share": f"{talk_seconds / talked * 100:.1f}%" if talked and talk_seconds else "",
        "badges": [
            *(["moderator"] if person["moderator"] else []),
            *([person["kind"]] if person["kind"] in ("phone", "sip") else []),
            *([] if person["stays"] else ["presence unknown"]),
        ],
        "reacted": [(_EMOJI.get(word, word), count) for word, count in person["reactions"].items()],
    }


def _stay_bar(kind: str, where: str, stay: Mapping[str, Json], line: _TimeLine) -> Bar:
    joined, left = stay["joined_at"], stay["left_at"]
    from_ms = _ms(joined) if joined else _ms(left) - 1 if left else line.from_ms
    until_ms = _ms(left) if left else line.until_ms
    words = f"{where} from {clock((from_ms - line.from_ms) / 1000)}" if joined else f"{where}, began unknown"
    words += f" to {clock((until_ms - line.from_ms) / 1000)}" if left else " to the end"
    return line.bar(kind, from_ms, until_ms, words + _BECAUSE.get(stay["left_because"], ""))


def _poll(poll: Mapping[str, Json]) -> dict[str, Any]:
    most = max((answer["votes"] for answer in poll["answers"]), default=0)
    return {
        **poll,
        "answers": [
            {
                **answer,
                "share": f"{answer['votes'] / max(poll['voters'], 1) * 100:.0f}%",
                "leads": answer["votes"] == most > 0,
            }
            for answer in poll["answers"]
        ],
    }


def _reactions(told: Iterable[Mapping[str, Json]]) -> list[dict[str, Any]]:
    counts: Counter[str] = Counter()
    people: dict[str, Counter[str]] = {}
    for one in told:
        counts[one["reaction"]] += 1
        people.setdefault(one["reaction"], Counter())[one.get("name") or "Unknown"] += 1
    return [
        {
            "word": word,
            "emoji": _EMOJI.get(word, ""),
            "count": count,
            "people": [f"{name} ({times})" if times > 1 else name for name, times in people[word].most_common()],
        }
        for word, count in counts.most_common()
    ]


def _is_screenshot(file: Mapping[str, Json]) -> bool:
    """Whether it is a picture that a browser shows; others are files."""
    is_archived = file["kind"] == SCREENSHOT.name and file["status"] == "archived" and file.get("name")
    return bool(is_archived and is_image(file.get("content_type", "")))


def _screenshot(file: Mapping[str, Json], number: int, from_ms: int) -> dict[str, str]:
    """A picture that lies beside the page; without a time it has a number."""
    time = clock((_ms(file["starts_at"]) - from_ms) / 1000) if "starts_at" in file else ""
    return {"href": _href(file["name"]), "label": time or f"No. {number}"}


def _file(file: Mapping[str, Json]) -> dict[str, Any]:
    status = file["status"]
    reason = file.get("reason", "")
    verdict = _VERDICTS.get(status, status)
    return {
        **file,
        "shown_name": (file.get("title") if file["kind"] == "document" else None)
        or file.get("name")
        or f"{file['kind']} (not archived)",
        "icon": _icon(file),
        "href": _href(file["name"]) if file.get("name") else "",
        "shown_size": byte_size(file["size"]) if "size" in file else "",
        "shown_duration": duration(file["duration_seconds"]) if "duration_seconds" in file else "",
        "good": status == "archived",
        "lost": status in ("expired", "refused"),
        "verdict": f"{verdict}: {reason}" if reason and status != "archived" else verdict,
    }


def _icon(file: Mapping[str, Json]) -> str:
    content_type = file.get("content_type", "")
    if file["kind"] in ("chat", "transcript"):
        return "talk"
    if content_type.startswith(("video/", "audio/")) or file["kind"] in ("recording", "segment"):
        return "film"
    return "picture" if content_type.startswith("image/") else "paper"


def _href(name: str) -> str:
    return "./" + quote(name)


def _ms(iso: str) -> int:
    return milliseconds(iso) or 0


def initials(name: str) -> str:
    """One or two letters that stand for a name."""
    words = [word for word in name.split() if word[0].isalnum()]
    letters = [words[0][0], words[-1][0]] if len(words) > 1 else [word[0] for word in words]
    return "".join(letters).upper()[:2] or "•"


def hue(name: str) -> int:
    """A colour that a name keeps."""
    return zlib.crc32(name.encode("utf-8", "replace")) % _HUES


def clock(seconds: float) -> str:
    """`4:07`, `1:04:07`, minus sign first below zero."""
    whole = int(abs(seconds))
    sign = "\N{MINUS SIGN}" if seconds < 0 and whole else ""
    minutes = f"{whole // _MINUTE_SECONDS % 60}:{whole % 60:02d}"
    return f"{sign}{whole // _HOUR_SECONDS}:{minutes:0>5}" if whole >= _HOUR_SECONDS else f"{sign}{minutes}"


def duration(seconds: float) -> str:
    """`1 h 4 min`, `38 min`, `42 s`."""
    if seconds < _MINUTE_SECONDS:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"  # noqa: PLR2004 - an hour


def byte_size(size: int) -> str:
    """`1.2 GB`, `34 KB`."""
    number = float(size)
    for unit in ("bytes", "KB", "MB", "GB"):
        if number < 1000 or unit == "GB":  # noqa: PLR2004 - SI units
            break
        number /= 1000
    return f"{number:.0f} {unit}" if unit in ("bytes", "KB") or number >= 100 else f"{number:.1f} {unit}"  # noqa: PLR2004


def _day(iso: str) -> str:
    return datetime.fromisoformat(iso).strftime("%A, %-d %B %Y")


def _hour(iso: str) -> str:
    return datetime.fromisoformat(iso).strftime("%H:%M")


@cache
def _source(name: str) -> str:
    return (_TEMPLATES / name).read_text()


def _hash(name: str) -> str:
    """As a Content Security Policy names it (https://www.w3.org/TR/CSP3/#grammardef-hash-source)."""
    return "sha256-" + base64.b64encode(hashlib.sha256(_source(name).encode()).digest()).decode()


@cache
def _template() -> Any:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"day": _day, "hour": _hour, "duration": duration}
    return environment.get_template("meeting.html.jinja")
