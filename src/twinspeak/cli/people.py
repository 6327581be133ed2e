"""`twinspeak user add` and `twinspeak user let-in`."""

import getpass
import sys
from pathlib import Path

from twinspeak.app import offline
from twinspeak.cli.config import load_settings
from twinspeak.cli.exits import CommandError, ExitCode


def add(email: str, *, admin: bool, password_on_stdin: bool, twin: str | None, data_dir: Path | None) -> None:
    """Add a person and say how to sign in. Raises OperatorError, CodedError, CommandError."""
    password = _password() if password_on_stdin else None
    settings = load_settings(data_dir=data_dir)
    added = offline.add_user(settings, offline.Newcomer(email=email, password=password, admin=admin, twin=twin))
    print(f"Added {added.email}{' as an administrator' if admin else ''}.")
    if added.twin_name:
        print(f"Member of     {added.twin_name}")
    if added.generated_password is not None:
        print(f"Password      {added.generated_password}\n              (shown only this once: pass it on safely)")


def let_in(email: str, *, password_on_stdin: bool, data_dir: Path | None) -> None:
    """Let somebody in again and say how. Raises OperatorError, CodedError, CommandError."""
    password = _password() if password_on_stdin else None
    done = offline.let_in(load_settings(data_dir=data_dir), email, password)
    print(f"{done.email} can sign in with the new password.")
    print(f"Second step   {'taken away: it can be switched on again' if done.had_second_step else 'there was none'}")
    print(f"Sessions      {done.ended_sessions} ended")
    if done.generated_password is not None:
        print(f"Password      {done.generated_password}\n              (shown only this once: pass it on safely)")


def _password() -> str:
    if sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if getpass.getpass("Once more: ") != password:
            raise CommandError("The two passwords are not the same.", ExitCode.USAGE)
        return password
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise CommandError("There is no password on standard input.", ExitCode.USAGE)
    return password
