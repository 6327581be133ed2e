"""Documents into vaults: whole, once, and only into their own."""

import asyncio
from collections.abc import Callable
from itertools import cycle

import pytest
from sqlalchemy.exc import IntegrityError

from twinspeak.domain.caller import Scope
from twinspeak.domain.errors import PayloadTooLarge, ValidationFailed
from twinspeak.domain.vault import Shelf, shelf_of
from twinspeak.knowledge.ingest import MAX_CHARS, ingest, ingest_sync
from twinspeak.persistence.db import Database
from twinspeak.persistence.repos import documents, shelves
from twinspeak.persistence.repos.documents import Usage
from twinspeak.persistence.repos.shelves import Indexable

TEXT = "# Zoo\n\nThe zoo opens at nine.\n\n## Lions\n\nLions are fed at noon."
ScopeOf = Callable[..., Scope]


def shelf(scope: Scope) -> Shelf:
    return shelf_of(scope.institution_id, scope.user_id, shared=False, private=False)


async def chunks_of(db: Database, scope: Scope) -> list[Indexable]:
    return await db.read(lambda tx: shelves.passages(tx, shelf(scope)))


async def version_of(db: Database, scope: Scope) -> dict[str, int]:
    return await db.read(lambda tx: shelves.versions(tx, [shelf(scope)]))


async def test_a_document_is_stored_as_its_chunks(db: Database, scope_of: ScopeOf) -> None:
    college = scope_of("ann", "college")
    done = await ingest(db, college, "zoo.md", TEXT)
    assert (done.new, done.chunks) == (True, 2)
    found = [(chunk.document_name, chunk.section, chunk.text) for chunk in await chunks_of(db, college)]
    assert found == [
        ("zoo.md", "Zoo", "The zoo opens at nine."),
        ("zoo.md", "Zoo > Lions", "Lions are fed at noon."),
    ]


async def test_the_same_text_twice_is_one_document(db: Database, scope_of: ScopeOf) -> None:
    college = scope_of("ann", "college")
    first = await ingest(db, college, "zoo.md", TEXT)
    version = await version_of(db, college)
    again = await ingest(db, scope_of("bob", "college"), "copy.md", TEXT.replace("\n", "\r\n"))
    assert (again.document_id, again.new) == (first.document_id, False)
    assert len(await chunks_of(db, college)) == 2
    assert await version_of(db, college) == version


async def test_many_at_once_are_still_one_document(db: Database, scope_of: ScopeOf) -> None:
    college = scope_of("ann", "college")
    done = await asyncio.gather(*(ingest(db, college, "zoo.md", TEXT) for _ in range(8)))
    assert sum(each.new for each in done) == 1
    assert len(await chunks_of(db, college)) == 2


async def test_every_vault_has_its_own(db: Database, scope_of: ScopeOf) -> None:
    for owner in (scope_of("ann", "college"), scope_of("ann", "museum"), scope_of("ann"), scope_of("bob")):
        assert (await ingest(db, owner, "zoo.md", TEXT)).new
    assert len(await chunks_of(db, scope_of("bob"))) == 2
    ids = {chunk.id for chunk in await chunks_of(db, scope_of("ann"))}
    assert not ids & {chunk.id for chunk in await chunks_of(db, scope_of("bob"))}


async def test_the_system_has_no_vault(db: Database) -> None:
    with pytest.raises(ValueError, match="belongs to a vault"):
        await ingest(db, Scope(user_id=None, institution_id=None, system=True), "zoo.md", TEXT)


@pytest.mark.parametrize(("name", "text"), [("", TEXT), (" \x00", TEXT), ("zoo.md", ""), ("zoo.md", "# Only a title")])
async def test_blank_documents_are_refused(db: Database, scope_of: ScopeOf, name: str, text: str) -> None:
    with pytest.raises(ValidationFailed):
        await ingest(db, scope_of("ann"), name, text)
    assert await db.read(lambda tx: documents.usage(tx, scope_of("ann"))) == Usage(0, 0)


async def test_huge_documents_are_refused(db: Database, scope_of: ScopeOf) -> None:
    with pytest.raises(PayloadTooLarge):
        await ingest(db, scope_of("ann"), "huge.txt", "x" * (MAX_CHARS + 1))


def test_odd_characters_and_endless_names_are_stored(db: Database, scope_of: ScopeOf) -> None:
    ingest_sync(db, scope_of("ann"), "n" * 900 + "\ud800", "NUL \x00, half a pair \udc00 and 🦁.")
    (chunk,) = db.read_sync(lambda tx: shelves.passages(tx, shelf(scope_of("ann"))))
    assert chunk.text == "NUL , half a pair  and 🦁."
    assert len(chunk.document_name) == 500


async def test_half_a_document_is_never_kept(db: Database, scope_of: ScopeOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second passage gets the first one's id, so the document goes too; however often it is tried."""
    ann = scope_of("ann")
    ids = cycle(["2" * 24, "2" * 24])
    monkeypatch.setattr(documents, "new_id", lambda: next(ids))
    with pytest.raises(IntegrityError):
        await ingest(db, ann, "zoo.md", TEXT)
    monkeypatch.undo()
    assert await db.read(lambda tx: documents.usage(tx, ann)) == Usage(0, 0)
    assert (await ingest(db, ann, "zoo.md", TEXT)).new
