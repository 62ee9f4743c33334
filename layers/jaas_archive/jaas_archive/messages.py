"""What travels in our queues: strict JSON in ASCII, which every SQS message may hold."""

import base64
import json
from dataclasses import dataclass

from jaas_archive.errors import InvalidMessageError
from jaas_archive.events import Json


@dataclass(frozen=True, slots=True)
class EventMessage:
    """An event as it came, and when the receiver took it (ms)."""

    document: dict[str, Json]
    received_at_ms: int


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A body that JaaS signed and the receiver could not read, and when it came (ms)."""

    body: bytes
    received_at_ms: int


@dataclass(frozen=True, slots=True)
class ClaimMessage:
    """A message too large for SQS lies in the claim bucket under `key`."""

    key: str


@dataclass(frozen=True, slots=True)
class FileChangedMessage:
    """A file of a session was archived, or given up; `file` is its sort key in the meetings table."""

    session_id: str
    file: str


type Message = EventMessage | RawMessage | ClaimMessage | FileChangedMessage


def encode(message: Message) -> str:
    """The message as the body of an SQS message."""
    match message:
        case EventMessage(document, received_at_ms):
            content: dict[str, Json] = {"type": "event", "received_at": received_at_ms, "event": document}
        case RawMessage(raw, received_at_ms):
            content = {"type": "raw", "received_at": received_at_ms, "body": base64.b64encode(raw).decode()}
        case ClaimMessage(key):
            content = {"type": "claim", "key": key}
        case FileChangedMessage(session_id, file):
            content = {"type": "file_changed", "session_id": session_id, "file": file}
    return json.dumps(content, separators=(",", ":"), allow_nan=False)


def decode(body: str) -> Message:
    """Read the body of an SQS message.

    Raises:
        InvalidMessageError: it is none of ours.
    """
    try:
        match json.loads(body):
            case {"type": "event", "received_at": int(received_at_ms), "event": dict(document), **rest} if not rest:
                return EventMessage(document, received_at_ms)
            case {"type": "raw", "received_at": int(received_at_ms), "body": str(raw), **rest} if not rest:
                return RawMessage(base64.b64decode(raw), received_at_ms)
            case {"type": "claim", "key": str(key), **rest} if not rest:
                return ClaimMessage(key)
            case {"type": "file_changed", "session_id": str(session_id), "file": str(file), **rest} if not rest:
                return FileChangedMessage(session_id, file)
    except ValueError:
        pass
    raise InvalidMessageError("the queue holds a message that this archive did not send")
