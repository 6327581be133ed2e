"""Joining, memberships and the administration of people, through a real server."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import update

from tests.faces import Face, ask
from tests.fakes.upstream import STALL, Reply, text_steps
from tests.faults.stage import reached
from tests.mailbox import code_in, mails, next_mail
from tests.organisation import Org, organisation
from tests.transports.socketio.clients import joined
from tests.world import balances, world
from twinspeak.domain.ids import new_id
from twinspeak.persistence.tables import accounts

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

MOMENT_S = 1
JOIN = "/api/user/institutionJoin"
MINE = "/api/user/refresh/entitlements"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def org(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[Org]:
    async with world(tmp_path_factory.mktemp("people")) as here:
        yield await organisation(here)


@pytest.fixture(autouse=True)
def unlimited(org: Org) -> None:
    org.unlimited()


async def join(org: Org, who: str, twin: str, *, key: str = "", referrer: str = "") -> tuple[int, Any]:
    body = {"institution": org.ids[twin], "referrer": org.ids[referrer or who], "key": key}
    return await org.call("PUT", JOIN, body, who)


# -- joining ----------------------------------------------------------------------------------------------------------


async def test_a_closed_twin_and_none_at_all_are_answered_alike(org: Org) -> None:
    await org.person("pia")
    closed = await join(org, "pia", "fir")
    org.ids["nowhere"] = new_id()
    unknown = await join(org, "pia", "nowhere")
    for status, body in (closed, unknown):
        body["error"].pop("requestId")
        assert (status, body["error"]["code"]) == (403, "joining_refused")
    assert closed == unknown


async def test_a_public_twin_takes_everybody_and_gives_once(org: Org) -> None:
    await org.person("quinn")
    await org.set_twin("oak", allow_joining="public", pool_credits=False, credit_award=7)
    found = await org.good("POST", "/api/user/availableInstitutions", {"search": "OAK"}, "quinn")
    assert [one["institution_data"]["name"] for one in found["entitlements"]] == ["oak"]
    first, again = await asyncio.gather(join(org, "quinn", "oak"), join(org, "quinn", "oak"))
    assert first[0] == again[0] == 200
    assert first[1]["ui"]["_id"] == again[1]["ui"]["_id"]
    one = (await org.good("POST", MINE, {}, "quinn"))["entitlements"][0]
    assert (one["status"], one["creditAwarded"]) == ("active", 7)
    assert (await org.good("DELETE", f"/api/user/userInstitution/{one['_id']}", who="quinn"))["message"]
    assert (await org.good("POST", MINE, {}, "quinn"))["entitlements"] == []
    await join(org, "quinn", "oak")
    assert balances(org.here.database)[org.ids["quinn"]] == 57
    await org.set_twin("oak", allow_joining="disabled", pool_credits=True, credit_award=0)


async def test_an_account_twin_takes_the_accounts_addresses(org: Org) -> None:
    await org.person("rita")
    await org.set_twin("elm", allow_joining="account")
    assert (await join(org, "rita", "elm"))[0] == 403
    listed = update(accounts).where(accounts.c.id == org.ids["south"]).values(domain_urls='["https://example.org"]')
    await org.here.server.ground.db.write(lambda tx: tx.run(listed))
    assert (await join(org, "rita", "elm"))[1]["ui"]["status"] == "active"
    await org.set_twin("elm", allow_joining="disabled")


async def test_a_membership_that_needs_approval_is_approved_once(org: Org) -> None:
    await org.person("sam")
    await org.set_twin("oak", allow_joining="public", joining_admin_only=True, contact_email="boss@example.org")
    pending = (await join(org, "sam", "oak"))[1]["ui"]
    assert (pending["status"], pending["joinedAt"]) == ("pending", None)
    request = await next_mail(org.here.server.settings.data_dir, "boss@example.org")
    assert request["Subject"] == "Membership Request"
    assert pending["_id"] in request.get_content()
    switch = f"/api/user/userInstitutionSwitch/{pending['_id']}"
    assert await org.code("POST", switch, {}, "sam") == "not_found"
    for who in ("sam", "bare", "stranger", "member", "manager"):
        body = {"ref": org.ids[who], "uI": pending["_id"]}
        assert await org.code("POST", "/api/user/approveUid", body, who) == "not_found", who
    body = {"ref": org.ids["admin"], "uI": pending["_id"]}
    answers = await asyncio.gather(*(org.good("POST", "/api/user/approveUid", body, "admin") for _ in range(3)))
    assert {one["uI"]["status"] for one in answers} == {"active"}
    await next_mail(org.here.server.settings.data_dir, "sam@example.org")
    assert len(mails(org.here.server.settings.data_dir, "sam@example.org")) == 1
    await org.good("POST", switch, {}, "sam")
    await org.set_twin("oak", allow_joining="disabled", joining_admin_only=False)


async def test_who_refers_must_belong_and_approves(org: Org) -> None:
    await org.person("tom")
    await org.set_twin("oak", allow_joining="public")
    assert (await join(org, "tom", "oak", referrer="other"))[0] == 403
    pending = (await join(org, "tom", "oak", referrer="member"))[1]["ui"]
    assert (pending["status"], pending["referrer"]) == ("pending", org.ids["member"])
    body = {"ref": org.ids["member"], "uI": pending["_id"]}
    assert await org.code("POST", "/api/user/approveUid", body, "admin") == "not_found"
    assert (await org.good("POST", "/api/user/approveUid", body, "member"))["uI"]["status"] == "active"
    await org.set_twin("oak", allow_joining="disabled")


async def test_an_invitation_is_for_one_address_and_once(org: Org) -> None:
    await org.person("una")
    await org.person("vic")
    body = {"institutionId": org.ids["oak"], "email": "una@example.org"}
    path = "/api/user/institutionSendInvite"
    assert await org.code("POST", path, body, "member") == "admin_required"
    assert await org.code("POST", path, body, "bare") == "entitlement_missing"
    assert await org.code("POST", path, body, "stranger") == "not_found"
    await org.good("POST", path, body, "admin")
    mail = await next_mail(org.here.server.settings.data_dir, "una@example.org")
    key = mail.get_content().split("key=")[1].split()[0]
    assert (await join(org, "vic", "oak", key=key))[0] == 403
    assert (await join(org, "una", "oak", key=key))[1]["ui"]["status"] == "active"
    mine = (await org.good("POST", MINE, {}, "una"))["entitlements"][0]["_id"]
    await org.good("DELETE", f"/api/user/userInstitution/{mine}", who="una")
    assert (await join(org, "una", "oak", key=key))[0] == 403


async def test_an_invitation_is_not_guessed_at_for_ever(org: Org) -> None:
    await org.person("wim")
    body = {"institutionId": org.ids["oak"], "email": "wim@example.org"}
    await org.good("POST", "/api/user/institutionSendInvite", body, "admin")
    mail = await next_mail(org.here.server.settings.data_dir, "wim@example.org")
    key = mail.get_content().split("key=")[1].split()[0]
    for _ in range(5):
        assert (await join(org, "wim", "oak", key="AAAAAAAA"))[0] == 403
    assert (await join(org, "wim", "oak", key=key))[0] == 403


async def test_a_join_id_stays_the_same_and_lets_anybody_in(org: Org) -> None:
    await org.person("xan")
    body = {"institutionId": org.ids["elm"]}
    path = "/api/user/institutionCreateJoinId"
    assert await org.code("POST", path, body, "admin") == "not_found"
    first = (await org.good("POST", path, body, "stranger"))["data"]["joinId"]
    assert (await org.good("POST", path, body, "manager"))["data"]["joinId"] == first
    assert (await join(org, "xan", "oak", key=first))[0] == 403
    assert (await join(org, "xan", "elm", key=first))[0] == 200


async def test_preferences_are_kept_in_ones_own_membership(org: Org) -> None:
    one = await org.membership("member", "oak")
    path = f"/api/user/userInstitution/{one}"
    asked = {"favorite": True, "lastConversation": {"course_id": 7}, "favoriteAssistants": [new_id()]}
    await org.good("PUT", path, asked, "member")
    shown = (await org.good("POST", MINE, {}, "member"))["entitlements"][0]
    assert {name: shown[name] for name in asked} == asked
    for wrong in ({}, {"favorite": "often"}, {"accountType": "admin"}, {"lastConversation": {"x": "y" * 5_000}}):
        assert await org.code("PUT", path, wrong, "member") == "validation_failed", wrong
    assert await org.code("PUT", path, asked, "other") == "not_found"
    assert await org.code("DELETE", path, who="other") == "not_found"


# -- administration ---------------------------------------------------------------------------------------------------


async def test_people_are_found_within_reach_alone(org: Org) -> None:
    async def found(who: str, **wanted: Any) -> set[str]:
        rows = (await org.good("POST", "/api/admin/users", wanted, who))["data"]
        return {row["email"].partition("@")[0] for row in rows}

    assert {"member", "bare", "chief"} <= await found("admin")
    assert not {"admin", "other", "nobody", "stranger", "manager"} & await found("admin")
    assert {"other", "stranger"} <= await found("manager")
    assert "member" not in await found("manager")
    assert {"member", "other", "nobody"} <= await found("super", pageSize=500)
    assert await found("super", usersearch="MEMBER@") == {"member"}
    assert await found("super", usersearch="%") == set()
    assert "nobody" in await found("super", emptyInstitutions=True)
    assert "member" not in await found("super", emptyInstitutions=True)
    assert await org.code("POST", "/api/admin/users", {"emptyInstitutions": True}, "admin") == "super_required"
    assert await found("admin", institution=org.ids["elm"]) == set()
    page = await org.good("POST", "/api/admin/users", {"pageSize": 1, "page": 1}, "admin")
    assert (len(page["data"]), page["hasMore"], page["page"], page["pageSize"]) == (1, True, 1, 1)
    assert "password" not in str(page)


async def test_a_person_is_added_and_sets_a_password(org: Org) -> None:
    new = {"email": "New@example.org", "fname": "New", "institution": org.ids["oak"]}
    assert await org.code("POST", "/api/admin/user", new, "stranger") == "not_found"
    assert await org.code("POST", "/api/admin/user", {**new, "institution": ""}, "admin") == "super_required"
    assert await org.code("POST", "/api/admin/user", {**new, "accountType": "super"}, "admin") == "super_required"
    made = (await org.good("POST", "/api/admin/user", new, "admin"))["data"]
    assert (made["email"], made["accountType"], made["status"]) == ("new@example.org", "user", "active")
    assert await org.code("POST", "/api/admin/user", new, "admin") == "conflict"
    code = code_in(await next_mail(org.here.server.settings.data_dir, "new@example.org"))
    body = {"email": "new@example.org", "resetCode": code, "password": "another quiet lamp"}
    await org.good("POST", "/api/auth/changePassword", body)
    assert await org.here.server.sign_in("new@example.org", "another quiet lamp")


async def test_what_is_felt_everywhere_takes_the_verb_everywhere(org: Org) -> None:
    await org.person("yan", "oak")
    path = f"/api/admin/user/{org.ids['yan']}"
    assert (await org.good("PUT", path, {"fname": "Yan"}, "admin"))["data"]["fname"] == "Yan"
    body = {"institution": org.ids["elm"], "users": [org.ids["yan"]], "accountType": "user"}
    assert (await org.good("POST", "/api/admin/userInstitutions/enroll", body, "super"))["created"] == 1
    for who in ("admin", "stranger"):
        assert await org.code("PUT", path, {"fname": "X"}, who) == "entitlement_missing"
        assert (await org.good("GET", path, who=who))["data"]["fname"] == "Yan"
        rows = (await org.good("GET", f"/api/admin/userInstitutionsByUserId/{org.ids['yan']}", who=who))["data"]
        assert len(rows) == 1
    assert await org.code("PUT", path, {"password": "x"}, "super") == "validation_failed"
    for wrong in (path[:-1], "/api/admin/user/xyz"):
        assert await org.code("GET", wrong, who="super") == "invalid_id"


async def test_nobody_raises_himself_or_takes_the_last_super(org: Org) -> None:
    own = f"/api/admin/user/{org.ids['admin']}"
    assert await org.code("PUT", own, {"accountType": "super"}, "admin") == "not_yourself"
    assert await org.code("DELETE", own, who="admin") == "not_yourself"
    bare = f"/api/admin/user/{org.ids['bare']}"
    assert await org.code("PUT", bare, {"accountType": "super"}, "admin") == "super_required"
    top = f"/api/admin/user/{org.ids['super']}"
    assert await org.code("PUT", top, {"status": "inactive"}, "admin") == "not_found"
    assert await org.code("PUT", top, {"accountType": "admin"}, "super") == "not_yourself"
    mine = f"/api/admin/userInstitution/{await org.membership('admin', 'oak')}"
    assert await org.code("PUT", mine, {"entitlements": []}, "admin") == "not_yourself"


async def test_nobody_gives_what_he_does_not_hold(org: Org) -> None:
    await org.person("zoe", "oak", account_type="admin", verbs=("institutions.edit", "users.list", "users.add"))
    path = f"/api/admin/userInstitution/{await org.membership('bare', 'oak')}"
    more = {"entitlements": ["users.list", "users.delete"]}
    assert await org.code("PUT", path, more, "zoe") == "entitlement_missing"
    assert await org.code("PUT", path, {"entitlements": ["users.fly"]}, "admin") == "validation_failed"
    await org.good("PUT", path, {"entitlements": ["users.list"]}, "zoe")
    assert (await org.good("POST", "/api/admin/users", {}, "bare"))["total"] >= 3
    await org.good("PUT", path, {"entitlements": []}, "admin")
    assert await org.code("POST", "/api/admin/users", {}, "bare") == "entitlement_missing"
    body = {"institution": org.ids["oak"], "users": [org.ids["nobody"]], "accountType": "user"}
    assert await org.code("POST", "/api/admin/userInstitutions/enroll", {**body, "entitlements": ["users.list"]}, "zoe")
    by_user = f"/api/admin/userInstitution/{org.ids['bare']}"
    await org.good("PUT", by_user, {"status": "active"}, "admin")
    assert await org.code("PUT", by_user, {"status": "active"}, "stranger") == "not_found"


async def test_enrolling_leaves_alone_whom_it_cannot(org: Org) -> None:
    await org.person("abe")
    users = [org.ids["abe"], org.ids["member"], new_id(), "nonsense", org.ids["abe"]]
    body = {"institution": org.ids["oak"], "users": users, "accountType": "user"}
    done = await org.good("POST", "/api/admin/userInstitutions/enroll", body, "admin")
    assert (done["created"], done["skipped"]) == (1, 4)
    wanted = {"institution": org.ids["fir"], "search": "abe@example.org"}
    found = await org.good("POST", "/api/admin/userInstitutions/eligible", wanted, "manager")
    assert [one["user"]["_id"] for one in found["data"]] == [org.ids["abe"]]
    wanted = {"institution": org.ids["fir"], "search": "abe"}
    assert (await org.good("POST", "/api/admin/userInstitutions/eligible", wanted, "manager"))["data"] == []
    ids = [await org.membership("abe", "oak"), await org.membership("other", "elm"), "nonsense"]
    gone = await org.good("POST", "/api/admin/userInstitutions/bulk-delete", {"ids": ids}, "admin")
    assert gone["deleted"] == 1
    assert [one["reason"] for one in gone["skipped"]] == ["not_found", "invalid_id"]
    many = {"ids": [new_id()] * 501, "status": "active"}
    assert await org.code("PUT", "/api/admin/users/bulk-status", many, "admin") == "validation_failed"


LESS = {
    "suspended": ("PUT", "/api/admin/users/bulk-status", {"ids": ["user"], "status": "inactive"}, "super"),
    "deleted": ("DELETE", "/api/admin/user/{user}", None, "super"),
    "demoted": ("PUT", "/api/admin/user/{user}", {"accountType": "user"}, "super"),
    "membership suspended": ("PUT", "/api/admin/userInstitution/{member}", {"status": "suspended"}, "admin"),
    "membership less": ("PUT", "/api/admin/userInstitution/{member}", {"accountType": "user"}, "admin"),
    "membership deleted": ("DELETE", "/api/admin/userInstitution/{member}", None, "admin"),
}


@pytest.mark.parametrize("how", LESS)
async def test_less_rights_end_stream_and_socket_at_once(org: Org, how: str) -> None:
    name = f"less{list(LESS).index(how)}"
    await org.person(name, "oak", account_type="admin", verbs=("users.list",))
    org.here.upstream.script(Reply([*text_steps("The library opens"), STALL]))
    method, path, body, who = LESS[how]
    path = path.format(user=org.ids[name], member=await org.membership(name, "oak"))
    if body and "ids" in body:
        body = {**body, "ids": [org.ids[name]]}
    server = org.here.server
    args = {"selectedCourse": {"course_id": 1_700_000_000_001, "course_name": name}}
    async with asyncio.TaskGroup() as group, joined(server, org.tokens[name]) as tab:
        asking = group.create_task(ask(server, org.tokens[name], Face.SSE, "When?", model="gpt-4o", **args))
        await reached(org.here, "The library opens")
        async with asyncio.timeout(MOMENT_S):
            assert (await org.call(method, path, body, who))[0] == 200
            await asyncio.wait({asking})
            await tab.gone.wait()
    status, _ = await org.call("POST", "/api/admin/users", {}, name)
    assert status in (401, 403)


async def test_acting_as_somebody_is_bounded_and_on_record(org: Org) -> None:
    await org.person("bea", "oak")
    path = f"/api/admin/user/{org.ids['bea']}/actAs"
    assert await org.code("POST", path, {"reason": "x"}, "admin") == "validation_failed"
    assert await org.code("POST", path, {"reason": "Ticket 17"}, "stranger") == "not_found"
    top = f"/api/admin/user/{org.ids['admin']}/actAs"
    assert await org.code("POST", top, {"reason": "Ticket 17"}, "admin") == "not_yourself"
    bare = f"/api/admin/user/{org.ids['bare']}/actAs"
    assert await org.code("POST", bare, {"reason": "Ticket 17"}, "admin") == "entitlement_missing"
    token = (await org.good("POST", path, {"reason": "Ticket 17", "minutes": 5}, "admin"))["token"]
    assert (await org.good("POST", "/api/user/refresh/profile", {}, token))["profile"]["email"] == "bea@example.org"
    shown = (await org.good("GET", "/api/user/sessions", who="bea"))["data"]
    assert [(one["acted"], one["reason"]) for one in shown if one["acted"]] == [(True, "Ticket 17")]
    change = {"email": "thief@example.org"}
    assert await org.code("PUT", "/api/user/me", change, token) == "acting_as_somebody"
    assert await org.code("DELETE", "/api/user/me", {"password": "x"}, token) == "acting_as_somebody"
    as_admin = (await org.good("POST", bare, {"reason": "Ticket 18"}, "super"))["token"]
    assert await org.code("POST", "/api/admin/users", {}, as_admin) == "acting_as_somebody"
    listed = (await org.good("GET", f"/api/admin/user/{org.ids['bea']}/sessions", who="admin"))["data"]
    acted = next(one for one in listed if one["actor"])
    assert acted["actor"] == org.ids["admin"]
    assert await org.code("DELETE", f"/api/admin/session/{acted['_id']}", who="stranger") == "not_found"
    await org.good("DELETE", f"/api/admin/session/{acted['_id']}", who="admin")
    assert await org.code("POST", "/api/user/refresh/profile", {}, token) == "invalid_token"


async def test_of_two_super_administrators_one_stays(org: Org) -> None:
    await org.person("cid", account_type="super")
    paths = {"super": f"/api/admin/user/{org.ids['cid']}", "cid": f"/api/admin/user/{org.ids['super']}"}
    body = {"accountType": "user"}
    answers = await asyncio.gather(*(org.call("PUT", path, body, who) for who, path in paths.items()))
    assert min(status for status, _ in answers) == 200
    assert max(status for status, _ in answers) >= 400
    winner = "super" if answers[0][0] == 200 else "cid"
    if winner == "cid":
        loser = f"/api/admin/user/{org.ids['super']}"
        await org.good("PUT", loser, {"accountType": "super"}, "cid")
        org.tokens["super"] = await org.sign_in("super")
        await org.good("PUT", paths["super"], body, "super")
