"""Downloader: copies announced files from their links into the archive."""

import ssl
import time
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import boto3
import certifi
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from jaas_archive.archive import Archive, bucket_url
from jaas_archive.batches import Batch, records_of
from jaas_archive.connections import Transport
from jaas_archive.copying import Copier
from jaas_archive.downloading import Downloader
from jaas_archive.links import parse_origins
from jaas_archive.meetings import Meetings
from jaas_archive.queues import ClaimBucket, Queue, unfold_event
from jaas_archive.settings import DownloaderSettings, SettingsError
from jaas_archive.uploads import BucketAddress

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

HAND_OVER_SECONDS = 45
"""What the end of an invocation may take: no wait for a connection is longer than 20 seconds."""

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
    s3 = boto3.client("s3")
    return ClaimBucket(lambda: s3, settings().claim_bucket_name)


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
    session = boto3.Session()
    s3 = session.client("s3")
    archive = Archive(lambda: s3, settings().archive_bucket_name)
    credentials = session.get_credentials()
    if credentials is None:
        raise SettingsError("there are no AWS credentials")
    return Downloader(
        archive=archive,
        copier=Copier(
            archive=archive,
            address=BucketAddress(
                url=bucket_url(s3.meta.endpoint_url, archive.bucket),
                region=s3.meta.region_name,
                credentials=credentials.get_frozen_credentials,
            ),
            origins=parse_origins(settings().allowed_link_origins),
            transport=Transport(ssl.create_default_context(cafile=certifi.where())),
        ),
        meetings=Meetings(session.client("dynamodb"), settings().meetings_table_name),
        meeting_queue=Queue(sqs(), settings().meeting_queue_url),
    )


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle a batch of SQS messages."""
    records = records_of(event)
    batch = new_batch(records[0].event_source_arn)
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - HAND_OVER_SECONDS
    for record in records:
        with batch.guard([record]):
            downloader().download(
                unfold_event(record.body, claims()),
                keep=partial(batch.queue.show_again_in, record.receipt_handle),
                deadline=deadline,
            )
    metrics.add_metric("DownloadsFailed", MetricUnit.Count, batch.failures)
    return batch.response
