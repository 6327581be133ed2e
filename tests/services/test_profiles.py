"""The profile, and what a person may change of it."""

from typing import Any

import msgspec
import pytest

from tests.services.stage import Stage
from twinspeak.domain.errors import InvalidToken, ValidationFailed
from twinspeak.persistence.tables import users
from twinspeak.services.profiles import PREFERENCES, ProfileChanges, Profiles


async def test_a_personal_profile(stage: Stage):
    user = stage.person(fname="Ada", remember_history_count=7)
    profile = await Profiles(stage.db).get(await stage.caller())
    assert profile.twin is None
    assert (profile.plan, profile.account_type, profile.credits, profile.permissions) == ("free", "user", 50, ())
    assert profile.preferences == PREFERENCES
    assert profile.user.remember_history_count == 7
    assert profile.user.referral_id != user.reset_code_id
    assert "hash" not in msgspec.json.encode(profile).decode()


async def test_a_members_profile(stage: Stage):
    user, twin = stage.person(account_type="admin"), stage.twin("Oak", pool_credits=False)
    stage.join(user, twin, account_type="admin", verbs=("users.list",))
    profile = await Profiles(stage.db).get(await stage.caller())
    assert (profile.plan, profile.account_type, profile.permissions) == ("sdk", "admin", ("users.list",))
    assert profile.twin is not None
    assert profile.twin.institution == twin
    assert profile.twin.card.status == "active"
    assert profile.twin.credits == 50


async def test_fields_are_changed_one_by_one(stage: Stage):
    stage.person(fname="Ada", lname="Byron", rag_only=True)
    caller = await stage.caller()
    profiles = Profiles(stage.db)
    changes = ProfileChanges(lname="Lovelace", rag_only=None, rag_ignore=False, remember_history_count=15)
    user = (await profiles.edit(caller, changes)).user
    assert (user.name, user.rag_only, user.rag_ignore) == ("Ada Lovelace", None, False)
    assert user.remember_history_count == 15
    assert (await profiles.edit(caller, ProfileChanges())).user == user
    first = await profiles.edit(caller, ProfileChanges(preferences={"dark_mode": True}))
    second = await profiles.edit(caller, ProfileChanges(preferences={"browser_voices": ["a", "b"]}))
    assert first.preferences == {**PREFERENCES, "dark_mode": True}
    assert second.preferences == {**PREFERENCES, "dark_mode": True, "browser_voices": ["a", "b"]}


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"fname": "x" * 101}, ["fname"]),
        ({"lname": "x" * 10_000_000}, ["lname"]),
        ({"picture": "x" * 3_000}, ["picture"]),
        ({"remember_history_count": 16}, ["remember_history_count"]),
        ({"remember_history_count": -1}, ["remember_history_count"]),
        ({"preferences": {"account_type": "super"}}, ["account_type"]),
        ({"preferences": {"dark_mode": 1}}, ["dark_mode"]),
        ({"preferences": {"dark_mode": None}}, ["dark_mode"]),
        ({"preferences": {"browser_voice": "x" * 101}}, ["browser_voice"]),
        ({"preferences": {"browser_voices": [1]}}, ["browser_voices"]),
        ({"preferences": {"browser_voices": ["x"] * 101}}, ["browser_voices"]),
        ({"preferences": {"x": {}}, "fname": "x" * 101}, ["fname", "x"]),
    ],
)
async def test_what_may_not_be_changed_is_named_and_nothing_is(
    stage: Stage, changes: dict[str, Any], fields: list[str]
):
    stage.person("bob@example.org")
    stage.person()
    before = stage.db.read_sync(lambda tx: tx.all(users.select()))
    caller = await stage.caller()
    with pytest.raises(ValidationFailed) as caught:
        await Profiles(stage.db).edit(caller, ProfileChanges(**changes))
    assert [fault["field"] for fault in caught.value.details["fields"]] == fields
    after = stage.db.read_sync(lambda tx: tx.all(users.select()))
    assert [row.preferences for row in after] == [row.preferences for row in before]
    assert [row.fname for row in after] == [row.fname for row in before]


async def test_nobody_has_no_profile(stage: Stage):
    stage.person()
    caller = msgspec.structs.replace(await stage.caller(), user_id="0" * 24)
    with pytest.raises(InvalidToken):
        await Profiles(stage.db).get(caller)
