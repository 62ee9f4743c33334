from typing import Any

import pytest

from tests.template.translated import (
    DAY_SECONDS,
    as_list,
    names,
    properties,
    resources,
    role_of,
    statements,
    the_one,
)

QUEUES = names("AWS::SQS::Queue")
MAPPINGS = names("AWS::Lambda::EventSourceMapping")
DEAD_LETTER_QUEUES = [queue for queue in QUEUES if queue.endswith("DeadLetterQueue")]
WORK_QUEUES = [queue for queue in QUEUES if queue not in DEAD_LETTER_QUEUES]
_MOST_MESSAGES_WITHOUT_WINDOW = 10


def _mapping_of(queue: str) -> dict[str, Any]:
    (mapping,) = [name for name in MAPPINGS if the_one(properties(name)["EventSourceArn"]) == queue]
    return properties(mapping)


@pytest.mark.parametrize("queue", WORK_QUEUES)
def test_a_queue_gives_what_it_cannot_get_rid_of_to_its_dead_letter_queue(queue: str) -> None:
    target = properties(queue)["RedrivePolicy"]["deadLetterTargetArn"]
    assert the_one(target) == f"{queue.removeprefix('Urgent').removesuffix('Queue')}DeadLetterQueue"


def test_every_dead_letter_queue_belongs_to_a_queue() -> None:
    assert {the_one(properties(queue)["RedrivePolicy"]) for queue in WORK_QUEUES} == set(DEAD_LETTER_QUEUES)


@pytest.mark.parametrize("queue", QUEUES)
def test_a_message_is_kept_for_14_days(queue: str) -> None:
    """The longest there is: what leaves a queue by age is lost without a trace."""
    assert properties(queue)["MessageRetentionPeriod"] == 14 * DAY_SECONDS


@pytest.mark.parametrize("queue", QUEUES)
def test_a_queue_is_encrypted(queue: str) -> None:
    assert properties(queue)["SqsManagedSseEnabled"] is True


@pytest.mark.parametrize("queue", QUEUES)
def test_a_queue_refuses_whoever_comes_without_tls(queue: str) -> None:
    refusals = [
        statement
        for policy in resources("AWS::SQS::QueuePolicy").values()
        for statement in statements(policy)
        if queue in {the_one(url) for url in policy["Properties"]["Queues"]} and statement["Effect"] == "Deny"
    ]
    (refusal,) = refusals
    assert (refusal["Principal"], refusal["Action"], refusal["Resource"]) == ("*", "sqs:*", "*")
    assert refusal["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize(
    ("queue", "receives"), [("DownloadQueue", 300), ("UrgentDownloadQueue", 300), ("MeetingQueue", 30)]
)
def test_the_number_of_tries_is_the_agreed_one(queue: str, receives: int) -> None:
    assert properties(queue)["RedrivePolicy"]["maxReceiveCount"] == receives


@pytest.mark.parametrize("queue", WORK_QUEUES)
def test_a_message_stays_hidden_for_as_long_as_the_function_may_work_on_it(queue: str) -> None:
    mapping = _mapping_of(queue)
    longest = properties(the_one(mapping["FunctionName"]))["Timeout"] + mapping.get("MaximumBatchingWindowInSeconds", 0)
    assert properties(queue)["VisibilityTimeout"] > longest


@pytest.mark.parametrize("queue", DEAD_LETTER_QUEUES)
def test_no_function_empties_a_dead_letter_queue(queue: str) -> None:
    assert queue not in {the_one(properties(mapping)["EventSourceArn"]) for mapping in MAPPINGS}


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_a_message_that_fails_does_not_take_its_batch_along(mapping: str) -> None:
    assert properties(mapping)["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_a_queue_cannot_take_all_of_the_account_s_concurrency(mapping: str) -> None:
    assert 2 <= properties(mapping)["ScalingConfig"]["MaximumConcurrency"] <= 20


def test_the_number_of_files_copied_at_once_is_a_parameter() -> None:
    mapping = properties("DownloaderFunctionDownloadQueue", DownloaderConcurrency="7")
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": "7"}


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_a_large_batch_has_a_window_to_gather_in(mapping: str) -> None:
    """Lambda refuses the mapping otherwise."""
    large = properties(mapping)["BatchSize"] > _MOST_MESSAGES_WITHOUT_WINDOW
    assert not large or properties(mapping)["MaximumBatchingWindowInSeconds"] >= 1


@pytest.mark.parametrize("queue", ["DownloadQueue", "UrgentDownloadQueue"])
def test_an_invocation_of_the_downloader_has_one_file(queue: str) -> None:
    assert _mapping_of(queue)["BatchSize"] == 1


def test_urgent_files_do_not_wait_behind_others() -> None:
    """SQS has no priorities: the downloader takes from a queue of their own at the same time."""
    functions = {the_one(_mapping_of(queue)["FunctionName"]) for queue in ("DownloadQueue", "UrgentDownloadQueue")}
    assert functions == {"DownloaderFunction"}


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_lambda_may_poll_the_queue_with_the_role_of_the_function(mapping: str) -> None:
    """The embedded cloud polls without asking, so nothing else would show it."""
    queue = {"Fn::GetAtt": [the_one(properties(mapping)["EventSourceArn"]), "Arn"]}
    allowed: set[str] = set()
    for statement in statements(properties(role_of(the_one(properties(mapping)["FunctionName"])))):
        if queue in as_list(statement.get("Resource")):
            allowed |= set(statement["Action"])
    assert allowed >= {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_failed_work_is_tried_again_after_the_pause_that_the_admin_chose(mapping: str) -> None:
    function = the_one(properties(mapping)["FunctionName"])
    assert properties(function, FirstRetrySeconds="7")["Environment"]["Variables"]["FIRST_RETRY_SECONDS"] == "7"
