"""Ours: all that the downloader imports, then one link to one key with its copy engine."""

import json
import resource
import sys
from pathlib import Path
from urllib.parse import urlsplit

from functions.downloader import app
from jaas_archive.copying import copy

link, bucket, key = sys.argv[1:]
imported_pages = int(Path("/proc/self/statm").read_text().split()[1])

url = urlsplit(link)
source = app.Source(app.requests.Session(), app.parse_origins([f"{url.scheme}://{url.netloc}"]))
archive = app.Archive(app.boto3.client("s3"), bucket)
with source.open(link) as file:
    copy(file, archive, key, content_type="video/mp4", metadata={"source-etag": file.etag})

print(json.dumps({"imported_rss_mib": imported_pages * resource.getpagesize() / (1 << 20)}))
