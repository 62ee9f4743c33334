"""SQS: our messages in and out, and the claim bucket for those that are too large."""

import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jaas_archive.aws import translated
from jaas_archive.errors import InvalidMessageError, NotAnEventError
from jaas_archive.events import parse_body, read_event
from jaas_archive.messages import (
    ClaimMessage,
    EventMessage,
    FileChangedMessage,
    Message,
    RawMessage,
    decode,
    encode,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_s3 import S3Client
    from types_boto3_sqs import SQSClient

MAX_MESSAGE_BYTES = 1_048_576
"""SQS: body and attributes together (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html)."""
_ATTRIBUTE_ALLOWANCE_BYTES = 4_096
LONGEST_PAUSE_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class ClaimBucket:
    """Holds what SQS does not: messages larger than it takes, and announcements; its lifecycle outlasts every queue.

    `client` makes the client when it is first needed, and keeps it: few messages are that large.
    """

    client: "Callable[[], S3Client]"
    name: str

    def put(self, key: str, body: str) -> None:
        """Store a message's body."""
        with translated("store a claim"):
            self.client().put_object(Bucket=self.name, Key=key, Body=body.encode(), ContentType="application/json")

    def get(self, key: str) -> str:
        """The message's body.

        Raises:
            InvalidMessageError: it is gone. Functions, which may not list the bucket, hear of that as of any failure.
        """
        client = self.client()
        with translated("read a claim"):
            try:
                return client.get_object(Bucket=self.name, Key=key)["Body"].read().decode()
            except client.exceptions.NoSuchKey:
                raise InvalidMessageError("what the message points to is gone") from None


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue."""

    client: "SQSClient"
    url: str

    def send(self, body: str, *, attributes: Mapping[str, str] | None = None, delay_seconds: int = 0) -> None:
        """Send an encoded message; it is in the queue when this returns.

        Raises:
            AwsUnavailableError: SQS did not take it.
        """
        with translated("send to SQS"):
            self.client.send_message(
                QueueUrl=self.url,
                MessageBody=body,
                DelaySeconds=delay_seconds,
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": text} for name, text in (attributes or {}).items()
                },
            )

    def is_source_of(self, arn: str) -> bool:
        """Whether a message came from this queue, by the ARN that Lambda gives for its source."""
        return arn.rpartition(":")[2] == self.url.rpartition("/")[2]

    def waiting(self) -> int:
        """About how many messages could be received now."""
        with translated("look at a queue"):
            answer = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=["ApproximateNumberOfMessages"])
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])

    def show_again_in(self, receipt_handle: str, seconds: int) -> None:
        """Let a received message be delivered again after so many seconds."""
        with translated("postpone an SQS message"):
            self.client.change_message_visibility(
                QueueUrl=self.url, ReceiptHandle=receipt_handle, VisibilityTimeout=seconds
            )


def fit(message: Message, claims: ClaimBucket) -> str:
    """Encode a message; where it is too large for SQS, store it and encode the claim to it."""
    body = encode(message)
    if len(body) <= MAX_MESSAGE_BYTES - _ATTRIBUTE_ALLOWANCE_BYTES:
        return body
    claim = ClaimMessage(f"events/{uuid.uuid4()}.json")
    claims.put(claim.key, body)
    return encode(claim)


def unfold(body: str, claims: ClaimBucket) -> EventMessage | FileChangedMessage:
    """Decode a message, following a claim, and read what the receiver could not: it may have been an older one.

    Raises:
        InvalidMessageError: it is none of ours, or nothing can be made of it now either.
    """
    message = decode(body)
    if isinstance(message, ClaimMessage):
        message = decode(claims.get(message.key))
    if isinstance(message, ClaimMessage):
        raise InvalidMessageError("a claim leads to a claim")
    return _read(message) if isinstance(message, RawMessage) else message


def unfold_event(body: str, claims: ClaimBucket) -> EventMessage:
    """Decode a message that must hold an event, following a claim.

    Raises:
        InvalidMessageError: it does not.
    """
    message = unfold(body, claims)
    if not isinstance(message, EventMessage):
        raise InvalidMessageError("the queue takes events only")
    return message


def _read(message: RawMessage) -> EventMessage:
    try:
        document = parse_body(message.body)
        read_event(document, received_at_ms=message.received_at_ms)
    except NotAnEventError as error:
        raise InvalidMessageError(f"JaaS signed what is no event: {error}") from error
    return EventMessage(document, message.received_at_ms)


def pause_seconds(
    receive_count: int,
    *,
    first_seconds: int,
    longest_seconds: int = LONGEST_PAUSE_SECONDS,
    jitter: float | None = None,
) -> int:
    """How long to wait after the n-th failed delivery: doubled each time up to the longest, then spread over ±25 %.

    No pause is longer than an hour. `jitter` between 0 and 1 replaces chance.
    """
    limit_seconds = min(longest_seconds, LONGEST_PAUSE_SECONDS)
    longest = min(first_seconds * (1 << min(receive_count - 1, 20)), limit_seconds)
    spread = random.random() if jitter is None else jitter  # noqa: S311 - no secret depends on it
    return max(1, min(round(longest * (0.75 + spread / 2)), limit_seconds))
