"""The receiver's use case: prove that JaaS sent an event, and hand it to SQS."""

import base64
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any

from jaas_archive.aws import translated
from jaas_archive.choices import Choice
from jaas_archive.credentials import Credentials, read_credentials
from jaas_archive.errors import (
    ArchiveError,
    AwsUnavailableError,
    NotAllowedError,
    NotAnEventError,
    NotReadyError,
    RequestError,
    SignatureError,
)
from jaas_archive.events import is_settings_request, parse_body, read_event
from jaas_archive.kinds import OTHER, message_document
from jaas_archive.messages import EventMessage, RawMessage
from jaas_archive.queues import ClaimBucket, Queue, fit
from jaas_archive.signature import SignatureHeader, verify

if TYPE_CHECKING:
    from types_boto3_secretsmanager import SecretsManagerClient

SECRET_MAX_AGE_SECONDS = 50
"""A changed secret is seen within a minute."""
SECRET_LOOK_AGAIN_SECONDS = 5
"""Signatures that do not match make us look at the secret, but not more often than this."""
_LONGEST_SETTINGS_REQUEST = 4096
"""JaaS asks with two names in less than 200 bytes. Nothing longer is parsed before it is proven who sent it."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request to the webhook; `headers` have lower-case names, `body` is raw."""

    headers: Mapping[str, str]
    body: bytes
    source_ip: str = ""


def read_request(event: Mapping[str, Any]) -> Request:
    """Read an HTTP API event (payload format 2.0), which encodes some bodies.

    It never fails: anybody may send anything, and what makes no sense here has no signature that fits.
    """
    headers = event.get("headers")
    http = _object(_object(event.get("requestContext")).get("http"))
    body = event.get("body")
    raw = body.encode("utf-8", "replace") if isinstance(body, str) else b""
    if event.get("isBase64Encoded"):
        with suppress(ValueError):
            raw = base64.b64decode(raw, validate=True)
    return Request(
        {str(name).lower(): value for name, value in _object(headers).items() if isinstance(value, str)},
        raw,
        str(http.get("sourceIp", "")),
    )


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def parse_networks(entries: Iterable[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    """Networks out of texts such as `192.0.2.0/24`, or a single address."""
    return tuple(ip_network(entry, strict=False) for entry in sorted(entries))


@dataclass(slots=True)
class WebhookSecrets:
    """What JaaS may prove itself with."""

    client: "SecretsManagerClient"
    arn: str
    clock: Callable[[], float] = time.time
    _credentials: Credentials = field(default=Credentials(), init=False)
    _read_at: float = field(default=float("-inf"), init=False)
    _looked_again_at: float = field(default=float("-inf"), init=False)

    def current(self) -> Credentials:
        """The credentials, at most a minute old.

        Raises:
            NotReadyError: the admin has not put one yet, or Secrets Manager fails.
        """
        if self.clock() - self._read_at >= SECRET_MAX_AGE_SECONDS:
            self._read()
        # The admin may have put the first one a moment ago.
        return self._credentials if self._credentials.secrets else self.fresh()

    def fresh(self) -> Credentials:
        """The credentials as they are now; as they were a few seconds ago if that was just asked.

        Raises:
            NotReadyError: the admin has not put one yet, or Secrets Manager fails.
        """
        if self.clock() - self._looked_again_at >= SECRET_LOOK_AGAIN_SECONDS:
            self._looked_again_at = self.clock()
            self._read()
        if not self._credentials.secrets:
            raise NotReadyError("the webhook secret is not set yet")
        return self._credentials

    def _read(self) -> None:
        try:
            with translated("read the webhook secret"):
                text = self.client.get_secret_value(SecretId=self.arn)["SecretString"]
        except AwsUnavailableError as error:
            raise NotReadyError("the webhook secret cannot be read; is it set?") from error
        self._read_at = self.clock()
        # What was there before counts no more, whatever is there now.
        self._credentials = Credentials()
        try:
            self._credentials = read_credentials(text)
        except ValueError as error:
            raise NotReadyError(str(error)) from error


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sender gets; `outcome` is the metric that counts it, `reason` is for the log."""

    status: HTTPStatus
    content: Mapping[str, str]
    outcome: str
    event_type: str = ""
    session_id: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Takes webhook requests; answers 2xx only for what SQS has."""

    secrets: WebhookSecrets
    meeting_queue: Queue
    download_queue: Queue
    claims: ClaimBucket
    choice: Choice
    signature_tolerance_seconds: int
    allowed_app_ids: frozenset[str]
    allowed_sources: tuple[IPv4Network | IPv6Network, ...] = ()
    clock: Callable[[], float] = time.time

    def answer(self, request: Request) -> Answer:
        """Take one request."""
        try:
            return self._take(request)
        except SignatureError as error:
            # One answer for all, so that nobody learns how near they came.
            text = "nothing proves that JaaS sent this"
            return Answer(error.status, {"error": text}, outcome=error.metric, reason=str(error))
        except RequestError as error:
            return Answer(error.status, {"error": str(error)}, outcome=error.metric, reason=str(error))
        except ArchiveError as error:
            # The queues' and buckets' own words stay inside.
            content = {"error": "try again later"}
            return Answer(NotReadyError.status, content, outcome="ReceiverFailed", reason=str(error))

    def _take(self, request: Request) -> Answer:
        settled = Answer(HTTPStatus.OK, {}, outcome="SettingsRequest")
        try:
            self._verify(request)
            self._check_source(request)
        except RequestError:
            # No other answer may delay a meeting.
            if _asks_for_settings(request.body):
                return settled
            raise
        try:
            document = parse_body(request.body)
            if not is_settings_request(document):
                return self._queue(document)
        except NotAnEventError:
            # JaaS signed it, and might not send it again: it becomes a dead letter, which somebody looks into.
            self.meeting_queue.send(fit(RawMessage(request.body, self._now_ms()), self.claims))
            raise
        if "eventType" in document:
            with suppress(ArchiveError):
                self._queue(document)
        return settled

    def _verify(self, request: Request) -> None:
        # Before anything else: as long as no secret is set, JaaS is to keep its events whatever they look like.
        credentials = self.secrets.current()
        header = SignatureHeader.parse(request.headers.get("x-jaas-signature", ""))
        try:
            self._verify_with(credentials, header, request)
        except SignatureError:
            # Perhaps the secret was changed a moment ago.
            self._verify_with(self.secrets.fresh(), header, request)

    def _verify_with(self, credentials: Credentials, header: SignatureHeader, request: Request) -> None:
        authorized = credentials.authorize(request.headers.get("authorization", "").strip())
        verify(
            header,
            request.body,
            secrets=credentials.secrets,
            now_seconds=self.clock(),
            tolerance_seconds=self.signature_tolerance_seconds,
        )
        if not authorized:
            raise SignatureError("the signature fits, the Authorization header does not")

    def _check_source(self, request: Request) -> None:
        """Only of what is signed: a stranger learns nothing, and whoever comes so far is worth an alarm."""
        if not self.allowed_sources:
            return
        with suppress(ValueError):
            if any(ip_address(request.source_ip) in network for network in self.allowed_sources):
                return
        raise NotAllowedError("this archive takes no events from this address; compare AllowedSourceIps")

    def _queue(self, document: dict[str, object]) -> Answer:
        received_at_ms = self._now_ms()
        event = read_event(document, received_at_ms=received_at_ms)
        if self.allowed_app_ids and event.app_id not in self.allowed_app_ids:
            raise NotAllowedError("this archive does not serve this app; compare AllowedAppIds")
        body = fit(EventMessage(document, received_at_ms), self.claims)
        self.meeting_queue.send(body)
        for file in self.choice.files_of(event):
            alone = EventMessage(message_document(event, file), received_at_ms)
            self.download_queue.send(fit(alone, self.claims) if file.kind is OTHER else body)
        return Answer(
            HTTPStatus.ACCEPTED,
            {"status": "accepted"},
            outcome="EventAccepted",
            event_type=event.type,
            session_id=event.session_id,
        )

    def _now_ms(self) -> int:
        return int(self.clock() * 1000)


def _asks_for_settings(body: bytes) -> bool:
    if len(body) > _LONGEST_SETTINGS_REQUEST:
        return False
    try:
        return is_settings_request(parse_body(body))
    except NotAnEventError:
        return False
