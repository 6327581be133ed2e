"""What is shown: figures, targets, verdicts, and a chart that is XML."""

from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from bench import report
from bench.chart import svg
from bench.load.job import Seen
from bench.profiles import top
from bench.report import Report
from bench.rows.line import Line
from bench.sample import Machine
from bench.stage import Measured, ratio, ratios

MACHINE = Machine(
    cpu="Chip", cores=2, memory_mb=8_000, system="Linux 6", python="CPython 3.11", libraries={}, commit="abc", load=0.1
)
MET = Line(row="1", what="one & all", figure=1.4, unit="x", limit=1.5, spread=(1.3, 1.6))
MISSED = Line(row="2", what="other", figure=1.6, unit="x", limit=1.5)
FAULTY = Line(row="10", what="third", figure=0.1, unit="ms", limit=1, faults=2)
TOLD = Line(row="3", what="fact", figure=7, unit="MB")


@pytest.mark.parametrize(("line", "met"), [(MET, True), (MISSED, False), (FAULTY, False), (TOLD, None)])
def test_a_target_is_met_at_most_and_without_faults(line: Line, *, met: bool | None):
    assert line.met is met


def made() -> Report:
    return Report(scale="short", began="now", took_s=1, machine=MACHINE, lines=(FAULTY, MET, MISSED, TOLD))


def test_the_table_says_what_is_met_in_the_order_of_rows():
    text = report.table(made())
    rows = [line for line in text.splitlines() if line[:3].strip().isdigit()]
    assert [row[:3].strip() for row in rows] == ["1", "2", "3", "10", "11", "12", "13"]
    assert "<= 1.50  met" in rows[0]
    assert "[1.30 - 1.60]" in rows[0]
    assert "MISSED" in rows[1]
    assert "2 FAULTS" in rows[3]
    assert rows[4].endswith("python -m bench.history")
    assert text.endswith("1 of 3 targets met; missed: row 10, row 2")


def test_results_are_kept_as_table_json_and_chart(tmp_path: Path):
    paths = {path.suffix: path for path in report.write(made(), tmp_path / "new")}
    assert msgspec.json.decode(paths[".json"].read_bytes(), type=Report) == made()
    assert paths[".txt"].read_text(encoding="utf-8").startswith("Twinspeak benchmark")
    assert ET.fromstring(paths[".svg"].read_text(encoding="utf-8")).tag.endswith("svg")  # noqa: S314 -- our own


def test_the_chart_shows_lines_with_targets_only():
    drawn = svg([MET, MISSED, TOLD], "a <title>")
    assert drawn.count("<text") == 2 * 2 + 3
    assert "one &amp; all" in drawn
    assert "fact" not in drawn


def test_ratios_compare_rounds_of_the_same_time():
    def one(cpu_s: float) -> Measured:
        return Measured(seen=Seen(asked=1_000), cpu_s=cpu_s, bunched=0)

    ours, floor = [one(0.04), one(0.09), one(0.05)], [one(0.02), one(0.03), one(0.05)]
    assert ratios(ours, floor) == pytest.approx([2, 3, 1])
    assert ratio(ours, floor) == pytest.approx(2)
    assert ours[0].us_per_chunk == pytest.approx(40)


def test_collapsed_stacks_become_a_table():
    main, run = "main (/x/src/twinspeak/app.py:{})", "run (/y/site-packages/uvloop/loop.py:2)"
    stacks = f"{main.format(1)};{run} 3\n{main.format(9)} 1\n"
    own, total = top(stacks).split("\n\n")
    assert own.splitlines()[1:] == ["  75.0%  run (uvloop/loop.py)", "  25.0%  main (twinspeak/app.py)"]
    assert total.splitlines()[1] == " 100.0%  main (twinspeak/app.py)"
