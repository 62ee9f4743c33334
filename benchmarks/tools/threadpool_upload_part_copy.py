"""harvard-dce/zoom-recording-ingester's way: chunks of 5 MiB into a pool of `upload_part`, as fast as they come."""

import concurrent.futures
import sys
from typing import TYPE_CHECKING

import boto3
import requests

from benchmarks.tools.imported import report

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import CompletedPartTypeDef

CHUNK_BYTES = 5 << 20

report()
link, bucket, key = sys.argv[1:]
s3 = boto3.client("s3")
upload_id = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
with requests.get(link, stream=True, timeout=30) as response, concurrent.futures.ThreadPoolExecutor() as executor:
    response.raise_for_status()
    futures = [
        executor.submit(s3.upload_part, Body=chunk, Bucket=bucket, Key=key, PartNumber=number, UploadId=upload_id)
        for number, chunk in enumerate(response.iter_content(CHUNK_BYTES), 1)
    ]
    parts: "list[CompletedPartTypeDef]" = [
        {"PartNumber": number, "ETag": future.result()["ETag"]} for number, future in enumerate(futures, 1)
    ]
s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts})
