from collections.abc import Iterator
from typing import Any

import pytest

from jaas_archive.publishing import EVENT_SOURCE
from tests.template.translated import as_list, names, properties, referenced, role_of, stack, statements, the_one

FUNCTIONS = names("AWS::Lambda::Function")
ROLES = names("AWS::IAM::Role")
_ALLOWED = {
    "ReceiverFunction": {
        "logs:CreateLogStream": {"ReceiverLogGroup"},
        "logs:PutLogEvents": {"ReceiverLogGroup"},
        "secretsmanager:GetSecretValue": {"WebhookSecret"},
        "sqs:SendMessage": {"DownloadQueue", "MeetingQueue"},
        "s3:PutObject": {"ClaimBucket/events/*"},
    },
    "DownloaderFunction": {
        "logs:CreateLogStream": {"DownloaderLogGroup"},
        "logs:PutLogEvents": {"DownloaderLogGroup"},
        "sqs:ReceiveMessage": {"DownloadQueue", "UrgentDownloadQueue"},
        "sqs:DeleteMessage": {"DownloadQueue", "UrgentDownloadQueue"},
        "sqs:GetQueueAttributes": {"DownloadQueue", "UrgentDownloadQueue"},
        "sqs:ChangeMessageVisibility": {"DownloadQueue", "UrgentDownloadQueue"},
        "sqs:SendMessage": {"MeetingQueue", "DownloadDeadLetterQueue"},
        "s3:GetObject": {"ClaimBucket/events/*", "ArchiveBucket/*"},
        "s3:PutObject": {"ArchiveBucket/*"},
        "s3:AbortMultipartUpload": {"ArchiveBucket/*"},
        "s3:ListMultipartUploadParts": {"ArchiveBucket/*"},
        "s3:ListBucketMultipartUploads": {"ArchiveBucket"},
        "dynamodb:GetItem": {"MeetingsTable"},
        "dynamodb:PutItem": {"MeetingsTable"},
        "dynamodb:UpdateItem": {"MeetingsTable"},
    },
    "TranscriptEnricherFunction": {
        "logs:CreateLogStream": {"TranscriptEnricherLogGroup"},
        "logs:PutLogEvents": {"TranscriptEnricherLogGroup"},
        "sqs:ReceiveMessage": {"MeetingQueue"},
        "sqs:DeleteMessage": {"MeetingQueue"},
        "sqs:GetQueueAttributes": {"MeetingQueue"},
        "sqs:ChangeMessageVisibility": {"MeetingQueue"},
        "sqs:SendMessage": {"MeetingDeadLetterQueue"},
        "s3:GetObject": {"ClaimBucket/events/*", "ArchiveBucket/*"},
        "s3:PutObject": {"ClaimBucket/announcements/*", "ArchiveBucket/*"},
        "dynamodb:GetItem": {"MeetingsTable"},
        "dynamodb:PutItem": {"MeetingsTable"},
        "dynamodb:UpdateItem": {"MeetingsTable"},
        "dynamodb:Query": {"MeetingsTable"},
    },
    "AuditorFunction": {
        "logs:CreateLogStream": {"AuditorLogGroup"},
        "logs:PutLogEvents": {"AuditorLogGroup"},
        "dynamodb:BatchGetItem": {"MeetingsTable"},
        "dynamodb:GetItem": {"MeetingsTable"},
        "dynamodb:PutItem": {"MeetingsTable"},
        "dynamodb:UpdateItem": {"MeetingsTable"},
        "dynamodb:Query": {"MeetingsTable", "MeetingsTable/index/OpenFilesIndex"},
        "s3:GetObject": {"ClaimBucket/announcements/*", "ArchiveBucket/*"},
        "s3:PutObject": {"ClaimBucket/events/*"},
        "sqs:SendMessage": {"DownloadQueue", "UrgentDownloadQueue", "MeetingQueue"},
        "sqs:GetQueueAttributes": {"DownloadQueue"},
        "sns:Publish": {"AlarmTopic"},
        "kms:Decrypt": {"AlarmKey"},
        "kms:GenerateDataKey": {"AlarmKey"},
    },
}


def _granted(role: str) -> Iterator[tuple[str, Any]]:
    """Pairs of action and resource, from the role's own policies."""
    for statement in statements(properties(role)["Policies"]):
        assert statement["Effect"] == "Allow"
        for action in as_list(statement["Action"]):
            for resource in as_list(statement["Resource"]):
                yield action, resource


def _short(resource: Any) -> str:
    """`Bucket/path` for the ARN of something in the bucket, or the logical id of what has the ARN."""
    match resource:
        case {"Fn::Sub": str(text)}:
            return text.replace("${", "").replace(".Arn}", "")
    return the_one(resource)


def _allowing_statements() -> Iterator[tuple[str, dict[str, Any]]]:
    """Those of the stack with every choice made that adds some."""
    key_arn = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    for name, resource in stack(KmsKeyArn=key_arn, AccessLogDays="30")["Resources"].items():
        for statement in statements(resource):
            if statement["Effect"] == "Allow":
                yield name, statement


def _manages_key(name: str, statement: dict[str, Any]) -> bool:
    """The statement with which a key's policy leaves the key to the account, without which nobody could change it."""
    root = {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}
    is_key: bool = stack()["Resources"][name]["Type"] == "AWS::KMS::Key"
    return is_key and statement["Principal"] == root


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_do_what_is_listed_here_and_nothing_else(function: str) -> None:
    granted: dict[str, set[str]] = {}
    for action, resource in _granted(role_of(function)):
        granted.setdefault(action, set()).add(_short(resource))
    assert granted == _ALLOWED[function]


def test_every_function_has_a_role_of_its_own() -> None:
    assert sorted(map(role_of, FUNCTIONS)) == ROLES


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_no_managed_policies(role: str) -> None:
    assert not properties(role).get("ManagedPolicyArns")


def test_permissions_stand_in_the_roles_and_nowhere_beside_them() -> None:
    kinds = {resource["Type"] for resource in stack()["Resources"].values()}
    assert {kind for kind in kinds if kind.startswith("AWS::IAM::")} == {"AWS::IAM::Role"}


@pytest.mark.parametrize("role", ROLES)
def test_only_lambda_assumes_a_role(role: str) -> None:
    assert list(statements(properties(role)["AssumeRolePolicyDocument"])) == [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_reaches_only_resources_of_this_stack(role: str) -> None:
    strangers = [resource for _, resource in _granted(role) if not referenced(resource) & stack()["Resources"].keys()]
    assert not strangers


@pytest.mark.parametrize("role", ROLES)
def test_a_role_cannot_delete_anything_but_messages_it_has_handled(role: str) -> None:
    granted = {action for action, _ in _granted(role)}
    assert {action for action in granted if "delete" in action.lower()} <= {"sqs:DeleteMessage"}
    # It covers deletes as well as puts, and no condition tells the two apart.
    assert "dynamodb:BatchWriteItem" not in granted


def test_no_statement_allows_actions_by_wildcard() -> None:
    broad = [
        (name, action)
        for name, statement in _allowing_statements()
        for action in as_list(statement["Action"])
        if "*" in action and not _manages_key(name, statement)
    ]
    assert not broad


def test_no_statement_allows_anything_on_all_resources() -> None:
    """In the policy of a key, "*" is that key."""
    broad = [
        name
        for name, statement in _allowing_statements()
        if "*" in as_list(statement.get("Resource")) and stack()["Resources"][name]["Type"] != "AWS::KMS::Key"
    ]
    assert not broad


def test_no_statement_allows_by_exception() -> None:
    odd = [
        name
        for name, statement in _allowing_statements()
        if {"NotAction", "NotResource", "NotPrincipal"} & set(statement)
    ]
    assert not odd


def test_no_statement_allows_everybody() -> None:
    open_to_all = [
        name
        for name, statement in _allowing_statements()
        if statement.get("Principal") in ("*", {"AWS": "*"})
        or "*" in as_list(statement.get("Principal", {}).get("AWS"))
    ]
    assert not open_to_all


def test_with_meeting_notifications_the_enricher_may_publish_to_their_topic_and_nobody_else() -> None:
    granted = [
        (role, statement["Action"])
        for role in ROLES
        for statement in statements(properties(role, MeetingNotifications="sns")["Policies"])
        if "MeetingTopic" in referenced(statement["Resource"])
    ]
    assert granted == [("TranscriptEnricherRole", "sns:Publish")]
    assert "MeetingTopic" not in stack()["Resources"]


def test_with_meeting_events_the_enricher_may_put_events_in_its_own_name_and_nobody_else() -> None:
    granted = [
        (role, statement["Action"], statement["Condition"])
        for role in ROLES
        for statement in statements(properties(role, MeetingNotifications="eventbridge")["Policies"])
        if any(action.startswith("events:") for action in as_list(statement["Action"]))
    ]
    own_name = {"StringEquals": {"events:source": EVENT_SOURCE}}
    assert granted == [("TranscriptEnricherRole", "events:PutEvents", own_name)]
    assert "MeetingTopic" not in stack(MeetingNotifications="eventbridge")["Resources"]
