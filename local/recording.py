"""Makes recordings that are real: MP4 files with moving picture and sound, out of ffmpeg's own generators."""

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

AUDIO_BITS_PER_SECOND = 128_000
FRAMES_PER_SECOND = 25


class RecordingError(Exception):
    """ffmpeg did not make the file; the text is what it said."""


@dataclass(frozen=True, slots=True)
class Recording:
    """An MP4 file on disk."""

    path: Path
    duration_seconds: int
    size_bytes: int
    sha256: str


def make_recording(
    path: Path, *, seconds: int = 80, width: int = 1280, height: int = 720, bits_per_second: int = 3_600_000
) -> Recording:
    """Record a test picture with a running clock and a tone with a beep each second; 36 MB by default, in about 5 s.

    As the recorder of Jitsi writes them: H.264 and AAC, the index at the end of the file.

    Raises:
        RecordingError: ffmpeg failed.
    """
    video_bits_per_second = bits_per_second - AUDIO_BITS_PER_SECOND
    command = [
        *(imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-hide_banner", "-loglevel", "error", "-y"),
        *("-f", "lavfi", "-i", f"testsrc2=size={width}x{height}:rate={FRAMES_PER_SECOND}:duration={seconds}"),
        *("-f", "lavfi", "-i", f"sine=frequency=330:beep_factor=4:sample_rate=48000:duration={seconds}"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", str(2 * FRAMES_PER_SECOND)),
        # A steady rate, so that the size follows from the duration.
        *("-b:v", str(video_bits_per_second), "-minrate", str(video_bits_per_second)),
        *("-maxrate", str(video_bits_per_second), "-bufsize", str(video_bits_per_second // 2)),
        *("-c:a", "aac", "-b:a", str(AUDIO_BITS_PER_SECOND)),
        *("-f", "mp4", str(path)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RecordingError(done.stderr.strip() or f"ffmpeg ended with {done.returncode}")
    return read_recording(path, seconds=seconds)


def make_small_recording(path: Path) -> Recording:
    """The same picture in small: 10 s, about 1.5 MB, in well under a second."""
    return make_recording(path, seconds=10, width=640, height=360, bits_per_second=1_200_000)


def read_recording(path: Path, *, seconds: int | None = None) -> Recording:
    """Describe a file that is there already; its length is looked up unless given.

    Raises:
        RecordingError: ffmpeg cannot read it.
    """
    if seconds is None:
        try:
            _, exact_seconds = imageio_ffmpeg.count_frames_and_secs(str(path))
        except RuntimeError as error:
            raise RecordingError(f"{path} is not a video that ffmpeg can read") from error
        seconds = round(exact_seconds)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Recording(path, seconds, path.stat().st_size, digest)
