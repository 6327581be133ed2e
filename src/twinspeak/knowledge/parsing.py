"""The process that reads one file, and ends: `python -m twinspeak.knowledge.parsing <request >reports`.

It limits itself before it looks at the file: memory, processor time, the size of what it writes, no core dumps. What it
found goes into a file beside the request; on its standard output it only tells how far it is.
"""

import os
import sys
import traceback
from pathlib import Path
from typing import Any

import msgspec

from twinspeak.domain.errors import CodedError
from twinspeak.domain.file_errors import FileDamaged, FileTooLarge, FileWithoutText
from twinspeak.knowledge.document import Block, Extracted, Limits
from twinspeak.knowledge.formats.reading import Reading
from twinspeak.knowledge.formats.registry import FORMATS, reader_of
from twinspeak.knowledge.formats.sniff import sniff

_RESULT_BYTES = 200_000_000
OUT_OF_MEMORY = 71
_ARCHIVES = frozenset({"zip", "imscc", "mail"})


class Request(msgspec.Struct, frozen=True):
    """What is asked of the process. `result` is where its `Outcome` goes, `folder` where members go."""

    path: str
    name: str
    limits: Limits
    result: str
    folder: str | None
    tesseract: str


class Outcome(msgspec.Struct, frozen=True):
    """What was found, or why not: the code and words of a `FileUnreadable`. `trace` is for the log alone."""

    extracted: Extracted | None = None
    code: str = ""
    message: str = ""
    details: dict[str, Any] = {}
    trace: str = ""


def read_file(request: Request) -> Extracted:
    """Read one file. Raises FileUnreadable, and whatever a parser raises on a strange file."""
    path = Path(request.path)
    kind = sniff(path, request.name)
    reading = Reading(path, request.name, request.limits, Path(request.folder) if request.folder else None)
    reading.scratch = Path(request.result).parent
    reading.tesseract = request.tesseract
    reading.report = _report
    blocks: list[Block] = []
    size = 0
    for block in reader_of(kind)(reading):
        size += len(block.text) + len(block.lead)
        if size > request.limits.max_chars:
            most = request.limits.max_chars
            raise FileTooLarge(f"There are more than {most:,} letters in it.", details={"limit": "chars", "most": most})
        blocks.append(block)
    if not blocks and not reading.members and kind not in _ARCHIVES:
        raise FileWithoutText(details={"reason": "blank"})
    return Extracted(
        format=kind,
        media_type=FORMATS[kind].media_type,
        title=reading.title,
        blocks=blocks,
        members=reading.members,
        units=reading.units,
        notes=list(dict.fromkeys(reading.notes)),
    )


def outcome_of(request: Request) -> Outcome:
    """Read one file; whatever happens becomes an outcome."""
    try:
        return Outcome(extracted=read_file(request))
    except CodedError as error:
        return Outcome(code=error.code, message=error.message, details=error.details)
    except MemoryError:
        return _outcome(FileTooLarge("Reading it takes too much memory.", details={"limit": "memory"}))
    except Exception:
        trace = traceback.format_exc(limit=-6)[-2_000:]
        return Outcome(code=FileDamaged.code, message=FileDamaged.default, trace=trace)


def main() -> None:
    """Do what standard input asks."""
    request = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Request)
    _limit_ourselves(request.limits)
    try:
        encoded = msgspec.msgpack.encode(outcome_of(request))
    except MemoryError:
        sys.exit(OUT_OF_MEMORY)
    Path(request.result).write_bytes(encoded)


def _limit_ourselves(limits: Limits) -> None:
    import resource

    os.setpriority(os.PRIO_PROCESS, 0, 10)
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s, limits.cpu_s + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    written = max(limits.max_member_bytes + (1 << 20), _RESULT_BYTES)
    resource.setrlimit(resource.RLIMIT_FSIZE, (written, written))


def _outcome(error: CodedError) -> Outcome:
    return Outcome(code=error.code, message=error.message, details=error.details)


def _report(done: int, total: int) -> None:
    sys.stdout.write(f"{done} {total}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
