"""Ours: all that the handler imports, then one link to one key as the downloader copies it, with all its checks."""

import os
import ssl
import sys
from functools import partial
from urllib.parse import urlsplit

import boto3

import functions.downloader.app  # noqa: F401 - for what it costs
from benchmarks.tools.imported import report
from jaas_archive.archive import Archive, bucket_url
from jaas_archive.connections import Transport
from jaas_archive.copying import Copier, Destination, Job
from jaas_archive.links import parse_origins
from jaas_archive.mp4 import inspect_mp4
from jaas_archive.uploads import BucketAddress

report()
link, bucket, key = sys.argv[1:]
url = urlsplit(link)
session = boto3.Session()
s3 = session.client("s3")
credentials = session.get_credentials()
if credentials is None:
    sys.exit("there are no AWS credentials")
copier = Copier(
    archive=Archive(s3, bucket),
    address=BucketAddress(
        bucket_url(s3.meta.endpoint_url, bucket), s3.meta.region_name, credentials.get_frozen_credentials
    ),
    origins=parse_origins([f"{url.scheme}://{url.netloc}"]),
    transport=Transport(ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])),
)
copier.copy(
    Job(
        link,
        destination=lambda info, _: Destination(key, "video/mp4", {"source-etag": info.etag.strip('"')}),
        inspect=partial(inspect_mp4, announced_seconds=60),
    )
)
