"""`python -m bench`: run the rows, print the table, keep table, JSON, chart and profiles in bench/results/."""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench import profiles, report, sample
from bench.children import FOREIGN, ROOT, ChildFailed
from bench.rows import cancel, latency, memory, pace, serving, streaming, wires
from bench.rows.line import FULL, SHORT, TINY, Line, Scale
from bench.stage import Stage

RESULTS = ROOT / "bench" / "results"
_BUSY = 0.7
_SCALES = {scale.name: scale for scale in (SHORT, FULL, TINY)}


def main() -> int:
    """Run. The exit code tells whether it could be measured, not whether targets were met."""
    options = _options()
    if not sys.platform.startswith("linux"):
        print("The benchmark reads /proc, so it needs Linux.")
        return 2
    for name in [name for name in os.environ if name.upper().startswith(FOREIGN)]:
        del os.environ[name]
    rows = set(options.rows.split(",")) if options.rows else _usual(options.scale)
    before, began = sample.machine(), time.monotonic()
    started = time.strftime("%Y-%m-%d %H:%M")
    try:
        lines, remarks = _run(_SCALES[options.scale], rows, pin=not options.no_pin, profile=options.profile)
    except ChildFailed as error:
        print(f"Could not be measured: {error}")
        return 1
    if before.load > _BUSY:
        remarks.append(f"This machine was busy with other things (load {before.load}): take ratios, not times.")
    made = report.Report(
        scale=options.scale,
        began=started,
        took_s=time.monotonic() - began,
        machine=before,
        lines=tuple(lines),
        remarks=tuple(remarks),
    )
    print(report.table(made))
    for path in report.write(made, Path(options.out)):
        print(f"written: {_shown(path)}")
    return 0


def _usual(scale: str) -> set[str]:
    """Return the rows that are run when none are named: all, but a server for every wire takes a minute more."""
    return {*map(str, range(1, 11)), *(["14"] if scale == "full" else [])}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="What streaming costs (docs/performance.md).")
    parser.add_argument("--scale", choices=_SCALES, default="short", help="how much (tiny: means nothing)")
    parser.add_argument("--rows", default="", help="some rows only, as 1,2,3")
    parser.add_argument("--profile", action="store_true", help="also profile rows 1 to 5 with py-spy")
    parser.add_argument("--no-pin", action="store_true", help="leave the processes on whatever core they like")
    parser.add_argument("--out", default=str(RESULTS), help="where results are kept")
    return parser.parse_args()


def _run(scale: Scale, rows: set[str], *, pin: bool, profile: bool) -> tuple[list[Line], list[str]]:
    lines: list[Line] = []
    remarks: list[str] = []

    def measure(wanted: str, what: str, work: Callable[[], list[Line]]) -> None:
        if rows & set(wanted.split(",")):
            print(f"{time.strftime('%H:%M:%S')}  {what}", flush=True)
            lines.extend(line for line in work() if line.row in rows)

    with Stage(pin=pin) as stage:
        if stage.server_core is not None:
            remarks.append(f"Servers ran on core {stage.server_core}, upstream and clients on core {stage.load_core}.")
        measure("9", "starting", lambda: serving.run_start(stage, scale))
        measure("7", "memory of open streams", lambda: memory.run_open(stage, scale))
        measure("8", "clients that stop reading", lambda: memory.run_deaf(stage, scale))
        with stage.product(stream_coalesce_ms="0") as every, stage.product() as paced:
            measure("10", "small reads", lambda: serving.run_reads(stage, scale, every))
            measure("6", "cancelling", lambda: cancel.run(stage, scale, every))
            measure("1,2,3", "streaming", lambda: streaming.run(stage, scale, every, paced))
            measure("4", "200 streams", lambda: pace.run(stage, scale, every))
            measure("5", "first tokens", lambda: latency.run(stage, scale, paced))
            if profile:
                print(f"{time.strftime('%H:%M:%S')}  profiles", flush=True)
                try:
                    tables = profiles.run(stage, every, paced, RESULTS / "profiles")
                    remarks.append(f"Profiles: {_shown(tables[0].parent)}")
                except profiles.NoProfiler as error:
                    remarks.append(f"No profiles: {error}")
        if not scale.long_rounds and rows & {"1", "2", "3"}:
            remarks.append("Answers of 2,000 words are measured by `make bench-full`.")
        measure("14", "the wires to models", lambda: wires.run(stage, scale))
    return lines, remarks


def _shown(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


if __name__ == "__main__":
    sys.exit(main())
