"""Where others listen: SNS topics, of the alarms and of archived meetings, and a bus of EventBridge."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from jaas_archive.aws import translated
from jaas_archive.errors import AwsUnavailableError

if TYPE_CHECKING:
    from types_boto3_events import EventBridgeClient
    from types_boto3_sns import SNSClient

EVENT_SOURCE = "jaas-archive"


class Listeners(Protocol):
    """Whoever is subscribed."""

    def publish(self, subject: str, text: str) -> None:
        """Tell them.

        Raises:
            AwsUnavailableError: it was not taken.
        """


@dataclass(frozen=True, slots=True)
class Topic(Listeners):
    """One topic."""

    client: "SNSClient"
    arn: str

    def publish(self, subject: str, text: str) -> None:
        with translated("publish to SNS"):
            # SNS takes only ASCII in a subject.
            self.client.publish(TopicArn=self.arn, Subject=subject.encode("ascii", "replace").decode(), Message=text)


@dataclass(frozen=True, slots=True)
class EventBus(Listeners):
    """A bus; the subject is the events' `detail-type`, the text, a JSON object, their `detail`."""

    client: "EventBridgeClient"
    name: str

    def publish(self, subject: str, text: str) -> None:
        with translated("put an event"):
            answer = self.client.put_events(
                Entries=[{"EventBusName": self.name, "Source": EVENT_SOURCE, "DetailType": subject, "Detail": text}]
            )
        # Refused entries come with a good answer.
        for entry in answer["Entries"]:
            if code := entry.get("ErrorCode"):
                raise AwsUnavailableError(f"could not put an event: {code}")
