"""Posts signed events to a webhook as JaaS does: again and again until the answer is 2xx."""

import ipaddress
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Self
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from local.jaas.signing import SIGNATURE_HEADER, signature_header

USER_AGENT = "JaaS-simulator"
_ANSWER_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Backoff:
    """The pauses between deliveries of one event. JaaS publishes no figures, only that they grow exponentially."""

    first_seconds: float = 0.5
    longest_seconds: float = 30.0
    tries: int = 8

    def pauses(self) -> Iterator[float]:
        """The pause after each failed try; there is none after the last."""
        for number in range(self.tries - 1):
            yield min(self.longest_seconds, self.first_seconds * 2**number)


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the delivery of one event ended; `status` is None if no answer came."""

    body: bytes
    status: int | None
    answer: str
    tries: int

    @property
    def accepted(self) -> bool:
        """Whether JaaS would count it as delivered."""
        return self.status is not None and _is_success(self.status)


@dataclass(slots=True)
class WebhookClient:
    """Delivers events to one webhook.

    `headers` are sent along, such as the `Authorization` of the admin's choice, or `Host` where the API is reached by
    another name. Names under `.localhost` are this machine (RFC 6761), which Python leaves to the resolver and the
    resolver may not know. Every try is signed anew.
    """

    url: str
    secret: str
    headers: Mapping[str, str] = field(default_factory=dict)
    backoff: Backoff = field(default_factory=Backoff)
    timeout_seconds: float = 10.0
    workers: int = 4
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    _session: requests.Session = field(default_factory=requests.Session, init=False)

    def __post_init__(self) -> None:
        adapter = HTTPAdapter(pool_maxsize=self.workers)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)
        # A proxy of this machine knows nothing of its loopback.
        self._session.trust_env = not _is_loopback(self.url)
        parts = urlsplit(self.url)
        if (parts.hostname or "").endswith(".localhost"):
            self.headers = {"Host": parts.netloc, **self.headers}
            port = f":{parts.port}" if parts.port else ""
            self.url = parts._replace(netloc=f"127.0.0.1{port}").geturl()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def post(self, body: bytes, *, signature: str | None = None) -> requests.Response:
        """Send a body once, signed now unless a signature header is given.

        Raises:
            requests.RequestException: no answer.
        """
        headers = {
            "User-Agent": USER_AGENT,
            "Content-Type": "application/json",
            SIGNATURE_HEADER: signature or signature_header(self.secret, body, int(self.clock())),
            **self.headers,
        }
        return self._session.post(
            self.url, data=body, headers=headers, timeout=self.timeout_seconds, allow_redirects=False
        )

    def deliver(self, body: bytes) -> Delivery:
        """Send an event until it is accepted or the tries are used up."""
        pauses = self.backoff.pauses()
        tries = 0
        while True:
            tries += 1
            try:
                response = self.post(body)
                delivery = Delivery(body, response.status_code, response.text[:_ANSWER_CHARACTERS], tries)
            except requests.RequestException as error:
                delivery = Delivery(body, None, f"{type(error).__name__}: {error}", tries)
            pause = next(pauses, None)
            if delivery.accepted or pause is None:
                return delivery
            self.sleep(pause)

    def deliver_all(self, bodies: Iterable[bytes]) -> Iterator[Delivery]:
        """Deliver events side by side, begun in this order, reported in this order."""
        with ThreadPoolExecutor(self.workers, "webhook") as pool:
            yield from pool.map(self.deliver, bodies)


def _is_success(status: int) -> bool:
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
