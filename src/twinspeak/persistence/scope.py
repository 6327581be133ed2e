"""The one place that says which rows of tenant tables a statement may touch, and the hook that insists on it.

Kinds of tenant table (`info={"tenant": kind}` in `tables.py`), for a scope with an institution / without one:

    own     rows of this user in this institution           / rows of this user outside any institution
    vault   rows of this institution                        / rows of this user outside any institution
    twin    rows of this institution                        / none
    shared  rows the system gives everybody (reading only), this institution's, and this user's personal ones

A scope of managed institutions (administrators, `services.policy`) has all rows of those, whoever's, of each kind.

`scoped` adds the condition to a statement; `ScopedStatement` keeps a hot one ready. The hook looks at the structure
of every statement before it runs: each SELECT, UPDATE and DELETE in it, however deep, must carry the condition for
each tenant table that it reads or writes. It trusts no mark, only the condition itself (docs/decisions/003).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar
from weakref import WeakSet

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Engine,
    Executable,
    Insert,
    Select,
    Table,
    Update,
    and_,
    bindparam,
    event,
    or_,
)
from sqlalchemy.sql.elements import Null

from twinspeak.domain.caller import Scope
from twinspeak.persistence import statements
from twinspeak.persistence.statements import Sql, is_a
from twinspeak.persistence.tables import TENANT_TABLES

S = TypeVar("S", bound=Executable)

SYSTEM = Scope(user_id=None, institution_id=None, system=True)
"""The system's own work: sees everything, and says so in the statement."""

INSTITUTION = "scope_institution"
USER = "scope_user"
MANAGED = "scope_managed"
_SYSTEM = "twinspeak_system"
_RESERVED = frozenset({INSTITUTION, USER, MANAGED})
_VARIANTS = ("institution", "personal", "managed")
_OWNERS = frozenset({"institution_id", "user_id", "owner_user_id"})
_NAMES = re.compile(r"\b(" + "|".join(sorted(TENANT_TABLES)) + r")\b", re.IGNORECASE)

_checked: WeakSet[Any] = WeakSet()
"""Statements that passed, by identity: statements never change, so one look is enough."""


class UnscopedStatement(RuntimeError):
    """A programming error: a statement would touch tenant rows without saying whose."""


class ScopedStatement:
    """A statement built once, with its scope filled in at execution: `tx.scoped(scope, STATEMENT, params)`."""

    def __init__(self, statement: Executable) -> None:
        """Keep the bare statement; each of the three variants is made when first wanted."""
        self._bare = statement
        self._variants: dict[str, Executable] = {}

    def render(self, scope: Scope) -> tuple[Executable, dict[str, Any]]:
        """Return the statement for `scope` and the parameters to run it with."""
        variant = _variant(scope)
        statement = self._variants.get(variant)
        if statement is None:
            statement = self._variants[variant] = _apply(self._bare, variant)
        return statement, _values(scope)


def scoped(scope: Scope, statement: S) -> S:
    """Return `statement` limited to the rows of `scope`: conditions on what it reads, owners on what it inserts.

    Only the outermost block gets them: scope a subquery before you nest it. A system scope leaves it as it is and
    says so to the hook. Raises UnscopedStatement for a scope that names neither a user nor the system.
    """
    return _apply(statement, _variant(scope), _values(scope))


def guard(engine: Engine) -> None:
    """Make every connection of `engine` refuse statements on tenant tables that are not scoped."""
    event.listen(engine, "before_execute", _before_execute)
    event.listen(engine, "before_cursor_execute", _before_cursor, named=True)


def _variant(scope: Scope) -> str:
    if scope.system:
        return "system"
    if scope.managed is not None:
        return "managed"
    if scope.user_id is None:
        raise UnscopedStatement("a scope must name a user, or be the system's")
    return "personal" if scope.institution_id is None else "institution"


def _values(scope: Scope) -> dict[str, Any]:
    if scope.managed is not None and not scope.system:
        return {MANAGED: sorted(scope.managed)}
    if scope.system or scope.user_id is None:
        return {}
    if scope.institution_id is None:
        return {USER: scope.user_id}
    return {INSTITUTION: scope.institution_id, USER: scope.user_id}


def _apply(statement: S, variant: str, values: Mapping[str, Any] | None = None) -> S:
    if variant == "system":
        return statement.execution_options(**{_SYSTEM: True})
    binds = _Binds(values)
    bare: Sql = statement
    if is_a(bare, Insert):
        kind = _kind(bare.table)
        return bare if kind is None else bare.values(**_insert_owners(kind, variant, binds))
    if not statements.is_query(bare):
        raise UnscopedStatement(f"cannot scope a {type(statement).__name__}: scope its parts")
    conditions: list[ColumnElement[bool]] = []
    for source, kind in _tenants(bare):
        conditions += _conditions(source, kind, variant, binds, writes=not is_a(bare, Select))
    return bare.where(*conditions)


class _Binds:
    """Makes the reserved parameters, with values (`scoped`) or to be filled in later (`ScopedStatement`)."""

    def __init__(self, values: Mapping[str, Any] | None) -> None:
        self._values = values

    def __call__(self, name: str) -> BindParameter[Any]:
        listed = name == MANAGED
        if self._values is None:
            return bindparam(name, expanding=listed)
        return bindparam(name, self._values[name], expanding=listed)


_ANY = _Binds(None)


def _insert_owners(kind: str, variant: str, binds: _Binds) -> dict[str, BindParameter[Any] | None]:
    """Say which columns an insert must fill from the scope, and with what."""
    if variant == "managed":
        raise UnscopedStatement("a scope of managed institutions says nobody's: rows are added as their owner's")
    institution = binds(INSTITUTION) if variant == "institution" else None
    if kind == "shared":
        return {"institution_id": institution, "owner_user_id": binds(USER)}
    if kind == "twin":
        return {"institution_id": institution}
    user = None if kind == "vault" and variant == "institution" else binds(USER)
    return {"institution_id": institution, "user_id": user}


def _conditions(source: Sql, kind: str, variant: str, binds: _Binds, *, writes: bool) -> list[ColumnElement[bool]]:
    """Return the conditions, all needed, that keep `source` within a scope of this variant."""
    columns = source.c
    if variant == "managed":
        return [columns.institution_id.in_(binds(MANAGED))]
    inside = columns.institution_id == binds(INSTITUTION) if variant == "institution" else None
    if kind == "shared":
        personal = [columns.scope == "personal", columns.owner_user_id == binds(USER)]
        ways = [] if writes else [columns.scope == "system"]
        if inside is not None:
            ways.append(and_(columns.scope == "institution", inside))
        return [or_(and_(*personal), *ways)] if ways else personal
    if kind == "twin":
        return [columns.institution_id.is_(None) if inside is None else inside]
    if inside is None:
        return [columns.institution_id.is_(None), columns.user_id == binds(USER)]
    return [inside] if kind == "vault" else [inside, columns.user_id == binds(USER)]


def _before_execute(
    _connection: object, statement: Sql, many: Sequence[Sql], params: Sql, options: Mapping[str, Any]
) -> None:
    if _SYSTEM in options:
        return
    if statement not in _checked:
        _verify(statement)
        _checked.add(statement)
    if is_a(statement, Insert, Update) and _kind(statement.table) is not None:
        for given in [*many, params]:
            if stolen := _OWNERS.intersection(given):
                raise UnscopedStatement(f"{', '.join(sorted(stolen))} of {_name(statement.table)} come from the scope")


def _before_cursor(**event_: Sql) -> None:
    """Look at SQL text that reached the driver without having been built."""
    context = event_["context"]
    if context is not None and context.compiled is None:
        _refuse_text(event_["statement"])


def _verify(statement: Sql) -> None:
    for written in statements.raw_text(statement):
        _refuse_text(written)
    for block in statements.blocks(statement):
        if is_a(block, Insert):
            _verify_insert(block)
        else:
            _verify_query(block)


def _refuse_text(sql: str) -> None:
    if _NAMES.search(sql):
        raise UnscopedStatement("SQL text on a tenant table: build the statement and scope it")


def _verify_query(block: Sql) -> None:
    given = statements.conjuncts(block)
    for source, kind in _tenants(block):
        if not any(_holds(given, source, kind, variant, block) for variant in _VARIANTS):
            raise UnscopedStatement(f"{type(block).__name__} on {_name(source)} without its scope")
    if is_a(block, Update) and _kind(block.table) is not None:
        assigned = {column for column, _ in statements.assignments(block)}
        if assigned & _OWNERS:
            raise UnscopedStatement(f"an update may not move rows of {_name(block.table)} to another owner")


def _holds(given: list[Sql], source: Sql, kind: str, variant: str, block: Sql) -> bool:
    needed = _conditions(source, kind, variant, _ANY, writes=not is_a(block, Select))
    return all(any(statements.same(one, other, named=_RESERVED) for other in given) for one in needed)


def _verify_insert(statement: Sql) -> None:
    kind = _kind(statement.table)
    if kind is None:
        return
    if not statements.is_plain_insert(statement):
        raise UnscopedStatement(f"insert plain rows into {_name(statement.table)}, one set of columns at a time")
    given = dict(statements.assignments(statement))
    for variant in ("institution", "personal"):
        owners = _insert_owners(kind, variant, _ANY)
        if all(column in given and _same_owner(given[column], owner) for column, owner in owners.items()):
            return
    raise UnscopedStatement(f"insert into {_name(statement.table)} without its scope")


def _same_owner(given: Sql, expected: BindParameter[Any] | None) -> bool:
    if expected is not None:
        return is_a(given, BindParameter) and given.key == expected.key
    if is_a(given, BindParameter):
        return given.key not in _RESERVED and not given.required and given.value is None
    return given is None or is_a(given, Null)


def _tenants(block: Sql) -> Iterator[tuple[Sql, str]]:
    for source in statements.sources(block):
        kind = _kind(source)
        if kind is not None:
            yield source, kind


def _kind(source: Sql) -> str | None:
    """Return the tenant kind of a table or of an alias of one; subqueries are looked at as blocks of their own."""
    table = statements.table_of(source)
    if is_a(table, Table):
        return table.info.get("tenant")
    if table is not None and table.name.lower() in TENANT_TABLES:
        raise UnscopedStatement(f"{table.name} must be named by tables.py, not by a copy")
    return None


def _name(source: Sql) -> str:
    return str(getattr(source, "name", source))
