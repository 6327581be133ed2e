"""A folder with one real file of each format: taken in over HTTP, and each found by a question that only it answers."""

import urllib.parse
from pathlib import Path

import pytest

from tests.knowledge.formats.test_every_format import CASES
from tests.vault.house import House
from twinspeak.domain.locator import parse_locator

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.usefixtures("database"),
    pytest.mark.timeout(240),
]

ARCHIVES = (".zip", ".imscc")


async def test_each_file_is_found_by_what_only_it_says(here: House, tmp_path: Path) -> None:
    for case in CASES:
        case.make(tmp_path / case.name)
    files = [(case.name, (tmp_path / case.name).read_bytes()) for case in CASES]
    status, body = await here.send("member", files)
    assert (status, [one["success"] for one in body["files"]]) == (200, [True] * len(CASES))
    await here.read()
    for case in CASES:
        here.org.unlimited()
        _, found = await here.call("member", "POST", "/api/user/files/search-content", {"query": case.question})
        best = found["results"][0]
        if not case.name.endswith(ARCHIVES):
            assert best["upload"]["originalname"] == case.name
        label = parse_locator(urllib.parse.urlsplit(best["chunkUrl"]).fragment).label
        assert label.startswith(case.where)
        assert bool(label) == bool(case.where)
        assert best["section"].endswith(case.section)


async def test_an_answer_cites_the_page(here: House, tmp_path: Path) -> None:
    pdf = next(case for case in CASES if case.format == "pdf")
    pdf.make(tmp_path / pdf.name)
    await here.bring("other", pdf.name, (tmp_path / pdf.name).read_bytes())
    answer = await here.ask("other", pdf.question)
    assert "412 litres" in answer.json["outputs"][0]
    assert answer.json["sources"][0]["originalname"] == pdf.name


async def test_a_file_that_cannot_be_read_says_why(here: House) -> None:
    status, body = await here.send("member", [("a.pdf", b"%PDF-1.7\n%%EOF\n"), ("b.exe", b"MZ" + b"\0" * 200)])
    assert status == 200
    await here.read()
    troubles = [await here.document("member", one["uploadId"]) for one in body["files"]]
    assert [one["ingestion"]["phase"] for one in troubles] == ["error", "error"]
    assert [one["ingestion"]["error"]["code"] for one in troubles] == ["file_damaged", "file_unsupported"]
