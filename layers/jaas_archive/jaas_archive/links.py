"""Which links the archive may fetch: only those on origins that the admin allows."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from jaas_archive.errors import LinkRefusedError

_DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class AllowedOrigins:
    """Origins such as `https://*.oraclecloud.com` (any depth below, not the domain itself) or `http://127.0.0.1:8080`."""

    origins: frozenset[str]

    def check(self, link: str) -> None:
        """Return if the link may be fetched.

        Raises:
            LinkRefusedError: it may not; the text names the host at most.
        """
        try:
            parts = urlsplit(link)
            port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
        except ValueError:
            raise LinkRefusedError("the link is not a URL") from None
        host = parts.hostname or ""
        if parts.username is not None or parts.password is not None:
            raise LinkRefusedError("the link holds a user name or password")
        if not host or not link.isascii() or any(character in link for character in " \t\r\n\\"):
            raise LinkRefusedError("the link is not a plain URL")
        if not any(_matches(origin, parts.scheme, host, port) for origin in self.origins):
            raise LinkRefusedError(f"AllowedLinkOrigins has no origin for {parts.scheme}://{host}:{port}")


def parse_origins(origins: Iterable[str]) -> AllowedOrigins:
    """The allow list out of the stack parameter's entries."""
    return AllowedOrigins(frozenset(origin.rstrip("/").lower() for origin in origins))


def _matches(origin: str, scheme: str, host: str, port: int) -> bool:
    allowed = urlsplit(origin)
    allowed_host, _, allowed_port = allowed.netloc.partition(":")
    if allowed.scheme != scheme or int(allowed_port or _DEFAULT_PORTS.get(scheme, 0)) != port:
        return False
    if allowed_host.startswith("*."):
        return host.endswith(allowed_host[1:]) and len(host) > len(allowed_host) - 1
    return host == allowed_host
