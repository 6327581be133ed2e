"""How a command ends: exit codes, and the error that carries one (docs/operating.md tells operators)."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the shell sees. Stable: scripts compare."""

    OK = 0
    PROBLEM = 1
    USAGE = 2
    CANNOT_START = 3
    REFUSED = 4
    UNREACHABLE = 5
    ANSWER_FAILED = 6
    INTERRUPTED = 130


class CommandError(Exception):
    """A command cannot go on. `hint` says what to do about it; both are shown to a person, without a traceback."""

    def __init__(self, message: str, code: ExitCode = ExitCode.PROBLEM, *, hint: str = "") -> None:
        """Keep what is shown and how the process ends."""
        self.message = message
        self.code = code
        self.hint = hint
        super().__init__(message)
