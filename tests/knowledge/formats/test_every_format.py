"""One real file of each format: read, cut, and found by a question that only it answers, with where it stands."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.knowledge.formats import writers
from twinspeak.knowledge.chunk import Chunk, chunk
from twinspeak.knowledge.document import Extracted, Limits
from twinspeak.knowledge.extracting import extract
from twinspeak.knowledge.index.lexical import Entry, LexicalIndex, rank


class Case(NamedTuple):
    """A file, the question that only it answers, and what the citation says."""

    name: str
    make: Callable[[Path], None]
    format: str
    question: str
    where: str = ""
    section: str = ""


CASES = [
    Case("harbour.pdf", writers.pdf, "pdf", "How much oil does the lighthouse burn?", "page 2", "The lighthouse"),
    Case("crew.docx", writers.word, "docx", "Who keeps the dog watch?", "", "The dog watch"),
    Case("ballast.pptx", writers.slides, "pptx", "What is the frigate's granite for?", "slide 2", "Ballast"),
    Case("cargo.xlsx", writers.workbook, "xlsx", "How many barrels of ambergris?", "sheet Cargo, row 2", "Cargo"),
    Case("rigging.odt", writers.odf_text, "odt", "What are the shrouds tarred with?", "", "Shrouds"),
    Case("tides.ods", writers.odf_sheet, "ods", "High water at Quern Point", "sheet Tides, row 2", "Tides"),
    Case("cables.odp", writers.odf_slides, "odp", "What is the cable of the Osprey spun from?", "slide 2", "Cables"),
    Case("songs.epub", writers.book, "epub", "How many verses about eels?", "chapter 2", "Pump songs"),
    Case("knots.html", writers.page, "html", "How many leads has the Dunmore turk's head?", "", "The turk's head"),
    Case("galley.md", writers.markdown, "markdown", "How often is the biscuit baked?", "", "Galley > Biscuit"),
    Case("buoys.csv", writers.table, "csv", "Which buoy is vermilion?", "row "),
    Case("ships.json", writers.records, "json", "Which ship's figurehead is a narwhal?", "row "),
    Case("port.txt", writers.cyrillic, "markdown", "Кто нашла янтарную шкатулку?"),
    Case("gulls.txt", writers.wide, "markdown", "Wie viele Möwen zählte Wübbena?"),
    Case("squall.py", writers.source, "code", "What is the squall factor's forgotten exponent?", "line "),
    Case("payday.eml", writers.mail, "mail", "When is pay day of the Kittiwake?", "", "Pay day moved"),
    Case("log.ipynb", writers.notebook, "ipynb", "What was the mean speed of the Wigeon?", "cell 2", "Log analysis"),
    Case("pilot.vtt", writers.captions, "vtt", "What is kept over the mill until the bar?", "12:05"),
    Case("cave.srt", writers.subrip, "srt", "When does the smuggler's cave open?", "1:02:03"),
    Case("charts.zip", writers.archive, "zip", "What does the lead find off Kestrel Head?", "", "Soundings"),
    Case("course.imscc", writers.cartridge, "imscc", "By which star do navigators of Brixham steer?"),
]
SCANS = [
    Case("bell.png", writers.scan, "png", "Where was the bell of the Fulmar cast?"),
    Case("bell.pdf", writers.scanned_pdf, "pdf", "Where was the bell of the Fulmar cast?", "page 1"),
]


async def read(path: Path, folder: Path) -> Extracted:
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    return await extract(path, path.name, "application/octet-stream", Limits(), members_into=folder)


async def chunks_of(path: Path, folder: Path) -> tuple[str, list[Chunk]]:
    """Return what a file is and its chunks, with those of its members behind."""
    found = await read(path, folder)
    chunks = chunk(found.blocks)
    for member in found.members:
        inner = await extract(Path(member.path), member.name, "", Limits(archive_depth=0))
        chunks += chunk(inner.blocks)
    return found.format, chunks


Library = dict[str, tuple[str, list[Chunk]]]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("files")
    for case in CASES:
        case.make(folder / case.name)

    async def read_all() -> Library:
        return {case.name: await chunks_of(folder / case.name, folder / f"{case.name}.members") for case in CASES}

    return asyncio.run(read_all())


def best(library: Library, question: str) -> tuple[str, Chunk]:
    known = {f"{name}/{at}": (name, piece) for name, (_, pieces) in library.items() for at, piece in enumerate(pieces)}
    index = LexicalIndex(Entry(key, piece.text, piece.section, name) for key, (name, piece) in known.items())
    return known[rank([index], question, limit=1)[0].chunk_id]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_question_finds_the_only_file_that_answers_it(case: Case, library: Library) -> None:
    name, piece = best(library, case.question)
    assert name == case.name
    assert library[name][0] == case.format
    assert piece.locator.label.startswith(case.where)
    assert bool(piece.locator.label) == bool(case.where)
    assert piece.section.endswith(case.section)


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed")
@pytest.mark.parametrize("case", SCANS, ids=lambda case: case.name)
async def test_a_scan_is_read(case: Case, tmp_path: Path) -> None:
    case.make(tmp_path / case.name)
    kind, pieces = await chunks_of(tmp_path / case.name, tmp_path / "members")
    assert kind == case.format
    assert "Lisbon" in pieces[0].text
    assert pieces[0].locator.label == case.where
