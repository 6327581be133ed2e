"""A file as its reader found it: blocks of text in reading order, each with its headings and where it stands."""

import msgspec

from twinspeak.domain.locator import NOWHERE, Locator


class Block(msgspec.Struct, frozen=True, gc=False):
    """A paragraph, a list, a table's rows or a piece of code.

    `headings` are those it stands under, outermost first. `lines`: cut it between lines, never inside one. `lead` is
    put on top of every piece it is cut into: the names of a table's columns.
    """

    text: str
    headings: tuple[str, ...] = ()
    locator: Locator = NOWHERE
    lines: bool = False
    lead: str = ""


class Member(msgspec.Struct, frozen=True):
    """A file found inside another one. `name` is what people see: without a path that leads anywhere.

    `path` is where its bytes are, under the folder that the caller gave; the caller removes it.
    """

    name: str
    path: str
    size: int


class Extracted(msgspec.Struct, frozen=True):
    """What was in a file. `format` and `media_type` come from its content, whatever its name and its sender said.

    `units` counts pages, slides, sheets, chapters or cells (0: it has none). `notes` tell people what was left out.
    `members` of archives and mails become files of their own.
    """

    format: str
    media_type: str
    title: str = ""
    blocks: list[Block] = []
    members: list[Member] = []
    units: int = 0
    notes: list[str] = []


class Limits(msgspec.Struct, frozen=True):
    """What one file may cost. Sizes in bytes or characters, times in seconds.

    `archive_depth` is how many archives may lie inside one another, this one included: whoever reads the members of an
    archive gives one less.
    """

    memory_bytes: int = 1_500_000_000
    cpu_s: int = 120
    wall_s: float = 600.0
    max_chars: int = 20_000_000
    max_rows: int = 200_000
    max_pixels: int = 60_000_000
    max_expanded_bytes: int = 1_000_000_000
    max_member_bytes: int = 150_000_000
    max_members: int = 1_000
    archive_depth: int = 2
    ocr_languages: str = "eng"
