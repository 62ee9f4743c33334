import json
import re
from pathlib import Path
from typing import Any

import pytest

from jaas_archive.findings import FindingKind
from jaas_archive.queues import LONGEST_PAUSE_SECONDS
from tests.template.translated import ROOT, as_list, names, properties, resources, statements, the_one

ALARMS = names("AWS::CloudWatch::Alarm")
RUNBOOK = (ROOT / "docs/operations.md").read_text()
OUR_NAMESPACE = {"Fn::Sub": "JaasArchive/${AWS::StackName}"}
DEAD_LETTER_QUEUES = [queue for queue in names("AWS::SQS::Queue") if queue.endswith("DeadLetterQueue")]


@pytest.mark.parametrize("alarm", ALARMS)
def test_an_alarm_tells_the_topic_when_it_begins_and_when_it_is_over(alarm: str) -> None:
    told = [the_one(properties(alarm)[kind]) for kind in ("AlarmActions", "OKActions")]
    assert told == ["AlarmTopic", "AlarmTopic"]


@pytest.mark.parametrize("alarm", ALARMS)
def test_an_alarm_says_in_sentences_what_happened_and_what_to_do(alarm: str) -> None:
    assert properties(alarm)["AlarmDescription"].count(". ") >= 1


@pytest.mark.parametrize("alarm", ALARMS)
def test_an_alarm_says_what_silence_means(alarm: str) -> None:
    assert properties(alarm)["TreatMissingData"] in ("notBreaching", "breaching", "ignore")


@pytest.mark.parametrize("alarm", ALARMS)
def test_an_alarm_has_a_section_in_the_runbook(alarm: str) -> None:
    assert re.search(rf"^### {alarm}$", RUNBOOK, re.MULTILINE)


def test_the_runbook_has_sections_for_alarms_that_exist() -> None:
    assert set(re.findall(r"^### (\w+Alarm)$", RUNBOOK, re.MULTILINE)) == set(ALARMS)


@pytest.mark.parametrize("alarm", ALARMS)
def test_an_alarm_says_what_to_do_without_a_link(alarm: str) -> None:
    assert "://" not in properties(alarm)["AlarmDescription"]


def test_metrics_of_ours_are_documented() -> None:
    watched = {
        (properties(alarm)["MetricName"], properties(alarm)["Dimensions"][0]["Value"])
        for alarm in ALARMS
        if properties(alarm).get("Namespace") == OUR_NAMESPACE
    }
    shown = {
        (metric[1], metric[3])
        for metric in _shown()
        if isinstance(metric[0], str) and metric[0].startswith("JaasArchive/")
    }
    assert watched | shown <= _documented()


def test_documented_metrics_are_made_by_the_code() -> None:
    code = "".join(path.read_text() for folder in ("functions", "layers") for path in Path(ROOT, folder).rglob("*.py"))
    made = set(re.findall(r'"([A-Z][A-Za-z]+)"', code)) | {kind.metric for kind in FindingKind}
    assert {name for name, _ in _documented()} <= made


def _documented() -> set[tuple[str, str]]:
    """Pairs of metric and service, from the table in the runbook."""
    return set(re.findall(r"^\| `(\w+)` \| (\w+) \|", RUNBOOK, re.MULTILINE))


def _shown() -> list[list[Any]]:
    body = json.loads(properties("Dashboard")["DashboardBody"]["Fn::Sub"])
    return [metric for widget in body["widgets"] for metric in widget["properties"]["metrics"]]


@pytest.mark.parametrize("queue", DEAD_LETTER_QUEUES)
def test_the_first_message_in_a_dead_letter_queue_raises_an_alarm(queue: str) -> None:
    alarm = properties(f"{queue}NotEmptyAlarm")
    dimension = [{"Name": "QueueName", "Value": {"Fn::GetAtt": [queue, "QueueName"]}}]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/SQS", "ApproximateNumberOfMessagesVisible")
    assert alarm["Dimensions"] == dimension
    assert (alarm["Statistic"], alarm["ComparisonOperator"], alarm["Threshold"]) == (
        "Maximum",
        "GreaterThanThreshold",
        0,
    )
    assert (alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"], alarm["Period"]) == (1, 1, 60)


def test_the_few_events_of_a_small_meeting_are_enough_to_tell_of_a_wrong_secret() -> None:
    alarm = properties("SignaturesRejectedAlarm")
    assert (alarm["Period"], alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (3600, 1, 1)
    assert alarm["Threshold"] < 3


def test_an_event_that_fails_for_an_hour_raises_an_alarm_though_its_tries_are_an_hour_apart() -> None:
    """SQS does not tell: what was received three times is left out of its age of the oldest message."""
    alarm = properties("TranscriptEnricherFailingAlarm")
    assert (alarm["MetricName"], alarm["Statistic"], alarm["Threshold"]) == ("OldestFailureSeconds", "Maximum", 3600)
    assert alarm["Period"] * alarm["EvaluationPeriods"] >= 2 * LONGEST_PAUSE_SECONDS
    assert alarm["DatapointsToAlarm"] == 1


def test_alarms_are_encrypted_with_a_key_of_the_stack() -> None:
    """CloudWatch may not use alias/aws/sns: with that key no alarm would ever arrive."""
    assert properties("AlarmTopic")["KmsMasterKeyId"] == {"Fn::GetAtt": ["AlarmKey", "Arn"]}


def test_cloudwatch_may_use_the_key_of_the_alarms() -> None:
    (grant,) = [
        statement
        for statement in statements(properties("AlarmKey"))
        if statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    ]
    assert (grant["Effect"], grant["Action"]) == ("Allow", ["kms:Decrypt", "kms:GenerateDataKey"])
    assert "Condition" not in grant, "CloudWatch gives KMS no context to compare with"


def test_the_key_of_the_alarms_rotates() -> None:
    assert properties("AlarmKey")["EnableKeyRotation"] is True


def _topic_statements(effect: str) -> list[dict[str, Any]]:
    return [
        statement
        for policy in resources("AWS::SNS::TopicPolicy").values()
        for statement in statements(policy)
        if statement["Effect"] == effect and as_list(statement["Resource"]) == [{"Ref": "AlarmTopic"}]
    ]


def test_only_cloudwatch_for_this_account_may_publish_alarms() -> None:
    (allowed,) = _topic_statements("Allow")
    assert (allowed["Principal"], allowed["Action"]) == ({"Service": "cloudwatch.amazonaws.com"}, "sns:Publish")
    assert allowed["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}


def test_the_topic_refuses_whoever_comes_without_tls() -> None:
    (refused,) = _topic_statements("Deny")
    assert (refused["Principal"], refused["Action"]) == ("*", "sns:Publish")
    assert refused["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_nobody_is_subscribed_without_an_address() -> None:
    assert not resources("AWS::SNS::Subscription", AlarmEmail="")


def test_the_admin_s_address_is_subscribed() -> None:
    (subscription,) = resources("AWS::SNS::Subscription", AlarmEmail="ops@example.com").values()
    assert subscription["Properties"] == {
        "TopicArn": {"Ref": "AlarmTopic"},
        "Protocol": "email",
        "Endpoint": "ops@example.com",
    }
