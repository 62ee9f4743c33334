"""SQS batches: each message succeeds or fails alone; a failed one comes back later, a hopeless one is a dead letter."""

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from jaas_archive.errors import ArchiveError, NeverError, SourceUnavailableError, TryLaterError
from jaas_archive.queues import LONGEST_PAUSE_SECONDS, Queue, pause_seconds

logger = Logger(child=True)


@dataclass(slots=True)
class Batch:
    """The messages of one invocation that failed so far.

    Powertools' BatchProcessor works message by message; the enricher gathers the messages of a meeting and finishes
    them together.
    """

    queue: Queue
    dead_letters: Queue
    first_pause_seconds: int
    clock: Callable[[], float] = time.time
    _failed: dict[str, int] = field(default_factory=dict)
    """When the failed messages were sent, in ms."""

    @contextmanager
    def guard(self, records: Sequence[SQSRecord]) -> Iterator[None]:
        """Whatever goes wrong inside fails these messages and no others."""
        try:
            yield
        except NeverError as error:
            logger.warning("message is hopeless", reason=str(error), error=type(error).__name__)
            for record in records:
                self._bury(record, error)
        except ArchiveError as error:
            logger.warning("message failed", reason=str(error), error=type(error).__name__)
            for record in records:
                self._postpone(record, error)
        except Exception as error:  # noqa: BLE001 - the others go on, and this one comes again
            _log_unexpected(error)
            for record in records:
                self._postpone(record, error)

    @property
    def response(self) -> dict[str, list[dict[str, str]]]:
        """What Lambda wants to hear: the messages to keep in the queue."""
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in sorted(self._failed)]}

    @property
    def failures(self) -> int:
        """How many messages stay in the queue."""
        return len(self._failed)

    @property
    def oldest_failure_seconds(self) -> float:
        """How long the oldest message that failed has been tried, 0 if none failed.

        SQS does not tell: its age of the oldest message leaves out what was received three times.
        """
        return max(0.0, self.clock() - min(self._failed.values()) / 1000) if self._failed else 0.0

    def _bury(self, record: SQSRecord, error: NeverError) -> None:
        try:
            self.dead_letters.send(record.body, attributes={"reason": str(error), "error": type(error).__name__})
        except ArchiveError as trouble:
            logger.warning("dead letter not sent", reason=str(trouble))
            self._postpone(record, trouble)

    def _postpone(self, record: SQSRecord, error: Exception) -> None:
        self._failed[record.message_id] = int(record.attributes.sent_timestamp)
        try:
            self.queue.show_again_in(record.receipt_handle, self._pause_seconds(record, error))
        except ArchiveError as trouble:
            # It comes back all the same, after the queue's own visibility timeout.
            logger.warning("message not postponed", reason=str(trouble))

    def _pause_seconds(self, record: SQSRecord, error: Exception) -> int:
        wanted = error.pause_seconds if isinstance(error, TryLaterError) else None
        longest = error.longest_pause_seconds if isinstance(error, TryLaterError) else None
        if wanted is not None and not isinstance(error, SourceUnavailableError):
            return wanted
        grown = pause_seconds(
            int(record.attributes.approximate_receive_count),
            first_seconds=self.first_pause_seconds,
            longest_seconds=longest or LONGEST_PAUSE_SECONDS,
        )
        # A source that always wants to be asked again soon would use up the receives that the queue allows.
        return max(grown, wanted or 0)


def _log_unexpected(error: Exception) -> None:
    """What the error says may be a link or what somebody wrote: only its type and where it came from are logged."""
    logger.error(
        "message failed unexpectedly", error=type(error).__name__, trace=traceback.format_tb(error.__traceback__)
    )


def records_of(event: dict[str, Any]) -> list[SQSRecord]:
    """The messages of an SQS event."""
    return [SQSRecord(record) for record in event["Records"]]
