import hashlib
from pathlib import Path

import imageio_ffmpeg
import pytest

from local.recording import Recording, RecordingError, make_recording, make_small_recording, read_recording


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return make_small_recording(tmp_path_factory.mktemp("recording") / "call.mp4")


def test_the_recording_is_an_mp4(recording: Recording) -> None:
    assert recording.path.read_bytes()[4:8] == b"ftyp"


def test_the_index_stands_at_the_end(recording: Recording) -> None:
    content = recording.path.read_bytes()
    assert content.index(b"moov") > content.index(b"mdat")


def test_the_picture_moves_for_as_long_as_told(recording: Recording) -> None:
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(recording.path))
    assert (frames, round(seconds)) == (250, recording.duration_seconds)


def test_the_recording_has_sound(recording: Recording) -> None:
    assert b"mp4a" in recording.path.read_bytes()


def test_the_small_recording_is_a_megabyte_or_two(recording: Recording) -> None:
    assert 1_000_000 < recording.size_bytes < 2_500_000


def test_the_recording_knows_its_hash(recording: Recording) -> None:
    assert recording.sha256 == hashlib.sha256(recording.path.read_bytes()).hexdigest()


def test_the_length_of_a_file_is_looked_up(recording: Recording) -> None:
    assert read_recording(recording.path) == recording


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.mp4"
    path.write_text("no video")
    with pytest.raises(RecordingError, match=r"notes\.mp4"):
        read_recording(path)


def test_ffmpegs_complaint_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="No such file or directory"):
        make_recording(tmp_path / "nowhere" / "call.mp4", seconds=1)
