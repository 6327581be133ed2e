"""Who sees, opens, finds and changes what: every vault route, every kind of document, every kind of person.

The table is written by hand from reference content 3.2, never from the code. Each letter is what one person gets on
each route for one document: r reads (and finds) it, w may change it too, - is told that there is no such document.
"""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio

from tests.vault.house import House, house
from twinspeak.persistence.repos import memberships, users

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

PEOPLE = ("member", "other", "nobody", "bare", "admin", "stranger", "manager", "super", "firs")
TABLE = """
                 member other nobody bare admin stranger manager super firs
own              w      -     -      -    -     -        -       -     -
own public       w      -     -      -    -     -        -       -     -
twin             r      -     -      w    w     -        -       w     -
twin public      r      -     -      w    w     -        -       w     -
confidential     -      -     -      -    w     -        -       -     -
account          -      r     -      -    -     r        w       w     r
account secret   -      -     -      -    -     -        w       -     -
"""
"""oak: member, bare, admin; elm: other, stranger; fir: firs; manager manages elm's and fir's account and is in elm."""
LINES = {
    line[:17].strip(): dict(zip(PEOPLE, line[17:].split(), strict=True)) for line in TABLE.strip("\n").splitlines()[1:]
}
SECRET = {name: f"xylograph{number}" for number, name in enumerate(LINES)}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def documents(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator["Both"]:
    async with house(tmp_path_factory.mktemp("vault-access")) as here:
        await here.org.person("firs", "fir")
        await _join(here, "manager", "elm")
        oak, elm = {"institution": here.org.ids["oak"]}, {"institution": here.org.ids["elm"]}
        who = {
            "own": ("member", {}),
            "own public": ("member", {}),
            "twin": ("admin", oak),
            "twin public": ("admin", oak),
            "confidential": ("admin", {**oak, "confidential": "true"}),
            "account": ("manager", {**elm, "account_shared": "true"}),
            "account secret": ("manager", {**elm, "account_shared": "true", "confidential": "true"}),
        }
        ids = {
            name: await here.bring(person, f"{name}.md", f"The word of it is {SECRET[name]}.".encode(), **terms)
            for name, (person, terms) in who.items()
        }
        for name in ("own public", "twin public"):
            status, _ = await here.call(who[name][0], "PUT", f"/api/user/upload/{ids[name]}", {"is_public": True})
            assert status == 200
        yield here, ids


async def _join(here: House, person: str, twin: str) -> None:
    def store(tx: Any) -> None:
        memberships.create(tx, here.org.ids[person], here.org.ids[twin], account_type="admin")
        users.edit(tx, here.org.ids[person], {"active_institution_id": here.org.ids[twin]})

    await here.server.ground.db.write(store)


Both = tuple[House, dict[str, str]]


@pytest.mark.parametrize("name", LINES)
async def test_reading(documents: Both, name: str) -> None:
    here, ids = documents
    for who, right in LINES[name].items():
        here.org.unlimited()
        may = right in "rw"
        expected = 200 if may else 404
        assert (await here.call(who, "GET", f"/api/user/upload/{ids[name]}"))[0] == expected, who
        status, body = await here.call(who, "POST", "/api/user/embeddings", {"upload": ids[name]})
        assert status == expected, who
        assert (SECRET[name] in str(body)) == may


@pytest.mark.parametrize("name", LINES)
async def test_listing_and_finding(documents: Both, name: str) -> None:
    """What somebody finds he reads; a super administrator does not find what is in twins that he is not in."""
    here, ids = documents
    for who, right in LINES[name].items():
        here.org.unlimited()
        own_place = not (who == "super" or (name == "account" and who in ("member", "bare", "admin")))
        may = right in "rw" and own_place
        _, page = await here.call(who, "POST", "/api/user/uploads", {"pageSize": 1000})
        assert (ids[name] in [one["_id"] for one in page["data"]]) == may, who
        for path, body in (
            ("/api/user/files/search-content", {"query": SECRET[name]}),
            ("/api/user/files/search-content", {"query": SECRET[name], "selectedUploadIds": list(ids.values())}),
            ("/api/user/searchRag", {"search": SECRET[name]}),
        ):
            status, found = await here.call(who, "POST", path, body)
            assert status == 200
            assert (f"word of it is {SECRET[name]}" in str(found)) == may, (who, path)
        answer = await here.ask(who, f"What is the word {SECRET[name]}?")
        assert (f"word of it is {SECRET[name]}" in answer.body.decode()) == may, who


@pytest.mark.parametrize("name", LINES)
async def test_opening(documents: Both, name: str) -> None:
    here, ids = documents
    public = "public" in name
    owner = next(who for who in ("member", "manager", "admin") if LINES[name][who] == "w")
    url = (await here.document(owner, ids[name]))["file_url"]
    for who, right in LINES[name].items():
        status, body = await here.call(who, "GET", url)
        assert status == (200 if public or right in "rw" else 404), who
        assert (SECRET[name].encode() in (body if isinstance(body, bytes) else b"")) == (public or right in "rw")
    status, body = await here.call(None, "GET", url)
    assert status == (200 if public else 401)
    assert (await here.call(None, "GET", url.replace(ids[name], "0" * 24)))[0] == 401
    async with here.server.http.get(url, headers={"accept": "text/html"}) as response:
        assert response.status == (200 if public else 401)
        assert ("Sign-in required" in await response.text()) == (not public)


@pytest.mark.parametrize("name", LINES)
async def test_changing(documents: Both, name: str) -> None:
    """Whoever may not read it is told that there is none; whoever may only read it that he may not."""
    here, ids = documents
    for who, right in LINES[name].items():
        here.org.unlimited()
        expected = {"w": 200, "r": 403, "-": 404}[right]
        path = f"/api/user/upload/{ids[name]}"
        assert (await here.call(who, "PUT", path, {"file_title": "T"}))[0] == expected, who
        reprocess = await here.call(who, "POST", f"/api/user/files/{ids[name]}/reprocess", {"mode": "embed"})
        assert reprocess[0] == expected, who
        await here.read()
        if right != "w":
            assert (await here.call(who, "DELETE", path))[0] == expected
            assert (await here.call(who, "PUT", path, {"status": "deleted"}))[0] == expected
            assert (await here.call(who, "POST", f"/api/user/files/{ids[name]}/cancel"))[0] == expected
            assert (await here.call(who, "PUT", path, {"institution": None}))[0] == expected


@pytest.mark.parametrize(
    ("who", "twin", "shared", "expected"),
    [
        ("member", "oak", "false", "admin_required"),
        ("member", "elm", "false", "not_a_member"),
        ("stranger", "oak", "false", "not_a_member"),
        ("stranger", "elm", "true", "account_manager_required"),
        ("admin", "oak", "true", "account_manager_required"),
        ("nobody", "oak", "false", "not_a_member"),
        ("manager", "fir", "false", None),
        ("manager", "oak", "false", "not_a_member"),
        ("super", "oak", "false", None),
    ],
)
async def test_bringing(documents: Both, who: str, twin: str, shared: str, expected: str | None) -> None:
    here, _ = documents
    terms = {"institution": here.org.ids[twin], "account_shared": shared}
    status, body = await here.send(who, [("new.md", f"{who} {twin} {shared}".encode())], **terms)
    assert (None if status == 200 else body["error"]["code"]) == expected


async def test_a_twin_may_take_no_files_from_members(documents: Both) -> None:
    here, _ = documents
    await here.org.set_twin("oak", disable_file_upload_for_user=True)
    try:
        status, body = await here.send("member", [("no.md", b"No.")])
        assert (status, body["error"]["code"]) == (403, "uploads_disabled")
        status, _ = await here.send("admin", [("yes.md", b"Yes, mine.")])
        assert status == 200
    finally:
        await here.org.set_twin("oak", disable_file_upload_for_user=False)


async def test_a_twin_has_room_for_so_many(documents: Both) -> None:
    here, _ = documents
    await here.org.set_twin("oak", max_files=1)
    try:
        status, body = await here.send("admin", [("more.md", b"One more.")], institution=here.org.ids["oak"])
        assert (status, body["files"][0]["code"]) == (200, "vault_full")
    finally:
        await here.org.set_twin("oak", max_files=300)


async def test_confidential_means_nothing_outside_of_twins(documents: Both) -> None:
    here, _ = documents
    document = await here.bring("nobody", "diary.md", b"Dear diary.", confidential="true")
    assert not (await here.document("nobody", document))["is_private"]


async def test_public_wins_over_confidential(documents: Both) -> None:
    here, ids = documents
    path = f"/api/user/upload/{ids['twin']}"
    for change, expected in (
        ({"is_private": True}, (False, True)),
        ({"is_public": True}, (True, False)),
        ({"is_public": False}, (False, False)),
    ):
        assert (await here.call("admin", "PUT", path, change))[0] == 200
        found = await here.document("admin", ids["twin"])
        assert (found["is_public"], found["is_private"]) == expected
        seen = (await here.call("member", "GET", path))[0]
        assert seen == (404 if expected[1] else 200)
    await here.call("admin", "PUT", path, {"is_public": True})
    assert (await here.call("admin", "PUT", path, {"is_private": True}))[0] == 409
    await here.call("admin", "PUT", path, {"is_public": False})


async def test_moving_takes_the_passages_along(documents: Both) -> None:
    here, _ = documents
    document = await here.bring("admin", "moving.md", b"The word is cassowary.")
    path = f"/api/user/upload/{document}"

    async def found(who: str) -> bool:
        here.org.unlimited()
        _, body = await here.call(who, "POST", "/api/user/files/search-content", {"query": "cassowary"})
        return bool(body["results"])

    assert (await found("admin"), await found("member")) == (True, False)
    assert (await here.call("admin", "PUT", path, {"institution": here.org.ids["oak"]}))[0] == 200
    assert (await found("admin"), await found("member")) == (True, True)
    assert (await here.call("bare", "PUT", path, {"institution": ""}))[0] == 403
    assert (await here.call("admin", "PUT", path, {"institution": here.org.ids["elm"]}))[0] == 403
    assert (await here.call("admin", "PUT", path, {"institution": ""}))[0] == 200
    assert (await found("admin"), await found("member")) == (True, False)


async def test_who_leaves_a_twin_reads_nothing_of_it_any_more(documents: Both) -> None:
    here, ids = documents
    await here.org.person("leaver", "oak")
    assert (await here.call("leaver", "GET", f"/api/user/upload/{ids['twin']}"))[0] == 200
    membership = await here.org.membership("leaver", "oak")
    await here.org.good("DELETE", f"/api/user/userInstitution/{membership}", who="leaver")
    here.org.tokens["leaver"] = await here.org.sign_in("leaver")
    assert (await here.call("leaver", "GET", f"/api/user/upload/{ids['twin']}"))[0] == 404
