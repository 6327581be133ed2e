"""`twinspeak doctor`: can a server run here, and if not, what to do. Looks, and changes nothing."""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.style import Style

from twinspeak.cli.checks import Finding, Verdict, machine, network
from twinspeak.cli.config import load_settings
from twinspeak.cli.exits import ExitCode
from twinspeak.cli.terminal import consoles, write
from twinspeak.domain.errors import OperatorError
from twinspeak.settings import Settings

_MARKS = {
    Verdict.GOOD: ("✓", Style(color="green")),
    Verdict.WARNING: ("!", Style(color="yellow")),
    Verdict.PROBLEM: ("✗", Style(color="red")),
}


def examine(*, host: str | None, port: int | None, data_dir: Path | None) -> ExitCode:
    """Run every check and print what it found; PROBLEM when one found a problem."""
    findings = list(_findings(host=host, port=port, data_dir=data_dir))
    report(findings)
    return ExitCode.PROBLEM if any(found.verdict is Verdict.PROBLEM for found in findings) else ExitCode.OK


def report(findings: Sequence[Finding]) -> None:
    """Print findings, a line each and what to do below, and a last line that sums up."""
    results, _ = consoles()
    width = max(len(found.subject) for found in findings)
    for found in findings:
        mark, style = _MARKS[found.verdict]
        write(results, mark, style)
        write(results, f" {found.subject:<{width}}  {found.detail}\n")
        if found.remedy:
            write(results, f"  {'':<{width}}  → {found.remedy}\n")
    problems = sum(found.verdict is Verdict.PROBLEM for found in findings)
    words = "No problem found." if not problems else f"{problems} problem{'' if problems == 1 else 's'} found."
    write(results, f"\n{words}\n")


def _findings(*, host: str | None, port: int | None, data_dir: Path | None) -> Iterable[Finding]:
    yield from machine.look()
    try:
        settings = load_settings(host=host, port=port, data_dir=data_dir)
    except OperatorError as problem:
        yield Finding("settings", Verdict.PROBLEM, str(problem).replace("\n", "; "), "See docs/settings.md.")
        return
    yield Finding("settings", Verdict.GOOD, "can be read")
    yield from machine.look_at_data(settings.data_dir)
    yield _database(settings)
    yield from asyncio.run(_network(settings))


async def _network(settings: Settings) -> list[Finding]:
    return [await network.port(settings.host, settings.port), await network.provider(settings)]


def _database(settings: Settings) -> Finding:
    from twinspeak.app import offline

    try:
        state = offline.look_at_database(settings)
    except OperatorError as problem:
        return Finding("database", Verdict.PROBLEM, str(problem), "Correct TWINSPEAK_DATABASE_URL.")
    if state.revision is None:
        return Finding("database", Verdict.GOOD, "not there yet; `twinspeak serve` creates it")
    if state.revision == state.head:
        return Finding("database", Verdict.GOOD, f"reachable, at revision {state.head}")
    if state.known:
        detail = f"at revision {state.revision}, this version needs {state.head}"
        return Finding("database", Verdict.WARNING, detail, "Back it up; `twinspeak serve` or `migrate` upgrades it.")
    detail = f"at revision {state.revision}, which this version does not know"
    return Finding("database", Verdict.PROBLEM, detail, "Run the newer version that wrote it, or restore a backup.")
