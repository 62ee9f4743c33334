"""The way of harvard-dce/zoom-recording-ingester: chunks of 5 MiB into a pool of `upload_part`, as fast as they come."""

import concurrent.futures
import sys

import boto3
import requests

CHUNK_BYTES = 5 << 20

link, bucket, key = sys.argv[1:]
s3 = boto3.client("s3")
upload_id = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
with requests.get(link, stream=True, timeout=30) as response, concurrent.futures.ThreadPoolExecutor() as executor:
    response.raise_for_status()
    futures = [
        executor.submit(s3.upload_part, Body=chunk, Bucket=bucket, Key=key, PartNumber=number, UploadId=upload_id)
        for number, chunk in enumerate(response.iter_content(CHUNK_BYTES), 1)
    ]
    parts = [{"PartNumber": number, "ETag": future.result()["ETag"]} for number, future in enumerate(futures, 1)]
s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts})
