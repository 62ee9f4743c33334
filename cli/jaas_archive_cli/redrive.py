"""`redrive`: dead letters back to where they came from, those with time left first.

SQS's own StartMessageMoveTask moves all or nothing. Here each message is looked at, so that a file whose link is dead
does not come back only to die again, and one whose link dies soon goes to the urgent queue.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from jaas_archive.auditing import RISK_MS
from jaas_archive.errors import ArchiveError
from jaas_archive.events import read_event
from jaas_archive.files import file_sort_key
from jaas_archive.kinds import announced_files
from jaas_archive.messages import EventMessage
from jaas_archive.queues import unfold
from jaas_archive_cli.stack import Stack

if TYPE_CHECKING:
    from types_boto3_sqs.type_defs import MessageTypeDef

_HIDDEN_SECONDS = 600
"""For how long messages are kept from others while they are looked at."""


class DeadLetters(StrEnum):
    """Which dead-letter queues to look at."""

    ALL = "all"
    DOWNLOAD = "download"
    MEETING = "meeting"


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter and what is to become of it; `to` is empty if it stays."""

    queue: str
    session_id: str
    what: str
    reason: str
    seconds_left: int | None
    to: str
    moved: bool = False


@dataclass(frozen=True, slots=True)
class Redrive:
    """One go at the dead letters."""

    stack: Stack
    now_ms: int
    move: bool
    force: bool
    session_id: str | None = None

    def run(self, which: DeadLetters) -> Iterator[Letter]:
        """Look at each dead letter, and send it back if it has time left and `move` is set."""
        for kind in (DeadLetters.DOWNLOAD, DeadLetters.MEETING):
            if which not in (DeadLetters.ALL, kind):
                continue
            source = self.stack.outputs[f"{kind.capitalize()}DeadLetterQueueUrl"]
            held: dict[str, MessageTypeDef] = {}
            try:
                # All are taken before the first is moved: some come back at once, and would be moved for ever.
                held |= ((message["ReceiptHandle"], message) for message in self._receive(source))
                for receipt_handle, message in list(held.items()):
                    letter = self._judge(kind, message["Body"], _attribute(message, "reason"))
                    if letter.to and self.move:
                        self.stack.sqs.send_message(QueueUrl=self.stack.outputs[letter.to], MessageBody=message["Body"])
                        # Only now: a message twice does no harm, and none is a loss.
                        self.stack.sqs.delete_message(QueueUrl=source, ReceiptHandle=receipt_handle)
                        del held[receipt_handle]
                    yield letter
            finally:
                # Whatever ended this, nobody should have to wait before he sees what is left.
                for receipt_handle in held:
                    with suppress(BotoCoreError, ClientError):
                        self.stack.sqs.change_message_visibility(
                            QueueUrl=source, ReceiptHandle=receipt_handle, VisibilityTimeout=0
                        )

    def _receive(self, url: str) -> "Iterator[MessageTypeDef]":
        # Only a receive that waits asks all servers of SQS, so that an empty answer means an empty queue.
        while messages := self.stack.sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=_HIDDEN_SECONDS,
            WaitTimeSeconds=1,
            MessageAttributeNames=["All"],
        ).get("Messages"):
            yield from messages

    def _judge(self, kind: DeadLetters, body: str, reason: str) -> Letter:
        try:
            message = unfold(body, self.stack.claims)
            if not isinstance(message, EventMessage):
                return self._letter(kind, message.session_id, message.file, reason)
            event = read_event(message.document, received_at_ms=message.received_at_ms)
        except ArchiveError as error:
            # Not ours, or its event is gone: sending it back would help nobody.
            return self._letter(kind, "", "unreadable message", reason or str(error), unreadable=True)
        file = next(iter(announced_files(event)), None) if kind is DeadLetters.DOWNLOAD else None
        if file is None:
            return self._letter(kind, event.session_id, event.type, reason)
        return self._letter(kind, event.session_id, file_sort_key(file), reason, deadline_ms=file.deadline_ms)

    def _letter(
        self,
        kind: DeadLetters,
        session_id: str,
        what: str,
        reason: str,
        *,
        deadline_ms: int | None = None,
        unreadable: bool = False,
    ) -> Letter:
        left_ms = None if deadline_ms is None else deadline_ms - self.now_ms
        dead = unreadable or (left_ms is not None and left_ms <= 0)
        others = self.session_id is not None and session_id != self.session_id
        stays = others or (dead and not self.force)
        urgent = left_ms is not None and left_ms < RISK_MS
        to = "UrgentDownloadQueueUrl" if urgent else f"{kind.capitalize()}QueueUrl"
        return Letter(
            queue=kind.value,
            session_id=session_id,
            what=what,
            reason=reason,
            seconds_left=None if left_ms is None else left_ms // 1000,
            to="" if stays else to,
            moved=self.move and not stays,
        )


def _attribute(message: "MessageTypeDef", name: str) -> str:
    attribute = message.get("MessageAttributes", {}).get(name)
    return attribute.get("StringValue", "") if attribute else ""
