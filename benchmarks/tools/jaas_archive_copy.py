"""Ours: the copy engine as the downloader calls it, with all checks on, and what it needs for one link and one key."""

import os
import ssl
import sys
from functools import cache, partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from benchmarks.tools.imported import report
from jaas_archive.archive import Archive, bucket_url
from jaas_archive.connections import Transport
from jaas_archive.copying import Copier, Destination, Job
from jaas_archive.links import parse_origins
from jaas_archive.mp4 import inspect_mp4
from jaas_archive.uploads import BucketAddress

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials
    from types_boto3_s3 import S3Client


@cache
def s3() -> "S3Client":
    """Only a copy in parts asks for the client, so only that pays for it."""
    import boto3  # noqa: PLC0415

    return boto3.client("s3")


report()
link, bucket, key = sys.argv[1:]
url = urlsplit(link)
credentials = SimpleNamespace(  # what signs a request; on Lambda boto3 is there anyway and gives it
    access_key=os.environ["AWS_ACCESS_KEY_ID"], secret_key=os.environ["AWS_SECRET_ACCESS_KEY"], token=None
)
copier = Copier(
    archive=Archive(s3, bucket),
    address=BucketAddress(
        bucket_url(os.environ["AWS_ENDPOINT_URL_S3"], bucket),
        os.environ["AWS_DEFAULT_REGION"],
        lambda: cast("ReadOnlyCredentials", credentials),
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
