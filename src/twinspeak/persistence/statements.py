"""What a SQLAlchemy statement reads, writes and demands: the structure that the hook in `scope.py` judges."""

from collections.abc import Iterator
from typing import Any, TypeAlias

from sqlalchemy import BindParameter, Column, Delete, FromClause, Insert, Select, Table, TextClause, Update
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.elements import BinaryExpression, BooleanClauseList, ColumnClause, Grouping, Null
from sqlalchemy.sql.selectable import AliasedReturnsRows, FromGrouping, Join, TableClause

Sql: TypeAlias = Any
"""A piece of a statement. SQLAlchemy types these for writing statements, not for reading them."""


def is_a(element: Sql, *kinds: type[Sql]) -> bool:
    """Do as isinstance does, but leave the static type open."""
    return isinstance(element, kinds)


def blocks(statement: Sql) -> Iterator[Sql]:
    """Yield every SELECT, UPDATE, DELETE and INSERT in a statement, itself included."""
    for element in _elements(statement):
        if is_a(element, Select, Update, Delete, Insert):
            yield element


def raw_text(statement: Sql) -> Iterator[str]:
    """Yield every piece of SQL in a statement that was written, not built."""
    for element in _elements(statement):
        yield from _decorations(element)
        if is_a(element, TextClause):
            yield element.text
        elif is_a(element, ColumnClause) and element.is_literal:
            yield element.name


def is_query(statement: Sql) -> bool:
    """Tell whether this block has a WHERE."""
    return is_a(statement, Select, Update, Delete)


def sources(block: Sql) -> list[Sql]:
    """Return what a SELECT, UPDATE or DELETE reads and writes, joins taken apart, each once."""
    if is_a(block, Select):
        found = _sources_of_select(block)
    else:
        found = [block.table]
        values = [value for _, value in assignments(block)] if is_a(block, Update) else []
        for expression in [*_criteria(block), *values]:
            found += getattr(expression, "_from_objects", ())
    return list({id(source): source for outer in found for source in _taken_apart(outer)}.values())


def conjuncts(block: Sql) -> list[Sql]:
    """Return the conditions of a block's WHERE that must all hold."""
    return [part for criterion in _criteria(block) for part in _parts(criterion)]


def assignments(block: Sql) -> list[tuple[str, Sql]]:
    """Return (column name, value) of an INSERT's or UPDATE's own values, parameters given at execution aside."""
    given: Sql = getattr(block, "_ordered_values", None) or dict(block._values or {}).items()  # noqa: SLF001 -- no other way
    return [(str(getattr(column, "key", column)), value) for column, value in given]


def is_plain_insert(statement: Sql) -> bool:
    """Tell whether an INSERT adds rows of one set of columns: no SELECT, no row lists, nothing on conflict."""
    extras = (statement.select, statement._multi_values, statement._post_values_clause)  # noqa: SLF001 -- no other way
    return not any(extra is not None and extra != () for extra in extras)


def table_of(source: Sql) -> Sql:
    """Return the table behind a source or any alias of it; None for a subquery, which is a block of its own."""
    while is_a(source, AliasedReturnsRows) and is_a(source.element, FromClause):
        source = source.element
    return source if is_a(source, Table, TableClause) else None


def same(one: Sql, other: Sql, *, named: frozenset[str]) -> bool:
    """Compare expressions: columns by identity, parameters called one of `named` by name, all others by value."""
    if is_a(one, Grouping):
        return same(one.element, other, named=named)
    if is_a(other, Grouping):
        return same(one, other.element, named=named)
    if is_a(one, Column) or is_a(other, Column) or type(one) is not type(other):
        return one is other
    if is_a(one, BindParameter):
        return one.key == other.key if {one.key, other.key} & named else one.value == other.value
    return is_a(one, Null) or _same_parts(one, other, named)


def _same_parts(one: Sql, other: Sql, named: frozenset[str]) -> bool:
    if is_a(one, BinaryExpression):
        pairs: list[tuple[Sql, Sql]] = [(one.left, other.left), (one.right, other.right)]
    elif is_a(one, BooleanClauseList) and len(one.clauses) == len(other.clauses):
        pairs = list(zip(one.clauses, other.clauses, strict=True))
    else:
        return False
    operator: Sql = one.operator
    return operator is other.operator and all(same(left, right, named=named) for left, right in pairs)


def _sources_of_select(block: Sql) -> list[Sql]:
    """Collect what `get_final_froms` would, and what is correlated too, without its compiling the whole statement."""
    found: list[Sql] = list(block._iterate_from_elements())  # noqa: SLF001 -- as said
    for earlier in (block, *block._memoized_select_entities):  # noqa: SLF001 -- as said
        for target, _, left, _ in earlier._setup_joins:  # noqa: SLF001 -- as said
            found += [target] if left is None else [target, left]
    return found


def _elements(statement: Sql) -> Iterator[Sql]:
    yield from visitors.iterate(statement)


def _decorations(element: Sql) -> Iterator[str]:
    """Yield prefixes, suffixes and hints: text that no traversal of a statement comes across."""
    for name in ("_prefixes", "_suffixes", "_statement_hints"):
        for pair in getattr(element, name, ()):
            yield from (str(part) for part in pair)
    hints: Sql = getattr(element, "_hints", None) or {}
    yield from (str(hint) for hint in hints.values())


def _criteria(block: Sql) -> tuple[Sql, ...]:
    return block._where_criteria  # noqa: SLF001 -- no other way


def _parts(expression: Sql) -> Iterator[Sql]:
    if is_a(expression, Grouping):
        yield from _parts(expression.element)
    elif is_a(expression, BooleanClauseList) and expression.operator is operators.and_:
        for part in expression.clauses:
            yield from _parts(part)
    else:
        yield expression


def _taken_apart(source: Sql) -> Iterator[Sql]:
    if is_a(source, Join):
        yield from _taken_apart(source.left)
        yield from _taken_apart(source.right)
    elif is_a(source, FromGrouping):
        yield from _taken_apart(source.element)
    else:
        yield source
