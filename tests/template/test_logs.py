import pytest

from tests.template.translated import names, properties, role_of, source, stack, statements, the_one

FUNCTIONS = names("AWS::Lambda::Function")
LOG_GROUPS = names("AWS::Logs::LogGroup")


@pytest.mark.parametrize("log_group", LOG_GROUPS)
def test_a_log_group_is_kept_for_as_long_as_the_admin_chose(log_group: str) -> None:
    assert source()["Resources"][log_group]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}


@pytest.mark.parametrize("log_group", LOG_GROUPS)
def test_a_log_group_is_named_after_the_stack(log_group: str) -> None:
    assert "${AWS::StackName}" in properties(log_group)["LogGroupName"]["Fn::Sub"]


def test_every_function_has_a_log_group_of_its_own() -> None:
    groups = [the_one(properties(function)["LoggingConfig"]["LogGroup"]) for function in FUNCTIONS]
    assert groups == [f"{function.removesuffix('Function')}LogGroup" for function in FUNCTIONS]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_writes_to_no_other_log_group(function: str) -> None:
    own = the_one(properties(function)["LoggingConfig"]["LogGroup"])
    written = {
        the_one(statement["Resource"])
        for statement in statements(properties(role_of(function)))
        if "logs:PutLogEvents" in statement["Action"]
    }
    assert written == {own}


def test_every_log_group_is_written_to() -> None:
    writers = [resource["Properties"] for resource in stack()["Resources"].values()]
    used = {the_one(writer["LoggingConfig"]["LogGroup"]) for writer in writers if "LoggingConfig" in writer}
    used |= {
        the_one(writer["AccessLogSettings"]["DestinationArn"]) for writer in writers if "AccessLogSettings" in writer
    }
    assert used == set(LOG_GROUPS)
