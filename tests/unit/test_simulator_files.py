"""The file server over real sockets, on loopback only."""

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from local.jaas import faults
from local.jaas.files import FileServer, Link, ServedRequest

CONTENT = hashlib.shake_256(b"recording").digest(600_000)
NAME = "vpaas-magic-cookie-1/session/weekly sync_2026-07-01-09-02-11.mp4"

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as server:
        yield server


@pytest.fixture
def link(server: FileServer) -> Link:
    return server.publish(CONTENT, name=NAME)


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Accept-Encoding"] = "identity"
        yield session


def test_a_link_gives_its_file(link: Link, http: requests.Session) -> None:
    assert http.get(link.url).content == CONTENT


def test_a_link_looks_like_oracles(server: FileServer, link: Link) -> None:
    assert link.url.startswith(f"{server.origin}/p/")
    assert link.url.endswith("/o/vpaas-magic-cookie-1/session/weekly%20sync_2026-07-01-09-02-11.mp4")


def test_a_file_on_disk_is_served(server: FileServer, http: requests.Session, tmp_path: Path) -> None:
    path = tmp_path / "call.mp4"
    path.write_bytes(CONTENT)
    assert http.get(server.publish(path, name=NAME).url).content == CONTENT


def test_head_tells_the_length_without_the_body(link: Link, http: requests.Session) -> None:
    response = http.head(link.url)
    assert (response.headers["Content-Length"], response.content) == ("600000", b"")


def test_head_leaves_the_connection_usable(link: Link, http: requests.Session) -> None:
    http.head(link.url)
    assert http.get(link.url, headers={"Range": "bytes=0-9"}).content == CONTENT[:10]


def test_ranges_side_by_side_make_the_whole(link: Link, http: requests.Session) -> None:
    def part(start: int) -> bytes:
        return http.get(link.url, headers={"Range": f"bytes={start}-{start + 99_999}"}).content

    with ThreadPoolExecutor(6) as pool:
        assert b"".join(pool.map(part, range(0, len(CONTENT), 100_000))) == CONTENT


def test_an_unknown_link_is_not_found(server: FileServer, http: requests.Session) -> None:
    response = http.get(f"{server.origin}/p/token/n/space/b/bucket/o/name")
    assert (response.status_code, response.json()["code"]) == (404, "BucketNotFound")


def test_an_expired_link_is_not_authenticated(link: Link, http: requests.Session) -> None:
    link.expire()
    response = http.get(link.url)
    assert (response.status_code, response.json()["code"]) == (401, "NotAuthenticated")


def test_a_link_dies_after_its_lifetime(http: requests.Session) -> None:
    now = [1_800_000_000.0]
    with FileServer(clock=lambda: now[0]) as server:
        link = server.publish(CONTENT, name=NAME, lifetime_seconds=60)
        now[0] += 60
        assert http.get(link.url).status_code == 401


def test_links_carry_the_base_that_others_know() -> None:
    with FileServer(base_url="https://tunnel.example.com/") as server:
        assert server.publish(b"", name=NAME).url.startswith("https://tunnel.example.com/p/")


def test_what_was_served_is_on_record(link: Link, http: requests.Session) -> None:
    http.get(link.url, headers={"Range": "bytes=100-199"})
    record = wait_for_record(link)
    assert (record.status, record.start, record.sent_bytes) == (206, 100, 100)


def test_a_file_is_fetched_when_all_its_bytes_went_out(link: Link, http: requests.Session) -> None:
    http.get(link.url, headers={"Range": "bytes=300000-"})
    http.get(link.url, headers={"Range": "bytes=0-299999"})
    wait_for_record(link, count=2)
    assert link.fetched


def test_a_file_with_a_gap_is_not_fetched(link: Link, http: requests.Session) -> None:
    http.get(link.url, headers={"Range": "bytes=300001-"})
    http.get(link.url, headers={"Range": "bytes=0-299999"})
    wait_for_record(link, count=2)
    assert not link.fetched


def test_an_error_page_is_no_fetched_file(server: FileServer, http: requests.Session) -> None:
    link = server.publish(b"tiny", name=NAME)
    link.faults.then(faults.HtmlPage())
    http.get(link.url)
    wait_for_record(link)
    assert not link.fetched


def test_fault_a_status_with_retry_after(link: Link, http: requests.Session) -> None:
    link.faults.then(faults.Fail(429, "TooManyRequests", retry_after_seconds=7))
    response = http.get(link.url)
    assert (response.status_code, response.json()["code"], response.headers["Retry-After"]) == (
        429,
        "TooManyRequests",
        "7",
    )


def test_fault_a_status_passes(link: Link, http: requests.Session) -> None:
    link.faults.then(faults.Fail(503), times=2)
    assert [http.get(link.url).status_code for _ in range(3)] == [503, 503, 200]


def test_fault_the_connection_is_dropped(link: Link, http: requests.Session) -> None:
    link.faults.then(faults.Drop())
    with pytest.raises(requests.ConnectionError):
        http.get(link.url)


def test_fault_the_connection_is_cut(link: Link, http: requests.Session) -> None:
    link.faults.then(faults.Cut(after_bytes=300_000))
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        http.get(link.url)


def test_fault_the_body_is_truncated(link: Link, http: requests.Session) -> None:
    link.faults.then(faults.Truncate(after_bytes=1000))
    response = http.get(link.url, stream=True)
    response.raw.enforce_content_length = False
    assert response.content == CONTENT[:1000]


def test_fault_the_length_is_too_large(link: Link, http: requests.Session) -> None:
    link.faults.then(faults.WrongLength(+5))
    response = http.get(link.url, stream=True)
    response.raw.enforce_content_length = False
    assert (response.headers["Content-Length"], len(response.content)) == ("600005", 600_000)


def test_fault_the_length_is_too_small(link: Link, http: requests.Session) -> None:
    link.faults.then(faults.WrongLength(-5))
    assert http.get(link.url).content == CONTENT[:-5]


def test_fault_the_body_stalls(link: Link, http: requests.Session) -> None:
    link.faults.then(faults.Stall(after_bytes=1000, seconds=30))
    with pytest.raises(requests.ConnectionError, match="timed out"):
        http.get(link.url, timeout=0.2)


def test_fault_a_stall_ends(link: Link, http: requests.Session) -> None:
    link.faults.then(faults.Stall(after_bytes=1000, seconds=0.2))
    started = time.monotonic()
    assert (http.get(link.url).content, time.monotonic() - started >= 0.2) == (CONTENT, True)


def test_fault_the_body_trickles(server: FileServer, http: requests.Session) -> None:
    link = server.publish(CONTENT[:3000], name=NAME)
    link.faults.then(faults.Trickle(bytes_per_second=10_000))
    started = time.monotonic()
    assert (http.get(link.url).content, time.monotonic() - started >= 0.25) == (CONTENT[:3000], True)


def test_fault_ranges_are_ignored(link: Link, http: requests.Session) -> None:
    link.faults.always(faults.NoRanges())
    response = http.get(link.url, headers={"Range": "bytes=0-9"})
    assert (response.status_code, response.content, "Accept-Ranges" in response.headers) == (200, CONTENT, False)


def test_fault_the_object_changes_midway(link: Link, http: requests.Session) -> None:
    link.faults.then().then(faults.Changed(b"other"))
    etag = http.get(link.url).headers["ETag"]
    assert http.get(link.url, headers={"If-Match": etag}).status_code == 412


def test_fault_a_changed_object_is_served_with_its_new_bytes(link: Link, http: requests.Session) -> None:
    link.faults.then(faults.Changed(b"other"))
    assert http.get(link.url).content == b"other"


def test_fault_a_web_page_comes_with_a_200(link: Link, http: requests.Session) -> None:
    link.faults.then(faults.HtmlPage())
    response = http.get(link.url)
    assert (response.status_code, response.headers["Content-Type"], response.content[:15]) == (
        200,
        "text/html; charset=utf-8",
        b"<!DOCTYPE html>",
    )


def test_fault_the_file_is_said_to_be_elsewhere(link: Link, http: requests.Session) -> None:
    link.faults.then(faults.Redirect(link.url, 307))
    response = http.get(link.url)
    assert ([hop.status_code for hop in response.history], response.content) == ([307], CONTENT)


def test_fault_a_byte_is_another_one(link: Link, http: requests.Session) -> None:
    link.faults.then(faults.Corrupt(at_byte=400_000))
    content = http.get(link.url).content
    assert [index for index in range(len(CONTENT)) if content[index] != CONTENT[index]] == [400_000]


def test_fault_there_is_no_length(link: Link, http: requests.Session) -> None:
    link.faults.then(faults.Header("Content-Length"))
    response = http.get(link.url)
    assert ("Content-Length" in response.headers, response.content) == (False, CONTENT)


def test_faults_add_up(link: Link, http: requests.Session) -> None:
    link.faults.then(faults.NoRanges(), faults.Truncate(100))
    response = http.get(link.url, headers={"Range": "bytes=5000-"}, stream=True)
    response.raw.enforce_content_length = False
    assert response.content == CONTENT[:100]


def test_the_server_ends_although_a_client_waits(http: requests.Session) -> None:
    started = time.monotonic()
    with FileServer() as server:
        link = server.publish(CONTENT, name=NAME)
        link.faults.then(faults.Stall(after_bytes=10, seconds=60))
        response = http.get(link.url, stream=True)
    response.close()
    assert time.monotonic() - started < 10


def wait_for_record(link: Link, count: int = 1) -> ServedRequest:
    """The last record; the server writes it just after the client has got its bytes."""
    give_up_at = time.monotonic() + 5
    while len(link.requests) < count and time.monotonic() < give_up_at:
        time.sleep(0.005)
    return link.requests[count - 1]
