"""The usual way: boto3's managed upload reads from the response of `requests`."""

import sys
from typing import IO, cast

import boto3
import requests

from benchmarks.tools.imported import report

report()
link, bucket, key = sys.argv[1:]
s3 = boto3.client("s3")
with requests.get(link, stream=True, timeout=30) as response:
    response.raise_for_status()
    s3.upload_fileobj(cast("IO[bytes]", response.raw), bucket, key)
