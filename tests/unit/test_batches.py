import ast
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from jaas_archive.batches import Batch
from jaas_archive.copying import HandOverError
from jaas_archive.errors import InProgressError, LinkRefusedError, SourceUnavailableError

if TYPE_CHECKING:
    from jaas_archive.queues import Queue

ROOT = Path(__file__).parents[2]
FUNCTIONS, LAYER = ROOT / "functions", ROOT / "layers/jaas_archive"


@dataclass(slots=True)
class FakeQueue:
    """Remembers what it is asked to do."""

    sent: list[dict[str, str]] = field(default_factory=list)
    postponed: list[int] = field(default_factory=list)

    def send(self, body: str, *, attributes: dict[str, str]) -> None:
        self.sent.append({"body": body, **attributes})

    def show_again_in(self, _receipt_handle: str, seconds: int) -> None:
        self.postponed.append(seconds)


def record(receive_count: int) -> SQSRecord:
    return SQSRecord(
        {
            "messageId": "message",
            "receiptHandle": "handle",
            "body": "{}",
            "attributes": {"ApproximateReceiveCount": str(receive_count), "SentTimestamp": "1000"},
        }
    )


def batch() -> tuple[Batch, FakeQueue, FakeQueue]:
    queue, dead_letters = FakeQueue(), FakeQueue()
    made = Batch(
        cast("Queue", cast("Any", queue)),
        cast("Queue", cast("Any", dead_letters)),
        first_pause_seconds=30,
        clock=lambda: 4000,
    )
    return made, queue, dead_letters


def fail(batch: Batch, error: Exception, *, receive_count: int) -> None:
    with batch.guard([record(receive_count)]):
        raise error


def test_no_number_of_tries_ends_a_message_that_may_still_succeed() -> None:
    made, queue, dead_letters = batch()
    fail(made, SourceUnavailableError("the source says 503"), receive_count=999)
    assert made.response == {"batchItemFailures": [{"itemIdentifier": "message"}]}
    assert dead_letters.sent == []
    assert 2700 <= queue.postponed[0] <= 3600


def test_a_source_may_ask_for_a_longer_pause_and_not_for_a_shorter_one() -> None:
    made, queue, _ = batch()
    for seconds in (0, 300):
        fail(made, SourceUnavailableError("the source says 503", pause_seconds=seconds), receive_count=1)
    assert 22 <= queue.postponed[0] <= 38
    assert queue.postponed[1] == 300


def test_whose_turn_it_is_comes_back_when_it_is() -> None:
    made, queue, _ = batch()
    fail(made, HandOverError(), receive_count=9)
    fail(made, InProgressError("another invocation copies this file", pause_seconds=7), receive_count=9)
    assert queue.postponed == [0, 7]


def test_who_works_against_a_deadline_limits_the_pause() -> None:
    made, queue, _ = batch()
    error = SourceUnavailableError("the source says 503")
    error.longest_pause_seconds = 60
    fail(made, error, receive_count=999)
    assert queue.postponed[0] <= 60


def test_what_no_try_can_mend_is_a_dead_letter_at_once_with_the_reason() -> None:
    made, queue, dead_letters = batch()
    fail(made, LinkRefusedError("the link is not one that we may fetch"), receive_count=1)
    assert made.response == {"batchItemFailures": []}
    assert dead_letters.sent == [
        {"body": "{}", "reason": "the link is not one that we may fetch", "error": "LinkRefusedError"}
    ]
    assert queue.postponed == []


def test_what_an_unexpected_error_says_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    made, _, _ = batch()
    fail(made, ValueError("not a number: 'see you at Ada's'"), receive_count=1)
    logged = str([vars(record) for record in caplog.records])
    assert "ValueError" in logged
    assert "in fail" in logged
    assert "Ada" not in logged


def test_no_module_of_ours_logs_what_any_exception_says() -> None:
    modules = [ast.parse(path.read_bytes()) for folder in (LAYER, FUNCTIONS) for path in folder.rglob("*.py")]
    calls = [node for module in modules for node in ast.walk(module) if isinstance(node, ast.Call)]
    assert [ast.unparse(call) for call in calls if ast.unparse(call.func).endswith(".exception")] == []
    assert [ast.unparse(call) for call in calls if any(word.arg == "exc_info" for word in call.keywords)] == []


def test_how_long_a_message_has_been_failing_is_known() -> None:
    """SQS leaves messages that were received three times out of its age of the oldest one."""
    made, _, _ = batch()
    assert made.oldest_failure_seconds == 0
    fail(made, SourceUnavailableError("the source says 503"), receive_count=9)
    assert made.oldest_failure_seconds == 3999
