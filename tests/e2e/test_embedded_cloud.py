"""MiniStack with our patches does what AWS does; without a patch it does not, or the patch is to be deleted."""

import base64
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

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
    layers = []
    if layer:
        version = client.publish_layer_version(LayerName=name, Content={"ZipFile": zipped(layer)})
        layers = [version["LayerVersionArn"]]
    client.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="app.handler",
        Role="arn:aws:iam::000000000000:role/probe",
        Code={"ZipFile": zipped({"app.py": f"def handler(event, context):\n    {source}\n", **(files or {})})},
        Layers=layers,
        Environment={"Variables": dict(variables or {})},
    )
    answer = client.invoke(FunctionName=name)
    payload = json.load(answer["Payload"])
    assert "FunctionError" not in answer, payload
    return payload


def zipped(files: Mapping[str, str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


def modules_found(cloud: Cloud) -> dict[str, bool]:
    source = (
        "import importlib.util as u; return {m: u.find_spec(m) is not None for m in ('boto3', 'requests', 'ministack')}"
    )
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
    source = "import importlib.util as u; return [u.find_spec(m) is not None for m in ('inside', 'beside')]"
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


def crc32(*bodies: bytes) -> str:
    return base64.b64encode(zlib.crc32(b"".join(bodies)).to_bytes(4)).decode()


def upload_in_parts(cloud: Cloud, *, checksum: str, bodies: tuple[bytes, ...]) -> tuple[str, str]:
    """The checksum that S3 then reports and what it covers."""
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="parts")
    target = {"Bucket": "parts", "Key": "recording.mp4"}
    upload = {
        **target,
        "UploadId": s3.create_multipart_upload(**target, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")[
            "UploadId"
        ],
    }
    parts = [
        {
            "PartNumber": number,
            "ChecksumCRC32": crc32(body),
            "ETag": s3.upload_part(**upload, PartNumber=number, Body=body, ChecksumCRC32=crc32(body))["ETag"],
        }
        for number, body in enumerate(bodies, start=1)
    ]
    answer = s3.complete_multipart_upload(
        **upload, MultipartUpload={"Parts": parts}, ChecksumCRC32=checksum, ChecksumType="FULL_OBJECT"
    )
    head = s3.head_object(**target, ChecksumMode="ENABLED")
    assert (answer["ChecksumCRC32"], answer["ChecksumType"]) == (head["ChecksumCRC32"], head["ChecksumType"])
    return head["ChecksumCRC32"], head["ChecksumType"]


BODIES = (b"a" * 5 * _MEBIBYTE, b"b" * 5 * _MEBIBYTE, b"the rest")


def test_s3_checks_the_whole_of_a_multipart_upload(cloud: Cloud) -> None:
    right = crc32(*BODIES)
    assert upload_in_parts(cloud, checksum=right, bodies=BODIES) == (right, "FULL_OBJECT")


def test_s3_refuses_a_multipart_upload_that_differs_as_a_whole(cloud: Cloud) -> None:
    with pytest.raises(ClientError, match="BadDigest"):
        upload_in_parts(cloud, checksum=crc32(b"something else"), bodies=BODIES)


def test_whole_object_checksums_still_need_us(plain_cloud: Cloud) -> None:
    try:
        covered = upload_in_parts(plain_cloud, checksum=crc32(*BODIES), bodies=BODIES)[1]
    except ClientError as error:
        covered = error.response["Error"]["Code"]
    assert covered == "BadDigest", "delete check_whole_object_in_multipart_uploads"


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
    cloud.client("cloudformation").create_stack(
        StackName="routes", TemplateBody=json.dumps({"Resources": {"Api": api}})
    )
    cloud.client("cloudformation").get_waiter("stack_create_complete").wait(StackName="routes")

    resource = cloud.client("cloudformation").describe_stack_resource(StackName="routes", LogicalResourceId="Api")
    api_id = resource["StackResourceDetail"]["PhysicalResourceId"]

    assert cloud.client("apigatewayv2").get_routes(ApiId=api_id)["Items"] == [], "delete _add_routes of local/cloud.py"


# --- its life ---------------------------------------------------------------------------------------------------------


def test_the_cloud_and_its_files_end_with_the_process_that_started_it() -> None:
    program = "from local.cloud import *\nwith running_cloud() as c: print(c.pid, flush=True); signal.pause()"
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with parent, parent.stdout or io.StringIO() as output:
        pid = int(output.readline())
        (scratch,) = (word for word in command_line(pid) if "jaas-archive-" in word)
        assert Path(scratch).is_dir()

        parent.send_signal(signal.SIGKILL)

        deadline = time.monotonic() + 10
        while command_line(pid) and time.monotonic() < deadline:
            time.sleep(0.05)
    assert command_line(pid) == []
    assert not Path(scratch).exists()


def command_line(pid: int) -> list[str]:
    """The words of a running process; empty when it has ended."""
    listing = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return [] if "<defunct>" in listing else listing.split()
