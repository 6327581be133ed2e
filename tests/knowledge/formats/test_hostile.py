"""Files that are broken, hidden, lying, or made to hurt: each says why it is not read, and hurts nobody."""

import asyncio
import io
import os
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen import canvas

from tests.knowledge.formats import writers
from twinspeak.domain.errors import CodedError
from twinspeak.domain.file_errors import (
    FileDamaged,
    FileEmpty,
    FileEncrypted,
    FileExpands,
    FileTooLarge,
    FileTooSlow,
    FileUnreadable,
    FileUnsupported,
    FileWithoutText,
)
from twinspeak.knowledge.document import Extracted, Limits
from twinspeak.knowledge.extracting import extract

SMALL = Limits(memory_bytes=700_000_000, cpu_s=20, wall_s=40, max_expanded_bytes=20_000_000, max_chars=2_000_000)
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
LOCKED = "EncryptedPackage".encode("utf-16-le")
LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefghi", "bcdefghij", strict=True))
    + "]><l>&j;</l>"
)
OUTSIDE = '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY x SYSTEM "/etc/passwd">]><l>&x;</l>'


async def read(path: Path, name: str = "", limits: Limits = SMALL) -> Extracted:
    folder = path.parent / f"{path.name}.members"
    folder.mkdir(exist_ok=True)
    return await extract(path, name or path.name, "text/plain", limits, members_into=folder)


def written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def zipped(folder: Path, name: str, members: dict[str, bytes]) -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return path


def word_with(folder: Path, document: bytes) -> Path:
    return zipped(folder, "a.docx", {"[Content_Types].xml": b"<Types/>", "word/document.xml": document})


def locked_zip(folder: Path) -> Path:
    path = zipped(folder, "locked.zip", {"a.txt": b"secret"})
    data = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + flags] |= 1
    path.write_bytes(data)
    return path


def locked_pdf(folder: Path) -> Path:
    path = folder / "locked.pdf"
    page = canvas.Canvas(str(path), encrypt=StandardEncryption("open sesame", "owner"))
    page.drawString(100, 700, "Nobody reads this.")
    page.save()
    return path


def half(folder: Path, name: str, make: Callable[[Path], None]) -> Path:
    make(folder / name)
    data = (folder / name).read_bytes()
    return written(folder, name, data[: len(data) // 2])


def huge_picture(folder: Path) -> Path:
    header = struct.pack(">I4sIIBBBBB", 13, b"IHDR", 100_000, 100_000, 8, 2, 0, 0, 0)
    return written(folder, "a.png", b"\x89PNG\r\n\x1a\n" + header + b"\0" * 100)


def corners(folder: Path) -> Path:
    """Make a sheet with one cell in each far corner: a reader that makes room for all between needs gigabytes."""
    sheet = (
        b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        b'<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>2</v></c></row>'
        b"</sheetData></worksheet>"
    )
    writers.workbook(folder / "plain.xlsx")
    with zipfile.ZipFile(folder / "plain.xlsx") as plain:
        members = {name: plain.read(name) for name in plain.namelist()}
    members["xl/worksheets/sheet1.xml"] = sheet
    return zipped(folder, "corners.xlsx", members)


def nested(folder: Path) -> Path:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("b.txt", b"text")
    return zipped(folder, "outer.zip", {"inner.zip": inner.getvalue()})


def odt_with_lock(folder: Path) -> Path:
    manifest = (
        b'<manifest:manifest xmlns:manifest="urn:m"><manifest:file-entry><manifest:encryption-data/>'
        b"</manifest:file-entry></manifest:manifest>"
    )
    parts = {"mimetype": b"application/vnd.oasis.opendocument.text", "META-INF/manifest.xml": manifest}
    return zipped(folder, "a.odt", {**parts, "content.xml": b"\x00\x01"})


HOSTILE: dict[str, tuple[Callable[[Path], Path], type[CodedError]]] = {
    "nothing": (lambda folder: written(folder, "a.pdf", b""), FileEmpty),
    "blanks": (lambda folder: written(folder, "a.txt", b" \n\t\r\n" * 100), FileEmpty),
    "noise": (lambda folder: written(folder, "a.docx", os.urandom(5_000)), FileUnsupported),
    "program": (lambda folder: written(folder, "a.txt", b"MZ" + b"\x90\0" * 500), FileUnsupported),
    "film": (lambda folder: written(folder, "a.pdf", b"\0\0\0\x18ftypmp42" + b"\0" * 100), FileUnsupported),
    "old word": (lambda folder: written(folder, "a.doc", OLE + b"\0" * 900), FileUnsupported),
    "locked office": (lambda folder: written(folder, "a.docx", OLE + LOCKED), FileEncrypted),
    "locked zip": (locked_zip, FileEncrypted),
    "locked pdf": (locked_pdf, FileEncrypted),
    "locked odt": (odt_with_lock, FileEncrypted),
    "half a word file": (lambda folder: half(folder, "a.docx", writers.word), FileDamaged),
    "half a workbook": (lambda folder: half(folder, "a.xlsx", writers.workbook), FileDamaged),
    "half a book": (lambda folder: half(folder, "a.epub", writers.book), FileDamaged),
    "half a picture": (lambda folder: written(folder, "a.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF"), FileDamaged),
    "only a header": (lambda folder: written(folder, "a.pdf", b"%PDF-1.7\n%%EOF\n"), FileDamaged),
    "a word file without words": (lambda folder: word_with(folder, b"<document><body/></document>"), FileWithoutText),
    "laughs": (lambda folder: written(folder, "a.xml", LAUGHS.encode()), FileDamaged),
    "laughs in word": (lambda folder: word_with(folder, LAUGHS.encode()), FileDamaged),
    "somebody's file": (lambda folder: written(folder, "a.xml", OUTSIDE.encode()), FileDamaged),
    "a bomb": (lambda folder: zipped(folder, "a.zip", {f"{n}.txt": b"0" * 8_000_000 for n in range(4)}), FileExpands),
    "a bomb in word": (lambda folder: word_with(folder, b"<a>" + b" " * 30_000_000 + b"</a>"), FileExpands),
    "an empty archive": (lambda folder: zipped(folder, "a.zip", {}), FileEmpty),
    "a sheet of corners": (corners, FileTooLarge),
    "an absurd picture": (huge_picture, FileTooLarge),
    "an endless text": (lambda folder: written(folder, "a.txt", b"word " * 500_000), FileTooLarge),
    "many members": (lambda folder: zipped(folder, "a.zip", {f"{n}.txt": b"x" for n in range(1_100)}), FileTooLarge),
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_it_says_why(what: str, tmp_path: Path) -> None:
    make, error = HOSTILE[what]
    path = make(tmp_path)
    with pytest.raises(FileUnreadable) as raised:
        await read(path)
    assert type(raised.value) is error
    assert raised.value.message
    assert "root:" not in raised.value.message
    assert str(tmp_path) not in raised.value.message + str(raised.value.details)


@pytest.mark.parametrize("named", ["a.pdf", "a.txt", "a", "a.html", "a.zip"])
async def test_a_name_proves_nothing(named: str, tmp_path: Path) -> None:
    writers.word(tmp_path / "crew")
    assert (await read(tmp_path / "crew", named)).format == "docx"


async def test_a_polyglot_is_what_it_begins_with(tmp_path: Path) -> None:
    writers.pdf(tmp_path / "a.pdf")
    writers.archive(tmp_path / "a.zip")
    both = written(tmp_path, "both.zip", (tmp_path / "a.pdf").read_bytes() + (tmp_path / "a.zip").read_bytes())
    found = await read(both)
    assert (found.format, found.media_type, found.members) == ("pdf", "application/pdf", [])


async def test_members_stay_in_their_folder(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("../../../etc/cron.d/x", "/etc/passwd", "C:\\Windows\\y.txt", "a/../b.txt", "ok/plain.txt"):
            archive.writestr(name, b"text")
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, b"/etc/passwd")
    found = await read(path)
    names = [member.name for member in found.members]
    assert names == ["etc/cron.d/x", "etc/passwd", "Windows/y.txt", "a/b.txt", "ok/plain.txt"]
    assert {Path(member.path).parent for member in found.members} == {tmp_path / "a.zip.members"}


async def test_an_archive_in_too_many_archives_is_not_opened(tmp_path: Path) -> None:
    found = await read(nested(tmp_path))
    inner = Path(found.members[0].path)
    assert [member.name for member in (await read(inner, "inner.zip", Limits(archive_depth=1))).members] == ["b.txt"]
    with pytest.raises(FileUnsupported):
        await read(inner, "inner.zip", Limits(archive_depth=0))


@pytest.mark.parametrize(
    "text",
    [
        "<div>" * 50_000 + "deep words",
        "<p>" + "<b>" * 5_000 + "deep words",
        "<table>" * 2_000 + "<tr><td>deep words",
        "[" * 50_000,
        '{"a":' * 50_000,
        "# " + "x " * 200_000,
        "| a " * 100_000,
        "> " * 100_000 + "x",
        "WEBVTT\n\n" + "00:00:01.000 --> 00:00:02.000\n<b" * 20_000,
        "From: a\nTo: b\n" + "Subject: =?utf-8?q?" + "=3D" * 50_000,
        'From: a\nTo: b\nContent-Type: multipart/mixed; boundary="b"\n\n' + "--b\n" * 20_000,
    ],
)
async def test_what_is_built_to_overwhelm_ends_soon(text: str, tmp_path: Path) -> None:
    path = written(tmp_path, "a", text.encode())
    (ended,) = await asyncio.gather(read(path), return_exceptions=True)
    assert isinstance(ended, (Extracted, FileUnreadable))
    assert not isinstance(ended, FileTooSlow)


async def test_too_slow(tmp_path: Path) -> None:
    writers.pdf(tmp_path / "a.pdf")
    with pytest.raises(FileTooSlow):
        await read(tmp_path / "a.pdf", limits=Limits(wall_s=0.05))


async def test_too_much_memory(tmp_path: Path) -> None:
    path = written(tmp_path, "a.txt", b"many words " * 12_000_000)
    with pytest.raises(FileTooLarge) as raised:
        await read(path, limits=Limits(memory_bytes=200_000_000, max_chars=10**9))
    assert raised.value.details == {"limit": "memory"}


async def until(there: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not there():  # noqa: ASYNC110 -- another process tells nobody
            await asyncio.sleep(0.02)


def tesseract(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """Put a stand-in for tesseract on the path, and make a small picture."""
    program = folder / "bin" / "tesseract"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    writers.scan(folder / "a.png")
    return folder / "a.png"


async def test_a_reader_gets_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    found = await read(tesseract(tmp_path, monkeypatch, "/usr/bin/env; echo; echo The bell.; ulimit -v"))
    told = "\n".join(block.text for block in found.blocks)
    assert "The bell." in told
    assert "secret" not in told
    assert "unlimited" not in told


@pytest.mark.parametrize("ends", ["cancelled", "late"])
async def test_what_a_reader_started_ends_with_it(ends: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = tesseract(tmp_path, monkeypatch, f"echo $$ >{tmp_path}/pid; sleep 300")
    limits = Limits(wall_s=3.0 if ends == "late" else 60.0)
    task = asyncio.ensure_future(read(picture, limits=limits))
    if ends == "cancelled":
        await until(lambda: (tmp_path / "pid").exists() and bool((tmp_path / "pid").read_text()))
        task.cancel()
    (done,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(done, asyncio.CancelledError if ends == "cancelled" else FileTooSlow)
    process = int((tmp_path / "pid").read_text())
    await until(lambda: not psutil.pid_exists(process))


async def test_a_picture_without_ocr_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    writers.scan(tmp_path / "a.png")
    writers.scanned_pdf(tmp_path / "a.pdf")
    for name in ("a.png", "a.pdf"):
        with pytest.raises(FileWithoutText) as raised:
            await read(tmp_path / name)
        assert raised.value.details == {"reason": "no_ocr"}


async def test_progress_is_told(tmp_path: Path) -> None:
    writers.pdf(tmp_path / "a.pdf")
    told: list[float] = []
    await extract(tmp_path / "a.pdf", "a.pdf", "", Limits(), progress=told.append)
    assert told == [pytest.approx(1 / 3), pytest.approx(2 / 3), 1.0]


def pages(path: Path, count: int) -> None:
    """Write a PDF of so many pages by hand: one text for all of them, and their number."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids: list[int] = []
    for number in range(count):
        stream = b"BT /F1 12 Tf 72 700 Td (Page %d of the ledger. Nothing was sold.) Tj ET" % (number + 1)
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % len(objects)
        )
        kids.append(len(objects))
    objects[1] = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (count, b" ".join(b"%d 0 R" % kid for kid in kids))
    out = bytearray(b"%PDF-1.4\n")
    places: list[int] = []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    path.write_bytes(out)


@pytest.mark.slow
async def test_ten_thousand_pages(tmp_path: Path) -> None:
    pages(tmp_path / "ledger.pdf", 10_000)
    found = await read(tmp_path / "ledger.pdf", limits=Limits())
    assert found.units == 10_000
    assert found.blocks[-1].locator.label == "page 10000"


async def test_a_million_rows_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", b"name,number\n" + b"a,1\n" * 1_000_000)
    with pytest.raises(FileTooLarge) as raised:
        await read(path, limits=Limits())
    assert raised.value.details == {"limit": "rows", "most": 200_000}
