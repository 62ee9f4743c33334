"""The copy engine against a source and an S3 that misbehave on command; each byte is checked."""

import base64
import hashlib
import random
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials
from fastcrc.crc32 import iscsi as crc32c

from jaas_archive.archive import Archive
from jaas_archive.connections import Stop, Transport
from jaas_archive.copying import Copied, Copier, Destination, HandOverError, Job
from jaas_archive.crc import as_text
from jaas_archive.errors import AwsUnavailableError, LinkRefusedError, MismatchError, SourceUnavailableError
from jaas_archive.links import parse_origins
from jaas_archive.mp4 import inspect_mp4
from jaas_archive.parts import LARGEST_FILE_BYTES, part_bytes
from jaas_archive.source import FileInfo
from jaas_archive.uploads import BucketAddress, Checkpoint, KeyTakenError, UploadGoneError
from local.jaas.faults import (
    Changed,
    Corrupt,
    Cut,
    Drop,
    Fail,
    Header,
    NoRanges,
    Redirect,
    Stall,
    Trickle,
    Truncate,
    WrongLength,
)
from local.jaas.files import FileServer, Link
from local.recording import make_small_recording
from tests.functions.conftest import ARCHIVE, World
from tests.functions.faulty_s3 import FaultyS3

MIB = 1 << 20
SIZE = 40 * MIB + 12345
KEY = "room/session/recording.mp4"
CONTENT = random.Random(7).randbytes(SIZE)


def is_part(method: str, target: str) -> bool:
    return method == "PUT" and "partNumber=" in target


def is_complete(method: str, target: str) -> bool:
    return method == "POST" and "uploadId=" in target


@dataclass(slots=True)
class Bench:
    """An engine, its source and its S3."""

    world: World
    files: FileServer
    s3: FaultyS3
    checkpoint: Checkpoint | None = None
    saved: list[Checkpoint | None] = field(default_factory=list)

    def copier(self, **patience: Any) -> Copier:
        client = boto3.client("s3", endpoint_url=self.s3.url, config=Config(retries={"max_attempts": 3}))
        archive = Archive(lambda: client, ARCHIVE)
        credentials = ReadOnlyCredentials("testing", "testing", None)
        return Copier(
            archive=archive,
            address=BucketAddress(f"{self.s3.url}/{ARCHIVE}", "us-east-1", lambda: credentials),
            origins=parse_origins([self.files.origin]),
            transport=Transport(ssl.create_default_context(), **patience),
        )

    def job(self, link: Link, **more: Any) -> Job:
        def destination(_info: FileInfo, _head: bytes) -> Destination:
            return Destination(KEY, "video/mp4", {"session": "s"})

        return Job(link.url, destination, checkpoint=self.checkpoint, save=self._save, **more)

    def copy(self, link: Link, *, stop: Stop | None = None, **patience: Any) -> Copied:
        return self.copier(**patience).copy(self.job(link), stop=stop)

    def _save(self, checkpoint: Checkpoint | None) -> None:
        self.checkpoint = checkpoint
        self.saved.append(checkpoint)

    def check(self, content: bytes = CONTENT, copied: Copied | None = None) -> None:
        """One object, equal to the source, and no upload left behind."""
        assert copied is None or (copied.size, copied.checksum) == (len(content), as_text(crc32c(content)))
        stored = self.world.s3.get_object(Bucket=ARCHIVE, Key=KEY)["Body"].read()
        assert hashlib.sha256(stored).hexdigest() == hashlib.sha256(content).hexdigest()
        assert self.uploads() == []

    def uploads(self) -> list[Any]:
        return self.world.s3.list_multipart_uploads(Bucket=ARCHIVE).get("Uploads", [])

    def parts_sent(self) -> int:
        return sum(is_part(*request) for request in self.s3.requests)


@pytest.fixture
def bench(world: World, files: FileServer, aws: str) -> Iterator[Bench]:
    with FaultyS3(aws) as s3:
        yield Bench(world, files, s3)


@pytest.fixture
def link(files: FileServer) -> Link:
    return files.publish(CONTENT, name="app/recording.mp4")


def test_copies_in_parts_and_proves_the_whole(bench: Bench, link: Link) -> None:
    bench.check(copied=bench.copy(link))
    assert bench.parts_sent() == 6


def test_two_hundred_cuts_at_random_offsets_cost_nothing(bench: Bench, link: Link) -> None:
    chance = random.Random(1)
    for _ in range(200):
        link.faults.then(Cut(after_bytes=chance.randrange(20_000, 300_000)))
    bench.copy(link)
    bench.check()
    assert link.faults.scripted == 0
    assert bench.parts_sent() == 6


@pytest.mark.parametrize(
    "fault",
    [
        Fail(503, retry_after_seconds=1),
        Fail(429),
        Fail(500),
        Drop(),
        Truncate(after_bytes=100_000),
        Stall(after_bytes=10_000, seconds=30),
        WrongLength(-1000),
        WrongLength(1000),
    ],
    ids=repr,
)
def test_a_source_that_fails_for_a_while_is_asked_again(bench: Bench, link: Link, fault: Any) -> None:
    link.faults.then().then(fault, times=4)
    bench.copy(link, timeout_seconds=1)
    bench.check()
    assert link.faults.scripted == 0


def test_a_source_that_trickles_is_cut_and_asked_again(bench: Bench, link: Link) -> None:
    link.faults.then().then(Trickle(bytes_per_second=2_000), times=3)
    began = time.monotonic()
    bench.copy(link, pace_seconds=1)
    bench.check()
    assert time.monotonic() - began < 20


def test_a_dead_source_is_given_up_in_time_and_copied_later(bench: Bench, link: Link) -> None:
    link.faults.then(times=3).then(Fail(404, "BucketNotFound"), times=500)
    with pytest.raises(SourceUnavailableError, match="answered 404"):
        bench.copy(link)
    link.faults.clear()
    bench.copy(link)
    bench.check()
    # The parts that were there stayed there; only those under way were sent again.
    assert bench.parts_sent() < 2 * 6
    assert len([saved for saved in bench.saved if saved]) == 1


def test_a_file_that_changes_midway_is_copied_anew(bench: Bench, link: Link) -> None:
    other = random.Random(8).randbytes(SIZE)
    link.faults.then(times=3).then(Changed(other))
    bench.copy(link)
    bench.check(other)


def test_a_file_that_changed_between_invocations_is_copied_anew(bench: Bench, link: Link) -> None:
    other = random.Random(8).randbytes(SIZE - 1)
    with pytest.raises(HandOverError):
        _copy_a_little(bench, link)
    link.stored.replace(other)
    bench.copy(link)
    bench.check(other)


def test_a_file_that_became_small_midway_leaves_no_upload(bench: Bench, link: Link) -> None:
    link.faults.then(times=3).then(Changed(b"small"))
    bench.copy(link)
    bench.check(b"small")


def test_a_file_whose_version_keeps_changing_is_copied_in_one_go(bench: Bench, link: Link) -> None:
    link.faults.always(Changed())
    bench.copy(link)
    bench.check()


def test_ranges_that_do_not_tell_their_version_are_not_trusted(bench: Bench, link: Link) -> None:
    link.faults.then().then(Header("ETag", None)).then().then(Header("ETag", None))
    bench.copy(link)
    bench.check()


def test_a_source_without_ranges_is_copied_in_one_go(bench: Bench, link: Link) -> None:
    link.faults.always(NoRanges())
    bench.copy(link)
    bench.check()
    assert len(link.requests) == 1


def test_a_weak_version_is_no_proof_and_copied_in_one_go(bench: Bench, link: Link) -> None:
    link.faults.always(Header("ETag", 'W/"similar"'))
    bench.copy(link)
    bench.check()
    assert len(link.requests) == 1


def test_a_source_that_breaks_its_promise_of_ranges_is_copied_in_one_go(bench: Bench, link: Link) -> None:
    link.faults.always(NoRanges(), Header("Accept-Ranges", "bytes"))
    bench.copy(link)
    bench.check()


@pytest.mark.parametrize("header", ["Content-Length", "ETag"])
def test_a_source_that_does_not_tell_length_or_version_is_copied_in_one_go(
    bench: Bench, link: Link, header: str
) -> None:
    link.faults.always(NoRanges(), Header(header, None))
    bench.copy(link)
    bench.check()


def test_a_stream_that_breaks_leaves_nothing_behind(bench: Bench, link: Link) -> None:
    link.faults.always(NoRanges()).then(Cut(after_bytes=30 * MIB))
    with pytest.raises(SourceUnavailableError):
        bench.copy(link)
    assert bench.uploads() == []
    bench.copy(link)
    bench.check()


def test_a_stream_is_looked_into_as_it_passes(bench: Bench, files: FileServer, tmp_path: Path) -> None:
    recording = make_small_recording(tmp_path / "recording.mp4").path.read_bytes()
    content = recording + struct.pack(">I4s", 30 * MIB, b"free") + bytes(30 * MIB - 8)
    link = files.publish(content, name="app/stream.mp4")
    # Nothing but its boxes can tell that a body which ends with its connection was cut.
    link.faults.always(NoRanges(), Header("Content-Length", None)).then(Truncate(after_bytes=20 * MIB))
    job = bench.job(link, inspect=partial(inspect_mp4, announced_seconds=10))
    with pytest.raises(MismatchError, match="boxes reach to byte"):
        bench.copier().copy(job)
    assert bench.uploads() == []
    assert bench.copier().copy(job).seconds == pytest.approx(10, abs=0.2)
    bench.check(content)


def test_a_stream_that_takes_longer_than_an_invocation_is_tried_again_later(bench: Bench, link: Link) -> None:
    link.faults.always(NoRanges())
    with pytest.raises(SourceUnavailableError, match="only in one go"):
        _copy_a_little(bench, link)
    assert bench.uploads() == []


def test_every_request_may_be_redirected(bench: Bench, files: FileServer, link: Link) -> None:
    entrance = files.publish(b"", name="entrance")
    entrance.faults.always(Redirect(link.url))
    bench.copy(entrance)
    bench.check()


def test_a_wrong_byte_is_found_out_and_nothing_is_kept(bench: Bench, link: Link) -> None:
    honest = hashlib.md5(CONTENT, usedforsecurity=False).digest()
    link.faults.always(Header("Content-MD5", base64.b64encode(honest).decode()))
    link.faults.then(times=2).then(Corrupt(at_byte=1000))
    with pytest.raises(MismatchError, match="MD5"):
        bench.copy(link)
    assert bench.uploads() == []
    bench.copy(link)
    bench.check()


def test_the_crc32c_of_the_source_is_compared(bench: Bench, link: Link) -> None:
    link.faults.always(Header("opc-content-crc32c", "AAAAAA=="))
    with pytest.raises(MismatchError, match="CRC32C"):
        bench.copy(link)
    assert bench.uploads() == []


@pytest.mark.parametrize(
    "how",
    [
        {"status": 503, "code": "SlowDown"},
        {"status": 500, "code": "InternalError"},
        {"status": 400, "code": "RequestTimeout"},
        {"status": 400, "code": "BadDigest"},
        {"status": 500, "code": "InternalError", "hidden": True},
        {"reset_after_bytes": 1_000_000},
        {"reset_after_bytes": 0},
    ],
    ids=repr,
)
def test_a_part_that_s3_does_not_take_is_sent_again(bench: Bench, link: Link, how: dict[str, Any]) -> None:
    fault = bench.s3.fail(is_part, times=6, **how)
    bench.check(copied=bench.copy(link))
    assert fault.seen == 6


def test_s3_that_never_takes_a_part_ends_the_try_and_keeps_what_is_there(bench: Bench, link: Link) -> None:
    def is_second(method: str, target: str) -> bool:
        return is_part(method, target) and "partNumber=2&" in target

    bench.s3.fail(is_second, status=403, code="AccessDenied", times=1)
    with pytest.raises(AwsUnavailableError, match="AccessDenied"):
        bench.copy(link)
    bench.copy(link)
    bench.check()
    assert len([saved for saved in bench.saved if saved]) == 1


def test_a_failing_complete_is_asked_again(bench: Bench, link: Link) -> None:
    bench.s3.fail(is_complete, status=500, code="InternalError", times=2)
    bench.copy(link)
    bench.check()


def test_a_complete_whose_answer_was_lost_is_told_apart_from_a_missing_upload(bench: Bench, link: Link) -> None:
    bench.s3.fail(is_complete, status=500, code="InternalError", hidden=True)
    # S3 answers a second Complete like the first one for a while, and later with NoSuchUpload.
    with suppress(UploadGoneError):
        bench.copy(link)
    bench.check()


def test_a_part_that_s3_lost_is_copied_again(bench: Bench, link: Link) -> None:
    bench.s3.fail(is_complete, status=400, code="InvalidPart")
    bench.copy(link)
    bench.check()


def test_an_object_is_never_replaced(bench: Bench, link: Link, files: FileServer) -> None:
    bench.copy(link)
    bench.checkpoint = None
    with pytest.raises(KeyTakenError):
        bench.copy(files.publish(b"x" * SIZE, name="other"))
    with pytest.raises(KeyTakenError):
        bench.copy(files.publish(b"small", name="small"))
    bench.check()


def test_a_file_of_no_bytes_is_one_end_of_all_chunks(bench: Bench, files: FileServer) -> None:
    assert bench.copy(files.publish(b"", name="nothing")).size == 0
    bench.check(b"")
    assert bench.s3.last_body == b"0\r\nx-amz-checksum-crc32c:AAAAAA==\r\n\r\n"


def test_an_answer_that_comes_before_the_body_was_sent_is_heard(bench: Bench, files: FileServer) -> None:
    bench.s3.fail(lambda method, _: method == "PUT", status=412, code="PreconditionFailed", times=99, early=True)
    with pytest.raises(KeyTakenError):
        bench.copy(files.publish(CONTENT[: 16 * MIB], name="file"))
    assert len(bench.s3.requests) == 1


def test_a_copy_whose_key_is_taken_leaves_no_upload(bench: Bench, link: Link) -> None:
    bench.s3.fail(is_complete, status=412, code="PreconditionFailed")
    with pytest.raises(KeyTakenError):
        bench.copy(link)
    assert (bench.uploads(), bench.checkpoint) == ([], None)


def test_an_answer_of_s3_that_breaks_off_is_asked_for_again(bench: Bench, link: Link) -> None:
    fault = bench.s3.fail(is_part, status=503, times=3, broken_off=True)
    bench.copy(link)
    bench.check()
    assert fault.seen == 3


def test_a_slow_sink_gets_all_of_a_file_that_is_one_request(bench: Bench, files: FileServer) -> None:
    """No stretch of the body takes longer than the time-out, though all of it does."""
    fault = bench.s3.fail(lambda method, _: method == "PUT", bytes_per_second=5 * MIB)
    bench.copy(files.publish(CONTENT[: 15 * MIB], name="file"), timeout_seconds=1.5)
    bench.check(CONTENT[: 15 * MIB])
    assert (fault.seen, len(bench.s3.requests)) == (1, 1)


@pytest.mark.parametrize("size", [1000, SIZE])
def test_a_locked_bucket_takes_small_and_large_files(bench: Bench, files: FileServer, size: int) -> None:
    bench.s3.locked = True
    bench.copy(files.publish(CONTENT[:size], name="file"))
    bench.check(CONTENT[:size])


def test_a_copy_that_is_handed_over_again_and_again_is_a_normal_copy(bench: Bench, link: Link) -> None:
    copier, hand_overs = replace(bench.copier(), workers=1), 0
    for _ in range(20):
        stop, before = Stop(), bench.parts_sent()

        def stops(*_: str, stop: Stop = stop, before: int = before) -> bool:
            if bench.parts_sent() >= before + 2:
                stop.now()
            return False

        bench.s3.fail(stops)
        try:
            copied = copier.copy(bench.job(link), stop=stop)
        except HandOverError:
            hand_overs += 1
            continue
        break
    bench.check(copied=copied)
    assert hand_overs >= 4
    assert len([saved for saved in bench.saved if saved]) == 1


@pytest.mark.parametrize("size", [SIZE, 15 * MIB])
def test_a_source_too_slow_for_a_usual_part_gives_its_file_in_smaller_ones(
    bench: Bench, files: FileServer, size: int
) -> None:
    """Within an invocation no connection gives 8 MiB, nor a small file as a whole."""
    link = files.publish(CONTENT[:size], name="slow.mp4")
    link.faults.always(Trickle(bytes_per_second=int(3.2 * MIB)))
    for invocation in range(10):
        job = bench.job(link, repeated=invocation > 0)
        with suppress(HandOverError):
            bench.check(CONTENT[:size], bench.copier().copy(job, stop=Stop(time.monotonic() + 2.2)))
            break
    bench.check(CONTENT[:size])


def _copy_a_little(bench: Bench, link: Link) -> None:
    stop = Stop()

    def stops(method: str, target: str) -> bool:
        if is_part(method, target):
            stop.now()
        return False

    bench.s3.fail(stops)
    bench.copy(link, stop=stop)


@pytest.mark.parametrize("gib", [1, 10, 100, 1000, 5000])
def test_no_file_has_more_parts_than_s3_takes(gib: int) -> None:
    assert -(-(gib << 30) // part_bytes(gib << 30)) <= 10_000


def test_a_file_that_no_object_can_hold_is_refused(bench: Bench, link: Link) -> None:
    link.faults.always(WrongLength(LARGEST_FILE_BYTES))
    with pytest.raises(LinkRefusedError, match="more than an object may have"):
        bench.copy(link)
