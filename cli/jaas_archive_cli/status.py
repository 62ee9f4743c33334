"""`status`: what is pending, at risk and failed, why, and how much time is left."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jaas_archive.auditing import RISK_MS
from jaas_archive.backlog import OpenFile
from jaas_archive_cli.stack import Stack

if TYPE_CHECKING:
    from types_boto3_sqs.literals import QueueAttributeNameType

_DAY_MS = 86_400_000
QUEUES = {
    "files": "DownloadQueueUrl",
    "urgent files": "UrgentDownloadQueueUrl",
    "events": "MeetingQueueUrl",
    "dead files": "DownloadDeadLetterQueueUrl",
    "dead events": "MeetingDeadLetterQueueUrl",
}


@dataclass(frozen=True, slots=True)
class FileState:
    """A file that is not in the archive; `state` is pending, at risk or failed."""

    state: str
    session_id: str
    file: str
    status: str
    tries: int
    deadline_ms: int
    seconds_left: int
    reason: str


@dataclass(frozen=True, slots=True)
class Status:
    """How the archive stands."""

    pending: int
    at_risk: int
    failed: int
    queues: dict[str, int]
    files: list[FileState]

    @property
    def needs_attention(self) -> bool:
        """Whether a person should do something."""
        return bool(self.at_risk or self.failed or self.queues["dead files"] or self.queues["dead events"])


def read_status(stack: Stack, *, now_ms: int, failed_days: int) -> Status:
    """Look at the table and the queues; files that failed are shown for so many days after their deadline."""
    files = [
        *(_state("failed", file, now_ms) for file in _failed(stack, now_ms - failed_days * _DAY_MS)),
        *(
            _state("at risk" if file.deadline_ms - now_ms < RISK_MS else "pending", file, now_ms)
            for file in sorted(stack.backlog.open_files(), key=lambda file: file.deadline_ms)
        ),
    ]
    states = [file.state for file in files]
    return Status(
        pending=states.count("pending"),
        at_risk=states.count("at risk"),
        failed=states.count("failed"),
        queues={name: _waiting(stack, stack.outputs[output]) for name, output in QUEUES.items()},
        files=files,
    )


def _failed(stack: Stack, deadline_after_ms: int) -> Iterable[OpenFile]:
    return stack.backlog.failed_files(deadline_after_ms=deadline_after_ms)


def _state(state: str, file: OpenFile, now_ms: int) -> FileState:
    return FileState(
        state=state,
        session_id=file.session_id,
        file=file.sort_key.removeprefix("FILE#"),
        status=file.status.value,
        tries=file.tries,
        deadline_ms=file.deadline_ms,
        seconds_left=(file.deadline_ms - now_ms) // 1000,
        reason=file.reason,
    )


def _waiting(stack: Stack, url: str) -> int:
    """Messages in a queue, those under way and those postponed included."""
    counts: tuple[QueueAttributeNameType, ...] = (
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesDelayed",
    )
    attributes = stack.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return sum(int(attributes.get(count, "0")) for count in counts)
