"""The documents that a new installation's sample twin answers from.

Their sentences stand alone: the built-in model quotes single sentences. tests/knowledge/questions.py lists what must be
found in them; whoever changes a fact of the product changes it here too.
"""

from importlib.resources import files

import msgspec


class Sample(msgspec.Struct, frozen=True):
    """A document that comes with the package: its file name and its Markdown."""

    name: str
    text: str


def samples() -> list[Sample]:
    """Read the sample documents from the installed package, in the order of their names."""
    documents = sorted(
        (entry for entry in files(__name__).iterdir() if entry.name.endswith(".md")), key=lambda entry: entry.name
    )
    return [Sample(entry.name, entry.read_text(encoding="utf-8")) for entry in documents]
