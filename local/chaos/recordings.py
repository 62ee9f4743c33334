"""Recordings of an invented meeting, the samples that JaaS takes of them, and what it does not document."""

import random
import struct
from typing import Any

from local.chaos.draft import Draft
from local.chaos.meetings import OTHER, RECORDING, RECORDING_SECONDS, SECOND_MS, SEGMENT, File, compact
from local.jaas.meeting import APP_ID, new_uuid, random_text
from local.jaas.small_files import make_pdf

_KIB = 1 << 10
_SAMPLES = (0, 0, 1, 3)
_CERTIFIED_SHARE = 0.3


def record(draft: Draft, film: bytes, number: int, padding: int) -> None:
    """The recording of that number; samples of it, and sometimes a certificate."""
    rng = draft.rng
    starts_at_ms = draft.starts_ms + (number + 1) * 70 * SECOND_MS
    recording_id = random_text(rng, 16, "abcdefghijklmnopqrstuvwxyz")
    file = File(
        RECORDING,
        f"{APP_ID}/{recording_id}/{number}.mp4",
        _film_of_its_own(film, rng, padding),
        rf"recording_{compact(starts_at_ms)}_{recording_id[:8]}\.mp4",
        draft.afterwards_ms(),
        starts_at_ms=starts_at_ms,
    )
    draft.tell("RECORDING_STARTED", starts_at_ms - 300, {"conference": draft.room})
    data = {"durationSec": RECORDING_SECONDS, "participants": []}
    draft.announce(file, data | _stretch(recording_id, starts_at_ms, RECORDING_SECONDS))
    for sample in range(rng.choice(_SAMPLES)):
        _sample(draft, film, recording_id, sample, starts_at_ms + sample * 10 * SECOND_MS + rng.randrange(SECOND_MS))
    if rng.random() < _CERTIFIED_SHARE:
        _certify(draft, film, recording_id)


def _sample(draft: Draft, film: bytes, recording_id: str, number: int, starts_at_ms: int) -> None:
    file = File(
        SEGMENT,
        f"{APP_ID}/{recording_id}/sample-{number}.mp4",
        _film_of_its_own(film, draft.rng, draft.rng.randrange(20 * _KIB)),
        rf"segments/segment_{compact(starts_at_ms)}_{recording_id[:8]}\.mp4",
        draft.afterwards_ms(),
    )
    draft.announce(file, _stretch(recording_id, starts_at_ms, 5))


def _certify(draft: Draft, film: bytes, recording_id: str) -> None:
    """One event that 8x8 does not document, with two links."""
    at_ms, links = draft.afterwards_ms(), {}
    for link_field, content, extension in (
        ("certifiedRecording", _film_of_its_own(film, draft.rng, 0), "mp4"),
        ("certificate", make_pdf(new_uuid(draft.rng)), "pdf"),
    ):
        links[link_field] = f"{APP_ID}/{recording_id}/certified.{extension}"
        name = rf"other/{OTHER.event_type}_{compact(at_ms)}_[0-9a-f]{{8}}\.{extension}"
        draft.files.append(File(OTHER, links[link_field], content, name, at_ms, title=OTHER.event_type))
    draft.tell(OTHER.event_type, at_ms, {"recordingSessionId": recording_id}, links)


def _stretch(recording_id: str, starts_at_ms: int, seconds: int) -> dict[str, Any]:
    ends_at_ms = starts_at_ms + seconds * SECOND_MS
    return {"recordingSessionId": recording_id, "startTimestamp": starts_at_ms, "endTimestamp": ends_at_ms}


def _film_of_its_own(film: bytes, rng: random.Random, padding: int) -> bytes:
    """The same film with a box behind it that players skip, so that no two recordings are the same bytes."""
    noise = rng.randbytes(padding + 16)
    return film + struct.pack(">I4s", 8 + len(noise), b"free") + noise
