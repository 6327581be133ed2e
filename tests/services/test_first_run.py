"""What a new installation starts with, and that later starts leave it alone."""

import pytest
from sqlalchemy import delete

from tests.services.stage import PASSWORD, Stage, ask
from twinspeak.domain.caller import Scope
from twinspeak.domain.errors import OperatorError
from twinspeak.domain.turn import Face
from twinspeak.persistence.repos import assistants, institutions, wallets
from twinspeak.persistence.tables import accounts, memberships, users
from twinspeak.persistence.tables import institutions as institution_table
from twinspeak.services.first_run import ASSISTANTS, Administrator, FirstRun, first_run

SAMPLES = (("Welcome", "# Welcome\n\nHello."), ("Prices", "# Prices\n\nNothing."))


class Vault:
    """Remembers what was put into it; breaks when told to."""

    def __init__(self) -> None:
        self.held: list[tuple[str | None, str, str]] = []
        self.breaks_after = 10

    def __call__(self, scope: Scope, name: str, text: str) -> None:
        if len(self.held) == self.breaks_after:
            raise OSError("disk full")
        self.held.append((scope.institution_id, name, text))


def start(stage: Stage, vault: Vault, email: str = "Root@Example.org", password: str | None = PASSWORD) -> FirstRun:
    return first_run(stage.db, stage.passwords, Administrator(email, password), samples=SAMPLES, ingest=vault)


async def test_the_first_start_makes_what_is_needed_to_ask(stage: Stage):
    vault = Vault()
    told = start(stage, vault)
    assert told.created
    assert told.admin_email == "root@example.org"
    assert told.generated_password is None
    profile = (await stage.signed_in("root@example.org")).profile
    assert (profile.account_type, profile.credits) == ("super", 50)
    assert profile.twin is not None
    assert profile.twin.institution.public_id == told.twin_public_id
    assert profile.twin.credits == 50
    assert [(name, text) for _, name, text in vault.held] == list(SAMPLES)
    assert {twin for twin, _, _ in vault.held} == {profile.twin.institution.id}
    assert stage.db.read_sync(wallets.discrepancies) == []


async def test_the_first_question_is_answered_on_every_face(stage: Stage):
    start(stage, Vault())
    caller = await stage.caller("root@example.org")
    for face in Face:
        plan = await stage.resolver().resolve(ask(caller, face=face))
        assert plan.institution is not None
        assert plan.payer_institution_id == plan.institution.id
        assert plan.search_vault
    scope = Scope(user_id=caller.user_id, institution_id=caller.institution_id)
    names = [one.assistant.name for one in stage.db.read_sync(lambda tx: assistants.listing(tx, scope))]
    assert names == [one.name for one in ASSISTANTS]


@pytest.mark.parametrize("unset", [None, ""])
async def test_a_password_is_made_up_and_told_once(stage: Stage, unset: str | None):
    told = start(stage, Vault(), password=unset)
    assert told.generated_password is not None
    await stage.auth.sign_in("root@example.org", told.generated_password)
    assert start(stage, Vault(), password=None).generated_password is None
    await stage.auth.sign_in("root@example.org", told.generated_password)


async def test_later_starts_change_nothing(stage: Stage):
    first, vault = start(stage, Vault()), Vault()
    for email, password in (("root@example.org", PASSWORD), ("new@example.org", "another password"), ("bad", "x")):
        told = start(stage, vault, email, password)
        assert told == FirstRun(
            created=False,
            admin_email=first.admin_email,
            generated_password=None,
            twin_public_id=first.twin_public_id,
        )
    assert vault.held == []
    for table in (users, institution_table, memberships, accounts):
        assert len(stage.column(table.c.id)) == 1
    await stage.signed_in("root@example.org")


async def test_a_start_that_was_cut_off_is_finished_by_the_next(stage: Stage):
    vault = Vault()
    vault.breaks_after = 1
    with pytest.raises(OSError, match="disk full"):
        start(stage, vault)
    vault.breaks_after = 10
    assert not start(stage, vault).created
    assert [name for _, name, _ in vault.held] == ["Welcome", "Welcome", "Prices"]
    assert len(stage.column(users.c.id)) == 1


async def test_what_was_deleted_does_not_come_back(stage: Stage):
    told = start(stage, Vault())
    stage.db.write_sync(lambda tx: tx.run(delete(memberships)))
    twin = stage.db.read_sync(lambda tx: institutions.by_public_id(tx, told.twin_public_id or ""))
    assert twin is not None
    stage.set_twin(twin, status="deleted")
    again = start(stage, Vault())
    assert again.twin_public_id is None
    assert stage.column(memberships.c.id) == []


async def test_somebody_who_is_there_already_keeps_the_password(stage: Stage):
    stage.person("root@example.org")
    told = start(stage, Vault(), password=None)
    assert told.created
    assert told.generated_password is None
    assert (await stage.signed_in("root@example.org")).profile.account_type == "super"


@pytest.mark.parametrize(
    ("email", "password", "setting"),
    [
        ("nonsense", PASSWORD, "TWINSPEAK_ADMIN_EMAIL"),
        ("", PASSWORD, "TWINSPEAK_ADMIN_EMAIL"),
        ("root@example.org", "short", "TWINSPEAK_ADMIN_PASSWORD"),
        ("root@example.org", "x" * 5_000, "TWINSPEAK_ADMIN_PASSWORD"),
    ],
)
def test_settings_that_cannot_be_stop_the_start(stage: Stage, email: str, password: str, setting: str):
    with pytest.raises(OperatorError, match=setting):
        start(stage, Vault(), email, password)
    assert stage.column(users.c.id) == []
    assert start(stage, Vault()).created
