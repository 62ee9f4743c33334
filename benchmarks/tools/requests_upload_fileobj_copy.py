"""The usual way: boto3's managed upload reads from the response of `requests`."""

import sys

import boto3
import requests

link, bucket, key = sys.argv[1:]
s3 = boto3.client("s3")
with requests.get(link, stream=True, timeout=30) as response:
    response.raise_for_status()
    s3.upload_fileobj(response.raw, bucket, key)
