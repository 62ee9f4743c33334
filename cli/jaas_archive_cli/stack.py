"""A deployed stack, found by its name with the admin's own AWS settings."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from jaas_archive.announcements import Announcements
from jaas_archive.archive import Archive
from jaas_archive.backlog import Backlog
from jaas_archive.items import Item, item_key, session_pk
from jaas_archive.meetings import Meetings
from jaas_archive.queues import ClaimBucket

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_sqs import SQSClient


MOST_ITEMS = 100
"""DynamoDB: in one BatchGetItem."""


class StackError(Exception):
    """The stack cannot be reached, or is not one of ours; the text says why."""


@dataclass(frozen=True)
class Stack:
    """One stack: its outputs, and clients for what it made."""

    name: str
    session: boto3.Session
    status: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]

    @classmethod
    def find(cls, name: str, *, profile: str | None, region: str | None) -> "Stack":
        """Look the stack up.

        Raises:
            StackError: it is not there, or not to be reached.
        """
        try:
            session = boto3.Session(profile_name=profile, region_name=region)
            found = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
        except (BotoCoreError, ClientError, ValueError) as error:  # ValueError: an endpoint that is no URL
            raise StackError(f"cannot find stack {name}: {error}") from error
        outputs = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}
        if "MeetingsTableName" not in outputs:
            raise StackError(f"stack {name} is not a JaaS Archive: it has no output MeetingsTableName")
        parameters = {each["ParameterKey"]: each.get("ParameterValue", "") for each in found.get("Parameters", [])}
        return cls(name, session, found["StackStatus"], parameters, outputs)

    def client(self, service: str) -> Any:
        """A client of the session; each is made once."""
        if service not in self._clients:
            self._clients[service] = self.session.client(service)  # type: ignore[call-overload]
        return self._clients[service]

    def listed(self, partition: str) -> Iterator[Item]:
        """What SessionsIndex lists of a room (`ROOM#…`), a day (`DAY#…`) or a person (`PERSON#…`), by time."""
        pages = (
            self.client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=self.outputs["MeetingsTableName"],
                IndexName="SessionsIndex",
                KeyConditionExpression="gsi1pk = :partition",
                ExpressionAttributeValues={":partition": {"S": partition}},
            )
        )
        for page in pages:
            yield from page["Items"]

    def session_items(self, session_ids: Iterable[str]) -> dict[str, Item]:
        """The items `SESSION` of up to a hundred sessions, in one request if DynamoDB is not busy."""
        table = self.outputs["MeetingsTableName"]
        keys = [item_key(session_id, "SESSION") for session_id in dict.fromkeys(session_ids)]
        wanted: Any = {table: {"Keys": keys, "ConsistentRead": True}} if keys else {}
        found: dict[str, Item] = {}
        while wanted:
            answer = self.client("dynamodb").batch_get_item(RequestItems=wanted)
            found |= {item["pk"]["S"].removeprefix(session_pk("")): item for item in answer["Responses"].get(table, [])}
            wanted = answer.get("UnprocessedKeys")
        return found

    @cached_property
    def _clients(self) -> dict[str, Any]:
        return {}

    @property
    def sqs(self) -> "SQSClient":
        """For the queues."""
        client: SQSClient = self.client("sqs")
        return client

    @property
    def s3(self) -> "S3Client":
        """For the buckets."""
        client: S3Client = self.client("s3")
        return client

    @property
    def meetings(self) -> Meetings:
        """The meetings table."""
        return Meetings(self.client("dynamodb"), self.outputs["MeetingsTableName"])

    @property
    def backlog(self) -> Backlog:
        """What the table says is still to be done."""
        return Backlog(self.client("dynamodb"), self.outputs["MeetingsTableName"])

    @property
    def archive(self) -> Archive:
        """The archive bucket."""
        return Archive(lambda: self.s3, self.outputs["ArchiveBucketName"])

    @cached_property
    def claims(self) -> ClaimBucket:
        """Where messages lie that SQS does not hold."""
        return ClaimBucket(lambda: self.s3, self.resource("ClaimBucket"))

    @property
    def announcements(self) -> Announcements:
        """Where the links of files wait that are not archived yet."""
        return Announcements(self.claims)

    def resource(self, logical_id: str) -> str:
        """The physical id of something that the stack made."""
        answer = self.client("cloudformation").describe_stack_resource(
            StackName=self.name, LogicalResourceId=logical_id
        )
        physical_id: str = answer["StackResourceDetail"]["PhysicalResourceId"]
        return physical_id

    def resources(self, kind: str) -> list[str]:
        """The physical ids of all resources of a type."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=self.name)
        return [
            resource["PhysicalResourceId"]
            for page in pages
            for resource in page["StackResourceSummaries"]
            if resource["ResourceType"] == kind
        ]
