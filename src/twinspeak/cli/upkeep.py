"""`twinspeak backup`, `restore` and `check`: what an operator does with the data."""

from pathlib import Path

from twinspeak.cli.config import load_settings
from twinspeak.cli.exits import ExitCode
from twinspeak.cli.terminal import printable


def back_up(file: Path, *, data_dir: Path | None) -> None:
    """Write a backup and say what it holds. Raises OperatorError."""
    from twinspeak.app.backing import back_up as make

    done = make(load_settings(data_dir=data_dir), file)
    _say(f"Backup   {done.file} ({done.bytes / 1024:,.0f} KB)")
    _say(f"Holds    {len(done.manifest.files)} files, {done.manifest.database} at revision {done.manifest.revision}")
    _say("It holds everything: what people asked, and the keys that sign tokens. Keep it as safe as the server.")
    for name in done.elsewhere:
        _say(f"Not in it: {name}, which comes from the environment. Keep it elsewhere: without it nothing opens.")


def restore(file: Path, *, force: bool, data_dir: Path | None) -> None:
    """Put a backup in place and look whether all is well. Raises OperatorError."""
    from twinspeak.app.restoring import restore as put

    settings = load_settings(data_dir=data_dir)
    done = put(settings, file, force=force)
    _say(f"Restored {file}, made {done.manifest.created} by Twinspeak {done.manifest.twinspeak}.")
    if done.upgraded_from is not None:
        _say(f"The database was at revision {done.upgraded_from} and has been brought to this version.")
    if done.aside is not None:
        _say(f"What was there before is in {done.aside}: remove it when you do not need it any more.")
    _say("Everybody has to sign in again. The next start settles turns that ran when the backup was made.")


def check(*, repair: bool, data_dir: Path | None) -> ExitCode:
    """Look at books and tables, and say what is wrong; PROBLEM when something is left. Raises OperatorError."""
    from twinspeak.app import upkeep

    settings = load_settings(data_dir=data_dir)
    report = upkeep.repair(settings) if repair else upkeep.check(settings)
    if report.settled:
        _say(f"Settled {report.settled} turns that nobody ran.")
    for words in report.repaired:
        _say(f"repaired: {words}")
    for words in report.problems:
        _say(f"✗ {words}")
    if report.clean:
        _say("Ledger, turns and tables are as they must be.")
        return ExitCode.OK
    count = len(report.problems)
    _say(f"{count} problem{'' if count == 1 else 's'} found." + _advice(repaired=repair))
    return ExitCode.PROBLEM


def _advice(*, repaired: bool) -> str:
    if repaired:
        return " These cannot be repaired safely: restore a backup, or ask for help with this output."
    return " With the server stopped, `twinspeak check --repair` repairs what can safely be repaired."


def _say(line: str) -> None:
    print(printable(line))
