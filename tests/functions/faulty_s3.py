"""An S3 that lets requests fail on command: moto's, behind a proxy.

It also adds to the answers of ListParts what S3 has there and moto has not: the parts' checksums. And it can demand, as
S3 does of a bucket with Object Lock, that each upload says how it is checked.
"""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from fastcrc.crc32 import iscsi as crc32c

from jaas_archive.crc import as_text
from local.proxy import Call, Fault, Proxy

_PROOFS = {"content-md5", "x-amz-sdk-checksum-algorithm"}

type Matches = Callable[[str, str], bool]
"""Whether a request, by method and target, is meant."""


@dataclass(slots=True)
class Order:
    """What happens to the next `times` requests that match; `seen` have come so far."""

    matches: Matches
    times: int
    fault: Fault
    seen: int = 0


class FaultyS3:
    """Forwards to the S3 at `upstream`."""

    def __init__(self, upstream: str) -> None:
        self.requests: list[tuple[str, str]] = []
        self.locked = False
        self.last_body = b""
        """As it came: in chunks."""
        self._orders: list[Order] = []
        self._checksums: dict[str, str] = {}
        self._lock = threading.Lock()
        self._proxy = Proxy(upstream, self._take, amend=self._with_checksums)
        self.url = self._proxy.url

    def fail(self, matches: Matches, *, times: int = 1, **fault: Any) -> Order:
        """Let the next matching requests fail."""
        order = Order(matches, times, Fault(**fault))
        self._orders.append(order)
        return order

    def parts_sent(self) -> int:
        """How many requests to store a part have come."""
        return sum(method == "PUT" and "partNumber=" in target for method, target in list(self.requests))

    def _take(self, call: Call) -> Fault | None:
        with self._lock:
            self.requests.append((call.method, call.target))
            for order in self._orders:
                if order.seen < order.times and order.matches(call.method, call.target):
                    order.seen += 1
                    return order.fault
        if self.locked and call.method == "PUT" and not _PROOFS & set(call.headers):
            return Fault(status=400, code="InvalidRequest")
        return None

    def _with_checksums(self, call: Call, body: bytes, answer: bytes) -> bytes:
        self.last_body = body
        query = parse_qs(urlsplit(call.target).query)
        if call.method == "PUT" and "partNumber" in query:
            self._checksums[query["partNumber"][0]] = as_text(crc32c(_unframed(body)))
        if call.method != "GET" or "uploadId" not in query:
            return answer
        return re.sub(
            r"<PartNumber>(\d+)</PartNumber>",
            lambda found: f"{found[0]}<ChecksumCRC32C>{self._checksums[found[1]]}</ChecksumCRC32C>",
            answer.decode(),
        ).encode()

    def __enter__(self) -> Self:
        self._proxy.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._proxy.__exit__(*error)


def _unframed(body: bytes) -> bytes:
    """What a body in one chunk holds."""
    size, _, rest = body.partition(b"\r\n")
    return rest[: int(size, 16)]
