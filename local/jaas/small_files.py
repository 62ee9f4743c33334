"""Makes the small files that a meeting leaves behind: a document, pictures of a shared screen, RTC statistics."""

import gzip
import json
import random
import struct
import zlib

type Colour = tuple[int, int, int]

_WIDTH, _HEIGHT = 320, 180
_INK, _PAPER = (46, 52, 64), (246, 245, 241)


def make_pdf(text: str) -> bytes:
    """A page with one line of text, as small as a PDF can be."""
    shown = f"BT /F1 24 Tf 72 720 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 %s >> >> >>"
        % b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(shown), shown),
    ]
    body, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    start = b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\n" % (size, table, size)
    return body + start + b"startxref\n%d\n%%%%EOF\n" % len(body)


def make_screenshot(number: int, *, slides: int) -> bytes:
    """A PNG of a slide with a bar for each slide so far."""
    rng = random.Random(number)
    accent = (rng.randrange(60, 220), rng.randrange(60, 220), rng.randrange(60, 220))
    rows = [[_PAPER] * _WIDTH for _ in range(_HEIGHT)]
    _fill(rows, range(_WIDTH), range(22), _INK)
    step = (_WIDTH - 40) // slides
    for bar in range(number):
        left = 20 + bar * step
        _fill(rows, range(left, left + step - 6), range(_HEIGHT - rng.randrange(50, 140), _HEIGHT - 20), accent)
    return _png(rows)


def make_rtc_stats(name: str, seed: int) -> bytes:
    """What a browser tells of its connection, gzipped JSON lines."""
    rng = random.Random(seed)
    lines = [["getStats", {"displayName": name, "roundTripTime": round(rng.uniform(0.01, 0.2), 4)}] for _ in range(40)]
    return gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode(), mtime=0)


def _fill(rows: list[list[Colour]], across: range, down: range, colour: Colour) -> None:
    for row in rows[down.start : down.stop]:
        row[across.start : across.stop] = [colour] * len(across)


def _png(rows: list[list[Colour]]) -> bytes:
    raw = b"".join(b"\x00" + bytes(value for pixel in row for value in pixel) for row in rows)
    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
