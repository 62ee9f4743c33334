"""MiniStack with our patches does what AWS does; without a patch it does not, or the patch is to be deleted."""

import base64
import io
import json
import os
import socket
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from fastcrc.crc32 import iscsi as crc32c

from local.cloud import ROOT, Cloud, running_cloud

_MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="module")
def plain_cloud() -> Iterator[Cloud]:
    """MiniStack as its makers ship it."""
    with running_cloud(patched=False) as cloud:
        yield cloud


# --- functions --------------------------------------------------------------------------------------------------------


def invoke(
    cloud: Cloud,
    name: str,
    source: str,
    *,
    files: Mapping[str, str] | None = None,
    layer: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
) -> Any:
    """What a function with this body answers."""
    client = cloud.client("lambda")
    role = role_arn(cloud)
    layers = []
    if layer:
        version = client.publish_layer_version(LayerName=name, Content={"ZipFile": zipped(layer)})
        layers = [version["LayerVersionArn"]]
    client.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="app.handler",
        Role=role,
        Code={"ZipFile": zipped({"app.py": f"def handler(event, context):\n    {source}\n", **(files or {})})},
        Layers=layers,
        Environment={"Variables": dict(variables or {})},
    )
    answer = client.invoke(FunctionName=name)
    payload = json.load(answer["Payload"])
    assert "FunctionError" not in answer, payload
    return payload


def role_arn(cloud: Cloud) -> str:
    iam = cloud.client("iam")
    try:
        role = iam.get_role(RoleName="probe")
    except iam.exceptions.NoSuchEntityException:
        role = iam.create_role(RoleName="probe", AssumeRolePolicyDocument=json.dumps({"Statement": []}))
    arn: str = role["Role"]["Arn"]
    return arn


def zipped(files: Mapping[str, str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


def modules_found(cloud: Cloud) -> dict[str, bool]:
    source = "import importlib.util as u; return {m: bool(u.find_spec(m)) for m in ('boto3', 'requests', 'ministack')}"
    found: dict[str, bool] = invoke(cloud, "modules", source)
    return found


def test_functions_find_only_what_lambda_brings(cloud: Cloud) -> None:
    assert modules_found(cloud) == {"boto3": True, "requests": False, "ministack": False}


def test_functions_still_need_an_interpreter_of_their_own(plain_cloud: Cloud) -> None:
    assert modules_found(plain_cloud)["ministack"], "delete give_functions_an_interpreter_of_their_own"


def module_found_first(cloud: Cloud) -> Any:
    return invoke(
        cloud,
        "order",
        "import place; return place.NAME",
        files={"place.py": "NAME = 'code'"},
        layer={"python/place.py": "NAME = 'layer'"},
    )


def test_code_comes_before_layers(cloud: Cloud) -> None:
    assert module_found_first(cloud) == "code"


def test_code_before_layers_still_needs_us(plain_cloud: Cloud) -> None:
    assert module_found_first(plain_cloud) == "layer", "delete look_for_code_before_layers"


def test_only_the_python_folder_of_a_layer_is_searched(cloud: Cloud) -> None:
    source = "import importlib.util as u; return [bool(u.find_spec(m)) for m in ('inside', 'beside')]"
    layer = {"python/inside.py": "", "beside.py": ""}
    assert invoke(cloud, "layer", source, layer=layer) == [True, False]


def environment(cloud: Cloud) -> dict[str, str]:
    variables: dict[str, str] = invoke(
        cloud, "environment", "import os; return dict(os.environ)", variables={"LOG_LEVEL": "of the function"}
    )
    return variables


def test_functions_have_their_own_environment(cloud: Cloud) -> None:
    variables = environment(cloud)
    assert variables["LOG_LEVEL"] == "of the function"
    assert not {"AUTH", "GATEWAY_PORT", "HOME"} & set(variables)


def test_hiding_the_environment_still_needs_us(plain_cloud: Cloud) -> None:
    assert "GATEWAY_PORT" in environment(plain_cloud), "delete hide_own_environment_from_functions"


# --- S3 ---------------------------------------------------------------------------------------------------------------


CHECKSUMS: Mapping[str, Callable[[bytes], int]] = {"CRC32": zlib.crc32, "CRC32C": crc32c}
BODIES = (b"a" * 5 * _MEBIBYTE, b"b" * 5 * _MEBIBYTE, b"the rest")


def checksum(algorithm: str, body: bytes) -> str:
    return base64.b64encode(CHECKSUMS[algorithm](body).to_bytes(4)).decode()


def upload_in_parts(cloud: Cloud, algorithm: str, *, announced: str) -> tuple[str, str]:
    """The checksum that S3 then reports, and what it covers."""
    once = Config(retries={"total_max_attempts": 1})
    s3: Any = cloud.session().client("s3", endpoint_url=cloud.endpoint, config=once)
    s3.create_bucket(Bucket="parts")
    target = {"Bucket": "parts", "Key": "recording.mp4"}
    created = s3.create_multipart_upload(**target, ChecksumAlgorithm=algorithm, ChecksumType="FULL_OBJECT")
    upload = {**target, "UploadId": created["UploadId"]}
    name = f"Checksum{algorithm}"
    parts = []
    for number, body in enumerate(BODIES, start=1):
        own = {name: checksum(algorithm, body)}
        part = s3.upload_part(**upload, **own, PartNumber=number, Body=body)
        parts.append({**own, "PartNumber": number, "ETag": part["ETag"]})
    answer = s3.complete_multipart_upload(
        **upload, MultipartUpload={"Parts": parts}, ChecksumType="FULL_OBJECT", **{name: announced}
    )
    head = s3.head_object(**target, ChecksumMode="ENABLED")
    assert (answer[name], answer["ChecksumType"]) == (head[name], head["ChecksumType"])
    return head[name], head["ChecksumType"]


@pytest.mark.parametrize("algorithm", CHECKSUMS)
def test_s3_checks_the_whole_of_a_multipart_upload(cloud: Cloud, algorithm: str) -> None:
    right = checksum(algorithm, b"".join(BODIES))
    assert upload_in_parts(cloud, algorithm, announced=right) == (right, "FULL_OBJECT")


@pytest.mark.parametrize("algorithm", CHECKSUMS)
def test_s3_refuses_a_multipart_upload_that_differs_as_a_whole(cloud: Cloud, algorithm: str) -> None:
    with pytest.raises(ClientError, match="BadDigest"):
        upload_in_parts(cloud, algorithm, announced=checksum(algorithm, b"something else"))


def test_whole_object_checksums_still_need_us(plain_cloud: Cloud) -> None:
    try:
        covered = upload_in_parts(plain_cloud, "CRC32", announced=checksum("CRC32", b"".join(BODIES)))[1]
    except ClientError as error:
        covered = error.response["Error"]["Code"]
    assert covered == "BadDigest", "delete check_whole_object_in_multipart_uploads"


def seconds_for_crc32c(cloud: Cloud) -> float:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="speed")
    body = bytes(4 * _MEBIBYTE)
    start = time.monotonic()
    s3.put_object(Bucket="speed", Key="key", Body=body, ChecksumCRC32C=checksum("CRC32C", body))
    return time.monotonic() - start


def test_crc32c_still_needs_us(cloud: Cloud, plain_cloud: Cloud) -> None:
    assert seconds_for_crc32c(plain_cloud) > 3 * seconds_for_crc32c(cloud), "delete compute_crc32c_natively"


# --- TLS and IAM ------------------------------------------------------------------------------------------------------


def error_of_reading(cloud: Cloud, *, with_tls_policy: bool, allowed: bool = True) -> str:
    """Why an IAM user may not read an object; empty if they may."""
    name = f"tls-{with_tls_policy}-{allowed}".lower()
    iam, s3 = cloud.client("iam"), cloud.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="key", Body=b"")
    if with_tls_policy:
        s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Statement": [deny_without_tls(name)]}))
    iam.create_user(UserName=name)
    if allowed:
        statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/*"}
        iam.put_user_policy(UserName=name, PolicyName="read", PolicyDocument=json.dumps({"Statement": [statement]}))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    reader = cloud.session().client(
        "s3",
        endpoint_url=cloud.endpoint,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    try:
        reader.get_object(Bucket=name, Key="key")
    except ClientError as error:
        return error.response["Error"]["Code"]
    return ""


def deny_without_tls(bucket: str) -> dict[str, Any]:
    return {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": f"arn:aws:s3:::{bucket}/*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def test_iam_is_enforced(cloud: Cloud) -> None:
    assert error_of_reading(cloud, with_tls_policy=False, allowed=False) == "AccessDenied"


def test_a_bucket_for_tls_only_can_be_read(cloud: Cloud) -> None:
    assert error_of_reading(cloud, with_tls_policy=True) == ""


def test_reading_as_behind_tls_still_needs_us(plain_cloud: Cloud) -> None:
    assert error_of_reading(plain_cloud, with_tls_policy=False) == ""
    assert error_of_reading(plain_cloud, with_tls_policy=True) == "AccessDenied", "delete answer_as_behind_tls"


# --- CloudFormation ---------------------------------------------------------------------------------------------------


def created(cloud: Cloud, name: str, template: Mapping[str, Any], **parameters: str) -> str:
    """The physical id of the resource with this name, which is the stack's name too."""
    client = cloud.client("cloudformation")
    client.create_stack(
        StackName=name,
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )
    client.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    resource = client.describe_stack_resource(StackName=name, LogicalResourceId=name)["StackResourceDetail"]
    physical_id: str = resource["PhysicalResourceId"]
    return physical_id


def test_routes_of_an_http_api_still_need_us(cloud: Cloud) -> None:
    integration = {
        "type": "aws_proxy",
        "httpMethod": "POST",
        "payloadFormatVersion": "2.0",
        "uri": "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/"
        "arn:aws:lambda:us-east-1:000000000000:function:probe/invocations",
    }
    body = {
        "openapi": "3.0.1",
        "info": {"title": "probe", "version": "1.0"},
        "paths": {"/webhook": {"post": {"x-amazon-apigateway-integration": integration, "responses": {}}}},
    }

    api = {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Body": body}}

    api_id = created(cloud, "Api", {"Resources": {"Api": api}})

    assert cloud.client("apigatewayv2").get_routes(ApiId=api_id)["Items"] == [], "delete _add_routes of local/cloud.py"


def test_concurrency_from_a_parameter_still_needs_us(cloud: Cloud) -> None:
    properties = {
        "FunctionName": "probe",
        "EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]},
        "ScalingConfig": {"MaximumConcurrency": {"Ref": "Concurrency"}},
    }
    template = {
        "Parameters": {"Concurrency": {"Type": "Number"}},
        "Resources": {
            "Queue": {"Type": "AWS::SQS::Queue"},
            "Mapping": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": properties},
        },
    }
    answers: list[bytes] = []
    client = cloud.client("lambda")
    client.meta.events.register("before-parse.lambda", lambda response_dict, **_: answers.append(response_dict["body"]))

    mapping_id = created(cloud, "Mapping", template, Concurrency="7")
    client.get_event_source_mapping(UUID=mapping_id)  # boto3 would make a number of the text
    client.delete_event_source_mapping(UUID=mapping_id)

    scaling = json.loads(answers[0])["ScalingConfig"]
    assert scaling == {"MaximumConcurrency": "7"}, "delete _set_concurrency of local/cloud.py"


# --- its life ---------------------------------------------------------------------------------------------------------


def test_the_cloud_and_its_files_end_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = (
        "import signal; from local.cloud import running_cloud\n"
        "with running_cloud() as cloud: print(cloud.endpoint, flush=True); signal.pause()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout
        port = urlsplit(parent.stdout.readline().strip()).port or 0
        before = listens(port), any(tmp_path.iterdir())
        parent.kill()

    deadline = time.monotonic() + 10
    while listens(port) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert before == (True, True)
    assert (listens(port), any(tmp_path.iterdir())) == (False, False)


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
