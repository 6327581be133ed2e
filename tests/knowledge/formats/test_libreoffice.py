"""Files as LibreOffice writes them: another hand than the libraries', which our readers could have learnt by heart."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.knowledge.formats import writers
from twinspeak.domain.file_errors import FileUnsupported
from twinspeak.knowledge.document import Extracted, Limits
from twinspeak.knowledge.extracting import extract

OFFICE = shutil.which("soffice")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(OFFICE is None, reason="LibreOffice is not installed"),
]


async def rewritten(folder: Path, source: str, make: Callable[[Path], None], ending: str) -> Path:
    """Let LibreOffice write a file in another format."""
    make(folder / source)
    process = await asyncio.create_subprocess_exec(
        *(OFFICE or "", f"-env:UserInstallation=file://{folder}/profile", "--headless", "--convert-to", ending),
        *("--outdir", str(folder / "out"), str(folder / source)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == 0
    return next((folder / "out").iterdir())


def said(found: Extracted) -> list[tuple[str, str, str]]:
    """Return (where, last heading, text) of each block."""
    return [(block.locator.label, (block.headings or ("",))[-1], block.text) for block in found.blocks]


class Case(NamedTuple):
    """A file, what LibreOffice makes of it, and where the fact in it is found."""

    source: str
    make: Callable[[Path], None]
    ending: str
    where: str
    section: str
    words: str


@pytest.mark.parametrize(
    "case",
    [
        Case("crew.docx", writers.word, "odt", "", "The dog watch", "two sailmakers and one cook"),
        Case("crew.docx", writers.word, "pdf", "page 1", "The dog watch", "two sailmakers and one cook"),
        Case("rigging.odt", writers.odf_text, "docx", "", "Shrouds", "Swedish pitch each May"),
        Case("rigging.odt", writers.odf_text, "epub", "chapter", "", "Swedish pitch each May"),
        Case("ballast.pptx", writers.slides, "odp", "slide 2", "Ballast", "ninety tons of granite"),
        Case("ballast.pptx", writers.slides, "pdf", "page 2", "Ballast", "ninety tons of granite"),
        Case("cables.odp", writers.odf_slides, "pptx", "slide 2", "", "Riga hemp"),
        Case("cargo.xlsx", writers.workbook, "ods", "sheet Cargo, row 2", "Cargo", "Ambergris | 3 | Nantwich"),
        Case("cargo.xlsx", writers.workbook, "xls", "sheet Cargo, row 2", "Cargo", "Ambergris | 3 | Nantwich"),
        Case("tides.ods", writers.odf_sheet, "xlsx", "sheet Tides, row 2", "Tides", "Quern Point | 6.75 m"),
    ],
    ids=lambda case: f"{case.source} to {case.ending}",
)
async def test_it_is_read_as_the_original_is(tmp_path: Path, case: Case) -> None:
    path = await rewritten(tmp_path, case.source, case.make, case.ending)
    found = await extract(path, path.name, "", Limits())
    assert found.format == case.ending
    hits = [block for block in said(found) if case.words in " ".join(block[2].split())]
    assert len(hits) == 1, said(found)
    assert hits[0][0].startswith(case.where)
    assert case.section in hits[0][1]


async def test_an_old_word_file_says_what_to_do(tmp_path: Path) -> None:
    path = await rewritten(tmp_path, "crew.docx", writers.word, "doc")
    with pytest.raises(FileUnsupported, match=r"save it as \.docx"):
        await extract(path, path.name, "", Limits())
