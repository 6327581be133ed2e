"""What happens to a document while a worker has it in hand: deleted, hidden, cancelled, begun again; two workers."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from tests.vault.house import House, PlainReader
from twinspeak.app.embedding import open_embedders
from twinspeak.app.ingesting import worker_of
from twinspeak.app.reading import limits_of, sizes_of
from twinspeak.knowledge.reading import Source, Tell, WasRead
from twinspeak.knowledge.worker import Worker

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

WAIT_S = 20


class Held(PlainReader):
    """Stops in the middle of a file until it is let go."""

    begun: asyncio.Event
    go: asyncio.Event

    async def read(self, source: Source, tell: Tell) -> WasRead:
        self.begun.set()
        await self.go.wait()
        return await super().read(source, tell)


@asynccontextmanager
async def reading(here: House, name: str) -> AsyncGenerator[tuple[str, Held]]:
    """Bring a file, and have a worker stop in the middle of it; afterwards the worker goes on to its end."""
    settings, db = here.server.settings, here.server.ground.db
    reader = Held(limits_of(settings), sizes_of(settings))
    reader.begun, reader.go = asyncio.Event(), asyncio.Event()
    _, body = await here.send("member", [(name, f"The {name} of it.".encode())])
    async with open_embedders(settings, db, here.server.ground.secrets) as embedders, asyncio.TaskGroup() as group:
        work = group.create_task(worker_of(settings, db, embedders, reader).once())
        await asyncio.wait_for(reader.begun.wait(), WAIT_S)
        yield body["files"][0]["uploadId"], reader
        reader.go.set()
        assert await asyncio.wait_for(work, WAIT_S)


async def found(here: House, word: str) -> list[str]:
    _, body = await here.call("member", "POST", "/api/user/files/search-content", {"query": word})
    return [one["upload"]["originalname"] for one in body["results"]]


async def test_deleted_in_the_middle(here: House) -> None:
    async with reading(here, "narwhal.md") as (document, _):
        assert (await here.call("member", "DELETE", f"/api/user/upload/{document}"))[0] == 200
    assert (await here.call("member", "GET", f"/api/user/upload/{document}"))[0] == 404
    assert await found(here, "narwhal") == []
    assert not await here.worker.once()
    # The worker may have kept the text after the files were gone: the sweeper finds that.
    services = here.server.live.asgi.state.services
    await services.vaults.sweep(before=2**40)
    assert not (here.server.settings.data_dir / "vault" / document[-2:] / document).exists()


async def test_hidden_in_the_middle_and_back_again(here: House) -> None:
    async with reading(here, "beluga.md") as (document, _):
        path = f"/api/user/upload/{document}"
        assert (await here.call("member", "PUT", path, {"status": "deleted"}))[0] == 200
    assert await found(here, "beluga") == []
    assert (await here.call("member", "PUT", path, {"status": "selected"}))[0] == 200
    assert (await here.document("member", document))["ingestion"]["error"]["code"] == "ingestion_cancelled"
    assert (await here.call("member", "POST", f"/api/user/files/{document}/reprocess", {}))[0] == 200
    await here.read()
    assert await found(here, "beluga") == ["beluga.md"]


async def test_cancelled_in_the_middle(here: House) -> None:
    async with reading(here, "orca.md") as (document, _):
        assert (await here.call("member", "POST", f"/api/user/files/{document}/reprocess", {}))[0] == 409
        assert (await here.call("member", "POST", f"/api/user/files/{document}/cancel"))[0] == 200
    stopped = await here.document("member", document)
    assert (stopped["ingestion"]["phase"], stopped["chunks"]) == ("error", 0)
    assert await here.chunks("member", document) == []


async def test_cancelled_and_begun_again_while_the_first_worker_still_reads(here: House) -> None:
    """The first one's job is not the second one's: it writes nothing over what that did."""
    async with reading(here, "porpoise.md") as (document, _):
        assert (await here.call("member", "POST", f"/api/user/files/{document}/cancel"))[0] == 200
        assert (await here.call("member", "POST", f"/api/user/files/{document}/reprocess", {}))[0] == 200
        await here.read()
        assert (await here.document("member", document))["ingestion"]["phase"] == "done"
    done = await here.document("member", document)
    assert (done["ingestion"]["phase"], done["chunks"]) == ("done", 1)
    assert len(await here.chunks("member", document)) == 1
    assert await found(here, "porpoise") == ["porpoise.md"]


async def test_two_workers_share_what_waits(here: House) -> None:
    files = [(f"cod{number}.md", f"# Cod {number}\n\nA cod, number {number}.".encode()) for number in range(8)]
    _, body = await here.send("bare", files)
    settings, db = here.server.settings, here.server.ground.db

    async def drain(worker: Worker) -> int:
        done = 0
        while await worker.once():
            done += 1
        return done

    async with open_embedders(settings, db, here.server.ground.secrets) as embedders:
        reader = PlainReader(limits_of(settings), sizes_of(settings))
        both = [worker_of(settings, db, embedders, reader) for _ in range(2)]
        assert sum(await asyncio.gather(*map(drain, both))) == len(files)
    for one in body["files"]:
        shown = await here.document("bare", one["uploadId"])
        assert (shown["ingestion"]["phase"], shown["chunks"]) == ("done", 1)
        assert len(await here.chunks("bare", one["uploadId"])) == 1
