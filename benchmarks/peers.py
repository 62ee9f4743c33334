"""The tools that are compared, each as people run it: its defaults, and no checks that it does not make by itself."""

import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.machine import DEBIAN_RCLONE, LATEST_RCLONE, ROOT, compiled
from benchmarks.runs import BUCKET, Command, Tool

OURS = "jaas-archive"
FLOOR = "c-relay"


def _script(name: str) -> Tool:
    path = ROOT / "benchmarks/tools" / f"{name.replace('-', '_')}_copy.py"
    return Tool(name, lambda link, key: [[sys.executable, str(path), link, BUCKET, key]])


def _rclone(name: str, program: Path) -> tuple[Tool, Tool]:
    # rclone knows the CA by SSL_CERT_FILE, and its S3 stumbles over botocore's variable.
    rclone = ("env", "-u", "AWS_CA_BUNDLE", str(program))

    def copyurl(link: str, key: str) -> Sequence[Command]:
        return [[*rclone, "copyurl", link, f":s3:{BUCKET}/{key}"]]

    def copyto(link: str, key: str) -> Sequence[Command]:
        return [[*rclone, "copyto", f":http:{urlsplit(link).path}", f":s3:{BUCKET}/{key}"]]

    return Tool(f"{name}-copyurl", copyurl), Tool(f"{name}-copyto", copyto)


def _curl_aws(link: str, key: str) -> Sequence[Command]:
    return [["curl", "-sSf", link], ["aws", "s3", "cp", "--only-show-errors", "-", f"s3://{BUCKET}/{key}"]]


def _relay(link: str, key: str) -> Sequence[Command]:
    return [[str(compiled("relay")), link, BUCKET, key]]


TOOLS = (
    _script(OURS),
    _script("requests-upload_fileobj"),
    _script("threadpool-upload_part"),
    _script("smart_open"),
    *_rclone("rclone", DEBIAN_RCLONE),
    *_rclone("rclone-latest", LATEST_RCLONE),
    Tool("curl-aws-s3-cp", _curl_aws),
    Tool(FLOOR, _relay),
)
