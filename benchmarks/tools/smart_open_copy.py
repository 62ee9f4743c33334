"""smart_open at both ends, as its documentation shows it."""

import shutil
import sys

import smart_open

from benchmarks.tools.imported import report

report()
link, bucket, key = sys.argv[1:]
with smart_open.open(link, "rb") as source, smart_open.open(f"s3://{bucket}/{key}", "wb") as sink:
    shutil.copyfileobj(source, sink)
