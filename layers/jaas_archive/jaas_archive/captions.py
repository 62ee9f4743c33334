"""Captions beside a recording: WebVTT with who speaks, timed to the recording's start (https://www.w3.org/TR/webvtt1/)."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

_SHORTEST_MS, _LONGEST_MS = 1_200, 7_000
_MS_PER_LETTER = 65
_LINE_BREAKS = re.compile(r"[\r\n\u2028\u2029]+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Caption:
    """Something that somebody said; `name` is blank where nobody knows who."""

    at_ms: int
    name: str
    text: str


def web_vtt(captions: Sequence[Caption], *, starts_at_ms: int, duration_seconds: float | None) -> str:
    """The captions that fall into the recording; blank if none does.

    Nothing tells how long somebody spoke: a caption stays as long as one reads it, at most until the next.
    """
    ends_at_ms = None if duration_seconds is None else starts_at_ms + int(duration_seconds * 1000)
    inside = sorted(
        (caption for caption in captions if starts_at_ms <= caption.at_ms and _before(caption.at_ms, ends_at_ms)),
        key=lambda caption: (caption.at_ms, caption.name, caption.text),
    )
    cues = []
    times = [caption.at_ms for caption in inside]
    for caption in inside:
        from_ms = caption.at_ms - starts_at_ms
        length_ms = min(max(len(caption.text) * _MS_PER_LETTER, _SHORTEST_MS), _LONGEST_MS)
        to_ms = from_ms + length_ms
        if (following := bisect_right(times, caption.at_ms)) < len(times):
            to_ms = min(to_ms, times[following] - starts_at_ms)
        text = _escaped(caption.text)
        # In an annotation `>` would end the tag; an entity is read there too.
        voice = f"<v {_escaped(caption.name)}>{text}</v>" if caption.name.strip() else text
        cues.append(f"{_time(from_ms)} --> {_time(to_ms)}\n{voice}\n")
    return "WEBVTT\n\n" + "\n".join(cues) if cues else ""


def _before(at_ms: int, ends_at_ms: int | None) -> bool:
    return ends_at_ms is None or at_ms < ends_at_ms


def _escaped(text: str) -> str:
    lines = (line.strip() for line in _LINE_BREAKS.split(text))
    one_line = _CONTROLS.sub(" ", " ".join(filter(None, lines)))
    return one_line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _time(ms: int) -> str:
    seconds, ms = divmod(ms, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{ms:03d}"
