"""Which links the archive may fetch: only those on origins that the admin allows."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from jaas_archive.addresses import is_public
from jaas_archive.errors import LinkRefusedError

# Much narrower than RFC 3986, so that there is nothing in a link that two readers could read in two ways. ASCII keeps
# letters out that only become others later (K as KELVIN SIGN, a full stop as IDEOGRAPHIC FULL STOP).
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_LINK = re.compile(
    rf"(?P<scheme>https?)://(?P<host>(?:{_LABEL}\.)+{_LABEL})(?::(?P<port>[0-9]{{1,5}}))?"
    r"(?:(?P<target>[/?][!-\"$-\[\]-~]*)(?:#[!-~]*)?)?",
    re.ASCII | re.IGNORECASE,
)
_LONGEST_HOST = 253
_HTTPS_PORT = 443
# The last label begins with a letter: no writing of an IP address does (127.0.0.1, 127.1, 0x7f.1, 2130706433).
_NAME = rf"(?:{_LABEL}\.)+[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?"
_HOST_ENTRY = re.compile(rf"https://(?P<any>\*\.)?(?P<host>{_NAME})", re.ASCII)
_LOCAL_ENTRY = re.compile(r"https?://127\.0\.0\.1:[1-9][0-9]{0,4}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a link leads: what to connect to, what to ask for there, and which addresses that may be."""

    origin: str
    target: str
    permits: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class AllowedOrigins:
    """Hosts that are reached by https on its own port, anything below `parents`, and origins on this machine."""

    hosts: frozenset[str]
    parents: tuple[str, ...]
    local: frozenset[str]

    def check(self, link: str) -> Place:
        """Where the link leads, if it may be fetched; whoever connects has to go by this and not read the link again.

        Raises:
            LinkRefusedError: it may not; the text names the host at most.
        """
        parts = _LINK.fullmatch(link)
        if parts is None or len(parts["host"]) > _LONGEST_HOST:
            raise LinkRefusedError("the link is not a plain URL")
        scheme, host, target = parts["scheme"].lower(), parts["host"].lower(), parts["target"] or "/"
        port = int(parts["port"] or {"https": _HTTPS_PORT, "http": 80}[scheme])
        target = target if target.startswith("/") else f"/{target}"
        if (origin := f"{scheme}://{host}:{port}") in self.local:
            return Place(origin, target, _is_loopback)
        if (scheme, port) == ("https", _HTTPS_PORT) and (host in self.hosts or host.endswith(self.parents)):
            return Place(f"https://{host}", target, is_public)
        raise LinkRefusedError(f"AllowedLinkOrigins has no origin for {origin}")


def parse_origins(entries: Iterable[str]) -> AllowedOrigins:
    """The allow list out of the stack parameter's entries.

    They are `https://host`, `https://*.parent` (any depth below, not the parent itself) and, where links lead to this
    machine, `http://127.0.0.1:8080`.

    Raises:
        ValueError: an entry is none of these.
    """
    hosts, parents, local = set(), set(), set()
    for entry in entries:
        text = entry.lower()
        if _LOCAL_ENTRY.fullmatch(text):
            local.add(text)
        elif not (named := _HOST_ENTRY.fullmatch(text)):
            raise ValueError(
                f"AllowedLinkOrigins: {entry} is not https://host, https://*.host or http://127.0.0.1:port"
            )
        elif named["any"]:
            parents.add(f".{named['host']}")
        else:
            hosts.add(named["host"])
    return AllowedOrigins(frozenset(hosts), tuple(sorted(parents)), frozenset(local))


def _is_loopback(address: str) -> bool:
    return address == "127.0.0.1"
