"""Documents from web addresses (reference content 3.6, 3.11): fetched by the guarded way out, then taken like files."""

import asyncio
import mimetypes
import re
from urllib.parse import unquote, urlsplit

from twinspeak.domain.caller import Caller
from twinspeak.domain.errors import Conflict, FetchFailed
from twinspeak.domain.vault import Document, Phase, Status
from twinspeak.egress.fetch import Answer, Bounds, Fetcher, Request
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.files import EXTRACTED, Files, Staged
from twinspeak.persistence.repos import documents
from twinspeak.services import vault_changes as changing
from twinspeak.services import vault_rights as rights
from twinspeak.services.vault import Incoming, Nudge, Taken, Terms, Vaults, media_type_of

FETCH_S = 60.0
_WRITTEN_AT_ONCE = 1 << 20
_FILENAME = re.compile(r"""filename\*?=(?:UTF-8'[^']*'|")?([^";]{1,500})""", re.IGNORECASE)
_HTML = "text/html"
_ACCEPT = "text/html,application/xhtml+xml,application/pdf;q=0.9,*/*;q=0.8"


class Addresses:
    """One for the whole server."""

    def __init__(self, db: Database, vaults: Vaults, files: Files, fetcher: Fetcher, nudge: Nudge) -> None:
        """Keep the parts."""
        self._db = db
        self._vaults = vaults
        self._files = files
        self._fetcher = fetcher
        self._nudge = nudge

    async def take(self, caller: Caller, terms: Terms, *, page: bool, max_bytes: int) -> Taken:
        """Fetch `terms.source_url` and take what comes; `page`: a web page's text is what is wanted of it.

        Raises what `Vaults.take` raises, AddressNotAllowed and FetchFailed.
        """
        await self._vaults.target(caller, terms)
        staged = await asyncio.to_thread(self._vaults.stage)
        try:
            answer = await self._fetch(terms.source_url, staged, max_bytes)
            name = _name(answer, page=page)
            return await self._vaults.take(caller, terms, Incoming(staged, name, answer.media_type))
        finally:
            await asyncio.to_thread(staged.discard)

    async def again(self, caller: Caller, document_id: str, *, skip_indexing: bool, max_bytes: int) -> Document:
        """Fetch a document's address once more, and put what comes in the place of its file.

        Raises InvalidId, NotFound, what `vault_rights.writable` raises, Conflict (it came from no address, or is being
        read), AddressNotAllowed and FetchFailed.
        """

        def look(tx: Tx) -> Document:
            found = rights.write(tx, caller, document_id, param="fileId")
            if not found.source_url:
                raise Conflict("This document did not come from a web address.")
            if found.busy:
                raise Conflict("This document is being read already.", details={"phase": found.phase})
            return found

        found = await self._db.read(look)
        staged = await asyncio.to_thread(self._vaults.stage)
        try:
            answer = await self._fetch(found.source_url, staged, max_bytes)
            await asyncio.to_thread(self._files.keep, staged, found.id)
        finally:
            await asyncio.to_thread(staged.discard)
        await asyncio.to_thread(self._files.remove, found.id, EXTRACTED)

        def store(tx: Tx) -> Document:
            there = look(tx)
            values = {
                "bytes": staged.size,
                "content_hash": staged.digest,
                "media_type": media_type_of(there.name, answer.media_type),
                "on_disk": True,
            }
            there = documents.change(tx, there, **values)
            if not skip_indexing:
                return changing.requeue(tx, there, full=True)
            documents.drop_chunks(tx, there.id)
            kept = {"status": Status.ACTIVE, "phase": Phase.DONE, "indexed": False, "chunks": 0}
            return documents.change(tx, there, **kept, skip_indexing=True)

        after = await self._db.write(store)
        self._nudge()
        return after

    async def _fetch(self, url: str, staged: Staged, max_bytes: int) -> Answer:
        bounds = Bounds(max_bytes=max_bytes, total_s=FETCH_S)
        async with self._fetcher.ask(Request(url, headers={"accept": _ACCEPT}), bounds) as answer:
            if not 200 <= answer.status < 300:
                raise FetchFailed(
                    f"The web address answered with status {answer.status}.",
                    details={"reason": "status", "status": answer.status},
                )
            pending = bytearray()
            async for piece in answer.pieces():
                pending += piece
                if len(pending) >= _WRITTEN_AT_ONCE:
                    await asyncio.to_thread(staged.write, bytes(pending))
                    pending.clear()
            await asyncio.to_thread(staged.write, bytes(pending))
            return answer


def _name(answer: Answer, *, page: bool) -> str:
    """Return a name for what an address gave: the one it says, else its path's last part, else its host."""
    said = _FILENAME.search(answer.headers.get("content-disposition", ""))
    parts = urlsplit(answer.url)
    name = (
        unquote(said[1]) if said else unquote(parts.path.rstrip("/").rpartition("/")[2]) or (parts.hostname or "page")
    )
    if page and mimetypes.guess_type(name)[0] != _HTML:
        return f"{name}.html"
    # Servers send much as text/plain that is something better: an ending that is known says more.
    ending = "" if mimetypes.guess_type(name)[0] else mimetypes.guess_extension(answer.media_type) or ""
    return f"{name}{ending}"
