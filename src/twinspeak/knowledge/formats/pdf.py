"""PDF, read by pdfium: paragraphs page by page under their headings; pages that are pictures by OCR."""

import ctypes
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final

from twinspeak.domain.file_errors import FileDamaged, FileEncrypted, FileTooLarge, FileWithoutText
from twinspeak.domain.locator import Locator
from twinspeak.knowledge.document import Block
from twinspeak.knowledge.formats.ocr import read_picture
from twinspeak.knowledge.formats.pdf_lines import Line, paragraphs, style_of, without_edges
from twinspeak.knowledge.formats.reading import Reading
from twinspeak.knowledge.formats.words import LONGEST_HEADING, clean, one_line, titles, under

_PASSWORD_ERROR: Final = 4
_LEAST_TEXT: Final = 16
"""A page with fewer letters and a picture is a scan."""
_SCAN_DPI: Final = 200
_BOLD: Final = 600
_LINE: Final = re.compile(r"[^\r\n]+|[\r\n]+")
_MOST_MARKS: Final = 20_000


def read(reading: Reading) -> Iterator[Block]:
    """Yield the paragraphs. Headings are the document's own outline where it has one, else lines that look so."""
    pdf = _open(reading)
    try:
        reading.units = len(pdf)
        reading.title = one_line(str(pdf.get_metadata_value("Title") or ""))[:500]
        pages: list[list[Line]] = []
        letters = 0
        for number in range(len(pdf)):
            pages.append(_lines_of(pdf, number))
            letters += sum(len(line.text) for line in pages[-1])
            if letters > reading.limits.max_chars:
                most = reading.limits.max_chars
                raise FileTooLarge(details={"limit": "chars", "most": most})
            reading.report(number + 1, len(pdf))
        yield from _Document(reading, pdf, without_edges(pages)).blocks()
    finally:
        pdf.close()


class _Document:
    """The pages in order, and the headings in force."""

    def __init__(self, reading: Reading, pdf: Any, pages: list[list[Line]]) -> None:
        self._reading = reading
        self._pdf = pdf
        self._pages = pages
        self._style = style_of(pages)
        self._outline = _Outline(pdf)
        self._headings: list[tuple[int, str]] = []
        self._unread = 0

    def blocks(self) -> Iterator[Block]:
        said = False
        for number, lines in enumerate(self._pages):
            place = Locator("page", str(number + 1))
            scanned = sum(len(line.text) for line in lines) < _LEAST_TEXT and _has_picture(self._pdf, number)
            for block in self._scan(number, place) if scanned else self._page(number, lines, place):
                said = True
                yield block
        if not said:
            raise FileWithoutText(
                "Its pages are pictures, and tesseract, which reads them, is not installed on this server."
                if self._unread
                else None,
                details={"reason": "no_ocr" if self._unread else "blank"},
            )
        if self._unread:
            self._reading.notes.append(f"{self._unread} of its pages are pictures and were not read.")

    def _page(self, number: int, lines: list[Line], place: Locator) -> Iterator[Block]:
        for level, text, listed in paragraphs(lines, self._style):
            words = clean(text).strip()
            if level is not None and not self._outline.given:
                self._headings = under(self._headings, level, one_line(words))
            elif self._outline.names(number, words):
                self._headings = self._outline.advance(self._headings)
            elif words:
                yield Block(words, titles(self._headings), place, lines=listed)
        while self._outline.has_before(number + 1):
            self._headings = self._outline.advance(self._headings)

    def _scan(self, number: int, place: Locator) -> Iterator[Block]:
        if not self._reading.tesseract or self._reading.seconds_left() < 1:
            self._unread += 1
            return
        picture = self._reading.scratch / "page.pgm"
        picture.write_bytes(_picture(self._pdf, number, self._reading.limits.max_pixels))
        for block in read_picture(self._reading, picture, place):
            yield Block(block.text, titles(self._headings), place)


class _Outline:
    """The bookmarks of a document, in order; how far the reading has come."""

    def __init__(self, pdf: Any) -> None:
        self._marks: list[tuple[int, int, str]] = []
        for mark in pdf.get_toc(max_depth=6):
            target = mark.get_dest()
            page = target.get_index() if target is not None else None
            title = one_line(str(mark.get_title() or ""))[:LONGEST_HEADING]
            if page is not None and title and len(self._marks) < _MOST_MARKS:
                self._marks.append((page, mark.level, title))
        self._marks.sort(key=lambda mark: mark[0])
        self._at = 0
        self.given = bool(self._marks)

    def has_before(self, page: int) -> bool:
        """Whether the next bookmark leads to a page before `page`."""
        return self._at < len(self._marks) and self._marks[self._at][0] < page

    def names(self, page: int, text: str) -> bool:
        """Whether the next bookmark leads to this page and is called like this paragraph."""
        if self._at >= len(self._marks) or self._marks[self._at][0] != page:
            return False
        return _letters(self._marks[self._at][2]) == _letters(text)

    def advance(self, headings: list[tuple[int, str]]) -> list[tuple[int, str]]:
        """Return the headings in force once the next bookmark has come."""
        _, level, title = self._marks[self._at]
        self._at += 1
        return under(headings, level, title)


def _open(reading: Reading) -> Any:
    pdfium = import_module("pypdfium2")
    try:
        pdf = pdfium.PdfDocument(str(reading.path))
    except pdfium.PdfiumError as error:
        if getattr(error, "err_code", None) == _PASSWORD_ERROR:
            raise FileEncrypted from error
        raise FileDamaged(details={"format": "pdf"}) from error
    if len(pdf) < 1:
        raise FileDamaged("This PDF has no pages.", details={"format": "pdf"})
    return pdf


def _lines_of(pdf: Any, number: int) -> list[Line]:
    """Return the lines of a page, none for a page that is broken."""
    pdfium: Any = import_module("pypdfium2")
    raw: Any = import_module("pypdfium2.raw")
    try:
        page = pdf[number]
        letters = page.get_textpage()
    except pdfium.PdfiumError:
        return []
    text = letters.get_text_range(errors="ignore")
    box = raw.FS_RECTF()
    found: list[Line] = []
    at = 0
    for part in _LINE.findall(text):
        words = part.strip()
        if words:
            # Of its first letter: a bullet comes in a size, and often in a font, of its own.
            first = next((place for place, letter in enumerate(part) if letter.isalnum()), part.index(words[0]))
            index = raw.FPDFText_GetCharIndexFromTextIndex(letters, at + first)
            raw.FPDFText_GetLooseCharBox(letters, index, ctypes.byref(box))
            bold = raw.FPDFText_GetFontWeight(letters, index) >= _BOLD
            found.append(Line(words, round(box.top - box.bottom, 2), box.bottom, box.left, bold))
        at += len(part)
    letters.close()
    page.close()
    return found


def _has_picture(pdf: Any, number: int) -> bool:
    pdfium: Any = import_module("pypdfium2")
    raw: Any = import_module("pypdfium2.raw")
    try:
        page = pdf[number]
    except pdfium.PdfiumError:
        return False
    return next(iter(page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=3)), None) is not None


def _picture(pdf: Any, number: int, most_pixels: int) -> bytes:
    """Return a page as a grey picture (PGM)."""
    page = pdf[number]
    width, height = page.get_size()
    scale = min(_SCAN_DPI / 72, (most_pixels / max(width * height, 1)) ** 0.5)
    bitmap = page.render(scale=scale, grayscale=True)
    rows = memoryview(bitmap.buffer).cast("B")
    lines = [rows[line * bitmap.stride :][: bitmap.width] for line in range(bitmap.height)]
    return b"P5 %d %d 255\n" % (bitmap.width, bitmap.height) + b"".join(lines)


def _letters(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())
