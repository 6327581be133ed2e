"""The table on the terminal, and the same as JSON beside a chart."""

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench import chart
from bench.rows.line import Line
from bench.sample import Machine

ELSEWHERE = {
    "11": "history list and search over 1 M records: python -m bench.history",
    "12": "vault search over 100,000 passages: python -m bench.retrieval_speed",
    "13": "ingestion of text: python -m bench.retrieval_speed",
}
"""Rows that have a run of their own."""
_WIDTH = 66


class Report(msgspec.Struct, frozen=True):
    """A whole run. `began` is local time; `remarks` are for the reader."""

    scale: str
    began: str
    took_s: float
    machine: Machine
    lines: tuple[Line, ...]
    remarks: tuple[str, ...] = ()


def table(report: Report) -> str:
    """Return the report as text, one line a figure, the target beside it."""
    machine = report.machine
    head = [
        f"Twinspeak benchmark, {report.scale} run of {report.began}, {report.took_s:.0f} s",
        f"{machine.cpu}, {machine.cores} cores, {machine.memory_mb / 1000:.0f} GB, {machine.system}, {machine.python}",
        "  ".join(f"{name} {number}" for name, number in machine.libraries.items()),
        f"commit {machine.commit}; load average before the run {machine.load}",
        "",
        f"{'row':>3}  {'measure':<{_WIDTH}} {'figure':>9}  {'target':>10}  verdict",
    ]
    rows = [_row(line) for line in sorted(report.lines, key=lambda line: int(line.row))]
    elsewhere = [f"{row:>3}  {what}" for row, what in ELSEWHERE.items()]
    return "\n".join([*head, *rows, *elsewhere, "", *report.remarks, _sum(report.lines)])


def _row(line: Line) -> str:
    target = "" if line.limit is None else f"<= {_number(line.limit)}"
    spread = f"  [{_number(min(line.spread))} - {_number(max(line.spread))}]" if len(line.spread) > 1 else ""
    faults = f"  {line.faults} FAULTS" if line.faults else ""
    figure = f"{line.row:>3}  {line.what:<{_WIDTH}} {_number(line.figure):>9}  {target:>10}  {_verdict(line):<7}"
    return f"{figure} {line.unit}{spread}  {line.note}{faults}"


def _verdict(line: Line) -> str:
    return {True: "met", False: "MISSED", None: ""}[line.met]


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.0f}"


def _sum(lines: Sequence[Line]) -> str:
    judged = [line for line in lines if line.met is not None]
    missed = [line for line in judged if not line.met]
    return f"{len(judged) - len(missed)} of {len(judged)} targets met" + (
        "" if not missed else f"; missed: {', '.join(sorted({f'row {line.row}' for line in missed}))}"
    )


def write(report: Report, folder: Path) -> list[Path]:
    """Write table, JSON and chart; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    name = time.strftime("%Y%m%d-%H%M%S") + f"-{report.scale}"
    contents = {
        "json": msgspec.json.format(msgspec.json.encode(report)).decode() + "\n",
        "txt": table(report) + "\n",
        "svg": chart.svg(report.lines, f"{report.began}, {report.machine.cpu}, {report.machine.python}"),
    }
    written: list[Path] = []
    for kind, content in contents.items():
        path = folder / f"{name}.{kind}"
        path.write_text(content, encoding="utf-8")
        written.append(path)
    return written
