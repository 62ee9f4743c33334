import pytest

from local.jaas.faults import Changed, Corrupt, Header
from local.jaas.files import FileServer
from tests.functions.announced import MIB, RECORDING, publish, uploaded
from tests.functions.conftest import ARCHIVE, World, mp4


def test_a_corrupt_file_is_found_out_by_its_md5(world: World, files: FileServer) -> None:
    content = mp4(200)
    link = publish(files, content)
    link.faults.then(Corrupt(at_byte=50))
    link.faults.then(Changed())
    world.accept(uploaded(link))
    world.settle()
    assert "MD5" in world.items("FILE#")[0]["reason"]
    world.show_all("download")
    world.settle()
    assert world.object(".mp4") == content


def test_a_cut_recording_is_tried_again_and_then_kept_aside(world: World, files: FileServer) -> None:
    content = mp4(20 * MIB)[:-1000]
    world.accept(uploaded(publish(files, content)))
    world.settle()
    assert world.items("FILE#")[0]["status"] == "pending"
    world.show_all("download")
    world.settle()
    (item,) = world.items("FILE#")
    assert item["status"] == "refused"
    assert "boxes reach to byte" in item["reason"]
    assert item["key"].endswith(f"/aside/{RECORDING}")
    assert world.object(".mp4") == content
    assert len(world.receive("download-dead")) == 1
    assert world.s3.list_multipart_uploads(Bucket=ARCHIVE).get("Uploads", []) == []


def test_what_lies_aside_is_not_taken_for_the_file_after_a_crash(world: World, files: FileServer) -> None:
    event = uploaded(publish(files, mp4(20 * MIB)[:-1000]))
    world.accept(event)
    world.settle()
    world.show_all("download")
    world.settle()
    (item,) = world.items("FILE#")
    # As it was between storing the file aside and giving it up.
    world.dynamodb.update_item(
        TableName="meetings",
        Key={"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}},
        UpdateExpression="SET #s = :copying, lease_until = :n, upload_id = :x, upload_key = :key, upload_etag = :x, "
        "upload_part_bytes = :n, upload_length = :n",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={
            ":copying": {"S": "copying"},
            ":n": {"N": "1"},
            ":x": {"S": "x"},
            ":key": {"S": item["key"]},
        },
    )
    world.accept(event)
    world.settle()
    (again,) = world.items("FILE#")
    assert (again["status"], again["key"]) == ("refused", item["key"])


def test_a_file_that_takes_longer_to_keep_aside_than_an_invocation_gets_there(world: World, files: FileServer) -> None:
    content = mp4(20 * MIB)
    link = publish(files, content)
    link.faults.always(Header("opc-content-crc32c", "AAAAAA=="))
    event = uploaded(link)
    world.accept(event)
    world.settle()
    (item,) = world.items("FILE#")
    # As it is when the second mismatch was found, and the time was over soon after the copy to aside had begun.
    (session,) = world.items("SESSION")
    key = f"{session['folder']}/aside/{RECORDING}"
    upload = world.s3.create_multipart_upload(
        Bucket=ARCHIVE, Key=key, ChecksumAlgorithm="CRC32C", ChecksumType="FULL_OBJECT"
    )
    world.dynamodb.update_item(
        TableName="meetings",
        Key={"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}},
        UpdateExpression="SET upload_id = :id, upload_key = :key, upload_etag = :etag, upload_part_bytes = :part, "
        "upload_length = :length",
        ExpressionAttributeValues={
            ":id": {"S": upload["UploadId"]},
            ":key": {"S": key},
            ":etag": {"S": link.stored.etag},
            ":part": {"N": str(8 * MIB)},
            ":length": {"N": str(len(content))},
        },
    )
    before = sum(request.sent_bytes for request in link.requests)
    world.show_all("download")
    world.settle()
    (again,) = world.items("FILE#")
    assert (again["status"], again["key"], again["reason"]) == ("refused", key, item["reason"])
    assert world.object(".mp4") == content
    assert world.s3.list_multipart_uploads(Bucket=ARCHIVE).get("Uploads", []) == []
    # Copied once, to where it belongs, and not to its usual place before.
    assert sum(request.sent_bytes for request in link.requests) - before < 1.5 * len(content)


def test_a_recording_that_was_cut_only_once_is_archived(world: World, files: FileServer) -> None:
    content = mp4(20 * MIB)
    link = publish(files, content[:-1000])
    world.accept(uploaded(link))
    world.settle()
    link.stored.replace(content)
    world.show_all("download")
    world.settle()
    assert world.items("FILE#")[0]["status"] == "archived"
    assert world.object(".mp4") == content


@pytest.mark.parametrize("seconds", [1200, 3600])
def test_a_recording_far_from_its_announced_length_is_not_archived(
    world: World, files: FileServer, seconds: int
) -> None:
    world.accept(uploaded(publish(files, mp4(300, seconds=seconds))))
    world.settle()
    assert f"plays {seconds} s, announced were 2381 s" in world.items("FILE#")[0]["reason"]


def test_the_verdict_stands_in_the_table_and_in_meeting_json(world: World, files: FileServer) -> None:
    world.accept(uploaded(publish(files, mp4(17 * MIB, seconds=2379))))
    world.settle()
    (item,) = world.items("FILE#")
    (file,) = world.meeting()["files"]
    assert (item["plays_seconds"], file["plays_seconds"]) == ("2379.0", 2379.0)
    assert item["checksum"] == file["checksum_crc32c"]


@pytest.mark.parametrize("size", [300, 17 * MIB])
def test_a_recording_that_is_no_mp4_is_kept_aside_as_what_it_is(world: World, files: FileServer, size: int) -> None:
    """It may be the recording in a format that JaaS did not use before, and dies with its link."""
    content = b"\x1aE\xdf\xa3" + bytes(size)
    world.accept(uploaded(publish(files, content)))
    for _ in range(2):
        world.settle()
        world.show_all("download")
    (item,) = world.items("FILE#")
    assert (item["status"], item["reason"]) == ("refused", "the source sent something that is no MP4")
    assert item["key"].endswith(f"/aside/{RECORDING.removesuffix('.mp4')}.webm")
    assert world.object(".webm") == content
    assert world.s3.list_multipart_uploads(Bucket=ARCHIVE).get("Uploads", []) == []


@pytest.mark.parametrize("answer", [b'{"code": "InternalError"}', b"<?xml version='1.0'?><Error/>", b"try again", b""])
def test_an_error_is_no_recording_however_often_it_comes(world: World, files: FileServer, answer: bytes) -> None:
    link = publish(files, answer)
    world.accept(uploaded(link))
    for _ in range(3):
        world.settle()
        assert (world.items("FILE#")[0]["status"], world.copied_keys()) == ("pending", [])
        world.show_all("download")
    link.stored.replace(mp4(300))
    world.settle()
    assert world.items("FILE#")[0]["status"] == "archived"
