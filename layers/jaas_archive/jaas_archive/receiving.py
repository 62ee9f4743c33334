"""The receiver's use case: prove that JaaS sent an event, and hand it to SQS."""

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from jaas_archive.aws import translated
from jaas_archive.errors import (
    AppNotAllowedError,
    ArchiveError,
    AwsUnavailableError,
    NotReadyError,
    RequestError,
    SignatureError,
)
from jaas_archive.events import is_settings_request, parse_body, read_event
from jaas_archive.kinds import announced_file
from jaas_archive.messages import EventMessage
from jaas_archive.queues import ClaimBucket, Queue, fit
from jaas_archive.signature import SignatureHeader, verify

if TYPE_CHECKING:
    from types_boto3_secretsmanager import SecretsManagerClient

SECRET_MAX_AGE_SECONDS = 50
"""A changed secret is seen within a minute."""
SECRET_LOOK_AGAIN_SECONDS = 5
"""Signatures that do not match make us look at the secret, but not more often than this."""


def raw_body(request: Mapping[str, Any]) -> bytes:
    """The body as it was sent, out of an HTTP API event (payload format 2.0), which encodes some bodies."""
    body = request.get("body") or ""
    return base64.b64decode(body) if request.get("isBase64Encoded") else body.encode("utf-8", "replace")


@dataclass(slots=True)
class WebhookSecrets:
    """The secrets that JaaS may sign with; several while they are rotated."""

    client: "SecretsManagerClient"
    arn: str
    clock: Callable[[], float] = time.time
    _secrets: tuple[str, ...] = field(default=(), init=False)
    _read_at: float = field(default=float("-inf"), init=False)
    _looked_again_at: float = field(default=float("-inf"), init=False)

    def current(self) -> tuple[str, ...]:
        """The secrets, at most a minute old.

        Raises:
            NotReadyError: the admin has not put one yet, or Secrets Manager fails.
        """
        if self.clock() - self._read_at >= SECRET_MAX_AGE_SECONDS:
            self._read()
        # The admin may have put the first one a moment ago.
        return self._secrets or self.fresh()

    def fresh(self) -> tuple[str, ...]:
        """The secrets as they are now; as they were a few seconds ago if that was just asked.

        Raises:
            NotReadyError: the admin has not put one yet, or Secrets Manager fails.
        """
        if self.clock() - self._looked_again_at >= SECRET_LOOK_AGAIN_SECONDS:
            self._looked_again_at = self.clock()
            self._read()
        if not self._secrets:
            raise NotReadyError("the webhook secret is not set yet")
        return self._secrets

    def _read(self) -> None:
        try:
            with translated("read the webhook secret"):
                text = self.client.get_secret_value(SecretId=self.arn)["SecretString"]
        except AwsUnavailableError as error:
            raise NotReadyError("the webhook secret cannot be read; is it set?") from error
        self._read_at = self.clock()
        self._secrets = tuple(text.replace(",", " ").split())


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sender gets; `outcome` is the metric that counts it."""

    status: HTTPStatus
    content: Mapping[str, str]
    outcome: str
    event_type: str = ""
    session_id: str = ""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Takes webhook requests; answers 2xx only for what SQS has."""

    secrets: WebhookSecrets
    meeting_queue: Queue
    download_queue: Queue
    claims: ClaimBucket
    signature_tolerance_seconds: int
    allowed_app_ids: frozenset[str]
    clock: Callable[[], float] = time.time

    def answer(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Take one request; `headers` have lower-case names, `body` is raw."""
        try:
            return self._take(headers, body)
        except RequestError as error:
            return Answer(error.status, {"error": str(error)}, outcome=error.metric)
        except ArchiveError:
            # The queues' and buckets' own words stay inside.
            return Answer(NotReadyError.status, {"error": "try again later"}, outcome="ReceiverFailed")

    def _take(self, headers: Mapping[str, str], body: bytes) -> Answer:
        document = parse_body(body)
        if is_settings_request(document):
            return self._answer_settings_request(headers, body, document)
        self._verify(headers, body)
        return self._queue(document)

    def _answer_settings_request(self, headers: Mapping[str, str], body: bytes, document: dict[str, object]) -> Answer:
        """`{}`, whatever happens: no other answer may delay a meeting. A signed whole event is kept as well."""
        settled = Answer(HTTPStatus.OK, {}, outcome="SettingsRequest")
        try:
            self._verify(headers, body)
            if "eventType" in document:
                self._queue(document)
        except ArchiveError:
            return settled
        return settled

    def _verify(self, headers: Mapping[str, str], body: bytes) -> None:
        # Before anything else: as long as no secret is set, JaaS is to keep its events whatever they look like.
        secrets = self.secrets.current()
        header = SignatureHeader.parse(headers.get("x-jaas-signature", ""))
        try:
            self._verify_with(secrets, header, body)
        except SignatureError:
            # Perhaps the secret was changed a moment ago.
            self._verify_with(self.secrets.fresh(), header, body)

    def _verify_with(self, secrets: tuple[str, ...], header: SignatureHeader, body: bytes) -> None:
        verify(
            header,
            body,
            secrets=secrets,
            now_seconds=self.clock(),
            tolerance_seconds=self.signature_tolerance_seconds,
        )

    def _queue(self, document: dict[str, object]) -> Answer:
        received_at_ms = int(self.clock() * 1000)
        event = read_event(document, received_at_ms=received_at_ms)
        if self.allowed_app_ids and event.app_id not in self.allowed_app_ids:
            raise AppNotAllowedError("this archive does not serve this app; compare AllowedAppIds")
        body = fit(EventMessage(document, received_at_ms), self.claims)
        self.meeting_queue.send(body)
        if announced_file(event):
            self.download_queue.send(body)
        return Answer(
            HTTPStatus.ACCEPTED,
            {"status": "accepted"},
            outcome="EventAccepted",
            event_type=event.type,
            session_id=event.session_id,
        )
