"""Auditor: compares what was announced with what is kept, and sets in motion again what is stuck."""

from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from jaas_archive.announcements import Announcements
from jaas_archive.archive import Archive
from jaas_archive.auditing import Audit, Auditor
from jaas_archive.backlog import Backlog
from jaas_archive.choices import chosen_kinds
from jaas_archive.findings import FindingKind
from jaas_archive.meetings import Meetings
from jaas_archive.publishing import Topic
from jaas_archive.queues import ClaimBucket, Queue
from jaas_archive.settings import AuditorSettings

_HOUR_MS = 3_600_000
_RESERVE_MS = 60_000
"""Kept back for telling people."""

logger = Logger()
metrics = Metrics()


@cache
def auditor() -> Auditor:
    """Built once for each execution environment."""
    settings = AuditorSettings.from_env()
    s3, sqs, dynamodb = boto3.client("s3"), boto3.client("sqs"), boto3.client("dynamodb")
    return Auditor(
        archive=Archive(lambda: s3, settings.archive_bucket_name),
        meetings=Meetings(dynamodb, settings.meetings_table_name),
        backlog=Backlog(dynamodb, settings.meetings_table_name),
        announcements=Announcements(ClaimBucket(lambda: s3, settings.claim_bucket_name)),
        download_queue=Queue(sqs, settings.download_queue_url),
        urgent_queue=Queue(sqs, settings.urgent_download_queue_url),
        meeting_queue=Queue(sqs, settings.meeting_queue_url),
        topic=Topic(boto3.client("sns"), settings.alarm_topic_arn),
        stack=settings.stack,
        file_kinds=chosen_kinds(settings.file_kinds),
        pending_ms=settings.pending_hours * _HOUR_MS,
        silence_ms=settings.silence_hours * _HOUR_MS,
        retention_days=settings.retention_days,
    )


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Make one round."""
    audit = auditor().run(has_time=lambda: context.get_remaining_time_in_millis() > _RESERVE_MS)
    report(audit)
    logger.info("audited", open_files=audit.open_files, sessions=audit.sessions, complete=audit.complete)


def report(audit: Audit) -> None:
    """The round as metrics; zeros too, so that alarms see an end."""
    metrics.add_metric("FilesOpen", MetricUnit.Count, audit.open_files)
    metrics.add_metric("FilesAtRisk", MetricUnit.Count, audit.at_risk)
    metrics.add_metric("FilesQueuedAgain", MetricUnit.Count, audit.requeued)
    metrics.add_metric("SessionsAudited", MetricUnit.Count, audit.sessions)
    metrics.add_metric("AuditsCompleted", MetricUnit.Count, int(audit.complete))
    for kind in FindingKind:
        metrics.add_metric(kind.metric, MetricUnit.Count, audit.found[kind])
    metrics.add_metric("Silent", MetricUnit.Count, int(audit.silent))
    if audit.heard_ago_ms is not None:
        metrics.add_metric("SecondsSinceNews", MetricUnit.Seconds, audit.heard_ago_ms / 1000)
