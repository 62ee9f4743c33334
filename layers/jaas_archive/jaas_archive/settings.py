"""The settings of each function, read from its environment: the only module that does so."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self


class SettingsError(Exception):
    """An environment variable is missing or unreadable; the text names it."""


def _comma_list(text: str) -> frozenset[str]:
    return frozenset(filter(None, (part.strip() for part in text.split(","))))


_READERS: dict[Any, Any] = {str: str, int: int, frozenset[str]: _comma_list}


@dataclass(frozen=True, slots=True)
class _Settings:
    """Each field is the environment variable of the same name in capitals."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read all fields.

        Raises:
            SettingsError: a variable is missing or not a number.
        """
        values: dict[str, Any] = {}
        for field in fields(cls):
            name = field.name.upper()
            if name not in environ:
                raise SettingsError(f"environment variable {name} is missing")
            try:
                values[field.name] = _READERS[field.type](environ[name])
            except ValueError as error:
                raise SettingsError(f"environment variable {name} is unreadable: {error}") from error
        return cls(**values)


@dataclass(frozen=True, slots=True)
class ReceiverSettings(_Settings):
    """What the receiver needs; an empty `allowed_app_ids` or `allowed_source_ips` allows any."""

    download_queue_url: str
    meeting_queue_url: str
    webhook_secret_arn: str
    signature_tolerance_seconds: int
    allowed_app_ids: frozenset[str]
    allowed_link_origins: frozenset[str]
    file_kinds: frozenset[str]
    allowed_source_ips: frozenset[str]
    claim_bucket_name: str


@dataclass(frozen=True, slots=True)
class DownloaderSettings(_Settings):
    """What the downloader needs; `allowed_link_origins` are origins such as `https://*.oraclecloud.com`."""

    archive_bucket_name: str
    meetings_table_name: str
    download_queue_url: str
    urgent_download_queue_url: str
    download_dead_letter_queue_url: str
    meeting_queue_url: str
    allowed_link_origins: frozenset[str]
    claim_bucket_name: str
    first_retry_seconds: int


@dataclass(frozen=True, slots=True)
class EnricherSettings(_Settings):
    """What the transcript enricher needs; it tells of archived meetings where there is a topic or an event bus."""

    archive_bucket_name: str
    meetings_table_name: str
    meeting_queue_url: str
    meeting_dead_letter_queue_url: str
    allowed_link_origins: frozenset[str]
    file_kinds: frozenset[str]
    meeting_topic_arn: str
    meeting_event_bus: str
    claim_bucket_name: str
    first_retry_seconds: int


@dataclass(frozen=True, slots=True)
class AuditorSettings(_Settings):
    """What the auditor needs; it says nothing about silence if `silence_hours` is 0."""

    archive_bucket_name: str
    meetings_table_name: str
    download_queue_url: str
    urgent_download_queue_url: str
    meeting_queue_url: str
    claim_bucket_name: str
    alarm_topic_arn: str
    stack: str
    file_kinds: frozenset[str]
    pending_hours: int
    silence_hours: int
    retention_days: int
