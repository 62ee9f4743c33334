"""The sample events of `events/`, as they are or made to look as if they happened now."""

import json
import re
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

SAMPLES_FOLDER = Path(__file__).parents[2] / "events"
_MILLISECONDS = re.compile(rb'(?<![\w".-])\d{13}(?![\w".])')


class SampleError(Exception):
    """A file that can be no event."""


@dataclass(frozen=True, slots=True)
class Sample:
    """An event file: its raw bytes, which may hold a field twice, and what identifies it."""

    name: str
    body: bytes
    session_id: str
    idempotency_key: str
    timestamp_ms: int


def load_sample(path: Path) -> Sample:
    """Read an event file, or the one of that name in `events/`, with or without its extension.

    Raises:
        SampleError: there is no such file, or it holds no JSON object.
    """
    in_folder = SAMPLES_FOLDER / path.with_suffix(".json").name
    found = next((candidate for candidate in (path, in_folder) if candidate.is_file()), None)
    if found is None:
        raise SampleError(f"{path}: no such file, and no event of that name in {SAMPLES_FOLDER}")
    body = found.read_bytes()
    try:
        document = json.loads(body)
    except ValueError as error:
        raise SampleError(f"{found}: not JSON ({error})") from error
    if not isinstance(document, dict):
        raise SampleError(f"{found}: not a JSON object")
    timestamp = document.get("timestamp")
    return Sample(
        name=found.stem,
        body=body,
        session_id=str(document.get("sessionId", "")),
        idempotency_key=str(document.get("idempotencyKey", "")),
        timestamp_ms=timestamp if isinstance(timestamp, int) else 0,
    )


def freshen(
    samples: Iterable[Sample], *, now_ms: int | None = None, new_id: Callable[[], str] = lambda: str(uuid.uuid4())
) -> list[bytes]:
    """Bodies as if the last of these events happened now, in sessions that never were before.

    Works on the text, so that what is odd about a sample stays odd: every time moves by the same stretch, events of
    one session stay together, every event gets a key of its own.
    """
    samples = list(samples)
    latest_ms = max((sample.timestamp_ms for sample in samples), default=0)
    shift_ms = (int(time.time() * 1000) if now_ms is None else now_ms) - latest_ms
    sessions = {sample.session_id: new_id() for sample in samples if sample.session_id}
    bodies = []
    for sample in samples:
        body = sample.body
        if latest_ms:
            body = _MILLISECONDS.sub(lambda match: b"%d" % (int(match[0]) + shift_ms), body)
        if sample.session_id:
            body = body.replace(sample.session_id.encode(), sessions[sample.session_id].encode())
        if sample.idempotency_key:
            body = body.replace(sample.idempotency_key.encode(), _key_like(sample.idempotency_key, new_id).encode())
        bodies.append(body)
    return bodies


def _key_like(key: str, new_id: Callable[[], str]) -> str:
    """A new key, which is no UUID where the old one was none."""
    try:
        uuid.UUID(key)
    except ValueError:
        return f"{new_id()}0f"
    return new_id()
