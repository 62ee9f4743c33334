"""TLS in large bites, against a server on the other end of a pair of sockets."""

import os
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest
import trustme

from jaas_archive.tls import TlsSocket

HOST = "objectstorage.example"
CONTENT = random.Random(1).randbytes((5 << 20) + 7)

type Serve = Callable[[ssl.SSLSocket], None]
type Connect = Callable[[Serve], TlsSocket]


@pytest.fixture
def connect(socket_enabled: None) -> Iterator[Connect]:
    ca = trustme.CA()
    ours, theirs = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.configure_trust(ours)
    ca.issue_cert(HOST).configure_cert(theirs)
    with ExitStack() as exits:

        def begin(serve: Serve) -> TlsSocket:
            here, there = socket.socketpair()
            here.settimeout(0.5)
            exits.callback(here.close)

            def run() -> None:
                # Nobody says farewell to it.
                with suppress(OSError), theirs.wrap_socket(there, server_side=True) as connection:
                    serve(connection)

            thread = threading.Thread(target=run)
            thread.start()
            exits.callback(thread.join)
            return TlsSocket.over(here, ours, HOST)

        yield begin


def read_all(connection: TlsSocket) -> bytes:
    buffer, found = memoryview(bytearray(1 << 20)), bytearray()
    while count := connection.recv_into(buffer):
        found += buffer[:count]
    return bytes(found)


def take(connection: ssl.SSLSocket, count: int) -> bytes:
    found = bytearray()
    while len(found) < count:
        found += connection.recv(1 << 20)
    return bytes(found)


def test_all_bytes_go_both_ways(connect: Connect) -> None:
    def send_back(connection: ssl.SSLSocket) -> None:
        connection.sendall(take(connection, len(CONTENT)))
        connection.unwrap()

    connection = connect(send_back)
    connection.sendall(memoryview(CONTENT))
    assert read_all(connection) == CONTENT
    connection.close()


def test_an_end_without_a_farewell_is_an_end(connect: Connect) -> None:
    connection = connect(lambda theirs: theirs.sendall(CONTENT[:100_000]))
    assert read_all(connection) == CONTENT[:100_000]
    connection.close()


def test_a_record_that_trickles_takes_no_longer_than_the_time_out_allows(connect: Connect) -> None:
    gone = threading.Event()

    def trickle(theirs: ssl.SSLSocket) -> None:
        os.write(theirs.fileno(), b"\x17\x03\x03\x40\x00")  # 16 KiB are to come
        for _ in range(200):
            os.write(theirs.fileno(), b"x")
            if gone.wait(0.05):
                break

    connection, started = connect(trickle), time.monotonic()
    with pytest.raises(TimeoutError):
        connection.recv_into(memoryview(bytearray(100)))
    assert time.monotonic() - started < 5
    gone.set()
    connection.close()


def test_what_nobody_takes_is_not_waited_for(connect: Connect) -> None:
    gone = threading.Event()

    def wait(_: ssl.SSLSocket) -> None:
        gone.wait(30)

    connection = connect(wait)
    with pytest.raises(TimeoutError):
        connection.sendall(CONTENT)
    gone.set()
    connection.close()


def test_it_is_closed_when_its_last_reader_is(connect: Connect) -> None:
    ended: list[bytes] = []

    def answer(theirs: ssl.SSLSocket) -> None:
        theirs.sendall(b"HTTP/1.1 200 OK\r\n")
        ended.append(theirs.recv(1))

    connection = connect(answer)
    with connection.makefile("rb") as reader:
        connection.close()
        assert reader.readline() == b"HTTP/1.1 200 OK\r\n"
        assert ended == []


def test_another_host_does_not_get_through(socket_enabled: None) -> None:
    ca, ours, theirs = trustme.CA(), ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.configure_trust(ours)
    ca.issue_cert("elsewhere.example").configure_cert(theirs)
    here, there = socket.socketpair()
    refused: list[str] = []

    def serve() -> None:
        try:
            theirs.wrap_socket(there, server_side=True).recv(1)
        except ssl.SSLError as error:
            refused.append(error.reason)
        there.close()

    thread = threading.Thread(target=serve)
    thread.start()
    with here, pytest.raises(ssl.SSLCertVerificationError):
        TlsSocket.over(here, ours, HOST)
    thread.join()
    # It is told why.
    assert "CERTIFICATE" in refused[0]
