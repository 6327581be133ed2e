"""A real server with people in two twins of one account and one of another; files come in over HTTP.

The ingestion worker runs in the test's own loop when a test says `read`: the same classes as in its own process. Plain
text, which most tests bring, it reads there too (`PlainReader`): starting a process for each would be most of the time.
"""

import io
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from tests.faces import Answer, Face, ask
from tests.organisation import Org, organisation
from tests.world import world
from twinspeak.app.embedding import open_embedders
from twinspeak.app.ingesting import worker_of
from twinspeak.app.reading import limits_of, sizes_of
from twinspeak.domain.clock import now_ms
from twinspeak.domain.ids import new_id
from twinspeak.domain.vault import Document
from twinspeak.knowledge.parsing import Request, outcome_of
from twinspeak.knowledge.reading import FileReader, Source, Tell, WasRead
from twinspeak.knowledge.worker import Worker
from twinspeak.persistence.db import Tx
from twinspeak.persistence.files import LocalFiles
from twinspeak.persistence.repos import documents
from twinspeak.persistence.repos.documents import Piece

LION = b"# The zoo\n\n## Lions\n\nLions are fed at noon by the keeper.\n\n## Owls\n\nOwls are fed at midnight."


class PlainReader(FileReader):
    """Reads Markdown and plain text in this process, as the process for it would; all else in one of its own."""

    async def read(self, source: Source, tell: Tell) -> WasRead:
        if Path(source.name).suffix not in (".md", ".txt"):
            return await super().read(source, tell)
        request = Request(
            path=str(source.path),
            name=source.name,
            limits=self._limits,
            result=str(source.folder / "outcome"),
            folder=None,
            tesseract="",
        )
        found = outcome_of(request).extracted
        if found is None:
            return await super().read(source, tell)
        return WasRead(title=found.title, encoded=msgspec.msgpack.encode(found.blocks), media_type=found.media_type)


@dataclass
class House:
    """Who is in `org`: see `tests.organisation`."""

    org: Org
    worker: Worker

    @property
    def server(self) -> Any:
        return self.org.here.server

    async def read(self) -> None:
        """Do every job that waits."""
        while await self.worker.once():
            pass

    async def send(self, who: str, files: Sequence[tuple[str, bytes]], **fields: Any) -> tuple[int, dict[str, Any]]:
        """Upload; return status and body."""
        form = aiohttp.FormData(quote_fields=False, default_to_multipart=True)
        for name, value in fields.items():
            form.add_field(name, value if isinstance(value, str) else json.dumps(value))
        for name, data in files:
            form.add_field("files", io.BytesIO(data), filename=name)
        headers = self.server.auth(self.org.tokens[who])
        async with self.server.http.post("/api/user/files", data=form, headers=headers) as response:
            return response.status, await response.json()

    async def bring(self, who: str, name: str, data: bytes, **fields: Any) -> str:
        """Upload one file and have it read; return its id."""
        status, body = await self.send(who, [(name, data)], **fields)
        assert status == 200, body
        assert body["files"][0]["success"], body
        await self.read()
        return body["files"][0]["uploadId"]

    async def put(self, who: str, name: str, text: str, **fields: Any) -> str:
        """Have a document there that was taken in, with one passage, sooner than `bring` does; return its id."""
        twin, folder = fields.pop("twin", None), fields.pop("folder", None)
        data = text.encode()
        stands: dict[str, Any] = {"status": "selected", "indexed": True, **fields}
        new = Document(
            id=new_id(),
            institution_id=self.org.ids[twin] if twin else None,
            user_id=None if twin else self.org.ids[who],
            owner_id=self.org.ids[who],
            name=name,
            media_type="text/markdown",
            bytes=len(data),
            content_hash=sha256(data).hexdigest(),
            collection_id=folder,
            created=now_ms(),
            on_disk=True,
            chunks=1,
            **stands,
        )
        files = LocalFiles(self.server.settings.data_dir / "vault")
        staged = files.stage()
        staged.write(data)
        files.keep(staged, new.id)

        def store(tx: Tx) -> None:
            documents.add(tx, new)
            documents.add_chunks(tx, new, 0, [Piece("", text)])

        await self.server.ground.db.write(store)
        return new.id

    async def call(self, who: str | None, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        headers = self.server.auth(self.org.tokens[who]) if who else {}
        async with self.server.http.request(method, path, json=body, headers=headers) as response:
            if response.content_type == "application/json":
                return response.status, await response.json()
            return response.status, await response.read()

    async def document(self, who: str, document_id: str) -> dict[str, Any]:
        status, body = await self.call(who, "GET", f"/api/user/upload/{document_id}")
        assert status == 200, body
        return body["data"]

    async def listed(self, who: str, **body: Any) -> list[str]:
        status, found = await self.call(who, "POST", "/api/user/uploads", body)
        assert status == 200, found
        return sorted(one["originalname"] for one in found["data"])

    async def chunks(self, who: str, document_id: str) -> list[dict[str, Any]]:
        status, found = await self.call(who, "POST", "/api/user/embeddings", {"upload": document_id})
        assert status == 200, found
        return found["data"]

    async def ask(self, who: str, question: str, **args: Any) -> Answer:
        """Ask the `local` model."""
        return await ask(self.server, self.org.tokens[who], Face.REST, question, **args)


@asynccontextmanager
async def house(folder: Path, **changes: Any) -> AsyncGenerator[House]:
    changes.setdefault("default_model", "local")
    async with world(folder, **changes) as here:
        org = await organisation(here)
        settings = here.server.settings
        db, reader = here.server.ground.db, PlainReader(limits_of(settings), sizes_of(settings))
        async with open_embedders(settings, db, here.server.ground.secrets) as embedders:
            yield House(org, worker_of(settings, db, embedders, reader))
