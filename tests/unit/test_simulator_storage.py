import base64
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.jaas.storage import (
    MULTIPART_FROM_BYTES,
    PROVEN_UP_TO_BYTES,
    Answer,
    Request,
    StoredObject,
    parse_range,
    respond,
)

NOW = 1_800_000_000.0
CONTENT = bytes(range(256)) * 4


def stored(source: Path | bytes = CONTENT) -> StoredObject:
    return StoredObject("app/call.mp4", "bucket", source, "video/mp4", written_at=NOW, expires_at=NOW + 10)


def ask(target: StoredObject, *, range_: str | None = None, if_match: str | None = None, now: float = NOW) -> Answer:
    return respond(Request("GET", range_, if_match, target), now=now)


def content(answer: Answer) -> bytes:
    return b"".join(answer.body.blocks())


def test_the_whole_object_comes_without_a_range() -> None:
    answer = ask(stored())
    assert (answer.status, content(answer)) == (200, CONTENT)


def test_a_range_comes_alone() -> None:
    answer = ask(stored(), range_="bytes=10-19")
    assert (answer.status, content(answer)) == (206, CONTENT[10:20])


def test_a_range_says_where_it_lies() -> None:
    assert ask(stored(), range_="bytes=1000-").headers["Content-Range"] == "bytes 1000-1023/1024"


def test_a_range_of_a_file_on_disk_comes_alone(tmp_path: Path) -> None:
    path = tmp_path / "call.mp4"
    path.write_bytes(CONTENT)
    assert content(ask(stored(path), range_="bytes=-100")) == CONTENT[-100:]


def test_a_range_behind_the_end_is_not_satisfiable() -> None:
    answer = ask(stored(), range_="bytes=1024-")
    assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */1024")


@pytest.mark.parametrize("header", ["bytes=5-1", "bytes=-", "bytes=0-1,4-5", "lines=0-1"])
def test_what_is_no_range_gives_the_whole_object(header: str) -> None:
    assert ask(stored(), range_=header).status == 200


@given(first=st.integers(0, 2000), last=st.integers(0, 2000), size=st.integers(1, 1500))
def test_a_range_never_leaves_the_object(first: int, last: int, size: int) -> None:
    start, stop = parse_range(f"bytes={first}-{last}", size) or (0, size)
    assert start >= stop or 0 <= start < stop <= size


def test_the_etag_is_a_guid() -> None:
    assert len(ask(stored()).headers["ETag"].split("-")) == 5


def test_a_matching_etag_is_served() -> None:
    target = stored()
    assert ask(target, if_match=target.etag).status == 200


def test_another_etag_fails() -> None:
    assert ask(stored(), if_match="00000000-0000-0000-0000-000000000000").status == 412


def test_an_object_that_was_written_anew_has_another_etag() -> None:
    target = stored()
    before = target.etag
    target.replace()
    assert target.etag != before


def test_a_dead_link_is_not_authenticated() -> None:
    answer = ask(stored(), now=NOW + 10)
    assert (answer.status, b"NotAuthenticated" in content(answer)) == (401, True)


def test_an_object_written_at_once_has_an_md5() -> None:
    md5 = base64.b64encode(hashlib.md5(CONTENT, usedforsecurity=False).digest()).decode()
    assert ask(stored()).headers["Content-MD5"] == md5


def test_the_md5_of_the_whole_is_not_claimed_for_a_part() -> None:
    assert "Content-MD5" not in ask(stored(), range_="bytes=0-9").headers


def test_an_object_written_in_parts_has_the_md5_of_its_parts(tmp_path: Path) -> None:
    path = tmp_path / "call.mp4"
    with path.open("wb") as file:
        file.truncate(MULTIPART_FROM_BYTES + 1)
    headers = ask(stored(path)).headers
    assert ("Content-MD5" in headers, headers["opc-multipart-md5"].endswith("-2")) == (False, True)


def test_a_huge_object_is_not_read_through_for_a_header(tmp_path: Path) -> None:
    path = tmp_path / "call.mp4"
    with path.open("wb") as file:
        file.truncate(PROVEN_UP_TO_BYTES + 1)
    assert not {"Content-MD5", "opc-multipart-md5"} & set(ask(stored(path)).headers)


def test_the_path_looks_like_oracles() -> None:
    assert stored().path("token") == "/p/token/n/axq4vnexample/b/bucket/o/app/call.mp4"
