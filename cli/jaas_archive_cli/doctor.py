"""`doctor`: whether the stack can do its work, from the webhook to the alarm's e-mail."""

import json
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from jaas_archive.aws import error_code
from jaas_archive.credentials import Credentials, read_credentials
from jaas_archive.items import plain_values, session_pk
from jaas_archive.sessions import folder_key
from jaas_archive.signature import sign
from jaas_archive_cli.browse import list_sessions
from jaas_archive_cli.stack import Stack

WANTED_EVENT_TYPES = (
    "ROOM_CREATED",
    "ROOM_DESTROYED",
    "PARTICIPANT_JOINED",
    "PARTICIPANT_LEFT",
    "RECORDING_STARTED",
    "RECORDING_ENDED",
    "RECORDING_UPLOADED",
    "CHAT_UPLOADED",
    "TRANSCRIPTION_UPLOADED",
)
_MOST_CLOCK_SECONDS = 60
_MOST_SESSIONS = 200
"""Enough to see which types come in; nobody waits for the sessions of a busy day."""
_ANSWER_SECONDS = 30
_POLL_SECONDS = 1.0
_ROOM, _SESSION = "jaas-archive-doctor", "doctor-"
_OTHERS_SECONDS = 900
"""After so long no doctor waits for its event any more."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `next_step` is for when it is not all right."""

    name: str
    ok: bool
    found: str
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class Doctor:
    """Looks at a stack; `days` is how far back it looks for events."""

    stack: Stack
    days: int
    test_event: bool
    wait_seconds: int
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep

    def examine(self) -> Iterator[Check]:
        """All checks; one that AWS refuses is a check that failed."""
        checks: list[tuple[str, Callable[[], Check]]] = [
            ("stack", self._stack),
            ("secret", self._secret),
            ("clock", self._clock),
            ("events", self._events),
            ("alarms", self._alarms),
            ("notifications", self._subscriptions),
        ]
        if self.test_event:
            checks.append(("test event", self._test_event))
        for name, check in checks:
            try:
                found = check()
                yield replace(found, next_step="") if found.ok else found
            except (BotoCoreError, ClientError, OSError, ValueError) as error:
                yield Check(name, ok=False, found=str(error), next_step="see that your role may do this, and try again")

    def _stack(self) -> Check:
        ok = self.stack.status.endswith("_COMPLETE") and "ROLLBACK" not in self.stack.status
        return Check("stack", ok, f"{self.stack.name} is {self.stack.status}", "deploy it again")

    def _secret(self) -> Check:
        secrets = self._credentials().secrets
        step = f"put the secret from the JaaS console into {self.stack.outputs['WebhookSecretArn']}"
        if not secrets:
            return Check("secret", ok=False, found="not set: JaaS gets 503 and repeats its events", next_step=step)
        odd = sum(not secret.startswith("whsec_") for secret in secrets)
        found = f"{len(secrets)} set" + (f", {odd} without whsec_ in front" if odd else "")
        return Check("secret", ok=not odd, found=found, next_step=step)

    def _credentials(self) -> Credentials:
        client = self.stack.client("secretsmanager")
        try:
            value = client.get_secret_value(SecretId=self.stack.outputs["WebhookSecretArn"])
        except client.exceptions.ResourceNotFoundException:
            return Credentials()
        return read_credentials(value.get("SecretString", ""))

    def _clock(self) -> Check:
        answer = self.stack.client("sts").get_caller_identity()
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        if not date:
            return Check("clock", ok=True, found="AWS did not say what time it is")
        off = abs(self.clock() - parsedate_to_datetime(date).timestamp())
        return Check("clock", off <= _MOST_CLOCK_SECONDS, f"{off:.0f} s off AWS", "set this machine's clock")

    def _events(self) -> Check:
        seen: set[str] = set()
        today = datetime.fromtimestamp(self.clock(), UTC).date()
        sessions = 0
        for number in range(self.days):
            day = (today - timedelta(days=number)).isoformat()
            for row in list_sessions(self.stack, f"DAY#{day}"):
                if sessions >= _MOST_SESSIONS or seen.issuperset(WANTED_EVENT_TYPES):
                    break
                sessions += 1
                events, _ = self.stack.backlog.session_contents(row.session_id)
                seen |= {event.type for event in events}
        missing = [name for name in WANTED_EVENT_TYPES if name not in seen]
        if not sessions:
            return Check(
                "events",
                ok=False,
                found=f"none in {self.days} days",
                next_step=f"in the JaaS console, point the webhook to {self.stack.outputs['WebhookUrl']}",
            )
        found = f"in {sessions} sessions of {self.days} days: {', '.join(sorted(seen)) or 'none'}"
        if missing:
            found += f"; never {', '.join(missing)}"
        return Check("events", not missing, found, "in the JaaS console, subscribe the webhook to these event types")

    def _alarms(self) -> Check:
        names = set(self.stack.resources("AWS::CloudWatch::Alarm"))
        topic = self.stack.outputs["AlarmTopicArn"]
        pages = self.stack.client("cloudwatch").get_paginator("describe_alarms").paginate()
        # Alarms of the stack, and those that the admin has added for the same topic.
        alarms = [
            alarm
            for page in pages
            for alarm in page["MetricAlarms"]
            if alarm["AlarmName"] in names or topic in alarm.get("AlarmActions", [])
        ]
        unwired = [
            alarm["AlarmName"]
            for alarm in alarms
            if not alarm.get("ActionsEnabled", True) or topic not in alarm.get("AlarmActions", [])
        ]
        raised = [alarm["AlarmName"] for alarm in alarms if alarm["StateValue"] == "ALARM"]
        missing = names - {alarm["AlarmName"] for alarm in alarms}
        found = f"{len(alarms) - len(unwired)} of {len(alarms) + len(missing)} tell the topic"
        if unwired:
            found += f"; silent: {', '.join(unwired)}"
        if raised:
            found += f"; raised: {', '.join(raised)}"
        ok = bool(alarms) and not (unwired or raised or missing)
        return Check("alarms", ok, found, "see docs/operations.md for what is raised; deploy again for what is silent")

    def _subscriptions(self) -> Check:
        pages = (
            self.stack.client("sns")
            .get_paginator("list_subscriptions_by_topic")
            .paginate(TopicArn=self.stack.outputs["AlarmTopicArn"])
        )
        arns = [subscription["SubscriptionArn"] for page in pages for subscription in page["Subscriptions"]]
        confirmed = sum(arn.startswith("arn:") for arn in arns)
        found = f"{confirmed} of {len(arns)} subscriptions confirmed" if arns else "nobody is subscribed"
        step = "deploy with AlarmEmail, and follow the link in the e-mail that asks for confirmation"
        return Check("notifications", 0 < confirmed == len(arns), found, step)

    def _test_event(self) -> Check:
        """An event of a meeting that never was, through the webhook to `meeting.json`; removed afterwards."""
        credentials = self._credentials()
        if not credentials.secrets:
            return Check(
                "test event", ok=False, found="not sent: there is no secret to sign with", next_step="set the secret"
            )
        self._remove_what_came_late()
        session_id = f"{_SESSION}{uuid.uuid4()}"
        try:
            check = self._send(session_id, credentials)
        finally:
            # Also where the webhook's answer was a bad one, or did not come: it may have taken the event.
            kept = self._clean_up(session_id)
        if kept:
            return replace(check, found=f"{check.found}; {kept} files stay in {_ROOM}/, which S3 does not let go")
        return replace(check, found=f"{check.found}, removed again") if check.ok else check

    def _send(self, session_id: str, credentials: Credentials) -> Check:
        name, logs = "test event", "look at the logs of ReceiverFunction and TranscriptEnricherFunction"
        late = "; if it comes after all, the next doctor removes it"
        began = self.clock()
        try:
            status = self._post(session_id, credentials)
        except OSError as error:
            step = "see whether this machine reaches the webhook, then "
            return Check(name, ok=False, found=f"the webhook does not answer: {error}", next_step=step + logs + late)
        if status == HTTPStatus.FORBIDDEN and self.stack.parameters.get("AllowedSourceIps"):
            step = "AllowedSourceIps does not have this machine's address: try from one that it has, or --no-test-event"
            return Check(name, ok=False, found=f"the webhook answered {status}", next_step=step)
        if status != HTTPStatus.ACCEPTED:
            return Check(name, ok=False, found=f"the webhook answered {status}", next_step=logs + late)
        while self.clock() - began < self.wait_seconds:
            # Not before its record is done: whoever makes it would take a missing session for news, and begin again.
            session = self.stack.meetings.sessions.with_record(session_id)
            if session and self.stack.archive.find(f"{session.folder}/meeting.json"):
                return Check(name, ok=True, found=f"in the archive after {self.clock() - began:.1f} s")
            self.sleep(_POLL_SECONDS)
        return Check(name, ok=False, found=f"not in the archive after {self.wait_seconds} s", next_step=logs + late)

    def _post(self, session_id: str, credentials: Credentials) -> int:
        app_id = self.stack.parameters.get("AllowedAppIds", "").split(",")[0].strip() or "vpaas-magic-cookie-doctor"
        now = int(self.clock())
        event = {
            "eventType": "ROOM_CREATED",
            "sessionId": session_id,
            "fqn": f"{app_id}/{_ROOM}",
            "timestamp": now * 1000,
            "idempotencyKey": str(uuid.uuid4()),
            "data": {"conference": _ROOM},
        }
        body = json.dumps(event).encode()
        url = urlsplit(self.stack.outputs["WebhookUrl"])
        headers = {
            "Content-Type": "application/json",
            "X-Jaas-Signature": f"t={now},v1={sign(credentials.secrets[0], str(now), body)}",
        }
        if credentials.authorizations:
            headers["Authorization"] = credentials.authorizations[0]
        if (url.hostname or "").endswith(".localhost"):
            # Names there are this machine (RFC 6761), which Python leaves to the resolver and that may not know.
            headers["Host"] = url.netloc
            url = url._replace(netloc=f"127.0.0.1:{url.port}")
        request = urllib.request.Request(url.geturl(), body, headers, method="POST")  # noqa: S310 - the stack's own URL
        try:
            with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as answer:  # noqa: S310
                status: int = answer.status
                return status
        except urllib.error.HTTPError as error:
            return error.code

    def _remove_what_came_late(self) -> None:
        """What earlier doctors left behind whose event came when they had gone; not what another waits for now."""
        before_ms = (self.clock() - _OTHERS_SECONDS) * 1000
        for item in list(self.stack.listed(f"ROOM#{_ROOM}")):
            values = plain_values(item)
            if values["session_id"].startswith(_SESSION) and values["started_at"] < before_ms:
                self._clean_up(values["session_id"])

    def _clean_up(self, session_id: str) -> int:
        """Remove all of a session; returns how many files S3 keeps."""
        session = self.stack.meetings.sessions.get(session_id)
        kept = self._remove_files(session.folder) if session else 0
        table = self.stack.outputs["MeetingsTableName"]
        dynamodb = self.stack.client("dynamodb")
        if session:
            dynamodb.delete_item(TableName=table, Key=folder_key(session.folder))
        items = dynamodb.get_paginator("query").paginate(
            TableName=table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": session_pk(session_id)}},
            ProjectionExpression="pk, sk",
            ConsistentRead=True,
        )
        for page in items:
            for item in page["Items"]:
                dynamodb.delete_item(TableName=table, Key=item)
        return kept

    def _remove_files(self, folder: str) -> int:
        """Remove all versions; those that Object Lock, or the role, keeps are hidden, and their files counted."""
        bucket = self.stack.outputs["ArchiveBucketName"]
        pages = self.stack.s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=f"{folder}/")
        versions = [one for page in pages for one in (*page.get("Versions", []), *page.get("DeleteMarkers", []))]
        kept: set[str] = set()
        for version in versions:
            try:
                self.stack.s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
            except ClientError as error:
                if error_code(error) != "AccessDenied":
                    raise
                kept.add(version["Key"])
        for key in kept:
            self.stack.s3.delete_object(Bucket=bucket, Key=key)
        return len(kept)
