"""`python -m bench.retrieval_speed` on tiny vaults: every line of rows 12 and 13 comes out, on both databases."""

from pathlib import Path

import pytest

from bench import retrieval_speed
from bench.retrieval_speed import Figure, Size
from tests import databases

pytestmark = pytest.mark.usefixtures("database")


def test_every_line_comes_out(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval_speed, "FILE_BYTES", 20_000)
    size = Size(passages=250, vaults=2, each=20, questions=3, megabytes=0)
    lines = retrieval_speed._measured(database, databases.url_for(tmp_path), size)
    assert [(line.row, line.what.rpartition(": ")[2]) for line in lines] == [
        *[(12, what) for what in ("cold", "p50", "p95", "after a change", "cold, p95", "p50", "p95")] * 2,
        (13, "0 MB of text taken in"),
    ]
    assert all(line.figure > 0 and line.database == database for line in lines)


def test_more_is_better_for_text_and_less_for_questions() -> None:
    assert Figure(12, "sqlite", "p95", 41.0, "ms", 40.0).verdict == "MISSED"
    assert Figure(12, "sqlite", "p95", 39.0, "ms", 40.0).verdict == "met"
    assert Figure(13, "sqlite", "text", 1.0, "MB/s", 2.0).verdict == "MISSED"
    assert Figure(13, "sqlite", "text", 1.0, "MB/s").verdict == ""
