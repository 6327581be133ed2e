"""The one place that says which rows of tenant tables a statement may touch, and the hook that insists on it.

Kinds of tenant table (`info={"tenant": kind}` in `tables.py`), for a scope with an institution / without one:

    own     rows of this user in this institution           / rows of this user outside any institution
    vault   rows of this institution                        / rows of this user outside any institution
    shared  rows the system gives everybody (reading only), this institution's, and this user's personal ones

`scoped` adds the condition to a statement; `ScopedStatement` keeps a hot one ready. The hook looks at the structure
of every statement before it runs: each SELECT, UPDATE and DELETE in it, however deep, must carry the condition for
each tenant table that it reads or writes. It trusts no mark, only the condition itself (docs/decisions/003).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar
from weakref import WeakSet

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Delete,
    Engine,
    Executable,
    FromClause,
    Insert,
    Select,
    Table,
    TextClause,
    Update,
    and_,
    bindparam,
    event,
    or_,
)
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.elements import BinaryExpression, BooleanClauseList, ClauseList, Grouping, Null
from sqlalchemy.sql.selectable import AliasedReturnsRows, Join, TableClause

from twinspeak.domain.caller import Scope
from twinspeak.persistence.tables import TENANT_TABLES

S = TypeVar("S", bound=Executable)

INSTITUTION = "scope_institution"
USER = "scope_user"
_SYSTEM = "twinspeak_system"
_OWNERS = frozenset({"institution_id", "user_id", "owner_user_id", INSTITUTION, USER})
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

    def render(self, scope: Scope) -> tuple[Executable, dict[str, str]]:
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
    event.listen(engine, "before_cursor_execute", _before_cursor)


def _variant(scope: Scope) -> str:
    if scope.system:
        return "system"
    if scope.user_id is None:
        raise UnscopedStatement("a scope must name a user, or be the system's")
    return "personal" if scope.institution_id is None else "institution"


def _values(scope: Scope) -> dict[str, str]:
    if scope.system or scope.user_id is None:
        return {}
    if scope.institution_id is None:
        return {USER: scope.user_id}
    return {INSTITUTION: scope.institution_id, USER: scope.user_id}


def _apply(statement: S, variant: str, values: Mapping[str, str] | None = None) -> S:
    if variant == "system":
        return statement.execution_options(**{_SYSTEM: True})
    binds = _Binds(values)
    if isinstance(statement, Insert):
        return _apply_insert(statement, variant, binds)
    if not isinstance(statement, Select | Update | Delete):
        raise UnscopedStatement(f"cannot scope a {type(statement).__name__}: scope its parts")
    conditions: list[ColumnElement[bool]] = []
    for source, kind in _tenants(_sources(statement)):
        conditions += _conditions(source, kind, variant, binds, writes=not isinstance(statement, Select))
    return statement.where(*conditions)


def _apply_insert(statement: Any, variant: str, binds: "_Binds") -> Any:
    kind = _kind(statement.table)
    if kind is None:
        return statement
    return statement.values(**_insert_owners(kind, variant, binds))


class _Binds:
    """Makes the reserved parameters, with values (`scoped`) or to be filled in later (`ScopedStatement`)."""

    def __init__(self, values: Mapping[str, str] | None) -> None:
        self._values = values

    def __call__(self, name: str) -> BindParameter[Any]:
        return bindparam(name) if self._values is None else bindparam(name, self._values[name])


_ANY = _Binds(None)


def _insert_owners(kind: str, variant: str, binds: _Binds) -> dict[str, Any]:
    """Say which columns an insert must fill from the scope, and with what."""
    institution = binds(INSTITUTION) if variant == "institution" else None
    if kind == "shared":
        return {"institution_id": institution, "owner_user_id": binds(USER)}
    user = None if kind == "vault" and variant == "institution" else binds(USER)
    return {"institution_id": institution, "user_id": user}


def _conditions(
    source: FromClause, kind: str, variant: str, binds: _Binds, *, writes: bool
) -> list[ColumnElement[bool]]:
    """Return the conditions, all needed, that keep `source` within a scope of this variant."""
    columns = source.c
    inside = columns.institution_id == binds(INSTITUTION) if variant == "institution" else None
    if kind == "shared":
        ways = [and_(columns.scope == "personal", columns.owner_user_id == binds(USER))]
        if inside is not None:
            ways.append(and_(columns.scope == "institution", inside))
        if not writes:
            ways.append(columns.scope == "system")
        return [or_(*ways) if len(ways) > 1 else ways[0]]
    if inside is None:
        return [columns.institution_id.is_(None), columns.user_id == binds(USER)]
    return [inside] if kind == "vault" else [inside, columns.user_id == binds(USER)]


def _before_execute(_connection: object, statement: Any, many: Any, params: Any, options: Mapping[str, Any]) -> None:
    if _SYSTEM in options:
        return
    if statement not in _checked:
        _verify(statement)
        _checked.add(statement)
    if isinstance(statement, Insert | Update) and _kind(statement.table) is not None:
        for given in [*many, params]:
            stolen = _OWNERS.intersection(given) - {INSTITUTION, USER}
            if stolen:
                raise UnscopedStatement(f"{', '.join(sorted(stolen))} of {statement.table.name} come from the scope")


def _before_cursor(_connection: object, _cursor: object, sql: str, _params: object, context: Any, _many: bool) -> None:
    if context is not None and context.compiled is None and _NAMES.search(sql):
        raise UnscopedStatement("SQL text on a tenant table: build the statement and scope it")


def _verify(statement: Any) -> None:
    for element in visitors.iterate(statement):
        if isinstance(element, Insert):
            _verify_insert(element)
        elif isinstance(element, Select | Update | Delete):
            _verify_block(element)
        elif isinstance(element, TextClause) and _NAMES.search(element.text):
            raise UnscopedStatement("SQL text on a tenant table: build the statement and scope it")


def _verify_block(block: Any) -> None:
    writes = not isinstance(block, Select)
    given = [part for criterion in block._where_criteria for part in _conjuncts(criterion)]
    for source, kind in _tenants(_sources(block)):
        ways = [_conditions(source, kind, variant, _ANY, writes=writes) for variant in ("institution", "personal")]
        if not any(all(any(_same(one, other) for other in given) for one in way) for way in ways):
            raise UnscopedStatement(f"{type(block).__name__} on {_name(source)} without its scope")
    if isinstance(block, Update) and _kind(block.table) is not None:
        _verify_assignments(block)


def _verify_assignments(block: Any) -> None:
    assigned = {getattr(column, "key", column) for column, _ in _assignments(block)}
    if assigned & _OWNERS:
        raise UnscopedStatement(f"an update may not move rows of {block.table.name} to another owner")


def _verify_insert(statement: Any) -> None:
    kind = _kind(statement.table)
    if kind is None:
        return
    if statement.select is not None or statement._multi_values or statement._post_values_clause is not None:
        raise UnscopedStatement(f"insert plain rows into {statement.table.name}, one set of columns at a time")
    given = {getattr(column, "key", column): value for column, value in _assignments(statement)}
    for variant in ("institution", "personal"):
        owners = _insert_owners(kind, variant, _ANY)
        if all(column in given and _same_owner(given[column], value) for column, value in owners.items()):
            return
    raise UnscopedStatement(f"insert into {statement.table.name} without its scope")


def _assignments(statement: Any) -> list[tuple[Any, Any]]:
    ordered = getattr(statement, "_ordered_values", None)
    return list(ordered or (statement._values or {}).items())


def _same_owner(given: Any, expected: BindParameter[Any] | None) -> bool:
    if expected is None:
        return given is None or isinstance(given, Null) or (_is_plain(given) and given.value is None)
    return isinstance(given, BindParameter) and given.key == expected.key


def _is_plain(value: Any) -> bool:
    return isinstance(value, BindParameter) and value.key not in _OWNERS


def _sources(block: Any) -> list[FromClause]:
    """Return what a block reads and writes, joins and the extra tables of an UPDATE ... FROM included."""
    if isinstance(block, Select):
        return list(block.get_final_froms())
    found: list[FromClause] = [block.table]
    for expression in [*block._where_criteria, *(value for _, value in _assignments_of(block))]:
        found += getattr(expression, "_from_objects", [])
    unique: dict[int, FromClause] = {id(source): source for source in found}
    return list(unique.values())


def _assignments_of(block: Any) -> list[tuple[Any, Any]]:
    return _assignments(block) if isinstance(block, Update) else []


def _tenants(sources: list[FromClause]) -> Iterator[tuple[FromClause, str]]:
    for source in sources:
        if isinstance(source, Join):
            yield from _tenants([source.left, source.right])
            continue
        kind = _kind(source)
        if kind is not None:
            yield source, kind


def _kind(source: Any) -> str | None:
    """Return the tenant kind of a table or of an alias of one; subqueries are looked at as blocks of their own."""
    while isinstance(source, AliasedReturnsRows) and isinstance(source.element, FromClause):
        source = source.element
    if isinstance(source, Table):
        return source.info.get("tenant")
    if isinstance(source, TableClause) and source.name.lower() in TENANT_TABLES:
        raise UnscopedStatement(f"{source.name} must be named by tables.py, not by a copy")
    return None


def _name(source: FromClause) -> str:
    return str(getattr(source, "name", source))


def _conjuncts(expression: Any) -> Iterator[Any]:
    if isinstance(expression, Grouping):
        yield from _conjuncts(expression.element)
    elif isinstance(expression, BooleanClauseList) and expression.operator is operators.and_:
        for part in expression.clauses:
            yield from _conjuncts(part)
    else:
        yield expression


def _same(one: Any, other: Any) -> bool:
    """Compare two expressions as the hook needs it: columns by identity, reserved parameters by name."""
    if isinstance(one, Grouping):
        return _same(one.element, other)
    if isinstance(other, Grouping):
        return _same(one, other.element)
    if isinstance(one, Column) or isinstance(other, Column):
        return one is other
    if type(one) is not type(other):
        return False
    if isinstance(one, BindParameter):
        return one.key == other.key if {one.key, other.key} & _OWNERS else one.value == other.value
    if isinstance(one, BinaryExpression):
        return one.operator is other.operator and _same(one.left, other.left) and _same(one.right, other.right)
    if isinstance(one, ClauseList):
        parts = list(zip(one.clauses, other.clauses, strict=False))
        return (
            one.operator is other.operator
            and len(one.clauses) == len(other.clauses)
            and all(_same(left, right) for left, right in parts)
        )
    return isinstance(one, Null)
