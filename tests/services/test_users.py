"""Adding people from the command line."""

import pytest

from tests.services.stage import Stage
from twinspeak.domain.errors import Conflict, InvalidCredentials, NotFound, ValidationFailed
from twinspeak.domain.ids import new_uuid
from twinspeak.persistence.repos import memberships, wallets
from twinspeak.persistence.tables import users as user_table
from twinspeak.services import users
from twinspeak.services.users import Person


async def test_somebody_added_can_sign_in_and_has_credits(stage: Stage):
    added = users.add(stage.db, stage.passwords, Person(email=" Ada@Example.org", password="chosen one", fname="Ada"))
    assert added.email == "ada@example.org"
    assert added.generated_password is None
    signed_in = await stage.signed_in("ada@example.org", "chosen one")
    assert signed_in.profile.user.fname == "Ada"
    assert signed_in.profile.credits == 50
    assert stage.db.read_sync(wallets.discrepancies) == []


async def test_a_password_is_made_up_and_told_once(stage: Stage):
    added = users.add(stage.db, stage.passwords, Person(email="ada@example.org", account_type="super"))
    assert added.generated_password is not None
    assert len(added.generated_password) >= 20
    assert (await stage.signed_in("ada@example.org", added.generated_password)).profile.account_type == "super"
    other = users.add(stage.db, stage.passwords, Person(email="bob@example.org"))
    assert other.generated_password != added.generated_password


@pytest.mark.parametrize(("account_type", "inside"), [("user", "user"), ("admin", "admin"), ("super", "admin")])
async def test_joining_a_twin_on_the_way(stage: Stage, account_type: str, inside: str):
    twin = stage.twin()
    person = Person(email="ada@example.org", password="chosen one", account_type=account_type, twin=twin.public_id)
    added = users.add(stage.db, stage.passwords, person)
    profile = (await stage.signed_in("ada@example.org", "chosen one")).profile
    assert profile.twin is not None
    assert profile.twin.institution == twin
    membership = stage.db.read_sync(lambda tx: memberships.get(tx, added.user_id, twin.id))
    assert membership is not None
    assert membership.account_type == inside


@pytest.mark.parametrize("twin", ["00000000-0000-4000-8000-000000000000", "sample", ""])
async def test_an_unknown_twin_adds_nobody(stage: Stage, twin: str):
    with pytest.raises(NotFound):
        users.add(stage.db, stage.passwords, Person(email="ada@example.org", password="chosen one", twin=twin))
    assert stage.column(user_table.c.id) == []


async def test_an_address_is_taken_in_any_case(stage: Stage):
    stage.person()
    with pytest.raises(Conflict):
        users.add(stage.db, stage.passwords, Person(email="ADA@example.org", password="chosen one"))
    with pytest.raises(InvalidCredentials):
        await stage.signed_in("ada@example.org", "chosen one")


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ada",
        "ada@",
        "@example.org",
        "a b@example.org",
        "ada@@example.org",
        "a@b..c",
        "ada@example.org\x00",
        "x" * 250 + "@b.c",
    ],
)
def test_what_is_no_address_is_refused(stage: Stage, email: str):
    with pytest.raises(ValidationFailed) as caught:
        users.add(stage.db, stage.passwords, Person(email=email, password="chosen one"))
    assert caught.value.details["fields"][0]["field"] == "email"


@pytest.mark.parametrize("password", ["", "seven77", "x" * 5_000])
def test_what_is_no_password_is_refused(stage: Stage, password: str):
    with pytest.raises(ValidationFailed):
        users.add(stage.db, stage.passwords, Person(email="ada@example.org", password=password))
    assert stage.column(user_table.c.id) == []


def test_which_twin_somebody_joins_who_named_none(stage: Stage):
    assert users.twin_to_join(stage.db, None) is None
    oak = stage.twin("Oak")
    assert users.twin_to_join(stage.db, None) == oak
    elm = stage.twin("Elm")
    assert users.twin_to_join(stage.db, None) is None
    assert users.twin_to_join(stage.db, elm.public_id.upper()) == elm
    for unknown in (new_uuid(), "Elm", ""):
        with pytest.raises(NotFound):
            users.twin_to_join(stage.db, unknown)
