"""A file becomes a document that can be found: extract, chunk, sanitize, embed, finalize (reference content 3.4).

Every phase is committed before the next begins, together with the lease of the job (`persistence.jobs.hold`), so a
worker that is killed anywhere is followed by one that does that phase again, and a worker that lost its job, or whose
document was deleted or cancelled meanwhile, writes nothing more. Passages are found by nobody before `finalize`.
"""

import asyncio
import mimetypes
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import structlog

from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import CodedError, ServiceError
from twinspeak.domain.ids import new_id
from twinspeak.domain.vault import (
    BANDS,
    FINAL,
    NAME_CHARS,
    SUMMARY_CHARS,
    TITLE_CHARS,
    Document,
    Phase,
    Quotas,
    Status,
    Trouble,
)
from twinspeak.domain.vault_errors import IngestionFailed, VaultFull
from twinspeak.knowledge.embedding import Embedders
from twinspeak.knowledge.reading import MemberFile, Reader, Source
from twinspeak.persistence import jobs
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.files import EXTRACTED, Files
from twinspeak.persistence.jobs import Job
from twinspeak.persistence.repos import documents
from twinspeak.persistence.repos.documents import MOST_CHUNKS_AT_ONCE, Piece

ATTEMPTS = 3
"""How often a phase is tried that broke for a reason of ours; a file that cannot be read is not tried again."""
MOST_TAKINGS = 6
"""How often a job is taken: one that kills its worker each time is given up."""
BACKOFF_MS = 2_000
INGEST = "ingest"
"""The kind of job that takes a document in."""
_PIECE = 1 << 20
_EMBEDDED_AT_ONCE = 64

T = TypeVar("T")
Step = Callable[[Job, Document], Coroutine[Any, Any, None]]
_log = structlog.get_logger(__name__)


class _Lost(Exception):
    """The job is not this worker's any more."""


class Means(msgspec.Struct, frozen=True):
    """What a pipeline works with. Without `embedders`, words alone are searched.

    `beat_s` is how often a lease is renewed, and progress told.
    """

    db: Database
    files: Files
    reader: Reader
    quotas: Quotas = Quotas()
    embedders: Embedders | None = None
    beat_s: float = 1.0


class Pipeline:
    """Takes documents through their phases, one at a time."""

    def __init__(self, means: Means) -> None:
        """Keep the means."""
        self._db = means.db
        self._files = means.files
        self._reader = means.reader
        self._quotas = means.quotas
        self._embedders = means.embedders
        self._beat_s = means.beat_s
        self._reached = 0.0
        self._steps: Mapping[str, Step] = {
            Phase.QUEUED: self._begin,
            Phase.EXTRACT: self._extract,
            Phase.CHUNK: self._chunk,
            Phase.SANITIZE: self._sanitize,
            Phase.EMBED: self._embed,
            Phase.FINALIZE: self._finalize,
        }

    async def run(self, job: Job) -> None:
        """Do a job to its end, or put it back to be tried later. Raises Overloaded when the database is."""
        try:
            while (document := await self._document(job)) is not None:
                await self._step(job, document)
        except _Lost:
            _log.info("ingestion left", document=job.subject_id)

    async def _document(self, job: Job) -> Document | None:
        """Return the job's document if there is something to do for it; end the job if not."""
        document = await self._db.read(lambda tx: documents.by_id(tx, job.subject_id))
        if document is not None and document.phase not in FINAL:
            return document
        await self._db.write(lambda tx: jobs.finish(tx, job, "done", now=now_ms()))
        return None

    async def _step(self, job: Job, document: Document) -> None:
        """Do one phase. Whatever is wrong with the file ends up on the document."""
        try:
            if job.attempts > MOST_TAKINGS:
                raise IngestionFailed
            await self._held(job, document, self._steps[document.phase](job, document))
        except ServiceError as error:
            await self._later(job, document, error)
        except CodedError as error:
            await self._give_up(job, document, Trouble(code=error.code, message=error.message))
        except _Lost:
            raise
        except Exception as error:  # boundary: a bug in a parser ends on its document, not with the worker
            _log.exception("ingestion broke", document=document.id, phase=document.phase, error=type(error).__name__)
            await self._later(job, document, IngestionFailed())

    async def _later(self, job: Job, document: Document, error: CodedError) -> None:
        """Try the phase again after a pause, a few times."""
        attempts = document.attempts + 1
        if attempts >= ATTEMPTS or job.attempts > MOST_TAKINGS:
            await self._give_up(job, document, Trouble(code=error.code, message=error.message))
            return
        pause = BACKOFF_MS * 4 ** (attempts - 1)

        def store(tx: Tx) -> None:
            documents.change(tx, _there(tx, document), attempts=attempts)
            jobs.put_back(tx, job, not_before=now_ms() + pause)

        await self._commit(job, store)
        raise _Lost

    async def _give_up(self, job: Job, document: Document, trouble: Trouble) -> None:
        def store(tx: Tx) -> None:
            documents.change(tx, _there(tx, document), phase=Phase.ERROR, progress=100, trouble=trouble)
            jobs.finish(tx, job, "failed", now=now_ms())

        await self._commit(job, store)
        _log.info("document not taken in", document=document.id, code=trouble.code)

    async def _held(self, job: Job, document: Document, work: Coroutine[Any, Any, None]) -> None:
        """Do `work` while the lease is renewed; end it when the job is lost. Raises what it raises, and _Lost."""
        failed: list[BaseException] = []
        self._reached = 0.0

        async def caught() -> None:
            try:
                await work
            except (CodedError, _Lost) as error:
                failed.append(error)

        async with asyncio.TaskGroup() as group:
            task = group.create_task(caught(), name="ingestion phase")
            while not task.done():
                await asyncio.wait((task,), timeout=self._beat_s)
                if not task.done() and not await self._db.write(lambda tx: self._beat(tx, job, document)):
                    task.cancel()
                    failed.append(_Lost())
        if failed:
            raise failed[0]

    def _beat(self, tx: Tx, job: Job, document: Document) -> bool:
        """Renew the lease and tell how far the phase is; False when the job is lost."""
        if not jobs.hold(tx, job, now=now_ms()):
            return False
        low, high = BANDS[Phase(document.phase)]
        documents.tell_progress(tx, document, low + round((high - low) * self._reached))
        return True

    async def _commit(self, job: Job, store: Callable[[Tx], T]) -> T:
        """Write something for a job in one transaction, if it is still this worker's. Raises _Lost."""

        def write(tx: Tx) -> T:
            if not jobs.hold(tx, job, now=now_ms()):
                raise _Lost
            return store(tx)

        return await self._db.write(write)

    async def _enter(self, job: Job, document: Document, phase: Phase, **values: object) -> None:
        """Commit that the next phase begins."""

        def store(tx: Tx) -> None:
            documents.change(tx, _there(tx, document), phase=phase, progress=BANDS[phase][0], attempts=0, **values)

        await self._commit(job, store)

    async def _begin(self, job: Job, document: Document) -> None:
        await self._enter(job, document, Phase.EXTRACT)

    async def _extract(self, job: Job, document: Document) -> None:
        """Read the file in a process of its own; keep its text beside it, and the files inside it as documents."""
        depth = await self._db.read(lambda tx: documents.depth(tx, document))
        with tempfile.TemporaryDirectory(prefix="twinspeak-") as folder:
            source = Source(self._files.path(document.id), document.name, document.media_type, Path(folder), depth)
            found = await self._reader.read(source, self._tell)
            await asyncio.to_thread(self._keep, document.id, found.encoded)
            inside = [await asyncio.to_thread(self._keep_member, document, member) for member in found.members]
        refused = list(inside)

        def store(tx: Tx) -> None:
            refused[:] = [one for one in inside if not self._taken(tx, one)]
            values: dict[str, Any] = {"title": (document.title or found.title)[:TITLE_CHARS]}
            values["media_type"] = found.media_type or document.media_type
            if inside and not found.has_text:
                # An archive is its files: there is nothing of its own to find.
                ended = {"phase": Phase.DONE, "progress": 100, "status": Status.ACTIVE, "trouble": None}
                documents.change(tx, _there(tx, document), attempts=0, **ended, **values)
            else:
                low = BANDS[Phase.CHUNK][0]
                documents.change(tx, _there(tx, document), phase=Phase.CHUNK, progress=low, attempts=0, **values)

        try:
            await self._commit(job, store)
        finally:
            for one in refused:
                await asyncio.to_thread(self._files.remove, one.id)

    def _taken(self, tx: Tx, member: Document) -> bool:
        """Add a file that was inside another one; False when it is there already, or there is no room."""
        try:
            if documents.known(tx, member) is not None:
                return False
            documents.make_room(tx, member, self._quotas)
        except VaultFull:
            return False
        documents.add(tx, member)
        jobs.enqueue(tx, INGEST, member.id, now=now_ms())
        return True

    def _keep_member(self, archive: Document, member: MemberFile) -> Document:
        staged = self._files.stage()
        try:
            with member.path.open("rb") as file:
                while piece := file.read(_PIECE):
                    staged.write(piece)
            document = msgspec.structs.replace(
                archive,
                id=new_id(),
                name=member.name[-NAME_CHARS:],
                media_type=mimetypes.guess_type(member.name)[0] or "application/octet-stream",
                bytes=staged.size,
                content_hash=staged.digest,
                created=now_ms(),
                enqueued=now_ms(),
                member_of=archive.id,
                phase=Phase.QUEUED,
                progress=0,
                title="",
                summary="",
                hits=0,
                last_hit=None,
            )
            self._files.keep(staged, document.id)
        finally:
            staged.discard()
        return document

    def _tell(self, fraction: float) -> None:
        self._reached = fraction

    def _keep(self, document_id: str, encoded: bytes) -> None:
        staged = self._files.stage()
        try:
            staged.write(encoded)
            self._files.keep(staged, document_id, EXTRACTED)
        finally:
            staged.discard()

    async def _chunk(self, job: Job, document: Document) -> None:
        """Cut what was read into passages; those that an earlier try left go first."""
        encoded = await asyncio.to_thread(self._files.path(document.id, EXTRACTED).read_bytes)
        pieces, summary = await asyncio.to_thread(self._reader.cut, encoded)
        await self._commit(job, lambda tx: documents.drop_chunks(tx, document.id))
        for first in range(0, len(pieces), MOST_CHUNKS_AT_ONCE):
            batch = pieces[first : first + MOST_CHUNKS_AT_ONCE]
            await self._commit(job, self._added(document, first, batch, len(pieces)))
        summary = (document.summary or summary)[:SUMMARY_CHARS]
        await self._enter(job, document, Phase.SANITIZE, chunks=len(pieces), summary=summary)

    def _added(self, document: Document, first: int, batch: list[Piece], total: int) -> Callable[[Tx], None]:
        low, high = BANDS[Phase.CHUNK]

        def store(tx: Tx) -> None:
            there = _there(tx, document)
            documents.add_chunks(tx, there, first, batch)
            documents.change(tx, there, progress=low + (high - low) * (first + len(batch)) // total)

        return store

    async def _sanitize(self, job: Job, document: Document) -> None:
        """Drop passages without a letter or a digit: rules, dotted leaders, page furniture."""

        def store(tx: Tx) -> None:
            there = _there(tx, document)
            left = documents.drop_noise(tx, there.id)
            low = BANDS[Phase.EMBED][0]
            documents.change(tx, there, phase=Phase.EMBED, progress=low, attempts=0, chunks=left)

        await self._commit(job, store)

    async def _embed(self, job: Job, document: Document) -> None:
        """Make a vector of each passage, a batch a transaction; without a model there is nothing to do.

        The model's name comes first, with what another one left dropped: a document has vectors of one model.
        """
        embedder = await self._embedders.of(document.institution_id) if self._embedders else None
        if embedder is None:
            await self._enter(job, document, Phase.FINALIZE, embeddings_model="")
            return
        if document.embeddings_model != embedder.name:
            await self._commit(job, lambda tx: _begin_vectors(tx, document, embedder.name))
        done = 0
        most = _EMBEDDED_AT_ONCE
        while batch := await self._db.read(lambda tx: documents.without_vector(tx, document.id, limit=most)):
            texts = [f"{section}\n{text}" if section else text for _, section, text in batch]
            vectors = await embedder.embed(texts)
            pairs = [(row[0], vector) for row, vector in zip(batch, vectors, strict=True)]
            await self._commit(job, lambda tx, p=pairs: documents.set_vectors(tx, p))
            done += len(batch)
            self._tell(min(1.0, done / max(1, document.chunks)))
        await self._enter(job, document, Phase.FINALIZE, embeddings_model=embedder.name)

    async def _finalize(self, job: Job, document: Document) -> None:
        """Let the passages be found, all at once, and end the job in the same transaction."""

        def store(tx: Tx) -> None:
            there = _there(tx, document)
            ended = {"phase": Phase.DONE, "progress": 100, "attempts": 0, "trouble": None}
            documents.change(tx, there, indexed=True, **ended)
            jobs.finish(tx, job, "done", now=now_ms())

        await self._commit(job, store)
        await asyncio.to_thread(self._files.remove, document.id, EXTRACTED)


def _begin_vectors(tx: Tx, document: Document, model: str) -> None:
    documents.drop_vectors(tx, document.id)
    documents.change(tx, _there(tx, document), embeddings_model=model)


def _there(tx: Tx, document: Document) -> Document:
    """Return a document as it is now, in the transaction that changes it. Raises _Lost when it is gone."""
    found = documents.by_id(tx, document.id)
    if found is None or found.status == Status.DELETED:
        raise _Lost
    return found
