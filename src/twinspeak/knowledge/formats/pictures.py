"""Scans and images: their text by OCR. The size is read from the header first, so that nothing absurd is unpacked."""

import struct
from collections.abc import Iterator

from twinspeak.domain.file_errors import FileDamaged, FileTooLarge, FileWithoutText
from twinspeak.domain.locator import NOWHERE
from twinspeak.knowledge.document import Block
from twinspeak.knowledge.formats.ocr import read_picture
from twinspeak.knowledge.formats.reading import Reading

_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257


def read(reading: Reading) -> Iterator[Block]:
    """Yield the paragraphs in the picture. Raises FileWithoutText when nothing here reads pictures."""
    width, height = size_of(reading.data())
    most = reading.limits.max_pixels
    if width * height > most:
        raise FileTooLarge(
            f"This picture is {width} by {height} pixels, which is too large.",
            details={"limit": "pixels", "most": most},
        )
    if not reading.tesseract:
        raise FileWithoutText(
            "There may be text in this picture, but tesseract, which reads it, is not installed on this server.",
            details={"reason": "no_ocr"},
        )
    yield from read_picture(reading, reading.path, NOWHERE)


def size_of(data: bytes) -> tuple[int, int]:
    """Return (width, height) as the header of a PNG, JPEG, GIF, BMP, WebP or TIFF says. Raises FileDamaged."""
    try:
        found = _size(data)
    except (struct.error, IndexError) as error:
        raise FileDamaged(details={"format": "picture"}) from error
    if found is None or min(found) < 1:
        raise FileDamaged(details={"format": "picture"})
    return found


def _size(data: bytes) -> tuple[int, int] | None:
    if data.startswith(b"\x89PNG"):
        return struct.unpack(">II", data[16:24])
    if data.startswith(b"GIF8"):
        return struct.unpack("<HH", data[6:10])
    if data.startswith(b"BM"):
        width, height = struct.unpack("<ii", data[18:26])
        return width, abs(height)
    if data.startswith(b"RIFF"):
        return _webp(data)
    return _jpeg(data) if data.startswith(b"\xff\xd8") else _tiff(data)


def _webp(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 < len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker in _JPEG_SIZES:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        # Fill bytes and markers without a length stand alone.
        alone = marker in {0xFF, 0x01} or 0xD0 <= marker <= 0xD8
        at += 1 if marker == 0xFF else 2 if alone else 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    return None


def _tiff(data: bytes) -> tuple[int, int] | None:
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return None
    start = struct.unpack(f"{order}I", data[4:8])[0]
    sizes: dict[int, int] = {}
    for entry in range(min(struct.unpack(f"{order}H", data[start : start + 2])[0], 200)):
        tag, kind = struct.unpack(f"{order}HH", data[start + 2 + entry * 12 :][:4])
        value = data[start + 10 + entry * 12 :][:4]
        sizes[tag] = struct.unpack(f"{order}H", value[:2])[0] if kind == 3 else struct.unpack(f"{order}I", value)[0]
    return sizes.get(_TIFF_WIDTH, 0), sizes.get(_TIFF_HEIGHT, 0)
