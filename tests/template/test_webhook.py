import json
from typing import Any

from tests.template.translated import properties, resources, the_one


def _stage() -> dict[str, Any]:
    (stage,) = resources("AWS::ApiGatewayV2::Stage").values()
    found: dict[str, Any] = stage["Properties"]
    return found


def _access_log() -> dict[str, str]:
    found: dict[str, str] = json.loads(_stage()["AccessLogSettings"]["Format"])
    return found


def test_post_webhook_is_the_only_route_and_leads_to_the_receiver() -> None:
    paths = properties("WebhookApi")["Body"]["paths"]
    routes = {
        (method, path): the_one(operation["x-amazon-apigateway-integration"]["uri"])
        for path, operations in paths.items()
        for method, operation in operations.items()
    }
    assert routes == {("post", "/webhook"): "ReceiverFunction"}


def test_the_receiver_gets_events_in_payload_format_2() -> None:
    integration = properties("WebhookApi")["Body"]["paths"]["/webhook"]["post"]["x-amazon-apigateway-integration"]
    assert integration["payloadFormatVersion"] == "2.0"


def test_only_the_api_may_invoke_the_receiver_and_only_by_its_route() -> None:
    """The embedded cloud invokes without asking, so nothing else would show it."""
    (permission,) = [
        permission
        for permission in resources("AWS::Lambda::Permission").values()
        if the_one(permission["Properties"]["FunctionName"]) == "ReceiverFunction"
    ]
    arn = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${__ApiId__}/${__Stage__}/POST/webhook"
    assert permission["Properties"] == {
        "Action": "lambda:InvokeFunction",
        "FunctionName": {"Ref": "ReceiverFunction"},
        "Principal": "apigateway.amazonaws.com",
        "SourceArn": {"Fn::Sub": [arn, {"__ApiId__": {"Ref": "WebhookApi"}, "__Stage__": "*"}]},
    }


def test_the_stage_is_the_default_one_which_the_url_does_not_name() -> None:
    assert (_stage()["StageName"], _stage()["AutoDeploy"]) == ("$default", True)


def test_requests_are_limited_to_what_the_admin_chose() -> None:
    (stage,) = resources("AWS::ApiGatewayV2::Stage", WebhookRequestsPerSecond="77").values()
    assert stage["Properties"]["DefaultRouteSettings"] == {"ThrottlingRateLimit": "77", "ThrottlingBurstLimit": "77"}


def test_every_request_leaves_a_line_in_the_access_log() -> None:
    assert the_one(_stage()["AccessLogSettings"]["DestinationArn"]) == "WebhookApiLogGroup"


def test_the_access_log_says_when_who_and_what_came_of_it() -> None:
    assert {"requestId", "requestTime", "sourceIp", "status", "integrationError"} <= _access_log().keys()


def test_the_access_log_holds_nothing_that_the_caller_wrote() -> None:
    written = {name.removeprefix("$context.") for name in _access_log().values()}
    assert written <= {
        "requestId",
        "requestTime",
        "identity.sourceIp",
        "routeKey",
        "status",
        "responseLatency",
        "integrationLatency",
        "integrationStatus",
        "error.message",
        "integrationErrorMessage",
    }


def test_the_log_of_the_api_is_where_api_gateway_needs_no_policy_for_each() -> None:
    assert properties("WebhookApiLogGroup")["LogGroupName"]["Fn::Sub"].startswith("/aws/vendedlogs/")
