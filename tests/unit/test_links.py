import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from socket import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaas_archive.addresses import is_public
from jaas_archive.connections import Stop, Transport
from jaas_archive.errors import LinkRefusedError, SourceUnavailableError
from jaas_archive.links import parse_origins
from jaas_archive.source import SourceReader
from tests.unit.bypasses import ADDRESSES, GOOD, LINKS

DEFAULT = ("https://*.oraclecloud.com", "https://*.8x8.vc", "https://*.8x8.com", "https://*.amazonaws.com")
ORIGINS = parse_origins([*DEFAULT, "http://127.0.0.1:8080"])
PUBLIC = ("8.8.8.8", "134.70.12.1", "52.26.201.32", "192.0.1.1", "2606:4700:4700::1111", "2603:c020::1")


@pytest.mark.parametrize(
    ("link", "origin", "target"),
    [
        (f"https://{GOOD}/p/x/o/y", f"https://{GOOD}", "/p/x/o/y"),
        (f"https://{GOOD}:443/p", f"https://{GOOD}", "/p"),
        (f"HTTPS://{GOOD.upper()}/P", f"https://{GOOD}", "/P"),
        ("https://EU.8X8.VC/list?page=1&x=%2F..%2f", "https://eu.8x8.vc", "/list?page=1&x=%2F..%2f"),
        ("https://eu.8x8.vc?page=1", "https://eu.8x8.vc", "/?page=1"),
        ("https://eu.8x8.vc", "https://eu.8x8.vc", "/"),
        ("https://eu.8x8.vc/x#part", "https://eu.8x8.vc", "/x"),
        ("https://my_bucket.s3.eu-1.amazonaws.com/a", "https://my_bucket.s3.eu-1.amazonaws.com", "/a"),
        (f"https://{GOOD}/a:b@c;d='e'(f)[g]{{h}}|^`~!*", f"https://{GOOD}", "/a:b@c;d='e'(f)[g]{h}|^`~!*"),
        ("http://127.0.0.1:8080/p", "http://127.0.0.1:8080", "/p"),
    ],
)
def test_allows_links_on_allowed_origins(link: str, origin: str, target: str) -> None:
    place = ORIGINS.check(link)
    assert (place.origin, place.target) == (origin, target)


@pytest.mark.parametrize(("link", "why"), LINKS, ids=lambda text: ascii(text)[1:60])
def test_refuses_all_others(link: str, why: str) -> None:
    with pytest.raises(LinkRefusedError):
        ORIGINS.check(link)


def test_the_corpus_is_large_and_says_each_thing_once() -> None:
    assert len({link for link, _ in LINKS}) == len(LINKS) >= 150


@given(st.text())
def test_no_text_gets_past_the_list(text: str) -> None:
    for link in (text, f"https://{text}", f"https://{text}.oraclecloud.com/p", f"https://{GOOD}{text}"):
        try:
            place = ORIGINS.check(link)
        except LinkRefusedError:
            continue
        assert place.origin.endswith((".oraclecloud.com", ".8x8.vc", ".8x8.com", ".amazonaws.com"))
        assert place.target.isascii()
        assert place.target.isprintable()


def test_no_address_of_this_machine_is_allowed_unless_it_is_named() -> None:
    with pytest.raises(LinkRefusedError):
        parse_origins(DEFAULT).check("http://127.0.0.1:8080/p")


def test_on_this_machine_only_its_own_address_is_permitted() -> None:
    permits = ORIGINS.check("http://127.0.0.1:8080/p").permits
    assert permits("127.0.0.1")
    assert [address for address, _ in ADDRESSES if address != "127.0.0.1" and permits(address)] == []


def test_a_host_that_is_named_is_allowed_and_nothing_below_it() -> None:
    origins = parse_origins(["https://Files.Example.com"])
    assert origins.check("https://files.example.com/x").origin == "https://files.example.com"
    for link in ("https://a.files.example.com/x", "https://example.com/x", "https://xfiles.example.com/x"):
        with pytest.raises(LinkRefusedError):
            origins.check(link)


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "*",
        "https://*",
        "https://*.",
        "https://*.com",
        "https://**.example.com",
        "https://*example.com",
        "https://a.*.example.com",
        "https://ex*mple.com",
        "https://*.*.example.com",
        "https://*.example.com.",
        "https://*.example.com:8443",
        "https://*.example.com/path",
        "https://example.com/",
        "https://user@example.com",
        "https://*@example.com",
        "https://example.com?x",
        "https://example.com\n",
        "https://localhost",
        "https://10.0.0.1",
        "https://*.0.0.1",
        "https://*.0x7f.1",
        "https://2130706433",
        "https://[::1]",
        "https://ex\u00e4mple.com",
        "http://example.com",
        "http://*.example.com",
        "http://127.0.0.1",
        "http://127.0.0.1:0",
        "http://127.0.0.2:8080",
        "http://localhost:8080",
        "http://10.0.0.1:8080",
        "http://169.254.169.254:80",
        "http://*:8080",
        "http://127.0.0.1:*",
        "ftp://example.com",
        "example.com",
    ],
)
def test_an_entry_that_would_allow_too_much_or_nothing_is_no_entry(entry: str) -> None:
    with pytest.raises(ValueError, match="AllowedLinkOrigins"):
        parse_origins([entry])


@pytest.mark.parametrize(("address", "why"), ADDRESSES)
def test_an_address_that_is_not_on_the_public_internet_is_told(address: str, why: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_on_the_public_internet_is_told(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses().map(str))
def test_what_is_public_to_us_is_so_to_python(address: str) -> None:
    number = ip_address(address)
    if is_public(address):
        assert (number.is_global, number.is_multicast, number.is_reserved) == (True, False, False)


@dataclass
class Network:
    """A resolver whose answers are given one after the other, and a note of what was connected to; nothing answers."""

    answers: list[list[str]]
    asked: list[str] = field(default_factory=list)
    dialled: list[str] = field(default_factory=list)

    def resolve(self, host: str, port: int) -> list[str]:
        self.asked.append(f"{host}:{port}")
        return self.answers.pop(0)

    def dial(self, address: tuple[str, int], _timeout_seconds: float) -> socket:
        self.dialled.append(address[0])
        raise ConnectionRefusedError

    def reader(self) -> SourceReader:
        tls = ssl.create_default_context()
        return SourceReader(ORIGINS, Transport(tls, resolve=self.resolve, dial=self.dial), Stop())


def fetch(network: Network, link: str = f"https://{GOOD}/p") -> Callable[[], object]:
    return lambda: network.reader().open(link)


@pytest.mark.parametrize(("address", "why"), ADDRESSES)
def test_no_name_leads_to_an_address_that_is_not_public(address: str, why: str) -> None:
    network = Network([[address]])
    with pytest.raises(LinkRefusedError, match="public internet"):
        fetch(network)()
    assert network.dialled == []


def test_of_several_addresses_only_public_ones_are_tried() -> None:
    network = Network([["10.0.0.1", "8.8.8.8", "::1", "8.8.4.4", "169.254.169.254"]])
    with pytest.raises(SourceUnavailableError):
        fetch(network)()
    assert network.dialled == ["8.8.8.8", "8.8.4.4"]


def test_a_resolver_that_changes_its_mind_is_asked_once_and_what_it_said_is_what_is_connected_to() -> None:
    network = Network([["8.8.8.8"], ["169.254.169.254"], ["127.0.0.1"]])
    reader = network.reader()
    with pytest.raises(SourceUnavailableError):
        reader.open(f"https://{GOOD}/p")
    assert (network.asked, network.dialled) == ([f"{GOOD}:443"], ["8.8.8.8"])
    for _ in range(2):
        with pytest.raises(LinkRefusedError):
            reader.open(f"https://{GOOD}/p")
    assert network.dialled == ["8.8.8.8"]


def test_a_name_without_addresses_is_passing_trouble() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise OSError(host)

    network = Network([])
    reader = SourceReader(ORIGINS, Transport(ssl.create_default_context(), resolve=unknown, dial=network.dial), Stop())
    with pytest.raises(SourceUnavailableError, match="did not answer"):
        reader.open(f"https://{GOOD}/p")


def test_nothing_is_resolved_for_a_link_that_is_not_allowed() -> None:
    network = Network([])
    for link, _ in LINKS:
        with pytest.raises(LinkRefusedError):
            fetch(network, link)()
    assert network.asked == []
