"""The tools that are compared, each as people run it: its defaults, and no checks that it does not make by itself."""

import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

from benchmarks.machine import ROOT, compiled
from benchmarks.runs import BUCKET, Command, Tool

OURS = "jaas-archive"
FLOOR = "c-relay"


def _script(name: str) -> Tool:
    path = ROOT / "benchmarks/tools" / f"{name.replace('-', '_')}_copy.py"
    return Tool(name, lambda link, key: [[sys.executable, str(path), link, BUCKET, key]])


# rclone knows the CA by SSL_CERT_FILE, and stumbles over botocore's variable.
_RCLONE = ("env", "-u", "AWS_CA_BUNDLE", "rclone")


def _copyurl(link: str, key: str) -> Sequence[Command]:
    return [[*_RCLONE, "copyurl", link, f":s3:{BUCKET}/{key}"]]


def _copyto(link: str, key: str) -> Sequence[Command]:
    return [[*_RCLONE, "copyto", f":http:{urlsplit(link).path}", f":s3:{BUCKET}/{key}"]]


def _curl_aws(link: str, key: str) -> Sequence[Command]:
    return [["curl", "-sSf", link], ["aws", "s3", "cp", "--only-show-errors", "-", f"s3://{BUCKET}/{key}"]]


def _relay(link: str, key: str) -> Sequence[Command]:
    return [[str(compiled("relay")), link, BUCKET, key]]


TOOLS = (
    _script(OURS),
    _script("requests-upload_fileobj"),
    _script("threadpool-upload_part"),
    _script("smart_open"),
    Tool("rclone-copyurl", _copyurl),
    Tool("rclone-copyto", _copyto),
    Tool("curl-aws-s3-cp", _curl_aws),
    Tool(FLOOR, _relay),
)
