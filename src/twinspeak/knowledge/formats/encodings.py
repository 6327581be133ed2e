"""Bytes to text, whatever their encoding: byte-order marks, UTF-8, what the file says of itself, then a guess."""

import codecs
import re

from twinspeak.domain.file_errors import FileUnsupported

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_COOKIE = re.compile(rb"(?:coding|charset|encoding)[ \t]*[:=][ \t]*[\"']?([-\w.]{2,40})", re.ASCII)
_SAMPLE_BYTES = 1 << 16
_WESTERN_SIGNS = frozenset(
    "\u2018\u2019\u201c\u201d\u2013\u2014\u2026\u2022\u20ac\u00a0\u00a3\u00a7\u00a9\u00ab\u00b0\u00bb\u00bd"
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def decode(data: bytes, declared: str = "") -> str:
    """Return `data` as text. `declared` is what a header said; the bytes' own words and marks come first.

    Raises FileUnsupported for what is no text in any encoding.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    wide = _wide(data[:_SAMPLE_BYTES])
    if wide:
        return data.decode(wide, "replace")
    if b"\0" in data[:_SAMPLE_BYTES]:
        raise FileUnsupported(details={"format": "unknown"})
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
    cookie = _COOKIE.search(data[:2_048])
    for name in (cookie[1].decode() if cookie else "", declared):
        text = _as_named(data, name)
        if text is not None:
            return text
    if _is_nearly_utf8(data[:_SAMPLE_BYTES]):
        return data.decode("utf-8", "replace")
    return data.decode(_guess(data[:_SAMPLE_BYTES]), "replace")


def is_text(data: bytes) -> bool:
    """Whether the beginning of a file is text: hardly any control characters, once it is decoded."""
    try:
        text = decode(data)
    except FileUnsupported:
        return False
    return len(_CONTROL.findall(text)) <= len(text) // 100


def _wide(sample: bytes) -> str:
    """Tell UTF-16 without a mark by where its zero bytes are: most text of it has one in every other place."""
    if len(sample) < 4 or b"\0" not in sample:
        return ""
    half = len(sample) // 2
    even, odd = sample[: half * 2 : 2].count(0), sample[1 : half * 2 : 2].count(0)
    if odd > half * 0.4 and even < half * 0.05:
        return "utf-16-le"
    return "utf-16-be" if even > half * 0.4 and odd < half * 0.05 else ""


def _is_western(sample: bytes) -> bool:
    """Whether it reads like a western language in Windows-1252: few letters beyond ASCII, and few odd signs."""
    text = sample.decode("cp1252", "replace")
    foreign = [letter for letter in text if not letter.isascii()]
    odd = sum(not letter.isalpha() and letter not in _WESTERN_SIGNS for letter in foreign)
    return len(foreign) * 5 <= len(text) and odd * 10 <= len(foreign)


def _as_named(data: bytes, name: str) -> str | None:
    try:
        # Codecs that are no encodings of text (base64, zip …) are refused by decode itself: a LookupError.
        return data.decode(name) if name else None
    except (LookupError, UnicodeDecodeError, ValueError):
        return None


def _is_nearly_utf8(sample: bytes) -> bool:
    """Whether it is UTF-8 but for a few broken letters: in any other encoding hardly one in ten is whole."""
    text = sample.decode("utf-8", "replace")
    foreign = len(text) - len(text.encode("ascii", "ignore"))
    return text.count("\ufffd") * 10 <= foreign


def _guess(sample: bytes) -> str:
    from charset_normalizer import from_bytes

    if _is_western(sample):
        return "cp1252"
    best = from_bytes(sample).best()
    return best.encoding if best is not None else "cp1252"
