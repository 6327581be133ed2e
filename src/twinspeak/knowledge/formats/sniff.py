"""What a file is, by its content. Its name only parts kinds of text that content does not: Markdown from code."""

import re
import zipfile
from pathlib import Path
from typing import Final

from twinspeak.domain.file_errors import FileDamaged, FileEmpty, FileEncrypted, FileUnsupported
from twinspeak.knowledge.formats import csv_rows
from twinspeak.knowledge.formats.encodings import decode, is_text

_HEAD_BYTES: Final = 1 << 16
_PDF_WITHIN: Final = 1_024

_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
)
_UNREAD: Final = (
    (b"\x1f\x8b", "gzip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"MZ", "program"),
    (b"\x7fELF", "program"),
    (b"ID3", "audio"),
    (b"OggS", "audio"),
    (b"fLaC", "audio"),
    (b"\x1a\x45\xdf\xa3", "video"),
    (b"SQLite format 3\0", "database"),
    (b"{\\rtf", "rtf"),
)
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ADVICE: Final = {
    "office97": "Word, PowerPoint and Outlook files of before 2007 cannot be read: save it as .docx, .pptx or .eml.",
    "rtf": "RTF cannot be read: save it as .docx or PDF.",
    "7z": "Only ZIP archives can be read.",
    "rar": "Only ZIP archives can be read.",
    "gzip": "Only ZIP archives can be read.",
    "audio": "Audio and video cannot be read: upload a transcript (VTT, SRT or text).",
    "video": "Audio and video cannot be read: upload a transcript (VTT, SRT or text).",
}

_OFFICE_PARTS: Final = (("word/", "docx"), ("ppt/", "pptx"), ("xl/", "xlsx"))
_MIMETYPES: Final = (
    ("application/vnd.oasis.opendocument.text", "odt"),
    ("application/vnd.oasis.opendocument.spreadsheet", "ods"),
    ("application/vnd.oasis.opendocument.presentation", "odp"),
    ("application/epub+zip", "epub"),
)

_HTML: Final = re.compile(
    r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
_XML: Final = re.compile(r"\s*<(?:\?xml\b|!DOCTYPE\b|[A-Za-z_][\w.:-]*(?:\s+xmlns|\s*/?>))")
_SRT: Final = re.compile(r"\s*\d+[ \t]*\n[ \t]*\d{1,3}:\d{2}:\d{2}[,.]\d{1,3}[ \t]+-->")
_HEADER: Final = re.compile(r"([A-Za-z][A-Za-z0-9-]*):[ \t]|[ \t]+\S")
_MAIL_HEADERS: Final = frozenset(
    [
        "from",
        "to",
        "subject",
        "date",
        "message-id",
        "mime-version",
        "received",
        "return-path",
        "content-type",
        "delivered-to",
        "reply-to",
    ]
)
_NAMED: Final = {
    "html": "htm html xhtml",
    "csv": "csv tsv tab",
    "markdown": "md markdown mdown mkd txt text rst adoc asciidoc org tex",
    "code": (
        "asm bas bash bat c cc cfg clj cmake cmd conf cpp cs css cu cxx dart diff dockerfile ex exs f f90 fish fs go "
        "gradle groovy h hpp hs ini ipp java jl js json5 jsx kt kts less lisp log lua m make mjs ml mm nim nix pas "
        "patch php pl pm properties proto ps1 py pyi r rb rs sass scala scm scss sh sol sql svelte swift tcl tf "
        "toml ts tsx v vb vhd vue xsl yaml yml zig zsh"
    ),
}
_BY_ENDING: Final = {ending: kind for kind, endings in _NAMED.items() for ending in endings.split()}


def sniff(path: Path, name: str) -> str:
    """Return the format, a key of `formats.registry`. Raises FileEmpty, FileEncrypted, FileDamaged, FileUnsupported."""
    with path.open("rb") as file:
        head = _whole_letters(file.read(_HEAD_BYTES))
    if not head.strip(b"\0 \t\r\n\xef\xbb\xbf"):
        raise FileEmpty
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_kind(path)
    if b"%PDF-" in head[:_PDF_WITHIN]:
        return "pdf"
    if head.startswith(_OLE):
        return _ole_kind(path)
    binary = _binary_kind(head)
    if binary:
        return binary
    if not is_text(head):
        raise FileUnsupported(details={"format": "unknown"})
    return _text_kind(decode(head).replace("\r\n", "\n").replace("\r", "\n"), name)


def _binary_kind(head: bytes) -> str:
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp"
    if head.startswith(b"BM") and len(head) > 26 and head[6:10] == b"\0\0\0\0":
        return "bmp"
    kind = next((kind for magic, kind in _UNREAD if head.startswith(magic)), "")
    if head.startswith(b"RIFF") or head[4:8] == b"ftyp":
        kind = "video"
    if kind:
        raise FileUnsupported(_ADVICE.get(kind), details={"format": kind})
    return ""


def _zip_kind(path: Path) -> str:
    """Tell the zip packages apart by what is in them."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            said = archive.read("mimetype")[:200].decode("ascii", "replace") if "mimetype" in names else ""
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, EOFError) as error:
        raise FileDamaged(details={"format": "zip"}) from error
    for media_type, kind in _MIMETYPES:
        if said.startswith(media_type):
            return kind
    if "[Content_Types].xml" in names:
        for folder, kind in _OFFICE_PARTS:
            if any(name.startswith(folder) for name in names):
                return kind
    if "META-INF/container.xml" in names:
        return "epub"
    return "imscc" if "imsmanifest.xml" in names else "zip"


def _ole_kind(path: Path) -> str:
    """Tell the compound files of Office apart: a protected new one, an old workbook, or another old one."""
    with path.open("rb") as file:
        data = file.read(1 << 24)
    if _wide("EncryptedPackage") in data:
        raise FileEncrypted
    if _wide("Workbook\0") in data and _wide("WordDocument\0") not in data:
        return "xls"
    raise FileUnsupported(_ADVICE["office97"], details={"format": "office97"})


def _wide(text: str) -> bytes:
    return text.encode("utf-16-le")


def _whole_letters(head: bytes) -> bytes:
    """Return the beginning without a letter of UTF-8 that was cut in two at its end."""
    try:
        head.decode()
    except UnicodeDecodeError as error:
        if error.start >= len(head) - 3 and len(head) == _HEAD_BYTES:
            return head[: error.start]
    return head


def _text_kind(text: str, name: str) -> str:
    named = _BY_ENDING.get(name.rpartition(".")[2].lower(), "") if "." in name else ""
    if text.startswith("WEBVTT") or _SRT.match(text):
        return "vtt" if text.startswith("WEBVTT") else "srt"
    if named == "code":
        return named
    kind = _marked_up_kind(text, named)
    if kind:
        return kind
    if named == "csv" or (not named and csv_rows.separator(text) and text.count("\n") > 2):
        return "csv"
    return "code" if text.startswith("#!") else "markdown"


def _marked_up_kind(text: str, named: str) -> str:
    """Return what the first signs of a text make it; "" for none of these."""
    if _HTML.match(text) or (named == "html" and "<" in text):
        return "html"
    if _XML.match(text) and ">" in text:
        return "xml"
    if _looks_like_json(text):
        return "ipynb" if '"nbformat"' in text or '"cells"' in text[:2_000] else "json"
    return "mail" if _is_mail(text) else ""


def _looks_like_json(text: str) -> bool:
    """Whether it begins as JSON does: `{"`, `[` and a value. Markdown's `[link](…)` does not."""
    return bool(re.match(r"\s*(?:\{\s*(?:\"|\})|\[\s*(?:[\[{\"\]\d-]|true|false|null))", text))


def _is_mail(text: str) -> bool:
    """Whether it begins with headers, two of which only mails have together."""
    found: set[str] = set()
    for line in text.split("\n", 200)[:200]:
        if not line:
            break
        header = _HEADER.match(line)
        if not header:
            return False
        found.add((header[1] or "").lower())
    return len(found & _MAIL_HEADERS) >= 2 and bool(found & {"from", "received", "return-path", "message-id"})
