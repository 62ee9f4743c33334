"""Transcript enricher: turns events and archived chats and transcripts into the record of a meeting."""

from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from jaas_archive.announcements import Announcements
from jaas_archive.archive import Archive
from jaas_archive.batches import Batch, records_of
from jaas_archive.choices import Choice, chosen_kinds
from jaas_archive.enriching import Enricher
from jaas_archive.links import parse_origins
from jaas_archive.meetings import Meetings
from jaas_archive.publishing import EventBus, Listeners, Topic
from jaas_archive.queues import ClaimBucket, Queue, unfold
from jaas_archive.record import MeetingRecord
from jaas_archive.settings import EnricherSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from types_boto3_s3 import S3Client
    from types_boto3_sqs import SQSClient

# A chat of 50,000 messages is 500 requests, several at a time; checking our own items' types costs a third of it.
DYNAMODB_CONFIG = Config(max_pool_connections=16, parameter_validation=False)

logger = Logger()
metrics = Metrics()


@cache
def settings() -> EnricherSettings:
    """Read once for each execution environment."""
    return EnricherSettings.from_env()


@cache
def s3() -> "S3Client":
    """One client for both buckets."""
    return boto3.client("s3")


@cache
def sqs() -> "SQSClient":
    """One client for both queues."""
    return boto3.client("sqs")


@cache
def claims() -> ClaimBucket:
    """Where large events lie."""
    return ClaimBucket(s3, settings().claim_bucket_name)


def listeners() -> Listeners | None:
    """Who is told of archived meetings."""
    if settings().meeting_topic_arn:
        return Topic(boto3.client("sns"), settings().meeting_topic_arn)
    if settings().meeting_event_bus:
        return EventBus(boto3.client("events"), settings().meeting_event_bus)
    return None


@cache
def enricher() -> Enricher:
    """Built once for each execution environment."""
    return Enricher(
        archive=Archive(s3, settings().archive_bucket_name),
        meetings=Meetings(boto3.client("dynamodb", config=DYNAMODB_CONFIG), settings().meetings_table_name),
        choice=Choice(chosen_kinds(settings().file_kinds), parse_origins(settings().allowed_link_origins)),
        announcements=Announcements(claims()),
        listeners=listeners(),
    )


def new_batch() -> Batch:
    """For the messages of one invocation."""
    return Batch(
        queue=Queue(sqs(), settings().meeting_queue_url),
        dead_letters=Queue(sqs(), settings().meeting_dead_letter_queue_url),
        first_pause_seconds=settings().first_retry_seconds,
    )


def report(record: MeetingRecord) -> None:
    """How many of a meeting's lines have a name: JaaS telling less than before shows here first."""
    ratio = record.document["coverage"]["ratio"]
    if ratio is not None:
        metrics.add_metric("AttributionCoverage", MetricUnit.Percent, ratio * 100)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle a batch of SQS messages: note each, then bring each session's record up to date once."""
    batch = new_batch()
    noted: defaultdict[str, list[SQSRecord]] = defaultdict(list)
    for record in records_of(event):
        with batch.guard([record]):
            noted[enricher().note(unfold(record.body, claims()))].append(record)
    for session_id, records in noted.items():
        with batch.guard(records):
            if made := enricher().update_record(session_id):
                report(made)
    metrics.add_metric("EnrichmentsFailed", MetricUnit.Count, batch.failures)
    metrics.add_metric("OldestFailureSeconds", MetricUnit.Seconds, batch.oldest_failure_seconds)
    return batch.response
