import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.template.translated import ROOT, source, stack

PARAMETERS = sorted(source()["Parameters"])
OUTPUTS = sorted(source()["Outputs"])
ENVIRONMENTS = ["default", "prod"]


@pytest.mark.parametrize(
    ("parameter", "default"),
    [
        ("AllowedAppIds", ""),
        ("SignatureToleranceSeconds", 86400),
        (
            "AllowedLinkOrigins",
            "https://*.oraclecloud.com,https://8x8.vc,https://*.8x8.vc,https://*.8x8.com,https://*.amazonaws.com",
        ),
        ("AlarmEmail", ""),
        ("MeetingNotifications", "none"),
        ("Architecture", "arm64"),
        ("FirstRetrySeconds", 30),
        ("DownloaderConcurrency", 20),
        ("RetentionDays", 0),
        ("KmsKeyArn", ""),
        ("ObjectLockMode", "NONE"),
        ("AccessLogDays", 0),
    ],
)
def test_a_parameter_of_the_contract_has_its_default(parameter: str, default: object) -> None:
    assert source()["Parameters"][parameter]["Default"] == default


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_a_stack_can_be_made_without_choosing_anything(parameter: str) -> None:
    assert "Default" in source()["Parameters"][parameter]


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_the_default_of_a_parameter_is_a_value_it_takes(parameter: str) -> None:
    definition = source()["Parameters"][parameter]
    default = definition["Default"]
    assert default in definition.get("AllowedValues", [default])
    assert re.fullmatch(definition.get("AllowedPattern", ".*"), str(default))


@pytest.mark.parametrize(
    ("parameter", "value", "taken"),
    [
        ("AllowedLinkOrigins", "http://127.0.0.1:8080", True),
        ("AllowedLinkOrigins", "https://*.example.com,http://127.0.0.1:1", True),
        ("AllowedLinkOrigins", "", False),
        ("FileKinds", "all", True),
        ("FileKinds", "recording,chat,transcript,segment,document,screenshots,rtcstats,other", True),
        ("FileKinds", "recording, chat", False),
        ("FileKinds", "recordings", False),
        ("FileKinds", "", False),
        ("AllowedLinkOrigins", "https://example.com/path", False),
        ("AllowedLinkOrigins", "https://example.com, https://example.org", False),
        ("AllowedLinkOrigins", "ftp://example.com", False),
        ("AllowedLinkOrigins", "http://example.com", False),
        ("AllowedLinkOrigins", "https://example.com:8443", False),
        ("AllowedLinkOrigins", "https://*.com", False),
        ("AllowedLinkOrigins", "https://10.0.0.1", False),
        ("AllowedLinkOrigins", "http://127.0.0.1", False),
        ("AllowedLinkOrigins", "http://127.0.0.1:1,https://*", False),
        ("AllowedAppIds", "vpaas-magic-cookie-1,vpaas-magic-cookie-2", True),
        ("AllowedAppIds", "vpaas-magic-cookie-1/room", False),
        ("AlarmEmail", "ops@example.com", True),
        ("AlarmEmail", "ops", False),
        ("KmsKeyArn", "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", True),
        ("KmsKeyArn", "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab", True),
        ("KmsKeyArn", "arn:aws:kms:eu-central-1:111122223333:alias/archive", False),
        ("KmsKeyArn", "1234abcd-12ab-34cd-56ef-1234567890ab", False),
        ("TransitionDays", "30", True),
        ("TransitionDays", "3650", True),
        ("TransitionDays", "29", False),
        ("TransitionDays", "-1", False),
    ],
)
def test_a_parameter_takes_what_makes_sense(parameter: str, value: str, *, taken: bool) -> None:
    assert bool(re.fullmatch(source()["Parameters"][parameter]["AllowedPattern"], value)) is taken


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_a_parameter_says_what_it_does(parameter: str) -> None:
    assert source()["Parameters"][parameter]["Description"].endswith(".")


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_a_pattern_is_explained_to_who_fails_it(parameter: str) -> None:
    definition = source()["Parameters"][parameter]
    assert ("AllowedPattern" in definition) is ("ConstraintDescription" in definition)


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_a_parameter_is_used(parameter: str) -> None:
    users = [source()["Resources"], source()["Conditions"], source()["Globals"]]
    assert {"Ref": parameter} in [expression for user in users for expression in _dictionaries(user)]


def _dictionaries(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for element in value:
            yield from _dictionaries(element)


def test_the_console_shows_every_parameter_in_one_group_with_a_label() -> None:
    interface = source()["Metadata"]["AWS::CloudFormation::Interface"]
    assert sorted(name for group in interface["ParameterGroups"] for name in group["Parameters"]) == PARAMETERS
    assert sorted(interface["ParameterLabels"]) == PARAMETERS


def test_the_outputs_are_those_of_the_contract() -> None:
    assert set(OUTPUTS) == {
        "WebhookUrl",
        "WebhookSecretArn",
        "ArchiveBucketName",
        "MeetingsTableName",
        "DownloadQueueUrl",
        "UrgentDownloadQueueUrl",
        "DownloadDeadLetterQueueUrl",
        "MeetingQueueUrl",
        "MeetingDeadLetterQueueUrl",
        "AlarmTopicArn",
        "MeetingTopicArn",
    }


@pytest.mark.parametrize("output", sorted({*OUTPUTS} - {"WebhookUrl", "WebhookSecretArn"}))
def test_an_output_refers_to_the_resource_it_is_named_after(output: str) -> None:
    resource = re.sub("(Url|Arn|Name)$", "", output)
    assert stack()["Outputs"][output]["Value"] == {"Ref": resource}


def test_the_webhook_url_is_the_endpoint_that_api_gateway_reports() -> None:
    assert stack()["Outputs"]["WebhookUrl"]["Value"] == {"Fn::Sub": "${WebhookApi.ApiEndpoint}/webhook"}


def test_the_secret_is_named_by_its_arn() -> None:
    """A reference gives an ARN on AWS and a name on the embedded cloud; the attribute is an ARN on both."""
    assert stack()["Outputs"]["WebhookSecretArn"]["Value"] == {"Fn::GetAtt": ["WebhookSecret", "Id"]}


@pytest.mark.parametrize("output", OUTPUTS)
def test_an_output_says_what_it_is_for(output: str) -> None:
    assert source()["Outputs"][output]["Description"].endswith(".")


def test_values_are_ascii() -> None:
    """CloudFormation shows other characters as question marks, and the description of a role refuses them."""
    texts = [text for part in stack().values() for text in _texts(part)]
    assert not [text for text in texts if not text.isascii()]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for element in value.values():
            yield from _texts(element)
    elif isinstance(value, list):
        for element in value:
            yield from _texts(element)


def test_the_template_has_no_yaml_aliases() -> None:
    """CloudFormation does not take them, except by way of `sam build`."""
    assert not re.search(r":\s+[&*]\w", (ROOT / "template.yaml").read_text())


def _config() -> dict[str, Any]:
    return tomllib.loads((ROOT / "samconfig.toml").read_text())


def test_samconfig_has_exactly_these_environments() -> None:
    assert sorted(_config().keys() - {"version"}) == ENVIRONMENTS


def test_both_environments_say_the_same_things() -> None:
    """SAM's environments do not inherit from each other."""
    said = [
        {(command, name) for command, tables in _config()[environment].items() for name in tables["parameters"]}
        for environment in ENVIRONMENTS
    ]
    assert said[0] == said[1]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_sam_builds_validates_and_deploys_without_options(environment: str) -> None:
    commands = _config()[environment]
    assert commands["build"]["parameters"] == {"cached": True, "parallel": True}
    assert commands["validate"]["parameters"] == {"lint": True}
    assert {"capabilities": ["CAPABILITY_IAM"], "resolve_s3": True}.items() <= commands["deploy"]["parameters"].items()


def test_the_environments_are_stacks_of_their_own() -> None:
    names = [_config()[environment]["global"]["parameters"]["stack_name"] for environment in ENVIRONMENTS]
    assert names == ["jaas-archive-dev", "jaas-archive"]


def test_changes_to_production_are_confirmed() -> None:
    assert _config()["prod"]["deploy"]["parameters"]["confirm_changeset"] is True


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_samconfig_sets_only_parameters_that_exist(environment: str) -> None:
    overrides = _config()[environment]["global"]["parameters"]["parameter_overrides"]
    assert {override.partition("=")[0] for override in overrides} <= set(PARAMETERS)
