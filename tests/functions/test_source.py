"""The reader of links against servers on this machine: where a redirect may lead, and who is on the other side."""

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import pytest
import trustme

from jaas_archive.connections import Stop, Transport
from jaas_archive.errors import LinkRefusedError, SourceUnavailableError
from jaas_archive.links import parse_origins
from jaas_archive.source import SourceReader
from local.jaas.faults import Header, Redirect
from local.jaas.files import FileServer
from tests.unit.bypasses import ADDRESSES, GOOD, LINKS

TLS = ssl.create_default_context()
LOCAL = {"127.0.0.1": ["127.0.0.1"]}
ELSEWHERE = "https://elsewhere.oraclecloud.com/p"
# A redirect to what is no absolute URL stays where it is.
TARGETS = sorted(link for link, _ in LINKS if re.match(r"[a-z]+:|//", link) and link.isascii() and link.isprintable())


@dataclass
class Resolver:
    """Each name has the addresses that it is given; whoever asks for another fails."""

    names: dict[str, list[str]]
    asked: list[str] = field(default_factory=list)

    def __call__(self, host: str, _port: int) -> list[str]:
        self.asked.append(host)
        return self.names[host]


@contextmanager
def reading(files: FileServer, resolver: Resolver) -> Iterator[SourceReader]:
    origins = parse_origins(["https://*.oraclecloud.com", files.origin])
    with closing(SourceReader(origins, Transport(TLS, resolve=resolver), Stop())) as reader:
        yield reader


def test_no_redirect_leads_where_no_link_may(files: FileServer) -> None:
    resolver = Resolver(LOCAL)
    link = files.publish(b"", name="x")
    assert len(TARGETS) > 150
    with reading(files, resolver) as reader:
        for target in TARGETS:
            link.faults.then(Redirect(target))
            with pytest.raises(LinkRefusedError):
                reader.open(link.url)
    assert set(resolver.asked) == {"127.0.0.1"}


def test_no_redirect_leads_to_an_address_that_is_not_public(files: FileServer) -> None:
    link = files.publish(b"", name="x")
    for address, _ in ADDRESSES:
        link.faults.then(Redirect(ELSEWHERE))
        resolver = Resolver(LOCAL | {"elsewhere.oraclecloud.com": [address]})
        refused = pytest.raises(LinkRefusedError, match=r"elsewhere\.oraclecloud\.com")
        with reading(files, resolver) as reader, refused:
            reader.open(link.url)


def test_redirects_end(files: FileServer) -> None:
    link = files.publish(b"", name="x")
    link.faults.always(Redirect(link.url))
    too_many = pytest.raises(SourceUnavailableError, match="redirected more than")
    with reading(files, Resolver(LOCAL)) as reader, too_many:
        reader.open(link.url)


def test_a_kept_connection_asks_the_resolver_no_more(files: FileServer) -> None:
    resolver = Resolver(LOCAL)
    link = files.publish(bytes(1000), name="x")
    with reading(files, resolver) as reader:
        for start in range(0, 1000, 100):
            stream = reader.open(link.url, range(start, start + 100))
            assert stream.read_into(memoryview(bytearray(100))) == 100
            stream.close()
    assert resolver.asked == ["127.0.0.1"]


def test_a_packed_file_comes_as_it_lies_there_and_says_so(files: FileServer) -> None:
    link = files.publish(b"\x1f\x8b packed", name="x")
    link.faults.always(Header("Content-Encoding", "gzip"))
    with reading(files, Resolver(LOCAL)) as reader:
        stream = reader.open(link.url)
        content = bytearray(20)
        del content[stream.read_into(memoryview(content)) :]
    assert (bytes(content), stream.info.encoding) == (b"\x1f\x8b packed", "gzip")


def test_other_bytes_than_were_asked_for_are_not_taken(files: FileServer) -> None:
    link = files.publish(bytes(1000), name="x")
    link.faults.always(Header("Content-Range", "bytes 0-99/1000"))
    another = pytest.raises(SourceUnavailableError, match="another range")
    with reading(files, Resolver(LOCAL)) as reader, another:
        reader.open(link.url, range(100, 200))


@dataclass
class TlsServer:
    """Answers under the certificate of some names, and notes for whom it was taken and what was asked of it."""

    ca: trustme.CA
    names: tuple[str, ...]
    requests: list[tuple[str | None, str, str]] = field(default_factory=list)
    port: int = 0

    def __enter__(self) -> Self:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*self.names).configure_cert(context)
        asked_for: list[str | None] = []
        context.sni_callback = lambda _socket, name, _context: asked_for.append(name)
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                requests.append((asked_for[-1], self.headers["Host"], self.headers["Accept-Encoding"]))
                self.send_response(HTTPStatus.OK)
                self.send_header("Content-Length", "4")
                self.end_headers()
                self.wfile.write(b"file")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """Whoever goes away because of the certificate is part of the test."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reader(self, trusted: trustme.CA) -> SourceReader:
        """One that is told that the allowed name is at a public address, which is this server."""

        def dial(address: tuple[str, int], timeout_seconds: float) -> socket.socket:
            assert address == ("8.8.8.8", 443)
            return socket.create_connection(("127.0.0.1", self.port), timeout_seconds)

        tls = ssl.create_default_context()
        trusted.configure_trust(tls)
        transport = Transport(tls, resolve=Resolver({GOOD: ["8.8.8.8"]}), dial=dial)
        return SourceReader(parse_origins(["https://*.oraclecloud.com"]), transport, Stop())


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


def test_who_is_connected_to_by_address_still_has_to_prove_the_name(socket_enabled: None, ca: trustme.CA) -> None:
    with TlsServer(ca, (GOOD,)) as server, closing(server.reader(ca)) as reader:
        assert reader.open(f"https://{GOOD}/p").info.length == 4
        assert server.requests == [(GOOD, GOOD, "identity")]


@pytest.mark.parametrize("names", [("elsewhere.oraclecloud.com",), ("8.8.8.8",), ("*.com",)])
def test_a_certificate_of_another_name_does_not_prove_it(
    socket_enabled: None, ca: trustme.CA, names: tuple[str, ...]
) -> None:
    with TlsServer(ca, names) as server:
        with pytest.raises(SourceUnavailableError, match="SSLCertVerificationError"):
            server.reader(ca).open(f"https://{GOOD}/p")
        assert server.requests == []


def test_a_certificate_that_nobody_vouches_for_does_not_prove_it(socket_enabled: None, ca: trustme.CA) -> None:
    with TlsServer(trustme.CA(), (GOOD,)) as server, pytest.raises(SourceUnavailableError, match="SSLCert"):
        server.reader(ca).open(f"https://{GOOD}/p")
