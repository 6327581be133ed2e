"""Signing in and out, and what a token is worth at this moment."""

import asyncio
import time
from typing import Any

import pytest

from tests.services.stage import CHEAP, PASSWORD, Stage
from twinspeak.domain import clock
from twinspeak.domain.caller import Caller
from twinspeak.domain.errors import (
    AccountSuspended,
    AuthenticationRequired,
    CodedError,
    Conflict,
    InvalidCredentials,
    InvalidToken,
    Overloaded,
    TokenExpired,
    ValidationFailed,
)
from twinspeak.domain.ids import new_id
from twinspeak.identity.passwords import Cost, Passwords
from twinspeak.identity.tokens import Tokens
from twinspeak.persistence.tables import sessions, users
from twinspeak.services.auth import Auth, Device, SignedIn

NEW = "another good password"


async def test_signing_in_gives_a_token_that_speaks_for_the_person(stage: Stage):
    user = stage.person(account_type="admin")
    twin = stage.twin()
    stage.join(user, twin, account_type="admin")
    before = clock.now_ms()
    signed_in = await stage.auth.sign_in("ada@example.org", PASSWORD, Device(ip="192.0.2.1", user_agent="x" * 9_000))
    assert isinstance(signed_in, SignedIn)
    assert before + 3_590_000 < signed_in.expires <= clock.now_ms() + 3_600_000
    assert signed_in.profile.user.id == user.id
    assert signed_in.profile.user.last_login is not None
    caller = await stage.auth.authenticate(signed_in.token)
    assert caller == Caller(
        user_id=user.id,
        email="ada@example.org",
        kind="admin",
        session_id=caller.session_id,
        institution_id=twin.id,
        account_type="admin",
    )
    assert stage.column(sessions.c.ip) == ["192.0.2.1"]
    assert stage.column(sessions.c.expires) == [signed_in.expires]
    assert len(stage.column(sessions.c.user_agent)[0]) <= 500


@pytest.mark.parametrize("email", ["Ada@Example.ORG", "  ada@example.org ", "ADA@EXAMPLE.ORG"])
async def test_the_case_of_an_address_does_not_count(stage: Stage, email: str):
    stage.person()
    signed_in = await stage.auth.sign_in(email, PASSWORD)
    assert isinstance(signed_in, SignedIn)
    assert signed_in.profile.user.email == "ada@example.org"


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("ada@example.org", "wrong"),
        ("ada@example.org", ""),
        ("ada@example.org", PASSWORD.upper()),
        ("ada@example.org", "x" * 5_000_000),
        ("ada@example.org", "\ud800"),
        ("nobody@example.org", PASSWORD),
        ("nobody@example.org", "x" * 5_000_000),
        ("sso@example.org", PASSWORD),
        ("sso@example.org", ""),
        ("gone@example.org", PASSWORD),
        ("", ""),
        ("x" * 100_000, PASSWORD),
        ("' OR 1=1 --", PASSWORD),
        ("%", PASSWORD),
    ],
)
async def test_every_wrong_sign_in_gets_the_same_answer(stage: Stage, email: str, password: str):
    stage.person()
    stage.edit(stage.person("gone@example.org"), status="deleted")
    sso = stage.person("sso@example.org")
    stage.db.write_sync(lambda tx: tx.run(users.update().where(users.c.id == sso.id).values(password_hash=None)))
    with pytest.raises(InvalidCredentials) as caught:
        await stage.auth.sign_in(email, password)
    assert caught.value.message == InvalidCredentials.default
    assert caught.value.details == {}
    assert stage.column(sessions.c.id) == []


async def test_an_unknown_address_takes_as_long_as_a_wrong_password(stage: Stage):
    passwords = Passwords(Cost(passes=2, memory_kib=16_384, lanes=1))
    auth = Auth(stage.db, stage.tokens, passwords)
    user = stage.person()
    hashed = await passwords.hash(PASSWORD)
    stage.db.write_sync(lambda tx: tx.run(users.update().where(users.c.id == user.id).values(password_hash=hashed)))
    times: dict[str, list[float]] = {"ada@example.org": [], "nobody@example.org": []}
    try:
        for _ in range(9):
            for email, taken in times.items():
                began = time.perf_counter()
                with pytest.raises(InvalidCredentials):
                    await auth.sign_in(email, "wrong")
                taken.append(time.perf_counter() - began)
    finally:
        passwords.close()
    somebody, nobody = (sorted(taken)[4] for taken in times.values())
    assert 0.5 < nobody / somebody < 2


@pytest.mark.parametrize("status", ["suspended", "pending"])
async def test_only_who_knows_the_password_learns_of_a_suspension(stage: Stage, status: str):
    stage.edit(stage.person(), status=status)
    with pytest.raises(InvalidCredentials):
        await stage.auth.sign_in("ada@example.org", "wrong")
    with pytest.raises(AccountSuspended):
        await stage.auth.sign_in("ada@example.org", PASSWORD)
    assert stage.column(sessions.c.id) == []


@pytest.mark.parametrize(
    ("columns", "error"), [({"status": "suspended"}, AccountSuspended), ({"status": "deleted"}, InvalidToken)]
)
async def test_a_suspension_takes_effect_on_the_next_call(
    stage: Stage, columns: dict[str, Any], error: type[CodedError]
):
    user = stage.person()
    signed_in = await stage.signed_in()
    caller = await stage.auth.authenticate(signed_in.token)
    stage.edit(user, **columns)
    with pytest.raises(error):
        await stage.auth.authenticate(signed_in.token)
    with pytest.raises(error):
        await stage.auth.refresh(caller)
    with pytest.raises(error):
        await stage.auth.change_password(caller, PASSWORD, NEW)


async def test_losing_a_role_or_a_twin_takes_effect_on_the_next_call(stage: Stage):
    user = stage.person(account_type="super")
    twin = stage.twin()
    membership = stage.join(user, twin, account_type="admin")
    token = (await stage.signed_in()).token
    assert (await stage.auth.authenticate(token)).kind == "super"
    stage.edit(user, account_type="admin")
    assert (await stage.auth.authenticate(token)).kind == "admin"
    stage.edit(user, account_type="user")
    assert (await stage.auth.authenticate(token)).kind == "user"
    for status in ("suspended", "pending", "deleted"):
        stage.set_membership(membership, status)
        caller = await stage.auth.authenticate(token)
        assert (caller.kind, caller.institution_id) == ("user", None)
    stage.set_membership(membership, "active")
    for status in ("suspended", "inactive", "deleted"):
        stage.set_twin(twin, status=status)
        assert (await stage.auth.authenticate(token)).institution_id is None


@pytest.mark.parametrize("token", [None, ""])
async def test_without_a_token_one_is_asked_for(stage: Stage, token: str | None):
    with pytest.raises(AuthenticationRequired):
        await stage.auth.authenticate(token)


async def test_tokens_that_name_no_live_session_are_refused(stage: Stage):
    ada, bob = stage.person(), stage.person("bob@example.org")
    session_id = (await stage.caller()).session_id

    def token(tokens: Tokens, user_id: str, session: str) -> str:
        return tokens.issue(user_id=user_id, email="ada@example.org", kind="super", session_id=session)[0]

    for forged in (
        token(Tokens("f" * 32, 60), ada.id, session_id),
        token(stage.tokens, ada.id, new_id()),
        token(stage.tokens, bob.id, session_id),
        token(stage.tokens, new_id(), session_id),
        "garbage",
    ):
        with pytest.raises(InvalidToken):
            await stage.auth.authenticate(forged)


async def test_what_the_token_says_of_rights_does_not_count(stage: Stage):
    user = stage.person()
    session_id = (await stage.caller()).session_id
    token, _ = stage.tokens.issue(user_id=user.id, email="root@example.org", kind="super", session_id=session_id)
    caller = await stage.auth.authenticate(token)
    assert (caller.kind, caller.email) == ("user", "ada@example.org")


async def test_signing_out_ends_one_session_at_once_and_tells(stage: Stage):
    stage.person()
    told: list[tuple[str, frozenset[str]]] = []
    stage.auth.revocations.on_ended(lambda user_id, ids: told.append((user_id, frozenset(ids or ()))))
    here, there = await stage.signed_in(), await stage.signed_in()
    caller = await stage.auth.authenticate(here.token)
    await stage.auth.sign_out(caller)
    assert told == [(caller.user_id, frozenset({caller.session_id}))]
    with pytest.raises(InvalidToken):
        await stage.auth.authenticate(here.token)
    with pytest.raises(InvalidToken):
        await stage.auth.refresh(caller)
    await stage.auth.authenticate(there.token)
    await stage.auth.sign_out(caller)


async def test_a_session_that_ran_out_is_over_even_for_a_token_that_did_not(stage: Stage):
    stage.person()
    token = (await stage.signed_in()).token
    stage.db.write_sync(lambda tx: tx.run(sessions.update().values(expires=clock.now_ms())))
    with pytest.raises(InvalidToken):
        await stage.auth.authenticate(token)


async def test_refreshing_gives_the_same_session_a_full_lifetime(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    stage.person()
    caller = await stage.caller()
    old = await stage.auth.refresh(caller)
    later = clock.now_ms() + 3_000_000
    for module in ("identity.tokens", "services.auth"):
        monkeypatch.setattr(f"twinspeak.{module}.now_ms", lambda: later)
    renewed = await stage.auth.refresh(caller)
    assert renewed.expires >= old.expires + 2_990_000
    assert renewed.profile.user.id == caller.user_id
    assert stage.column(sessions.c.id) == [caller.session_id]
    later += 1_000_000
    with pytest.raises(TokenExpired):
        await stage.auth.authenticate(old.token)
    assert (await stage.auth.authenticate(renewed.token)).session_id == caller.session_id


async def test_old_sessions_are_forgotten(stage: Stage):
    stage.person()
    await stage.signed_in()
    stage.db.write_sync(lambda tx: tx.run(sessions.update().values(expires=1)))
    await stage.signed_in()
    assert len(stage.column(sessions.c.id)) == 1


async def test_changing_the_password_ends_every_session_and_opens_one(stage: Stage):
    user = stage.person(must_change_password=True)
    told: list[frozenset[str]] = []
    stage.auth.revocations.on_ended(lambda _, ids: told.append(frozenset(ids or ())))
    here, there = await stage.signed_in(), await stage.signed_in()
    callers = [await stage.auth.authenticate(signed_in.token) for signed_in in (here, there)]
    fresh = await stage.auth.change_password(callers[0], PASSWORD, NEW)
    assert told == [frozenset(caller.session_id for caller in callers)]
    for signed_in in (here, there):
        with pytest.raises(InvalidToken):
            await stage.auth.authenticate(signed_in.token)
    assert (await stage.auth.authenticate(fresh.token)).user_id == user.id
    assert not fresh.profile.user.must_change_password
    assert fresh.profile.user.reset_code_id != user.reset_code_id
    with pytest.raises(InvalidCredentials):
        await stage.auth.sign_in("ada@example.org", PASSWORD)
    await stage.auth.sign_in("ada@example.org", NEW)


@pytest.mark.parametrize(
    ("current", "new", "error"),
    [
        ("wrong", NEW, InvalidCredentials),
        ("", NEW, InvalidCredentials),
        (PASSWORD, "short", ValidationFailed),
        (PASSWORD, "", ValidationFailed),
        (PASSWORD, PASSWORD, ValidationFailed),
        (PASSWORD, "x" * 2_000_000, ValidationFailed),
        (PASSWORD, "\ud800 half a pair", ValidationFailed),
    ],
)
async def test_a_password_change_that_is_refused_changes_nothing(
    stage: Stage, current: str, new: str, error: type[CodedError]
):
    stage.person()
    signed_in = await stage.signed_in()
    caller = await stage.auth.authenticate(signed_in.token)
    with pytest.raises(error):
        await stage.auth.change_password(caller, current, new)
    await stage.auth.authenticate(signed_in.token)
    await stage.signed_in()


async def test_of_two_password_changes_at_once_one_wins_and_the_other_is_told(stage: Stage):
    stage.person()
    callers = [await stage.caller(), await stage.caller()]
    answers = await asyncio.gather(
        *(stage.auth.change_password(caller, PASSWORD, f"{NEW} {n}") for n, caller in enumerate(callers)),
        return_exceptions=True,
    )
    winners = [n for n, answer in enumerate(answers) if not isinstance(answer, BaseException)]
    assert len(winners) == 1
    assert isinstance(answers[1 - winners[0]], Conflict)
    await stage.auth.sign_in("ada@example.org", f"{NEW} {winners[0]}")
    with pytest.raises(InvalidCredentials):
        await stage.auth.sign_in("ada@example.org", f"{NEW} {1 - winners[0]}")
    live = stage.column(sessions.c.id, sessions.c.revoked.is_(None))
    assert len(live) == 2


class Gate(Passwords):
    """Stops after the check, until the test lets it go on."""

    def __init__(self) -> None:
        super().__init__(CHEAP)
        self.checked = asyncio.Event()
        self.go_on = asyncio.Event()

    async def verify(self, stored: str | None, password: str) -> bool:
        right = await super().verify(stored, password)
        self.checked.set()
        await self.go_on.wait()
        return right


async def test_a_sign_in_that_a_password_change_overtakes_is_refused(stage: Stage):
    stage.person()
    gate = Gate()
    try:
        late = asyncio.ensure_future(Auth(stage.db, stage.tokens, gate).sign_in("ada@example.org", PASSWORD))
        await asyncio.wait_for(gate.checked.wait(), 5)
        await stage.auth.change_password(await stage.caller(), PASSWORD, NEW)
        gate.go_on.set()
        with pytest.raises(InvalidCredentials):
            await asyncio.wait_for(late, 5)
    finally:
        gate.close()


async def test_a_session_that_ends_meanwhile_cannot_change_the_password(stage: Stage):
    stage.person()
    caller = await stage.caller()
    gate = Gate()
    try:
        late = asyncio.ensure_future(Auth(stage.db, stage.tokens, gate).change_password(caller, PASSWORD, NEW))
        await asyncio.wait_for(gate.checked.wait(), 5)
        await stage.auth.sign_out(caller)
        gate.go_on.set()
        with pytest.raises(InvalidToken):
            await asyncio.wait_for(late, 5)
    finally:
        gate.close()
    await stage.signed_in()


async def test_streams_are_told_even_if_whoever_signs_out_does_not_wait(stage: Stage):
    stage.person()
    told: list[frozenset[str]] = []
    stage.auth.revocations.on_ended(lambda _, ids: told.append(frozenset(ids or ())))
    signed_in = await stage.signed_in()
    caller = await stage.auth.authenticate(signed_in.token)
    leaving = asyncio.ensure_future(stage.auth.sign_out(caller))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert told == [frozenset({caller.session_id})]

    async def until_refused() -> None:
        while True:
            await stage.auth.authenticate(signed_in.token)

    # The write goes on by itself; on PostgreSQL it may end after later ones.
    with pytest.raises(InvalidToken):
        await asyncio.wait_for(until_refused(), 10)


async def test_a_hash_of_yesterdays_cost_is_made_again_at_sign_in(stage: Stage):
    stage.person()
    [old] = stage.column(users.c.password_hash)
    passwords = Passwords(Cost(passes=2, memory_kib=64, lanes=1))
    try:
        auth = Auth(stage.db, stage.tokens, passwords)
        signed_in = await auth.sign_in("ada@example.org", PASSWORD)
        assert isinstance(signed_in, SignedIn)
        [new] = stage.column(users.c.password_hash)
        assert new != old
        assert not passwords.outdated(new)
        await auth.authenticate(signed_in.token)
        await auth.sign_in("ada@example.org", PASSWORD)
        assert stage.column(users.c.password_hash) == [new]
    finally:
        passwords.close()


async def test_too_many_at_once_are_told_to_wait(stage: Stage):
    stage.person()
    passwords = Passwords(Cost(passes=1, memory_kib=32_768, lanes=1), workers=1, waiting=1)
    auth = Auth(stage.db, stage.tokens, passwords)
    try:
        answers = await asyncio.gather(
            *(auth.sign_in("nobody@example.org", "x") for _ in range(10)), return_exceptions=True
        )
        assert {type(answer) for answer in answers} == {Overloaded, InvalidCredentials}
    finally:
        passwords.close()
