"""Users, memberships and sessions: who somebody is, and for how long."""

import pytest
from sqlalchemy import update

from tests.persistence.world import World
from twinspeak.domain.errors import Conflict
from twinspeak.domain.ids import new_id, new_uuid
from twinspeak.domain.institution import Institution
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import institutions, memberships, sessions, users, wallets
from twinspeak.persistence.tables import institutions as institution_table

NOW = 1_800_000_000_000


def signed_in(world: World, user_id: str, *, expires: int = NOW + 1_000) -> str:
    return world.db.write_sync(lambda tx: sessions.create(tx, sessions.NewSession(user_id=user_id, expires=expires)))


def edit(world: World, user_id: str, **changes: object) -> None:
    assert world.db.write_sync(lambda tx: users.edit(tx, user_id, changes))


class TestUsers:
    def test_an_address_is_one_user_whatever_its_case(self, world: World) -> None:
        with pytest.raises(Conflict):
            world.db.write_sync(lambda tx: users.create(tx, users.NewUser(email=" ADA@example.org ")))

        found = world.db.read_sync(lambda tx: users.by_email(tx, "  Ada@Example.ORG "))
        assert found is not None
        assert found.id == world.ada

    def test_a_refused_user_leaves_no_wallet(self, world: World) -> None:
        with pytest.raises(Conflict):
            world.db.write_sync(lambda tx: users.create(tx, users.NewUser(email="ada@example.org"), credits=50))

        assert world.db.read_sync(wallets.discrepancies) == []

    def test_editing_takes_profile_fields_only(self, world: World) -> None:
        edit(world, world.ada, fname="Ada", rag_ignore=True, preferences={"dark_mode": True})

        found = world.db.read_sync(lambda tx: users.by_id(tx, world.ada))
        assert found is not None
        assert (found.fname, found.rag_ignore, found.rag_only, found.preferences) == (
            "Ada",
            True,
            None,
            {"dark_mode": True},
        )
        for forbidden in ("password_hash", "credits_used", "id", "nonsense"):
            with pytest.raises(ValueError, match=forbidden):
                world.db.write_sync(lambda tx, name=forbidden: users.edit(tx, world.ada, {name: "x"}))
        with pytest.raises(Conflict):
            edit(world, world.ada, email="Bob@example.org")
        assert not world.db.write_sync(lambda tx: users.edit(tx, new_id(), {"fname": "Nobody"}))

    def test_a_new_password_makes_a_new_reset_code(self, world: World) -> None:
        before = world.db.read_sync(lambda tx: users.by_id(tx, world.ada))
        assert world.db.write_sync(lambda tx: users.set_password(tx, world.ada, "hash"))

        found = world.db.read_sync(lambda tx: users.credentials(tx, "ada@example.org"))
        assert before is not None
        assert found is not None
        assert found[1] == "hash"
        assert found[0].reset_code_id != before.reset_code_id
        assert not world.db.write_sync(lambda tx: users.set_password(tx, world.ada, "late", replacing="another"))


class TestSessions:
    def test_a_session_says_who_and_where(self, world: World) -> None:
        edit(world, world.ada, active_institution_id=world.oak.id)
        session = signed_in(world, world.ada)

        live = world.db.read_sync(lambda tx: sessions.live(tx, session, NOW))

        assert live is not None
        assert (live.caller.user_id, live.caller.institution_id, live.caller.kind) == (world.ada, world.oak.id, "user")
        assert live.caller.session_id == session

    @pytest.mark.parametrize("case", ["expired", "revoked", "unknown", "all revoked"])
    def test_a_session_that_is_over_is_none(self, world: World, case: str) -> None:
        session = signed_in(world, world.ada, expires=NOW if case == "expired" else NOW + 1_000)

        def end(tx: Tx) -> None:
            if case == "revoked":
                assert sessions.revoke(tx, session, NOW)
                assert not sessions.revoke(tx, session, NOW)
            if case == "all revoked":
                assert sessions.revoke_all(tx, world.ada, NOW) == [session]

        world.db.write_sync(end)
        asked = new_id() if case == "unknown" else session

        assert world.db.read_sync(lambda tx: sessions.live(tx, asked, NOW)) is None
        assert not world.db.write_sync(lambda tx: sessions.extend(tx, asked, expires=NOW + 9_000, now=NOW))

    def test_revoking_all_keeps_one_and_touches_no_one_else(self, world: World) -> None:
        mine, kept, others = (signed_in(world, user) for user in (world.ada, world.ada, world.bob))

        assert world.db.write_sync(lambda tx: sessions.revoke_all(tx, world.ada, NOW, keep=kept)) == [mine]
        for session, lives in ((mine, False), (kept, True), (others, True)):
            found = world.db.read_sync(lambda tx, s=session: sessions.live(tx, s, NOW))
            assert (found is not None) is lives

    @pytest.mark.parametrize("case", ["membership suspended", "twin suspended", "never a member"])
    def test_without_an_active_membership_there_is_no_twin(self, world: World, case: str) -> None:
        edit(world, world.ada, active_institution_id=(world.elm if case == "never a member" else world.oak).id)
        session = signed_in(world, world.ada)

        def end(tx: Tx) -> None:
            membership = memberships.get(tx, world.ada, world.oak.id)
            assert membership is not None
            if case == "membership suspended":
                memberships.set_status(tx, membership.id, "suspended")
            if case == "twin suspended":
                tx.run(update(institution_table).values(status="suspended"))

        world.db.write_sync(end)

        live = world.db.read_sync(lambda tx: sessions.live(tx, session, NOW))
        assert live is not None
        assert live.caller.institution_id is None

    def test_kind_is_what_counts_in_the_twin_but_super_stays_super(self, world: World) -> None:
        """An administrator needs both gates (reference: admin 2.1)."""
        people = (
            ("super", "user", "super"),
            ("admin", "admin", "admin"),
            ("user", "admin", "user"),
            ("admin", "user", "user"),
        )

        def fill(tx: Tx) -> list[str]:
            made: list[str] = []
            for number, (account_type, inside, _) in enumerate(people):
                new = users.NewUser(email=f"{number}@example.org", account_type=account_type)
                made.append(users.create(tx, new).id)
                memberships.create(tx, made[-1], world.oak.id, account_type=inside)
                users.edit(tx, made[-1], {"active_institution_id": world.oak.id})
            return made

        for user, (_, _, kind) in zip(world.db.write_sync(fill), people, strict=True):
            session = signed_in(world, user)
            live = world.db.read_sync(lambda tx, s=session: sessions.live(tx, s, NOW))
            assert live is not None
            assert live.caller.kind == kind

    def test_old_ones_are_forgotten(self, world: World) -> None:
        old, new = signed_in(world, world.ada, expires=NOW - 10), signed_in(world, world.ada)

        assert world.db.write_sync(lambda tx: sessions.purge(tx, before=NOW)) == 1
        assert world.db.read_sync(lambda tx: sessions.live(tx, old, 0)) is None
        assert world.db.read_sync(lambda tx: sessions.live(tx, new, NOW)) is not None


class TestMemberships:
    def test_a_twin_is_given_to_its_members_only(self, world: World) -> None:
        def twins(user: str) -> list[str]:
            found = world.db.read_sync(
                lambda tx: [memberships.twin_by_public_id(tx, user, one.public_id) for one in (world.oak, world.elm)]
            )
            return [one.name for one in found if one is not None]

        assert (twins(world.ada), twins(world.bob), twins(world.eve)) == (["Oak"], ["Oak"], ["Elm"])
        assert world.db.read_sync(lambda tx: memberships.twin(tx, world.ada, world.elm.id)) is None
        assert world.db.read_sync(lambda tx: memberships.twin_by_public_id(tx, world.ada, new_uuid())) is None

    def test_joining_twice_changes_nothing(self, world: World) -> None:
        def again(tx: Tx) -> tuple[object, object]:
            before = memberships.get(tx, world.ada, world.oak.id)
            return before, memberships.create(tx, world.ada, world.oak.id, account_type="admin")

        before, after = world.db.write_sync(again)
        assert before == after

    def test_a_list_has_active_ones_only(self, world: World) -> None:
        def leave(tx: Tx) -> None:
            joined = memberships.create(tx, world.ada, world.elm.id)
            memberships.set_status(tx, joined.id, "pending")

        world.db.write_sync(leave)

        found = world.db.read_sync(lambda tx: memberships.of_user(tx, world.ada))
        assert [twin.name for _, twin in found] == ["Oak"]


def test_every_field_of_a_twin_comes_back(db: Database) -> None:
    twin = Institution(
        id=new_id(),
        public_id=new_uuid(),
        name="Ash",
        ai_name="Ashley",
        prompt="Be brief.",
        conversation_model="gpt-x",
        max_completion_tokens=5,
        reasoning_effort="low",
        display_thinking_details=False,
        pool_credits=False,
        rag_ignore=True,
        rag_only=True,
        rag_limit_chunks=9,
        tool_results_max_chars=10,
        chat_completion_enabled=True,
        chat_completion_openai_compat=True,
        chat_completion_model="gpt-y",
        chat_completion_max_completion_tokens=6,
        chat_completion_reasoning_effort="high",
        public_authorized_urls=("https://a.example", "https://b.example"),
    )

    def fill(tx: Tx) -> None:
        institutions.create(tx, twin, account_id=institutions.ensure_account(tx, "Trees"), credits=50)
        assert institutions.ensure_account(tx, "Trees") == institutions.ensure_account(tx, "Trees")

    db.write_sync(fill)

    assert db.read_sync(lambda tx: institutions.by_id(tx, twin.id)) == twin
    assert db.read_sync(lambda tx: institutions.by_public_id(tx, twin.public_id)) == twin
    assert db.read_sync(institutions.authorized_urls) == twin.public_authorized_urls
    assert db.read_sync(lambda tx: wallets.balance(tx, "institution", twin.id)) == 50
    db.write_sync(lambda tx: tx.run(update(institution_table).values(status="inactive")))
    assert db.read_sync(lambda tx: institutions.by_id(tx, twin.id)) is None
    assert db.read_sync(institutions.authorized_urls) == ()
