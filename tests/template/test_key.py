"""The admin's own KMS key, if there is one."""

from typing import Any

import pytest

from tests.template.translated import as_list, names, properties, resources, role_of, statements, the_one

KEY = {"KmsKeyArn": "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"}
ARN = KEY["KmsKeyArn"]
FUNCTIONS = names("AWS::Lambda::Function")
_HOLDS_WHAT_IS_ENCRYPTED = {"dynamodb", "s3", "secretsmanager", "sqs"}


def _statements_about_keys(function: str, **parameters: str) -> list[dict[str, Any]]:
    role = properties(role_of(function), **parameters)
    return [statement for statement in statements(role) if "kms:Decrypt" in statement["Action"]]


@pytest.mark.parametrize("bucket", ["ArchiveBucket", "ClaimBucket"])
def test_a_bucket_is_encrypted_with_the_key_and_asks_kms_seldom(bucket: str) -> None:
    (rule,) = properties(bucket, **KEY)["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule == {
        "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": ARN},
        "BucketKeyEnabled": True,
    }


def test_the_log_of_requests_is_not_since_s3_could_not_write_it() -> None:
    (rule,) = properties("AccessLogBucket", AccessLogDays="30", **KEY)["BucketEncryption"][
        "ServerSideEncryptionConfiguration"
    ]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


def test_the_table_is_encrypted_with_the_key() -> None:
    assert properties("MeetingsTable", **KEY)["SSESpecification"] == {
        "SSEEnabled": True,
        "SSEType": "KMS",
        "KMSMasterKeyId": ARN,
    }


@pytest.mark.parametrize("queue", names("AWS::SQS::Queue"))
def test_a_queue_is_encrypted_with_the_key(queue: str) -> None:
    assert properties(queue, **KEY)["KmsMasterKeyId"] == ARN
    assert "SqsManagedSseEnabled" not in properties(queue, **KEY), "SQS takes one or the other"


def test_the_secret_is_encrypted_with_the_key() -> None:
    assert properties("WebhookSecret", **KEY)["KmsKeyId"] == ARN


def test_alarms_keep_the_key_of_the_stack() -> None:
    """CloudWatch needs a statement in the key's policy; with a key that lacks it no alarm would ever arrive."""
    assert properties("AlarmTopic", **KEY)["KmsMasterKeyId"] == {"Fn::GetAtt": ["AlarmKey", "Arn"]}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_use_the_key_for_what_it_may_use_and_for_nothing_else(function: str) -> None:
    (grant,) = [grant for grant in _statements_about_keys(function, **KEY) if grant["Resource"] == ARN]
    used = {
        action.partition(":")[0]
        for statement in statements(properties(role_of(function)))
        for action in as_list(statement["Action"])
    }
    services = {service.removesuffix(".*") for service in grant["Condition"]["StringLike"]["kms:ViaService"]}
    assert (grant["Effect"], grant["Action"]) == ("Allow", ["kms:Decrypt", "kms:GenerateDataKey"])
    assert services == used & _HOLDS_WHAT_IS_ENCRYPTED


@pytest.mark.parametrize("function", FUNCTIONS)
def test_without_a_key_there_is_no_permission_for_one(function: str) -> None:
    assert {the_one(grant["Resource"]) for grant in _statements_about_keys(function)} <= {"AlarmKey"}


def test_without_a_key_nothing_refers_to_one() -> None:
    kinds = ("AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::SecretsManager::Secret")
    held = [resource["Properties"] for kind in kinds for resource in resources(kind).values()]
    assert not [entry for entry in held if "KmsMasterKeyId" in str(entry) or "KmsKeyId" in entry]
