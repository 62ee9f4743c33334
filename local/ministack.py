"""MiniStack as the demo and the end-to-end tests start it, brought closer to AWS where they depend on it.

Each patch is a function of its own. It refuses to work on a MiniStack it was not written for, and
tests/e2e/test_embedded_cloud.py turns red as soon as a newer MiniStack makes it superfluous.
"""

import argparse
import os
import re
import shutil
import signal
import sys
import threading
import zlib
from base64 import b64encode
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from fastcrc.crc32 import iscsi as crc32c
from ministack import app
from ministack.core import lambda_runtime
from ministack.services import s3


def main() -> None:
    """Serve until standard input closes; whoever started this holds its other end, and loses it however it ends."""
    parser = argparse.ArgumentParser(prog="python -m local.ministack")
    parser.add_argument("--scratch", type=Path, required=True, help="folder for its files, deleted at the end")
    parser.add_argument("--runtime-python", type=Path, help="interpreter of the functions")
    parser.add_argument("--plain", action="store_true", help="without any patch")
    arguments = parser.parse_args()

    threading.Thread(target=_end_with_parent, args=(arguments.scratch,), daemon=True).start()
    if not arguments.plain:
        give_functions_an_interpreter_of_their_own(arguments.runtime_python)
        look_for_code_before_layers()
        hide_own_environment_from_functions()
        compute_crc32c_natively()
        check_whole_object_in_multipart_uploads()
        answer_as_behind_tls()
        say_when_state_is_kept()
    sys.argv[1:] = []  # MiniStack reads the command line too
    app.main()


def _end_with_parent(scratch: Path) -> None:
    sys.stdin.buffer.read()
    shutil.rmtree(scratch, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)  # the functions' processes as well, whatever they are doing


def give_functions_an_interpreter_of_their_own(python: Path) -> None:
    """Run functions by an interpreter that has what Lambda's has; in MiniStack's own, a package missing from the layers
    would be found.
    """
    binary_and_script = lambda_runtime._detect_runtime_binary

    def detect(runtime: str) -> tuple[str, str]:
        binary, script = binary_and_script(runtime)
        return (str(python) if runtime == "python3.13" else binary), script

    lambda_runtime._detect_runtime_binary = detect


def look_for_code_before_layers() -> None:
    """Lambda searches the function's code, then the layers' python folders, and nothing beside them."""
    _change_worker("    sys.path.insert(0, code_dir)\n", "    del sys.path[0]\n")
    _change_worker("        sys.path.insert(0, _ld)\n", "")
    _change_worker(
        "    _ms_install_invoke_depth()\n    try:",
        "    sys.path.insert(0, code_dir)\n    _ms_install_invoke_depth()\n    try:",
    )


def hide_own_environment_from_functions() -> None:
    """Functions inherit MiniStack's environment; theirs on Lambda holds what the template gives them, and AWS's own."""
    ours = {name for name in os.environ if not name.startswith("AWS_")} - {"LANG", "PATH", "TMPDIR"}
    _change_worker(
        "    os.environ.update(env)\n",
        f"    for name in {sorted(ours)!r}:\n        os.environ.pop(name, None)\n    os.environ.update(env)\n",
    )


def _change_worker(old: str, new: str) -> None:
    script = lambda_runtime._PYTHON_WORKER_SCRIPT
    if script.count(old) != 1:
        message = f"MiniStack's Python worker no longer has this once, so a patch of local/ministack.py is off:\n{old}"
        raise SystemExit(message)
    lambda_runtime._PYTHON_WORKER_SCRIPT = script.replace(old, new)


def say_when_state_is_kept() -> None:
    """Told to stop, MiniStack waits for its connections, keeps its state, and goes on for as long as its functions do:
    `STATE_KEPT_FILE` is there once everything is kept.
    """
    save_all = app.save_all

    def save(services: dict[str, Any]) -> None:
        save_all(services)
        Path(os.environ["STATE_KEPT_FILE"]).touch()

    app.save_all = save


def compute_crc32c_natively() -> None:
    """MiniStack computes it in Python, at three megabytes a second."""
    s3._crc32c = crc32c


def check_whole_object_in_multipart_uploads() -> None:
    """A multipart upload may announce the CRC of the whole object (`x-amz-checksum-type: FULL_OBJECT`); MiniStack knows
    only the checksum of the parts' checksums and refuses the right value.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html#Full-object-checksums
    """
    create, complete, composite = s3._create_multipart_upload, s3._complete_multipart_upload, s3._composite_checksum
    response_headers = s3._object_response_headers
    functions = {"CRC32": zlib.crc32, "CRC32C": crc32c}
    whole_checksum: ContextVar[str | None] = ContextVar("whole_checksum", default=None)

    def create_upload(bucket: str, key: str, headers: dict[str, str]) -> Any:
        status, answer_headers, body = create(bucket, key, headers)
        known = answer_headers.get("x-amz-checksum-algorithm") in functions
        if known and headers.get("x-amz-checksum-type") == "FULL_OBJECT":
            upload_id = re.search(rb"<UploadId>(.+?)</UploadId>", body)[1].decode()  # type: ignore[index]
            s3._multipart_uploads[upload_id]["checksum_type"] = "FULL_OBJECT"
            answer_headers["x-amz-checksum-type"] = "FULL_OBJECT"
        return status, answer_headers, body

    def complete_upload(
        bucket: str, key: str, body: bytes, query: dict[str, list[str]], headers: dict[str, str] | None = None
    ) -> Any:
        upload_id = s3._qp(query, "uploadId")
        upload = s3._multipart_uploads.get(upload_id, {})
        if upload.get("checksum_type") != "FULL_OBJECT":
            return complete(bucket, key, body, query, headers)
        crc, add = 0, functions[upload["checksum_algorithm"]]
        for number in sorted(int(number) for number in re.findall(rb"<PartNumber>(\d+)</PartNumber>", body)):
            crc = add(upload["parts"].get(number, {"body": b""})["body"], crc)
        token = whole_checksum.set(b64encode(crc.to_bytes(4)).decode())
        try:
            status, answer_headers, answer = complete(bucket, key, body, query, headers)
        finally:
            whole_checksum.reset(token)
        answer = answer.replace(b">COMPOSITE<", b">FULL_OBJECT<")
        if upload_id in s3._completed_multipart_uploads:
            s3._completed_multipart_uploads[upload_id]["response"] = (status, answer_headers, answer)
        return status, answer_headers, answer

    def object_headers(stored: dict[str, Any], *arguments: Any, **keywords: Any) -> dict[str, str]:
        headers: dict[str, str] = response_headers(stored, *arguments, **keywords)
        # A checksum of checksums ends with the number of parts.
        if any("-" not in headers.get(f"x-amz-checksum-{name.lower()}", "-") for name in functions):
            headers["x-amz-checksum-type"] = "FULL_OBJECT"
        return headers

    s3._create_multipart_upload = create_upload
    s3._complete_multipart_upload = complete_upload
    s3._composite_checksum = lambda algorithm, parts: whole_checksum.get() or composite(algorithm, parts)
    s3._object_response_headers = object_headers


def answer_as_behind_tls() -> None:
    """Take every request as one that came through TLS: policies may refuse others, and certificates would be in the way
    of whoever looks around with plain tools.
    """
    serve = app.app

    async def behind_tls(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            headers = [(name, value) for name, value in scope["headers"] if name != b"x-forwarded-proto"]
            scope = {**scope, "headers": [*headers, (b"x-forwarded-proto", b"https")]}
        await serve(scope, receive, send)

    app.app = behind_tls


if __name__ == "__main__":
    main()
