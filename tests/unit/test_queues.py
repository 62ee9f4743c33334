from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaas_archive.errors import InvalidMessageError
from jaas_archive.messages import ClaimMessage, EventMessage, FileChangedMessage, Message, decode, encode
from jaas_archive.queues import LONGEST_PAUSE_SECONDS, Queue, pause_seconds

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
MESSAGES = (
    st.builds(EventMessage, st.dictionaries(st.text(), JSON), st.integers())
    | st.builds(ClaimMessage, st.text())
    | st.builds(FileChangedMessage, st.text(), st.text())
)


@given(MESSAGES)
def test_a_message_comes_out_as_it_went_in(message: Message) -> None:
    assert decode(encode(message)) == message


@given(MESSAGES)
def test_a_message_is_plain_ascii(message: Message) -> None:
    assert encode(message).isprintable()


@pytest.mark.parametrize(
    "body",
    ["", "{}", "[]", "no", '{"type":"event"}', '{"type":"claim","key":7}', '{"type":"claim","key":"x","more":1}'],
)
def test_foreign_messages_are_refused(body: str) -> None:
    with pytest.raises(InvalidMessageError):
        decode(body)


def test_pauses_grow_from_half_a_minute_to_an_hour() -> None:
    pauses = [pause_seconds(count, first_seconds=30, jitter=0.5) for count in range(1, 10)]
    assert pauses == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]


@given(count=st.integers(1, 10_000), first=st.integers(1, 60), jitter=st.floats(0, 1))
def test_no_pause_is_shorter_than_a_second_or_longer_than_an_hour(count: int, first: int, jitter: float) -> None:
    assert 1 <= pause_seconds(count, first_seconds=first, jitter=jitter) <= LONGEST_PAUSE_SECONDS


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_near_the_deadline_pauses_are_shorter(jitter: float) -> None:
    assert pause_seconds(20, first_seconds=30, longest_seconds=600, jitter=jitter) <= 600
    assert pause_seconds(1, first_seconds=30, longest_seconds=600, jitter=0.5) == 30
    assert pause_seconds(20, first_seconds=30, longest_seconds=100_000, jitter=1.0) == 3600


def test_a_queue_knows_its_messages_by_the_end_of_their_arn() -> None:
    queue = Queue(cast("Any", None), "https://sqs.eu-west-1.amazonaws.com/123456789012/stack-UrgentDownloadQueue-1")
    assert queue.is_source_of("arn:aws:sqs:eu-west-1:123456789012:stack-UrgentDownloadQueue-1")
    assert not queue.is_source_of("arn:aws:sqs:eu-west-1:123456789012:stack-DownloadQueue-1")
