"""Ours: all that the downloader's handler imports, then one link to one key with its copy engine."""

import sys
from urllib.parse import urlsplit

import boto3
import requests

import functions.downloader.app  # noqa: F401 - for what it costs
from benchmarks.tools.imported import report
from jaas_archive.archive import Archive
from jaas_archive.copying import copy
from jaas_archive.links import parse_origins
from jaas_archive.source import Source

report()
link, bucket, key = sys.argv[1:]
url = urlsplit(link)
source = Source(requests.Session(), parse_origins([f"{url.scheme}://{url.netloc}"]))
archive = Archive(boto3.client("s3"), bucket)
with source.open(link) as file:
    copy(file, archive, key, content_type="video/mp4", metadata={"source-etag": file.etag})
