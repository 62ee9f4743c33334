"""Downloader: copies announced files from their links into the archive."""

from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import requests
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from jaas_archive.archive import Archive
from jaas_archive.batches import Batch, records_of
from jaas_archive.downloading import Downloader
from jaas_archive.links import parse_origins
from jaas_archive.meetings import Meetings
from jaas_archive.queues import ClaimBucket, Queue, unfold_event
from jaas_archive.settings import DownloaderSettings
from jaas_archive.source import Source

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

logger = Logger()
metrics = Metrics()


@cache
def settings() -> DownloaderSettings:
    """Read once for each execution environment."""
    return DownloaderSettings.from_env()


@cache
def sqs() -> "SQSClient":
    """One client for all queues."""
    return boto3.client("sqs")


@cache
def claims() -> ClaimBucket:
    """Where large events lie."""
    return ClaimBucket(boto3.client("s3"), settings().claim_bucket_name)


def new_batch(source_arn: str) -> Batch:
    """For the messages of one invocation, which come from one queue."""
    urgent = Queue(sqs(), settings().urgent_download_queue_url)
    return Batch(
        queue=urgent if urgent.is_source_of(source_arn) else Queue(sqs(), settings().download_queue_url),
        dead_letters=Queue(sqs(), settings().download_dead_letter_queue_url),
        first_pause_seconds=settings().first_retry_seconds,
    )


@cache
def downloader() -> Downloader:
    """Built once for each execution environment."""
    return Downloader(
        archive=Archive(boto3.client("s3"), settings().archive_bucket_name),
        meetings=Meetings(boto3.client("dynamodb"), settings().meetings_table_name),
        source=Source(requests.Session(), parse_origins(settings().allowed_link_origins)),
        meeting_queue=Queue(sqs(), settings().meeting_queue_url),
    )


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle a batch of SQS messages."""
    records = records_of(event)
    batch = new_batch(records[0].event_source_arn)
    for record in records:
        with batch.guard([record]):
            downloader().download(unfold_event(record.body, claims()))
    metrics.add_metric("DownloadsFailed", MetricUnit.Count, batch.failures)
    return batch.response
