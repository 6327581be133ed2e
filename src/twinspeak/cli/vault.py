"""`twinspeak ingest` and `twinspeak search`: files into a server's vault, and what is found there."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from twinspeak.cli.chat import ClientSettings, login_of, token_for
from twinspeak.cli.client import Client, normal_url
from twinspeak.cli.exits import CommandError, ExitCode
from twinspeak.cli.terminal import consoles, printable

_LOOK_S = 0.5
_SHOWN_CHARS = 400
_PAGE = 1_000


def run_ingest(
    paths: Sequence[Path],
    settings: ClientSettings,
    terms: dict[str, str],
    *,
    password_on_stdin: bool,
    wait: bool,
) -> ExitCode:
    """Send files and, unless told not to, follow them until each is read. Raises CommandError."""
    found = list(files_in(paths))
    if not found:
        raise CommandError("There are no files there.", ExitCode.USAGE)
    return _signed_in(
        settings,
        lambda client, token: _Sending(client, token, terms).run(found, wait=wait),
        password_on_stdin=password_on_stdin,
    )


def run_search(query: str, settings: ClientSettings, *, limit: int, as_json: bool, password_on_stdin: bool) -> ExitCode:
    """Search and print; the exit code tells whether anything was found. Raises CommandError."""
    if not query.strip():
        raise CommandError("There is nothing to look for.", ExitCode.USAGE)

    async def look(client: Client, token: str) -> ExitCode:
        reply = await client.search(token, query, limit)
        results, _ = consoles()
        rows = cast("list[dict[str, Any]]", reply.get("results") or [])
        if as_json:
            results.print(json.dumps(reply, ensure_ascii=False), soft_wrap=True)
        else:
            _show(results, rows)
        return ExitCode.OK if rows else ExitCode.PROBLEM

    return _signed_in(settings, look, password_on_stdin=password_on_stdin)


def files_in(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield files, and those below folders but hidden ones, each once. Raises CommandError for what is not there."""
    seen: set[Path] = set()
    for path in paths:
        if not path.exists():
            raise CommandError(f"There is no {path}.", ExitCode.USAGE)
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        for one in inside:
            hidden = any(part.startswith(".") for part in one.relative_to(path).parts)
            if one.is_file() and not hidden and (known := one.resolve()) not in seen:
                seen.add(known)
                yield one


def _signed_in(
    settings: ClientSettings, work: Callable[[Client, str], Awaitable[ExitCode]], *, password_on_stdin: bool
) -> ExitCode:
    url = normal_url(settings.url)
    login = login_of(settings, password_on_stdin=password_on_stdin)

    async def run() -> ExitCode:
        client = Client.open(url)
        try:
            return await work(client, await token_for(client, login))
        finally:
            await client.close()

    return asyncio.run(run())


class _Sending:
    """Files on their way; `waiting` are ids of those that the server still reads, and their bars."""

    def __init__(self, client: Client, token: str, terms: dict[str, str]) -> None:
        self._client = client
        self._token = token
        self._terms = terms
        self._results, notes = consoles()
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[phase]}", markup=False),
            TimeElapsedColumn(),
            console=notes,
            disable=not notes.is_terminal,
        )
        self._waiting: dict[str, tuple[str, TaskID]] = {}
        self._failed = 0

    async def run(self, files: Sequence[Path], *, wait: bool) -> ExitCode:
        """Send all, then wait."""
        with self._progress:
            for path in files:
                await self._send(path)
                await self._look()
            while wait and self._waiting:
                await asyncio.sleep(_LOOK_S)
                await self._look()
        return ExitCode.PROBLEM if self._failed else ExitCode.OK

    async def _send(self, path: Path) -> None:
        name = printable(str(path))
        bar = self._progress.add_task(name, total=100, phase="sending")
        try:
            reply = await self._client.upload(self._token, path, self._terms)
        except OSError as problem:
            self._end(name, bar, problem.strerror or type(problem).__name__)
            return
        (sent,) = cast("list[dict[str, Any]]", reply["files"])
        if not sent["success"]:
            self._end(name, bar, str(sent["message"]))
        elif sent["duplicate"] and sent["ingestion"]["phase"] == "done":
            self._end(name, bar, "", "there already")
        else:
            self._waiting[sent["uploadId"]] = (name, bar)

    async def _look(self) -> None:
        """Ask how far they are, all in one request a page."""
        left = set(self._waiting)
        page = 1
        while left:
            wanted = {"lean": True, "page": page, "pageSize": _PAGE, **self._terms}
            reply = await self._client.uploads(self._token, wanted)
            for one in cast("list[dict[str, Any]]", reply["data"]):
                if one["_id"] in left:
                    left.discard(one["_id"])
                    self._take(one)
            if not reply["hasMore"]:
                break
            page += 1
        for gone in left:
            name, bar = self._waiting.pop(gone)
            self._end(name, bar, "deleted meanwhile")

    def _take(self, one: dict[str, Any]) -> None:
        name, bar = self._waiting[one["_id"]]
        stage = one["ingestion"]
        if stage["phase"] not in ("done", "error"):
            self._progress.update(bar, completed=stage["progress"], phase=stage["phase"])
            return
        del self._waiting[one["_id"]]
        error = stage["error"]
        self._end(name, bar, "" if error is None else str(error["message"]), f"{one['chunks']} passages")

    def _end(self, name: str, bar: TaskID, problem: str, said: str = "") -> None:
        self._failed += bool(problem)
        self._progress.update(bar, completed=100, phase="failed" if problem else "done")
        mark = "✗" if problem else "✓"
        self._progress.console.print(f"{mark} {name}: {printable(problem or said)}", markup=False, soft_wrap=True)


def _show(results: Console, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        results.print("Nothing fits.")
    for number, row in enumerate(rows, start=1):
        place = ", ".join(filter(None, (row["upload"]["originalname"], row["section"], row["chunkUrl"].lstrip("#"))))
        results.print(f"[{number}] {printable(place)}", style="bold", soft_wrap=True)
        text = " ".join(str(row["content"]).split())
        cut = f"{text[:_SHOWN_CHARS]}…" if len(text) > _SHOWN_CHARS else text
        results.print(f"    {printable(cut)}\n", soft_wrap=True)
