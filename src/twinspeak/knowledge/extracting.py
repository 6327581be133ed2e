"""Files to text, each in a process of its own: whatever a file does to its parser, the server goes on.

The process gets no environment, no secrets and no connection; it limits its own memory and time, and is killed with
everything that it started when it does not end in time.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import structlog

import twinspeak
from twinspeak.domain import file_errors
from twinspeak.domain.file_errors import FileDamaged, FileTooLarge, FileTooSlow, FileUnreadable
from twinspeak.knowledge.document import Extracted, Limits
from twinspeak.knowledge.formats.registry import FORMATS
from twinspeak.knowledge.parsing import OUT_OF_MEMORY, Outcome, Request

Progress = Callable[[float], None]

_LONGEST_LINE: Final = 100
_ERRORS: Final = {
    error.code: error
    for error in vars(file_errors).values()
    if isinstance(error, type) and issubclass(error, FileUnreadable)
}
_log = structlog.get_logger(__name__)


async def extract(
    path: Path,
    name: str,
    media_type: str,
    limits: Limits,
    *,
    members_into: Path | None = None,
    progress: Progress | None = None,
) -> Extracted:
    """Read a file: what it is comes from its content; `name` and the declared `media_type` only part kinds of text.

    `members_into` takes the files inside an archive or a mail; None: they are not kept. `progress` is told how far the
    reading is, 0 to 1, from this event loop. Raises FileUnreadable and its subclasses, which say what is wrong with the
    file; OSError when no process could be started, which another attempt may cure.
    """
    with tempfile.TemporaryDirectory(prefix="twinspeak-reading-") as folder:
        request = _request(path, _name_for(name, media_type), limits, members_into, Path(folder))
        status = await _run(request, Path(folder), progress)
        outcome = await asyncio.to_thread(_read, Path(request.result))
    if outcome is None:
        raise _died_of(status, limits)
    if outcome.trace:
        _log.info("a file could not be read", trace=outcome.trace)
    if outcome.extracted is None:
        raise _ERRORS.get(outcome.code, FileUnreadable)(outcome.message, details=outcome.details)
    if not all(_is_ours(Path(member.path), members_into) for member in outcome.extracted.members):
        raise FileDamaged(details={"format": outcome.extracted.format})
    return outcome.extracted


def _request(path: Path, name: str, limits: Limits, members_into: Path | None, folder: Path) -> Request:
    return Request(
        path=str(path.absolute()),
        name=name,
        limits=limits,
        result=str(folder / "outcome"),
        folder=str(members_into.absolute()) if members_into else None,
        tesseract=shutil.which("tesseract") or "",
    )


async def _run(request: Request, folder: Path, progress: Progress | None) -> int:
    """Run the process to its end, or to its time limit; return how it ended, negative for a signal."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "twinspeak.knowledge.parsing",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=folder,
        env={
            "PATH": os.defpath,
            "PYTHONPATH": str(Path(twinspeak.__file__).parents[1]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LC_ALL": "C.UTF-8",
            "OMP_THREAD_LIMIT": "1",
            "TMPDIR": str(folder),
        },
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(request.limits.wall_s):
            await _talk(process, request, progress)
            return await process.wait()
    except TimeoutError:
        raise FileTooSlow from None
    finally:
        # Also what it started itself, and when this task is cancelled.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.shield(process.wait())


async def _talk(process: asyncio.subprocess.Process, request: Request, progress: Progress | None) -> None:
    asks, tells = process.stdin, process.stdout
    if asks is None or tells is None:
        raise RuntimeError("the process was started without its pipes")
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        asks.write(msgspec.msgpack.encode(request))
        await asks.drain()
    asks.close()
    while line := await tells.readline():
        done, _, total = line[:_LONGEST_LINE].partition(b" ")
        if progress is not None and done.isdigit() and total.strip().isdigit():
            progress(min(int(done) / max(int(total), 1), 1.0))


def _read(result: Path) -> Outcome | None:
    try:
        return msgspec.msgpack.decode(result.read_bytes(), type=Outcome)
    except (OSError, msgspec.DecodeError):
        return None


def _is_ours(path: Path, folder: Path | None) -> bool:
    """Whether a member is where it was to be put: a process that a file has taken over may name any path."""
    return folder is not None and path.parent == folder.absolute() and path.is_file() and not path.is_symlink()


def _died_of(status: int, limits: Limits) -> FileUnreadable:
    """Return what it means that the process ended without a word."""
    if status == -signal.SIGXCPU:
        return FileTooSlow()
    if status in {-signal.SIGKILL, -signal.SIGABRT, OUT_OF_MEMORY}:
        return FileTooLarge("Reading it takes too much memory.", details={"limit": "memory"})
    if status == -signal.SIGXFSZ:
        return FileTooLarge(details={"limit": "bytes", "most": limits.max_member_bytes})
    return FileDamaged(details={"format": "unknown"})


def _name_for(name: str, media_type: str) -> str:
    """Return a name that tells the kind of a text: the declared type's, where the file's own name has no ending."""
    if "." in name[1:]:
        return name
    declared = media_type.partition(";")[0].strip().lower()
    kind = next((kind for kind, known in FORMATS.items() if known.media_type == declared), "")
    ending = {"markdown": "md", "html": "html", "csv": "csv"}.get(kind, "")
    return f"{name}.{ending}" if ending else name
