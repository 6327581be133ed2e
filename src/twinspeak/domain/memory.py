"""What is remembered of people: named values, personal, private to a twin, or shared in it (reference content 8.1)."""

from enum import StrEnum

import msgspec

NAME_CHARS, VALUE_CHARS, DESCRIPTION_CHARS, NAMESPACE_CHARS = 100, 2_000, 500, 100
MOST_OWN = 200
"""Of one person in one place."""
MOST_SHARED = 500
"""Of one twin."""
PROMPT_CHARS = 6_000
"""Of all that goes into a prompt; the latest comes first."""


class MemoryScope(StrEnum):
    """Who reads it: its owner everywhere, its owner inside one twin, every member of that twin."""

    PERSONAL = "personal"
    TWIN = "twin"
    SHARED = "shared"


class Memory(msgspec.Struct, frozen=True):
    """One memory. `source` is user or model; `turn_id` is the turn in which a model wrote it last.

    `version` counts its changes, so that of two people who change it at once the second one is told. Times are epoch
    milliseconds; `author` is a name, for what is shared.
    """

    id: str
    institution_id: str | None
    user_id: str
    shared: bool
    name: str
    value: str
    description: str
    namespace: str
    source: str
    turn_id: str | None
    version: int
    created: int
    updated: int
    author: str = ""

    @property
    def scope(self) -> MemoryScope:
        """Who reads it."""
        if self.institution_id is None:
            return MemoryScope.PERSONAL
        return MemoryScope.SHARED if self.shared else MemoryScope.TWIN


def notes(memories: tuple[Memory, ...]) -> str:
    """Return memories as a prompt shows them: a line each, the latest first, as many as fit.

    What they hold is data: no line of one can look like another, whatever is in it.
    """
    lines: list[str] = []
    room = PROMPT_CHARS
    for memory in sorted(memories, key=lambda one: (-one.updated, one.id)):
        about = f" ({_line(memory.description)})" if memory.description else ""
        whose = f" [shared by {_line(memory.author) or 'a member'}]" if memory.shared else ""
        line = f"- {_line(memory.namespace)}/{_line(memory.name)}{about}: {_line(memory.value)}{whose}"
        room -= len(line) + 1
        if room < 0:
            break
        lines.append(line)
    return "\n".join(lines)


def _line(text: str) -> str:
    return " ".join(text.split())
