"""Models that twins bring themselves. Keys are sealed in here, and opened by who asks the model alone."""

import contextlib
from collections.abc import Collection, Generator, Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import Row, bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from twinspeak.domain.ai_models import CONVERSATION, EMBEDDINGS, AiModel, OwnSecrets
from twinspeak.domain.caller import Scope
from twinspeak.domain.clock import now_ms
from twinspeak.domain.credits import Price
from twinspeak.domain.errors import Conflict
from twinspeak.persistence.db import Tx, as_dict
from twinspeak.persistence.faults import is_duplicate
from twinspeak.persistence.model_tables import ai_models
from twinspeak.persistence.scope import SYSTEM, ScopedStatement, scoped
from twinspeak.persistence.secrets import SecretBox, SecretUnreadable

_PLAIN = [name for name in AiModel.__struct_fields__ if name != "has_key"]
_COLUMNS = [*(ai_models.c[name] for name in _PLAIN), ai_models.c.api_key.is_not(None).label("has_key")]
_JSON = ("header_names", "features", "input_media", "output_media")
_SECRETS = ("api_key", "headers")

_THERE = select(*_COLUMNS).where(ai_models.c.status != "deleted")
_ANSWERING = _THERE.where(ai_models.c.model_use == CONVERSATION)
_NAMED = ScopedStatement(_ANSWERING.where(ai_models.c.name.in_(bindparam("names", expanding=True))))
_ALL_ANSWERING = ScopedStatement(_ANSWERING.order_by(ai_models.c.created, ai_models.c.id))
_BY_ID = ScopedStatement(_THERE.where(ai_models.c.id == bindparam("model")))
_COUNT = ScopedStatement(select(func.count()).select_from(ai_models).where(ai_models.c.status != "deleted"))
_SEALED = ScopedStatement(
    _THERE.add_columns(ai_models.c.api_key, ai_models.c.headers).where(ai_models.c.id == bindparam("model"))
)
_EMBEDDING = ScopedStatement(
    select(ai_models.c.id)
    .where(ai_models.c.model_use == EMBEDDINGS, ai_models.c.status == "active")
    .order_by(ai_models.c.created.desc(), ai_models.c.id.desc())
    .limit(1)
)
_EVERY_SECRET = ScopedStatement(select(ai_models.c.id, ai_models.c.api_key, ai_models.c.headers))
_words = msgspec.json.Decoder(tuple[str, ...])
_switches = msgspec.json.Decoder(dict[str, bool])
_prices = msgspec.json.Decoder(Price)
_headers = msgspec.json.Decoder(dict[str, str])


def named(tx: Tx, scope: Scope, names: Iterable[str]) -> dict[str, AiModel]:
    """Return the records for answering questions that have any of `names` in the twin of `scope`, by name."""
    found = (_from_row(row) for row in tx.scoped(scope, _NAMED, {"names": sorted(set(names))}))
    return {record.name: record for record in found}


def answering(tx: Tx, scope: Scope) -> list[AiModel]:
    """Return all records for answering questions, oldest first; not each of them is active."""
    return [_from_row(row) for row in tx.scoped(scope, _ALL_ANSWERING)]


def by_id(tx: Tx, scope: Scope, model_id: str) -> AiModel | None:
    """Return a record within `scope` that is not deleted."""
    row = tx.scoped(scope, _BY_ID, {"model": model_id}).first()
    return None if row is None else _from_row(row)


def listing(tx: Tx, scope: Scope, *, first: int = 0, limit: int | None = None) -> tuple[list[AiModel], int]:
    """Return records within `scope`, newest first, and how many there are in all."""
    statement = _THERE.order_by(ai_models.c.created.desc(), ai_models.c.id.desc()).offset(first)
    rows = tx.all(scoped(scope, statement if limit is None else statement.limit(limit)))
    return [_from_row(row) for row in rows], count(tx, scope)


def count(tx: Tx, scope: Scope) -> int:
    """Return how many records there are within `scope`."""
    return tx.scoped(scope, _COUNT).scalar_one()


def create(tx: Tx, scope: Scope, box: SecretBox, record: AiModel, secrets: OwnSecrets) -> None:
    """Add a record to the twin of `scope`. Raises Conflict when another record has its name."""
    values = {**_values(record), **_sealed(box, record.id, secrets), "updated": record.created}
    values.pop("institution_id")
    with _names_kept_apart():
        tx.run(scoped(scope, insert(ai_models)).values(**values))


def change(tx: Tx, scope: Scope, record: AiModel, sealed: Mapping[str, Any]) -> None:
    """Write a record over the one of its id. `sealed` (see `seal`) holds the secrets that change. Raises Conflict."""
    values = {**_values(record), **sealed, "updated": now_ms()}
    for fixed in ("id", "institution_id", "created"):
        values.pop(fixed)
    with _names_kept_apart():
        tx.run(scoped(scope, update(ai_models).where(ai_models.c.id == record.id)).values(**values))


def remove(tx: Tx, scope: Scope, model_id: str) -> None:
    """Delete a record for good as far as its keys go: they are overwritten."""
    gone = {"status": "deleted", "api_key": None, "headers": None, "updated": now_ms()}
    tx.run(scoped(scope, update(ai_models).where(ai_models.c.id == model_id)).values(**gone))


def seal(box: SecretBox, model_id: str, secrets: OwnSecrets, fields: Collection[str]) -> dict[str, Any]:
    """Return what to store of `fields` (api_key, headers)."""
    return {name: value for name, value in _sealed(box, model_id, secrets).items() if name in fields}


def opened(tx: Tx, box: SecretBox, model_id: str) -> tuple[AiModel, OwnSecrets] | None:
    """Return a record with its keys, for who asks the model or merges a change. Raises SecretUnreadable."""
    row = tx.scoped(SYSTEM, _SEALED, {"model": model_id}).first()
    if row is None:
        return None
    key = box.decrypt(row.api_key, context=_context("api_key", model_id)) if row.api_key else ""
    headers = box.decrypt(row.headers, context=_context("headers", model_id)) if row.headers else "{}"
    return _from_row(row), OwnSecrets(api_key=key, headers=_headers.decode(headers))


def embedding(tx: Tx, scope: Scope, box: SecretBox) -> tuple[AiModel, OwnSecrets] | None:
    """Return the record that makes the vectors of a twin's vault, with its keys. Raises SecretUnreadable."""
    model_id = tx.scoped(scope, _EMBEDDING, {}).scalar()
    return None if model_id is None else opened(tx, box, model_id)


def seal_again(tx: Tx, box: SecretBox) -> int:
    """Bring every secret under the box's first key; return how many records that changed.

    One that cannot be read stays as it is: its key may be given again, and who asks its model is told.
    """
    changed = 0
    for row in tx.scoped(SYSTEM, _EVERY_SECRET).all():
        stale: dict[str, str] = {}
        for name in _SECRETS:
            with contextlib.suppress(SecretUnreadable):
                if (token := getattr(row, name)) and not box.is_current(token):
                    stale[name] = box.rotate(token, context=_context(name, row.id))
        if stale:
            tx.run(scoped(SYSTEM, update(ai_models).where(ai_models.c.id == row.id)).values(**stale))
            changed += 1
    return changed


@contextlib.contextmanager
def _names_kept_apart() -> Generator[None]:
    try:
        yield
    except IntegrityError as error:
        if not is_duplicate(error):
            raise
        raise Conflict("This digital twin has a model of this name and use already.", param="name") from error


def _context(column: str, model_id: str) -> str:
    return f"ai_model.{column}:{model_id}"


def _sealed(box: SecretBox, model_id: str, secrets: OwnSecrets) -> dict[str, Any]:
    headers = msgspec.json.encode(secrets.headers).decode() if secrets.headers else ""
    return {
        name: box.encrypt(value, context=_context(name, model_id)) if value else None
        for name, value in (("api_key", secrets.api_key), ("headers", headers))
    }


def _values(record: AiModel) -> dict[str, Any]:
    kept = {name: getattr(record, name) for name in _PLAIN}
    for name in _JSON:
        kept[name] = msgspec.json.encode(kept[name]).decode()
    kept["price"] = msgspec.json.encode(record.price).decode() if record.price is not None else ""
    return kept


def _from_row(row: Row[Any]) -> AiModel:
    kept = as_dict(row)
    fields = {name: kept[name] for name in AiModel.__struct_fields__}
    fields["header_names"] = _words.decode(kept["header_names"])
    for name in _JSON[1:]:
        fields[name] = _switches.decode(kept[name])
    fields["price"] = _prices.decode(kept["price"]) if kept["price"] else None
    fields["has_key"] = bool(kept["has_key"])
    return AiModel(**fields)
