"""Fills a buffer from any position of a file behind a link, going on from the byte where a connection broke."""

from collections.abc import Iterator
from dataclasses import dataclass

from jaas_archive.connections import Stop
from jaas_archive.errors import SourceUnavailableError
from jaas_archive.source import BrokenOffError, SourceReader, Stream
from jaas_archive.uploads import backoff_seconds

FRUITLESS_ATTEMPTS = 6
"""So many attempts may fail in a row without progress worth the name."""
_PROGRESS_BYTES = 1 << 14


@dataclass(slots=True)
class RangeReader:
    """Reads one version, by its ETag, of one file; used by one thread."""

    reader: SourceReader
    link: str
    etag: str
    stop: Stop
    _stream: Stream | None = None
    _position: int = 0

    def go_on(self, stream: Stream, position: int) -> None:
        """Use an open answer, which stands at that position."""
        self._stream, self._position = stream, position

    def fill(self, view: memoryview, *, start: int, until: int) -> None:
        """Fill the buffer with the file's bytes from `start` on.

        The source is asked for all up to `until`, and the answer is kept open for the call that goes on there.

        Raises:
            SourceChangedError: the file is not that version any more.
            RangesIgnoredError: the source does not keep its promise of ranges.
            SourceUnavailableError: the source failed, again and again.
        """
        done = fruitless = 0
        while done < len(view):
            trouble = SourceUnavailableError("the source sent less than was asked for")
            try:
                got = self._stream_at(start + done, until).read_into(view[done:])
            except BrokenOffError as error:
                got, trouble = error.done, error
            except SourceUnavailableError as error:
                got, trouble = 0, error
            done += got
            self._position += got
            if done == len(view):
                break
            self.close()
            fruitless = 0 if got >= _PROGRESS_BYTES else fruitless + 1
            if fruitless >= FRUITLESS_ATTEMPTS:
                raise trouble
            if fruitless:
                self.stop.wait(trouble.pause_seconds or backoff_seconds(fruitless))
        if self._position >= until:
            self.close()

    def pieces(self, span: range, buffer: memoryview, *, until: int) -> Iterator[memoryview]:
        """The file's bytes of that span, one buffer after the other."""
        for start in range(span.start, span.stop, len(buffer)):
            piece = buffer[: span.stop - start]
            self.fill(piece, start=start, until=until)
            yield piece

    def close(self) -> None:
        """Done with the open answer; its connection is kept if it was read to the end."""
        if self._stream:
            self._stream.close()
            self._stream = None

    def _stream_at(self, position: int, until: int) -> Stream:
        if self._stream is None or self._position != position:
            self.close()
            self._stream = self.reader.open(self.link, range(position, until), etag=self.etag)
            self._position = position
        return self._stream
