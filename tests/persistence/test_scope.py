"""The hook sees through every shape of statement, and the conditions keep people and twins apart."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import (
    bindparam,
    column,
    delete,
    exists,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    table,
    text,
    true,
    union_all,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.sql import ClauseElement

from tests.persistence.world import World, own
from twinspeak.domain.assistant import Assistant
from twinspeak.domain.caller import Scope
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import assistants as assistant_rows
from twinspeak.persistence.scope import SYSTEM, ScopedStatement, UnscopedStatement, scoped
from twinspeak.persistence.tables import TENANT_TABLES, assistants, turn_details, turns, users
from twinspeak.persistence.vault_tables import chunks, documents

ME = Scope(user_id="a" * 24, institution_id="b" * 24)
ALONE = Scope(user_id="a" * 24, institution_id=None)
MANAGED = Scope(user_id=None, institution_id=None, managed=frozenset({"b" * 24, "c" * 24}))

other = turns.alias("other")
mine = scoped(ME, select(turns.c.id))
scoped_turns = scoped(ME, select(turns))

UNSCOPED: dict[str, Callable[[], Any]] = {
    "select": lambda: select(turns),
    "count": lambda: select(func.count()).select_from(turns),
    "update": lambda: update(turns).values(favorite=True),
    "delete": lambda: delete(turns),
    "insert": lambda: insert(turns).values(id="x", institution_id="y", user_id="z"),
    "insert of the vault": lambda: insert(documents).values(id="x", institution_id="y"),
    "insert-select into": lambda: insert(turn_details).from_select(["turn_id", "user_id"], mine),
    "insert-select from": lambda: insert(users).from_select(["id"], select(turns.c.id)),
    "insert of many": lambda: insert(turns).values([{"id": "x"}, {"id": "y"}]),
    "upsert": lambda: scoped(ME, upsert(turns)).values(id="x").on_conflict_do_update(set_={"output": "mine now"}),
    "join": lambda: select(users.c.id).join_from(users, turns, turns.c.user_id == users.c.id),
    "join of a scoped one": lambda: scoped(ME, select(turns.c.id)).join(
        turn_details, turn_details.c.turn_id == turns.c.id
    ),
    "outer join": lambda: select(users.c.id).select_from(users.outerjoin(turns, turns.c.user_id == users.c.id)),
    "nested join": lambda: select(users.c.id).select_from(
        users.join(turns.join(documents, true()), turns.c.user_id == users.c.id)
    ),
    "condition in ON only": lambda: select(users.c.id).join_from(
        users, turns, (turns.c.user_id == "a" * 24) & (turns.c.institution_id == "b" * 24)
    ),
    "from where only": lambda: select(users.c.id).where(users.c.id == turns.c.user_id),
    "subquery in from": lambda: select(select(turns).subquery()),
    "subquery of a subquery": lambda: select(select(select(turns).subquery()).subquery()),
    "scalar subquery": lambda: select(select(func.count(turns.c.id)).scalar_subquery()),
    "in": lambda: select(users).where(users.c.id.in_(select(turns.c.user_id))),
    "exists": lambda: select(users).where(exists().where(turns.c.user_id == users.c.id)),
    "exists in a scoped one": lambda: scoped(ME, select(turns.c.id)).where(exists(select(documents.c.id))),
    "same table inside a scoped one": lambda: scoped(ME, select(turns.c.id)).where(turns.c.id.in_(select(other.c.id))),
    "order by": lambda: select(users).order_by(select(turns.c.id).limit(1).scalar_subquery()),
    "cte": lambda: select(select(turns).cte("all_of_them")),
    "recursive cte": lambda: select(
        (base := select(turns.c.id).cte("tree", recursive=True)).union_all(select(base.c.id))
    ),
    "cte on the side": lambda: select(literal(1)).add_cte(select(turns).cte("side")),
    "cte that deletes": lambda: select(literal(1)).add_cte(delete(turns).returning(turns.c.id).cte("gone")),
    "union": lambda: union_all(mine, select(turns.c.id)),
    "lateral": lambda: select(users.c.id, select(turns.c.id).where(turns.c.user_id == users.c.id).lateral().c.id),
    "alias": lambda: select(other),
    "alias beside a scoped one": lambda: scoped(ME, select(turns.c.id)).where(turns.c.id != other.c.id),
    "two aliases, one scoped": lambda: select(other.c.id, turns.c.id).where(
        turns.c.user_id == bindparam("scope_user"), turns.c.institution_id == bindparam("scope_institution")
    ),
    "update from": lambda: update(users).where(users.c.id == turns.c.user_id).values(fname="x"),
    "update from, by its values": lambda: update(users).values(fname=turns.c.question),
    "update with a subquery": lambda: update(users).values(fname=select(turns.c.question).scalar_subquery()),
    "delete using": lambda: delete(users).where(users.c.id == turns.c.user_id),
    "update that moves rows": lambda: scoped(ME, update(turns)).values(user_id="e" * 24),
    "update of the institution": lambda: scoped(ME, update(documents)).values(institution_id="e" * 24),
    "half a condition": lambda: select(turns).where(turns.c.user_id == bindparam("scope_user")),
    "conditions that are one of several": lambda: select(turns).where(
        or_(turns.c.user_id == bindparam("scope_user"), true()), turns.c.institution_id.is_(None)
    ),
    "the condition of another table": lambda: select(turns).where(
        documents.c.institution_id == bindparam("scope_institution"), documents.c.user_id == bindparam("scope_user")
    ),
    "a condition with a value of one's own": lambda: select(turns).where(
        turns.c.institution_id == "b" * 24, turns.c.user_id == "a" * 24
    ),
    "a list of twins of one's own": lambda: select(turns).where(turns.c.institution_id.in_(["b" * 24])),
    "all but the managed ones": lambda: select(turns).where(turns.c.institution_id.not_in(bindparam("scope_managed"))),
    "update of managed rows that moves them": lambda: scoped(MANAGED, update(turns)).values(user_id="e" * 24),
    "writing what is shared for reading": lambda: update(assistants).where(
        or_(assistants.c.scope == "system", assistants.c.owner_user_id == bindparam("scope_user"))
    ),
    "text": lambda: text("SELECT * FROM turns"),
    "text with quotes and case": lambda: text('select * from "Turns"'),
    "text as a column": lambda: select(text("(SELECT output FROM turns)")),
    "text as a condition": lambda: select(users).where(text("id IN (SELECT user_id FROM turns)")),
    "text at the end": lambda: select(users.c.id).suffix_with("UNION SELECT output FROM turns"),
    "text in front": lambda: select(users.c.id).prefix_with("(SELECT output FROM turns),"),
    "hint": lambda: select(users.c.id).with_statement_hint("UNION SELECT output FROM turns"),
    "text with columns": lambda: select(text("SELECT id FROM turns").columns(column("id")).subquery()),
    "sample": lambda: select(turns.tablesample(50)),
    "ordered update that moves rows": lambda: scoped(ME, update(turns)).ordered_values((turns.c.user_id, "e" * 24)),
    "having": lambda: select(users.c.id).group_by(users.c.id).having(users.c.id.in_(select(turns.c.user_id))),
    "group by": lambda: select(users.c.id).group_by(select(turns.c.id).scalar_subquery()),
    "limit": lambda: select(users.c.id).limit(select(func.count(turns.c.id)).scalar_subquery()),
    "returning": lambda: update(users).values(fname="x").returning(select(turns.c.id).scalar_subquery()),
    "returning of an insert": lambda: insert(users).values(id="x").returning(select(turns.c.id).scalar_subquery()),
    "insert with a subquery": lambda: insert(users).values(id=select(turns.c.id).scalar_subquery()),
    "function": lambda: select(func.coalesce(select(turns.c.id).scalar_subquery(), "x")),
    "literal column": lambda: select(literal_column("(SELECT output FROM turns)")),
    "a table of the same name": lambda: select(table("turns", column("id"))),
    "a table of the same name in capitals": lambda: select(table("TURNS", column("id"))),
}

SCOPED: dict[str, Callable[[], Any]] = {
    "select": lambda: scoped(ME, select(turns)),
    "personal": lambda: scoped(ALONE, select(turns)),
    "further conditions": lambda: scoped(ME, select(turns)).where(turns.c.favorite.is_(True)).limit(3),
    "join": lambda: scoped(ME, select(turns.c.id).join_from(turns, turn_details, turn_details.c.turn_id == turns.c.id)),
    "join with an open table": lambda: scoped(ME, select(turns.c.id, users.c.email).join_from(turns, users)),
    "alias": lambda: scoped(ME, select(other)),
    "subquery": lambda: select(scoped_turns.subquery()),
    "in": lambda: select(users).where(users.c.id.in_(scoped(ME, select(turns.c.user_id)))),
    "union": lambda: union_all(mine, scoped(ALONE, select(documents.c.id))),
    "update": lambda: scoped(ME, update(turns)).values(favorite=True),
    "delete": lambda: scoped(ME, delete(turn_details)),
    "assistants": lambda: scoped(ME, select(assistants)),
    "assistants of one's own": lambda: scoped(ALONE, update(assistants)).values(name="x"),
    "system": lambda: scoped(SYSTEM, select(turns)),
    "managed": lambda: scoped(MANAGED, select(turns)),
    "managed by nobody": lambda: scoped(Scope(None, None, managed=frozenset()), select(turns)),
    "update of managed rows": lambda: scoped(MANAGED, update(turns)).values(favorite=True),
    "managed, in": lambda: select(users).where(users.c.id.in_(scoped(MANAGED, select(turns.c.user_id)))),
    "open tables": lambda: select(users),
    "text on open tables": lambda: text("SELECT count(*) FROM users"),
}


@pytest.mark.parametrize("shape", UNSCOPED)
def test_statements_without_their_scope_are_refused(db: Database, shape: str) -> None:
    statement = UNSCOPED[shape]()
    given = {"scope_user": ME.user_id, "scope_institution": ME.institution_id}

    for _ in range(2):  # the second time it must not have been remembered as good
        with pytest.raises(UnscopedStatement):
            db.write_sync(lambda tx: tx.run(statement, given))


@pytest.mark.parametrize("shape", SCOPED)
def test_statements_with_their_scope_pass(db: Database, shape: str) -> None:
    statement = SCOPED[shape]()

    db.write_sync(lambda tx: tx.run(statement))


def test_adding_to_a_statement_that_passed_is_looked_at_again(db: Database) -> None:
    passed = scoped(ME, select(turns.c.id))
    db.read_sync(lambda tx: tx.all(passed))

    with pytest.raises(UnscopedStatement):
        db.read_sync(lambda tx: tx.all(passed.add_columns(documents.c.id)))


def test_driver_sql_on_a_tenant_table_is_refused(db: Database) -> None:
    def raw(tx: Tx) -> object:
        return tx.connection.exec_driver_sql("UPDATE turns SET user_id = 'x'")

    with pytest.raises(UnscopedStatement):
        db.write_sync(raw)


def test_parameters_cannot_smuggle_another_owner_in(db: Database, world: World) -> None:
    statement = ScopedStatement(update(turns))
    for stolen in ("user_id", "institution_id"):
        with pytest.raises(UnscopedStatement):
            db.write_sync(lambda tx, name=stolen: tx.scoped(own(world.ada), statement, {name: world.eve}))


def test_a_scope_without_a_person_is_refused() -> None:
    nobody = Scope(user_id=None, institution_id="b" * 24)

    with pytest.raises(UnscopedStatement):
        scoped(nobody, select(turns))
    with pytest.raises(UnscopedStatement):
        ScopedStatement(select(turns)).render(nobody)


def test_nothing_is_added_to_managed_twins() -> None:
    for one in (turns, documents, assistants):
        with pytest.raises(UnscopedStatement):
            scoped(MANAGED, insert(one))


def test_managed_rows_are_those_of_the_twins_named(db: Database, world: World) -> None:
    def fill(tx: Tx) -> None:
        for user_id, twin in ((world.ada, world.oak), (world.bob, world.oak), (world.eve, world.elm)):
            assistant_rows.create(tx, own(user_id, twin), "institution", Assistant(id="", name=twin.name))
        assistant_rows.create(tx, own(world.eve), "personal", Assistant(id="", name="eve's"))

    db.write_sync(fill)

    def seen(*ids: str) -> list[str]:
        scope = Scope(user_id=None, institution_id=None, managed=frozenset(ids))
        prepared = ScopedStatement(select(assistants.c.name).order_by(assistants.c.name))
        built = db.read_sync(lambda tx: tx.all(scoped(scope, select(assistants.c.name).order_by(assistants.c.name))))
        assert [row.name for row in built] == [
            row.name for row in db.read_sync(lambda tx: tx.scoped(scope, prepared).all())
        ]
        return [row.name for row in built]

    assert seen(world.oak.id) == ["Oak", "Oak"]
    assert seen(world.oak.id, world.elm.id) == ["Elm", "Oak", "Oak"]
    assert seen() == []


def test_a_union_must_be_scoped_by_its_parts() -> None:
    with pytest.raises(UnscopedStatement):
        scoped(ME, union_all(mine, mine))


def test_prepared_and_built_statements_are_the_same() -> None:
    for bare in (select(turns), update(documents), delete(chunks), select(assistants), insert(turns)):
        for scope in (ME, ALONE):
            rendered, given = ScopedStatement(bare).render(scope)
            assert isinstance(rendered, ClauseElement)
            built = scoped(scope, bare)
            assert str(rendered.compile(column_keys=["id"])) == str(built.compile(column_keys=["id"]))
            assert set(given.values()) == {value for value in (scope.user_id, scope.institution_id) if value}


def test_every_table_with_an_owner_is_a_tenant_table() -> None:
    open_on_purpose = {
        "memberships",
        "sessions",
        "turn_keys",
        "assistant_likes",
        "codes",
        "audit_log",
        "api_keys",
        "sso_providers",
        "sso_identities",
        "account_transfers",  # of accounts, which are above twins
        "second_factors",
        "burned_codes",
        "recovery_codes",
        "trusted_devices",
        "launches",
        "launch_identities",
        "launch_secrets",
        "twin_contexts",
        "data_exports",  # of a person, whatever the twin
    }  # asked by user, or by twin, before there is a scope
    from twinspeak.persistence.tables import metadata

    owned = {name for name, one in metadata.tables.items() if {"institution_id", "user_id"} & set(one.c.keys())}
    assert owned - open_on_purpose == set(TENANT_TABLES)


def test_assistants_are_seen_by_those_they_are_for(db: Database, world: World) -> None:
    def fill(tx: Tx) -> None:
        for scope, kind, name in (
            (SYSTEM, "system", "everybody's"),
            (own(world.ada, world.oak), "institution", "oak's"),
            (own(world.eve, world.elm), "institution", "elm's"),
            (own(world.ada), "personal", "ada's"),
        ):
            assistant_rows.create(tx, scope, kind, Assistant(id="", name=name))

    db.write_sync(fill)

    def names(scope: Scope) -> set[str]:
        return {one.assistant.name for one in db.read_sync(lambda tx: assistant_rows.listing(tx, scope))}

    assert names(own(world.ada, world.oak)) == {"everybody's", "oak's", "ada's"}
    assert names(own(world.bob, world.oak)) == {"everybody's", "oak's"}
    assert names(own(world.eve, world.elm)) == {"everybody's", "elm's"}
    assert names(own(world.ada)) == {"everybody's", "ada's"}
    assert names(own(world.eve)) == {"everybody's"}


def test_writing_touches_no_assistant_of_the_system_or_of_others(db: Database, world: World) -> None:
    def fill(tx: Tx) -> None:
        assistant_rows.create(tx, SYSTEM, "system", Assistant(id="", name="everybody's"))
        assistant_rows.create(tx, own(world.eve, world.elm), "institution", Assistant(id="", name="elm's"))
        assistant_rows.create(tx, own(world.bob), "personal", Assistant(id="", name="bob's"))

    db.write_sync(fill)

    for scope in (own(world.ada, world.oak), own(world.ada)):
        changed = db.write_sync(lambda tx, s=scope: tx.change(scoped(s, update(assistants)).values(name="hacked")))
        assert changed == 0
