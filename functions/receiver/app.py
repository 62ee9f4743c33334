"""Receiver: proves that JaaS sent an event and hands it to SQS."""

import gc
import json
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from jaas_archive.choices import Choice, chosen_kinds
from jaas_archive.links import parse_origins
from jaas_archive.queues import ClaimBucket, Queue
from jaas_archive.receiving import Receiver, WebhookSecrets, parse_networks, read_request
from jaas_archive.settings import ReceiverSettings

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

# What was imported stays: the collector need not look through it again and again while the clients are made.
gc.freeze()

# A name of our own spares putting together botocore's at every request, a tenth of what a request takes; that what we
# send has the right types is proven by mypy.
SQS_CONFIG = Config(user_agent="jaas-archive", parameter_validation=False)

logger = Logger()
metrics = Metrics()


@cache
def s3() -> "S3Client":
    """For the few events that are larger than a message."""
    return boto3.client("s3")


@cache
def receiver() -> Receiver:
    """Built once for each execution environment."""
    settings = ReceiverSettings.from_env()
    sqs = boto3.client("sqs", config=SQS_CONFIG)
    return Receiver(
        secrets=WebhookSecrets(boto3.client("secretsmanager"), settings.webhook_secret_arn),
        meeting_queue=Queue(sqs, settings.meeting_queue_url),
        download_queue=Queue(sqs, settings.download_queue_url),
        claims=ClaimBucket(s3, settings.claim_bucket_name),
        choice=Choice(chosen_kinds(settings.file_kinds), parse_origins(settings.allowed_link_origins)),
        signature_tolerance_seconds=settings.signature_tolerance_seconds,
        allowed_app_ids=settings.allowed_app_ids,
        allowed_sources=parse_networks(settings.allowed_source_ips),
    )


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request of the HTTP API (payload format 2.0)."""
    answer = receiver().answer(read_request(event))
    metrics.add_metric(answer.outcome, MetricUnit.Count, 1)
    logger.info(
        answer.outcome,
        status=answer.status,
        event_type=answer.event_type,
        session_id=answer.session_id,
        reason=answer.reason,
    )
    return {
        "statusCode": answer.status,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(answer.content),
    }
