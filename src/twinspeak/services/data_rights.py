"""One's own data: how much there is, all of it in a file, and erasing parts of it (reference, content 8.4; GDPR).

An export is a job: asked for once an hour, made in the background a page at a time, told of by mail with a link that is
good for 30 days. Erasing is of one's personal space; what was said in twins goes with the account (decision 042).
"""

import asyncio
import contextlib
import hashlib
import secrets
from pathlib import Path
from typing import Any

import msgspec
import structlog

from twinspeak.domain.caller import Actor, Caller
from twinspeak.domain.clock import iso, now_ms
from twinspeak.domain.errors import CallerError, CodedError, NotFound, RateLimited
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.export_files import ExportFile
from twinspeak.persistence.repos import personal_data, users
from twinspeak.persistence.repos.personal_data import KINDS, Counted, Export
from twinspeak.services import audit, mails, policy
from twinspeak.services.audit import Target
from twinspeak.services.ports import MailSender

BETWEEN_MS = 3_600_000
KEEP_MS = 30 * 86_400_000
IDLE_S = 60.0
_TIMES = ("created", "updated", "last_seen", "expires")
_README = """Your data, as of {at}.

A file for each kind, as comma-separated values in UTF-8; times are UTC. A text that a spreadsheet would take for a
formula begins with an apostrophe that is not part of it. assets/ holds the text of each of your own uploads.

{kinds}
"""

_log = structlog.get_logger(__name__)


class Parts(msgspec.Struct, frozen=True):
    """What to erase."""

    dialogues: bool = False
    vault: bool = False
    memory: bool = False
    assistants: bool = False
    feedback: bool = False
    sessions: bool = False


class Erased(msgspec.Struct, frozen=True):
    """How much was erased of each."""

    dialogues: int = 0
    uploads: int = 0
    bytes: int = 0
    memory: int = 0
    assistants: int = 0
    feedback: int = 0
    sessions: int = 0
    summaries: int = 0


class _Gone(Exception):
    """There is nobody to make it for."""


class DataRights:
    """Personal data. One for the whole server."""

    def __init__(self, db: Database, mail: MailSender, folder: Path, *, public_url: str) -> None:
        """`folder` is where exports are kept."""
        self._db = db
        self._mail = mail
        self._folder = folder
        self._public_url = public_url.rstrip("/")
        self._wake = asyncio.Event()

    async def stats(self, caller: Caller) -> dict[str, Counted]:
        """Return how much there is of each kind, in twins and outside of them."""
        return await self._db.read(lambda tx: personal_data.count(tx, caller.user_id))

    async def ask(self, by: Actor) -> Export:
        """Have an export made. Raises RateLimited (once an hour), ActingAsSomebody."""
        policy.as_oneself(by.caller)
        user_id = by.caller.user_id

        def store(tx: Tx) -> Export:
            before = personal_data.latest(tx, user_id)
            wait_ms = before.created + BETWEEN_MS - now_ms() if before is not None else 0
            if wait_ms > 0:
                raise RateLimited("One export an hour.", retry_after_s=wait_ms // 1000 + 1)
            made = personal_data.ask(tx, user_id, expires=now_ms() + KEEP_MS)
            audit.note(tx, by, "user.data_exported", Target("user", user_id), after={"export": made})
            found = personal_data.latest(tx, user_id)
            if found is None:
                raise NotFound
            return found

        asked = await self._db.write(store)
        self._wake.set()
        return asked

    async def latest(self, caller: Caller) -> Export | None:
        """Return how far the caller's latest export is."""
        return await self._db.read(lambda tx: personal_data.latest(tx, caller.user_id))

    async def file(self, link: str) -> Path:
        """Return the file that a mailed link leads to. Raises NotFound, whatever is wrong with it."""
        found = await self._db.read(lambda tx: personal_data.by_link(tx, _hash(link)))
        path = self._path(found.id) if found is not None else None
        if path is None or not await asyncio.to_thread(path.is_file):
            raise NotFound
        return path

    async def erase(self, by: Actor, parts: Parts) -> Erased:
        """Erase parts of the caller's personal space; twice is fine. Raises CallerError (nothing named)."""
        policy.as_oneself(by.caller)
        named = [name for name, wanted in msgspec.structs.asdict(parts).items() if wanted]
        if not named:
            raise CallerError("Name at least one kind of data to erase.")
        user_id, dialogues = by.caller.user_id, 0
        while parts.dialogues and (more := await self._db.write(lambda tx: personal_data.erase_dialogues(tx, user_id))):
            dialogues += more

        def store(tx: Tx) -> Erased:
            uploads, size = personal_data.erase_documents(tx, user_id) if parts.vault else (0, 0)
            audit.note(tx, by, "user.data_erased", Target("user", user_id), after={"parts": named})
            return Erased(
                dialogues=dialogues,
                uploads=uploads,
                bytes=size,
                memory=personal_data.erase_memory(tx, user_id) if parts.memory else 0,
                assistants=personal_data.erase_assistants(tx, user_id) if parts.assistants else 0,
                feedback=personal_data.erase_feedback(tx, user_id) if parts.feedback else 0,
                sessions=personal_data.erase_sessions(tx, user_id) if parts.sessions else 0,
                summaries=personal_data.erase_summaries(tx, user_id) if parts.dialogues else 0,
            )

        return await self._db.write(store)

    async def run(self) -> None:
        """Make exports as they are asked for, and take away those that have run out, until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self.once()
            except CodedError as error:
                _log.warning("exports put off", code=error.code)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), IDLE_S)

    async def once(self) -> None:
        """Make every export that waits, and forget every one that has run out. Raises CodedError."""
        for export_id in await self._db.read(personal_data.outdated):
            await asyncio.to_thread(self._path(export_id).unlink, missing_ok=True)
            await self._db.write(lambda tx, gone=export_id: personal_data.forget(tx, gone))
        for export in await self._db.read(personal_data.unfinished):
            await self._make(export)

    async def _make(self, export: Export) -> None:
        user = await self._db.read(lambda tx: users.by_id(tx, export.user_id))
        link = secrets.token_urlsafe(32)
        try:
            size = await self._write(export)
            done = {"state": "ready", "finished": now_ms(), "bytes": size, "link_hash": _hash(link)}
            if not await self._note(export, **done) or user is None:
                raise _Gone
        except _Gone:
            await asyncio.to_thread(self._path(export.id).unlink, missing_ok=True)
        except OSError as error:
            _log.warning("export failed", export=export.id, error=error.strerror or type(error).__name__)
            await self._note(export, state="failed", finished=now_ms())
            if user is not None:
                self._mail.send(mails.export_failed(user.email))
        else:
            self._mail.send(mails.export_ready(user.email, f"{self._public_url}/api/data-export/{link}"))

    async def _write(self, export: Export) -> int:
        """Write the file; return its bytes. Raises OSError, _Gone."""
        counted = await self._db.read(lambda tx: personal_data.count(tx, export.user_id))
        total, done = sum(one.count for one in counted.values()), 0
        await self._note(export, state="running", total=total, done=0)
        file = await asyncio.to_thread(ExportFile, self._path(export.id))
        try:
            kinds = "\n".join(f"{name}.csv  {one.count}" for name, one in counted.items())
            await asyncio.to_thread(_readme, file, kinds)
            for name in KINDS:
                await asyncio.to_thread(file.begin, f"{name}.csv")
                last, head = "", True
                while head or last:
                    rows = await self._page(name, export.user_id, last)
                    await asyncio.to_thread(file.rows, KINDS[name].columns, rows, head=head)
                    last, head, done = rows[-1]["id"] if rows else "", False, done + len(rows)
                    if rows and not await self._note(export, done=min(done, total)):
                        raise _Gone
            await self._assets(file, export)
            return await asyncio.to_thread(file.close)
        finally:
            await asyncio.to_thread(file.drop)

    async def _assets(self, file: ExportFile, export: Export) -> None:
        last = ""
        while rows := await self._page("uploads", export.user_id, last):
            for row in rows:
                await asyncio.to_thread(file.begin, f"assets/{row['id']}.txt")
                after = -1
                while pieces := await self._db.read(
                    lambda tx, at=after, one=row["id"]: personal_data.text_of(tx, one, at)
                ):
                    after = pieces[-1][0]
                    await asyncio.to_thread(file.write, "".join(f"{text}\n\n" for _, text in pieces))
            last = rows[-1]["id"]

    async def _page(self, name: str, user_id: str, after: str) -> list[dict[str, Any]]:
        rows = await self._db.read(lambda tx: personal_data.page(tx, name, user_id, after))
        for row in rows:
            row.update({key: iso(row[key]) for key in _TIMES if row.get(key) is not None})
        return rows

    async def _note(self, export: Export, **values: Any) -> bool:  # noqa: ANN401 -- whatever columns hold
        return await self._db.write(lambda tx: personal_data.progress(tx, export.id, **values))

    def _path(self, export_id: str) -> Path:
        return self._folder / f"{export_id}.zip"


def _readme(file: ExportFile, kinds: str) -> None:
    file.begin("README.txt")
    file.write(_README.format(at=iso(now_ms()), kinds=kinds))


def _hash(link: str) -> str:
    return hashlib.sha256(link.encode()).hexdigest()
