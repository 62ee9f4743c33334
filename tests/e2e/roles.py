"""The functions' roles on the deployed stack: their credentials, their statements, and what happens without one."""

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from local.cloud import Stack

FUNCTIONS = ("receiver", "downloader", "transcript_enricher", "auditor")
_PROBE = """
import os

def handler(event, context):
    return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
"""


@dataclass(frozen=True, slots=True)
class Role:
    """The role of one function."""

    stack: Stack
    function: str

    @property
    def name(self) -> str:
        """What IAM calls it."""
        return resource(self.stack, f"{_logical(self.function)}Role")

    def policy(self) -> dict[str, Any]:
        """Its only policy."""
        document: dict[str, Any] = self._iam.get_role_policy(RoleName=self.name, PolicyName=self.function)[
            "PolicyDocument"
        ]
        return document

    def statements(self) -> list[str]:
        """The names of the policy's statements."""
        return [statement["Sid"] for statement in self.policy()["Statement"]]

    @contextmanager
    def without(self, sid: str) -> Iterator[None]:
        """Take one statement away for a while."""
        whole = self.policy()
        rest = [statement for statement in whole["Statement"] if statement["Sid"] != sid]
        self._put(whole | {"Statement": rest})
        try:
            yield
        finally:
            self._put(whole)

    def ignore_condition(self, sid: str) -> None:
        """Let a statement hold always, because MiniStack does not know what its condition looks at."""
        whole = self.policy()
        for statement in whole["Statement"]:
            if statement["Sid"] == sid:
                del statement["Condition"]
        self._put(whole)

    def session(self) -> boto3.Session:
        """What somebody has who holds the function: the credentials that Lambda gives to a function with this role."""
        client, name = self.stack.cloud.client("lambda"), f"probe-{self.stack.name}-{self.function}"
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("app.py", _PROBE)
        arn = self._iam.get_role(RoleName=self.name)["Role"]["Arn"]
        client.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Handler="app.handler",
            Role=arn,
            Code={"ZipFile": content.getvalue()},
        )
        variables = json.load(client.invoke(FunctionName=name)["Payload"])
        client.delete_function(FunctionName=name)
        return boto3.Session(
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=variables["AWS_SESSION_TOKEN"],
            region_name="us-east-1",
        )

    def _put(self, document: dict[str, Any]) -> None:
        self._iam.put_role_policy(RoleName=self.name, PolicyName=self.function, PolicyDocument=json.dumps(document))

    @property
    def _iam(self) -> Any:
        return self.stack.cloud.client("iam")


def resource(stack: Stack, logical_id: str) -> str:
    """The physical id of something that the stack made."""
    found: str = stack.cloud.client("cloudformation").describe_stack_resource(
        StackName=stack.name, LogicalResourceId=logical_id
    )["StackResourceDetail"]["PhysicalResourceId"]
    return found


def function_name(stack: Stack, function: str) -> str:
    """What Lambda calls the function in this folder of functions/."""
    return resource(stack, f"{_logical(function)}Function")


def client_of(session: boto3.Session, stack: Stack, service: str) -> Any:
    """A client that asks once."""
    config = Config(proxies={}, retries={"total_max_attempts": 1})
    return session.client(service, endpoint_url=stack.cloud.endpoint, config=config)  # type: ignore[call-overload]


def _logical(function: str) -> str:
    return "".join(word.capitalize() for word in function.split("_"))
