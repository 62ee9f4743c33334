from typing import Any

import pytest

from jaas_archive.downloading import GRACE_SECONDS
from jaas_archive.kinds import LONGEST_LIFE_HOURS
from tests.template.translated import DAY_SECONDS, names, properties, resources, source, statements, the_one

LOGGED = {"AccessLogDays": "30"}
BUCKETS = names("AWS::S3::Bucket", **LOGGED)
POLICIES = names("AWS::S3::BucketPolicy", **LOGGED)
TABLES = names("AWS::DynamoDB::Table")
LIFECYCLES = [{}, {"RetentionDays": "400", "TransitionDays": "30", "TransitionStorageClass": "GLACIER_IR"}]


def _rules(bucket: str, **parameters: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = properties(bucket, **LOGGED, **parameters)["LifecycleConfiguration"]["Rules"]
    return found


@pytest.mark.parametrize("name", [*BUCKETS, *POLICIES, *TABLES])
def test_what_holds_data_outlives_the_stack_and_its_own_replacement(name: str) -> None:
    resource = source()["Resources"][name]
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")


@pytest.mark.parametrize("bucket", BUCKETS)
def test_a_bucket_is_closed_to_the_public(bucket: str) -> None:
    assert properties(bucket, **LOGGED)["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    }


@pytest.mark.parametrize("bucket", BUCKETS)
def test_a_bucket_is_encrypted(bucket: str) -> None:
    (rule,) = properties(bucket, **LOGGED)["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


@pytest.mark.parametrize("bucket", BUCKETS)
def test_a_bucket_has_no_access_control_lists(bucket: str) -> None:
    assert properties(bucket, **LOGGED)["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


@pytest.mark.parametrize("bucket", BUCKETS)
def test_a_bucket_refuses_whoever_comes_without_tls(bucket: str) -> None:
    (refusal,) = [
        statement
        for policy in resources("AWS::S3::BucketPolicy", **LOGGED).values()
        for statement in statements(policy)
        if the_one(policy["Properties"]["Bucket"]) == bucket and statement["Effect"] == "Deny"
    ]
    assert (refusal["Principal"], refusal["Action"]) == ("*", "s3:*")
    assert refusal["Resource"] == [{"Fn::GetAtt": [bucket, "Arn"]}, {"Fn::Sub": f"${{{bucket}.Arn}}/*"}]
    assert refusal["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize("bucket", BUCKETS)
def test_a_bucket_forgets_incomplete_uploads_after_two_days(bucket: str) -> None:
    days = [
        rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
        for rule in _rules(bucket)
        if "AbortIncompleteMultipartUpload" in rule
    ]
    assert days == [2]


@pytest.mark.parametrize("parameters", LIFECYCLES)
@pytest.mark.parametrize("bucket", BUCKETS)
def test_every_lifecycle_rule_is_enabled(bucket: str, parameters: dict[str, str]) -> None:
    assert {rule["Status"] for rule in _rules(bucket, **parameters)} == {"Enabled"}


def test_the_archive_keeps_what_was_deleted_or_replaced() -> None:
    assert properties("ArchiveBucket")["VersioningConfiguration"] == {"Status": "Enabled"}


def test_the_archive_keeps_old_versions_for_as_long_as_the_admin_chose() -> None:
    (days,) = [
        rule["NoncurrentVersionExpiration"]["NoncurrentDays"]
        for rule in _rules("ArchiveBucket", NoncurrentVersionDays="5")
        if "NoncurrentVersionExpiration" in rule
    ]
    assert days == "5"


def test_the_archive_deletes_and_moves_nothing_by_default() -> None:
    assert not [rule for rule in _rules("ArchiveBucket") if "ExpirationInDays" in rule or "Transitions" in rule]


def test_the_archive_deletes_files_after_retention_days() -> None:
    assert {"Id": "DeleteAfterRetention", "Status": "Enabled", "ExpirationInDays": "400"} in _rules(
        "ArchiveBucket", RetentionDays="400"
    )


def test_the_archive_moves_large_files_to_the_chosen_storage_class() -> None:
    (rule,) = [rule for rule in _rules("ArchiveBucket", **LIFECYCLES[1]) if "Transitions" in rule]
    assert rule["Transitions"] == [{"StorageClass": "GLACIER_IR", "TransitionInDays": "30"}]
    assert rule["ObjectSizeGreaterThan"] == "131072"


def test_nothing_is_locked_unless_the_admin_says_so() -> None:
    assert not {"ObjectLockEnabled", "ObjectLockConfiguration"} & properties("ArchiveBucket").keys()


@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
def test_the_archive_is_locked_as_the_admin_chose(mode: str) -> None:
    bucket = properties("ArchiveBucket", ObjectLockMode=mode, ObjectLockDays="365")
    assert bucket["ObjectLockEnabled"] is True
    assert bucket["ObjectLockConfiguration"] == {
        "ObjectLockEnabled": "Enabled",
        "Rule": {"DefaultRetention": {"Mode": mode, "Days": "365"}},
    }


def test_what_empties_itself_is_not_locked() -> None:
    locked = resources("AWS::S3::Bucket", ObjectLockMode="COMPLIANCE", **LOGGED)
    assert [name for name, bucket in locked.items() if "ObjectLockEnabled" in bucket["Properties"]] == ["ArchiveBucket"]


def test_no_log_of_requests_is_written_unless_the_admin_says_so() -> None:
    assert "AccessLogBucket" not in resources("AWS::S3::Bucket")
    assert "LoggingConfiguration" not in properties("ArchiveBucket")


def test_requests_for_files_are_logged_for_as_long_as_the_admin_chose() -> None:
    assert the_one(properties("ArchiveBucket", **LOGGED)["LoggingConfiguration"]) == "AccessLogBucket"
    assert [rule["ExpirationInDays"] for rule in _rules("AccessLogBucket")] == ["30"]


def test_only_s3_writes_the_log_of_requests_and_only_that_of_the_archive() -> None:
    (allowed,) = [
        statement
        for statement in statements(properties("AccessLogBucketPolicy", **LOGGED))
        if statement["Effect"] == "Allow"
    ]
    assert (allowed["Principal"], allowed["Action"]) == ({"Service": "logging.s3.amazonaws.com"}, "s3:PutObject")
    assert allowed["Condition"] == {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
        "ArnLike": {"aws:SourceArn": {"Fn::GetAtt": ["ArchiveBucket", "Arn"]}},
    }


def _claims_expire_after_seconds(prefix: str | None) -> int:
    (days,) = [
        rule["ExpirationInDays"]
        for rule in _rules("ClaimBucket")
        if "ExpirationInDays" in rule and rule.get("Prefix") == prefix
    ]
    return int(days) * DAY_SECONDS


def test_a_large_event_outlasts_the_message_that_points_to_it() -> None:
    longest = max(queue["Properties"]["MessageRetentionPeriod"] for queue in resources("AWS::SQS::Queue").values())
    assert _claims_expire_after_seconds(None) > longest


def test_an_announcement_outlasts_the_tries_for_its_file_and_little_else() -> None:
    longest = LONGEST_LIFE_HOURS * 3600 + GRACE_SECONDS
    assert longest < _claims_expire_after_seconds("announcements/") <= longest + DAY_SECONDS


def test_what_is_emptied_in_the_claim_bucket_is_gone() -> None:
    assert "VersioningConfiguration" not in properties("ClaimBucket")


@pytest.mark.parametrize("table", TABLES)
def test_a_table_is_paid_by_request(table: str) -> None:
    assert properties(table)["BillingMode"] == "PAY_PER_REQUEST"


@pytest.mark.parametrize("table", TABLES)
def test_a_table_can_be_restored_to_any_second(table: str) -> None:
    assert properties(table)["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


@pytest.mark.parametrize("table", TABLES)
def test_a_table_is_encrypted(table: str) -> None:
    assert properties(table)["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS"}


@pytest.mark.parametrize("table", TABLES)
def test_a_table_is_not_deleted_by_a_slip(table: str) -> None:
    assert properties(table)["DeletionProtectionEnabled"] is True


def test_the_meetings_table_has_the_keys_of_the_contract() -> None:
    assert _keys(properties("MeetingsTable")) == ("pk", "sk")


@pytest.mark.parametrize(
    ("index", "keys"), [("SessionsIndex", ("gsi1pk", "gsi1sk")), ("OpenFilesIndex", ("gsi2pk", "gsi2sk"))]
)
def test_the_meetings_table_has_the_indexes_of_the_contract(index: str, keys: tuple[str, str]) -> None:
    indexes = {index["IndexName"]: index for index in properties("MeetingsTable")["GlobalSecondaryIndexes"]}
    assert _keys(indexes[index]) == keys


def _keys(schema: dict[str, Any]) -> tuple[str, str]:
    by_kind = {key["KeyType"]: key["AttributeName"] for key in schema["KeySchema"]}
    return by_kind["HASH"], by_kind["RANGE"]


def test_the_secret_has_no_value_until_the_admin_puts_one_there() -> None:
    """A value in the template, or one that is made up, would be put back by an update of the stack."""
    assert not {"SecretString", "GenerateSecretString"} & properties("WebhookSecret").keys()
