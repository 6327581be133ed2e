"""`python -m bench.peers`: LiteLLM's proxy beside the product and the pass-through, in the same run.

It is installed into a folder that is thrown away afterwards, with pip, from wherever pip is configured to look; it
never enters our locks. It runs as its documentation says for one worker, without a database, its telemetry off.
"""

import argparse
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path
from statistics import median

import msgspec

from bench import report, sample
from bench.__main__ import RESULTS
from bench.answers import Answer
from bench.children import FOREIGN, ChildFailed
from bench.load.job import Job
from bench.product import Product
from bench.rows.line import Line
from bench.stage import Measured, Stage, ratio, ratios, rounds
from bench.wire import MODEL

WANTED = "litellm[proxy]>=1.106"
TIMES_OURS = 10
_START_S = 120
_CONFIG = """
model_list:
  - model_name: {model}
    litellm_params: {{model: openai/{model}, api_base: {upstream}/v1, api_key: none}}
litellm_settings: {{telemetry: false}}
general_settings: {{master_key: {key}}}
"""


def main() -> int:
    """Install, measure, print, throw away."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description="LiteLLM's proxy, measured beside ours.")
    parser.add_argument("--require", default=WANTED, help="what to install, as pip spells it")
    parser.add_argument("--environment", default="", help="an environment that has it already")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for name in [name for name in os.environ if name.upper().startswith(FOREIGN)]:
        del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="twinspeak-peers-") as folder:
        environment = Path(options.environment) if options.environment else install(Path(folder), options.require)
        try:
            made = _run(environment, options.rounds)
        except ChildFailed as error:
            print(f"Could not be measured: {error}")
            return 1
    print(report.table(made))
    for path in report.write(made, RESULTS):
        print(f"written: {path.name}")
    return 0


def install(folder: Path, wanted: str) -> Path:
    """Make an environment with LiteLLM; takes some minutes and about 700 MB. Raises CalledProcessError."""
    print(f"Installing {wanted} into a folder that is thrown away (some minutes)…", flush=True)
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, wanted], check=True)
    return environment


class Proxy:
    """LiteLLM's proxy, ready. `stage` ends it."""

    def __init__(self, stage: Stage, environment: Path) -> None:
        """Start it, and wait until it is alive. Raises ChildFailed."""
        self.key = f"sk-{secrets.token_hex(16)}"
        self.url = f"http://127.0.0.1:{_free_port()}"
        config = stage.folder / "litellm.yaml"
        config.write_text(_CONFIG.format(model=MODEL, upstream=stage.upstream_url, key=self.key), encoding="utf-8")
        port = self.url.rpartition(":")[2]
        self.child = stage.adopt(
            [str(environment / "bin" / "litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", port],
            {"PYTHONPATH": "", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"},
        )
        started = time.monotonic()
        while not self._alive():
            if time.monotonic() - started > _START_S or self.child.process.poll() is not None:
                raise ChildFailed(f"LiteLLM's proxy did not start.\n{self.child.tail()}")
            time.sleep(0.2)
        self.start_s = time.monotonic() - started
        self.child.pin(stage.server_core)

    def _alive(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health/liveliness", timeout=2) as response:  # noqa: S310 -- loopback
                return response.status == 200
        except (OSError, urllib.error.URLError):
            return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _version(environment: Path) -> str:
    found = sorted((environment / "lib").glob("python*/site-packages/litellm-*.dist-info"))
    return found[0].name.removeprefix("litellm-").removesuffix(".dist-info") if found else "?"


def _run(environment: Path, count: int) -> report.Report:
    machine, began, started = sample.machine(), time.monotonic(), time.strftime("%Y-%m-%d %H:%M")
    with Stage() as stage, stage.product(stream_coalesce_ms="0") as product:
        proxy = Proxy(stage, environment)
        lines = [
            *_slow_enough(stage, product, proxy, count),
            *_twenty(stage, product, proxy),
            *_at_rest(product, proxy),
        ]
    return report.Report(
        scale="peers",
        began=started,
        took_s=time.monotonic() - began,
        machine=machine,
        lines=tuple(lines),
        remarks=(f"LiteLLM's proxy {_version(environment)}, one worker, no database.",),
    )


def _jobs(stage: Stage, product: Product, proxy: Proxy, streams: int) -> dict[str, tuple[int, Job]]:
    answer = Answer(words=200, interval=10)
    floor = Job(
        url=stage.passthrough_url, face="direct", answer=answer, streams=streams, stagger_s=answer.duration_s / 2
    )
    ours = msgspec.structs.replace(floor, url=product.url, face="openai", tokens=product.tokens)
    theirs = msgspec.structs.replace(floor, url=proxy.url, bearer=proxy.key)
    return {
        "pass-through": (stage.passthrough.pid, floor),
        "Twinspeak": (product.pid, ours),
        "LiteLLM": (proxy.child.pid, theirs),
    }


def _slow_enough(stage: Stage, product: Product, proxy: Proxy, count: int) -> list[Line]:
    """Compare at 8 streams, where LiteLLM's proxy does not saturate its core yet."""
    jobs = _jobs(stage, product, proxy, 8)
    for _, job in jobs.values():
        stage.warm_up(job)
    found = rounds(count, {name: partial(stage.measure, pid, job) for name, (pid, job) in jobs.items()})
    floor, ours, theirs = (found[name] for name in jobs)
    times = [their.us_per_chunk / our.us_per_chunk for their, our in zip(theirs, ours, strict=True)]
    return [
        _cpu("Twinspeak, chat completions, 8 streams", ours, floor),
        _cpu("LiteLLM's proxy, 8 streams", theirs, floor),
        Line(
            row="1", what="our CPU per chunk as a part of LiteLLM's", figure=1 / median(times), unit="x",
            limit=1 / TIMES_OURS, spread=tuple(1 / time for time in times), note=f"{median(times):.1f} times ours",
        ),
    ]  # fmt: skip


def _cpu(what: str, measured: list[Measured], floor: list[Measured]) -> Line:
    mine = median(m.us_per_chunk for m in measured)
    return Line(
        row="1", what=f"CPU per chunk, {what}", figure=ratio(measured, floor), unit="x the pass-through",
        spread=tuple(ratios(measured, floor)), note=f"{mine:.0f} us", faults=sum(m.seen.faults for m in measured),
    )  # fmt: skip


def _twenty(stage: Stage, product: Product, proxy: Proxy) -> list[Line]:
    """Compare gaps at 20 streams of 100 chunks a second."""
    lines: list[Line] = []
    for name, (pid, job) in _jobs(stage, product, proxy, 20).items():
        measured = stage.measure(pid, job)
        used = measured.cpu_s / measured.seen.elapsed_s
        lines.append(
            Line(
                row="4", what=f"p99 gap, {name}, 20 streams x 100/s", figure=measured.seen.gaps.p99, unit="ms",
                note=f"{used:.0%} of a core; {measured.seen.faults} faults{''.join(measured.seen.errors[:1])}",
            )
        )  # fmt: skip
    return lines


def _at_rest(product: Product, proxy: Proxy) -> list[Line]:
    """Compare memory after the load, and the time to start."""
    lines = [
        Line(row="7", what=f"resident after the load, {name}", figure=sample.memory(pid).rss / 1000, unit="MB")
        for name, pid in (("Twinspeak", product.pid), ("LiteLLM's proxy", proxy.child.pid))
    ]
    return [*lines, Line(row="9", what="start to alive, LiteLLM's proxy", figure=proxy.start_s, unit="s")]


if __name__ == "__main__":
    sys.exit(main())
