"""SNS topics: that of the alarms, where the auditor speaks to people, and that of archived meetings."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jaas_archive.aws import translated

if TYPE_CHECKING:
    from types_boto3_sns import SNSClient


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic."""

    client: "SNSClient"
    arn: str

    def publish(self, subject: str, text: str) -> None:
        """Send a message to all who are subscribed.

        Raises:
            AwsUnavailableError: SNS did not take it.
        """
        with translated("publish to SNS"):
            # SNS takes only ASCII in a subject.
            self.client.publish(TopicArn=self.arn, Subject=subject.encode("ascii", "replace").decode(), Message=text)
