"""Writing to a terminal without letting what is written take it over."""

import re
import sys

from rich.console import Console
from rich.segment import Segment, Segments
from rich.style import Style

_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What moves a cursor, sets a title or rings a bell: all controls but tab and line feed."""


def consoles() -> tuple[Console, Console]:
    """Return (results, notes): standard output for what was asked for, standard error for the rest.

    On a terminal both are standard output, so that their order is kept.
    """
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="replace")
    results = Console(highlight=False, emoji=False, markup=False)
    notes = results if results.is_terminal else Console(stderr=True, highlight=False, emoji=False, markup=False)
    return results, notes


def printable(text: str) -> str:
    """Return `text` without control characters, and with halves of characters replaced."""
    return _STEERING.sub("", text).encode("utf-8", "replace").decode()


def write(console: Console, text: str, style: Style | None = None) -> None:
    """Write `text` at once and as it is: no wrapping, no markup, no line feed added; printable on a terminal."""
    shown = printable(text) if console.is_terminal else text.encode("utf-8", "replace").decode()
    console.print(Segments([Segment(shown, style)]), end="", soft_wrap=True)
    console.file.flush()
