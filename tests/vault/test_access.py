"""Every vault route with every kind of foreign id and every access level, as every kind of person.

What is to come of it is in `tests.vault.rights`, written by hand. Whoever is told that there is nothing gets the very
answer that an id of nothing gets, and afterwards the database is as it was.
"""

import re
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest
import pytest_asyncio
from fastapi.routing import iter_route_contexts

from tests.vault import rights
from tests.vault.estate import COMMON, SECRET, TEXT, Estate, estate_in
from tests.vault.rights import DOCUMENTS, FOLDERS, LIES_IN, PEOPLE, TWINS, Line

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def estate(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[Estate]:
    async with estate_in(tmp_path_factory.mktemp("vault-access")) as made:
        yield made


_VAULT = re.compile(r"(?i)upload|collection|embedding|rag|bulk/|user/files|user/url|/sources|reload/|reingest/")


def _who_may_change(letters: dict[str, str]) -> list[str]:
    return [who for who, letter in letters.items() if letter in "wW"]


def _refused(who: str) -> str:
    """Return the code for who reads a thing and may not change it: an administrator lacks only the account."""
    return "account_manager_required" if who == "stranger" else "admin_required"


# -- the table is whole -----------------------------------------------------------------------------------------------


async def test_every_route_and_every_part_of_it_is_judged(estate: Estate) -> None:
    here = estate.house
    mounted = {
        f"{method} {context.path}"
        for context in iter_route_contexts(here.server.live.asgi.routes)
        for method in set(context.methods or ()) - {"HEAD"}
        if _of_the_vault(context)
    }
    assert mounted == set(rights.PARTS), "say in tests/vault/rights.py what is to come of it"
    lines = [line.route for line in (*rights.ON_DOCUMENTS, *rights.ON_FOLDERS, *rights.ON_TWINS)]
    walked = {_unnamed(one) for one in (*lines, *rights.ON_TURNS, *rights.SEARCHES, rights.OPENING, rights.BULK)}
    assert walked == {_unnamed(one) for one in rights.PARTS}
    _, told = await here.call(None, "GET", "/api/rt-docs.json")
    for route, parts in rights.PARTS.items():
        method, path = route.split(" ", 1)
        assert _parts(told, told["paths"][path][method.lower()]) == set(parts.replace("|", " ").split()), route


def _of_the_vault(context: Any) -> bool:
    """Tell by where it is written, what it is called, and where it is."""
    return ".vault" in context.endpoint.__module__ or bool(_VAULT.search(context.path or ""))


def _unnamed(route: str) -> str:
    return re.sub(r"\{.*?\}", "{}", route)


def _parts(told: dict[str, Any], operation: dict[str, Any]) -> set[str]:
    """Return the names of a route's parameters, and of its body's fields."""
    found = {one["name"] for one in operation.get("parameters", []) if one["in"] in ("path", "query")}
    for content in operation.get("requestBody", {}).get("content", {}).values():
        schemas = [content["schema"], *content["schema"].get("anyOf", [])]
        for schema in schemas:
            named = schema.get("$ref", "").rpartition("/")[2]
            found |= set((told["components"]["schemas"][named] if named else schema).get("properties", {}))
    return found


# -- the walk ---------------------------------------------------------------------------------------------------------


async def walk(estate: Estate, lines: Sequence[Line], letters: dict[str, str], **ids: str) -> None:
    """Ask as everybody who may not do it, or may only read: nothing is changed by that."""
    before = estate.everything()
    for line in lines:
        for who in PEOPLE:
            letter = letters[who].lower()
            if letter == "w" and line.reads != 200:
                continue
            status, seen = await estate.ask(who, line, **ids)
            assert status == (line.nothing if letter == "-" else line.reads), (who, line, seen)
            if letter == "-":
                assert (status, seen) == await estate.ask_in_vain(who, line, **ids), (who, line)
                assert not any(secret in seen for secret in SECRET.values()), (who, line)
            elif status == 403:
                assert f"'{_refused(who)}'" in seen, (who, line, seen)
        assert (await estate.ask(None, line, **ids))[0] == 401, line
    assert estate.everything() == before


@pytest.mark.parametrize("name", DOCUMENTS)
async def test_documents(estate: Estate, name: str) -> None:
    ids = {"id": estate.documents[name], "chunk": estate.chunks[name], "text": TEXT[name]}
    await walk(estate, rights.ON_DOCUMENTS, DOCUMENTS[name], **ids)
    for who in _who_may_change(DOCUMENTS[name]):
        for line in rights.ON_DOCUMENTS:
            if line.changes is not None:
                status, seen = await estate.ask(who, line, **ids)
                assert status == line.changes, (who, line, seen)


@pytest.mark.parametrize("name", FOLDERS)
async def test_folders(estate: Estate, name: str) -> None:
    await walk(estate, rights.ON_FOLDERS, FOLDERS[name], id=estate.folders[name])
    for who in _who_may_change(FOLDERS[name]):
        for line in rights.ON_FOLDERS:
            if line.changes is not None:
                own = rights.IN_HIS_OWN.get(line.route) if name == "own folder" else None
                status, seen = await estate.ask(who, line, id=estate.folders[name])
                assert status == (own or line.changes), (who, line, seen)


@pytest.mark.parametrize("name", TWINS)
async def test_twins(estate: Estate, name: str) -> None:
    here = estate.house
    await walk(estate, rights.ON_TWINS, TWINS[name], id=here.org.ids[name])
    for who in _who_may_change(TWINS[name]):
        for line in rights.ON_TWINS:
            status, seen = await estate.ask(who, line, id=here.org.ids[name])
            assert status == line.changes, (who, line, seen)
        errand = f"/api/user/upload/{estate.errands[who]}"
        assert (await here.call(who, "PUT", errand, {"institution": ""}))[0] == 200
        shared = {"institution": here.org.ids[name], "account_shared": "true"}
        status, body = await here.send(who, [("s.md", f"{who} shares with {name}.".encode())], **shared)
        assert (None if status == 200 else body["error"]["code"]) == (
            None if who in rights.SHARES else "account_manager_required"
        )


@pytest.mark.parametrize("kind", rights.GONE)
async def test_what_is_not_there(estate: Estate, kind: str) -> None:
    before = estate.everything()
    ids = estate.gone[kind]
    for who in ("member", "admin", "super"):
        for line in rights.ON_DOCUMENTS:
            if kind == "hidden" and line.changes is None and who in ("admin", "super"):
                continue
            status, seen = await estate.ask(who, line, **ids)
            assert status == rights.GONE[kind], (who, line, seen)
        for line in rights.ON_FOLDERS:
            status, seen = await estate.ask(who, line, id=ids["folder"])
            assert status == rights.GONE[kind], (who, line, seen)
        for line in rights.ON_TWINS:
            status, seen = await estate.ask(who, line, id=ids["id"])
            assert status == (400 if rights.GONE[kind] == 400 else 403), (who, line, seen)
        assert (await opened(estate, who, ids["id"]))[0] == 404
    assert (await opened(estate, None, ids["id"]))[0] == 401
    assert estate.everything() == before


@pytest.mark.parametrize("name", DOCUMENTS)
async def test_opening(estate: Estate, name: str) -> None:
    public, secret = name in rights.PUBLIC, SECRET[name].encode()
    for who in PEOPLE:
        may = public or DOCUMENTS[name][who] != "-"
        status, seen = await opened(estate, who, estate.documents[name])
        assert (status, secret in seen) == ((200, True) if may else (404, False)), who
    status, seen = await opened(estate, None, estate.documents[name])
    assert (status, secret in seen) == ((200, True) if public else (401, False))
    status, seen = await opened(estate, None, estate.documents[name], accept="text/html")
    assert (b"Sign-in required" in seen, secret in seen) == (not public, public)


async def opened(estate: Estate, who: str | None, document: str, **headers: str) -> tuple[int, bytes]:
    server = estate.house.server
    if who:
        headers |= server.auth(estate.house.org.tokens[who])
    async with server.http.get(f"/uploads/{'0' * 24}/{document}.md", headers=headers) as response:
        return response.status, await response.read()


@pytest.mark.parametrize("who", PEOPLE)
async def test_lists_and_searches(estate: Estate, who: str) -> None:
    """What somebody comes upon where he is, without naming anything."""
    here = estate.house
    expected = {name for name in DOCUMENTS if DOCUMENTS[name][who] in "rw"}
    assert await _listed(estate, who) == expected
    every = [*estate.documents.values(), "0" * 24, "nonsense"]
    for path, body in (
        ("/api/user/files/search-content", {"query": COMMON}),
        ("/api/user/files/search-content", {"query": COMMON, "selectedUploadIds": every}),
        ("/api/user/searchRag", {"search": COMMON}),
    ):
        here.org.unlimited()
        status, found = await here.call(who, "POST", path, body)
        assert status == 200
        assert _told(found) == expected, path
    answer = await here.ask(who, f"What is the {COMMON}?")
    assert answer.status == (403 if who == "left" else 200)
    assert _told(answer.json) <= expected
    assert bool(_told(answer.json)) == bool(expected)
    _, folders = await here.call(who, "POST", "/api/user/collections", {})
    seen = {one["_id"] for one in folders["data"]} & set(estate.folders.values())
    assert seen == {estate.folders[name] for name in FOLDERS if FOLDERS[name][who] in "rw"}
    for name in (name for name, letters in TWINS.items() if letters[who] != "-"):
        read = {one for one in LIES_IN[name] if DOCUMENTS[one][who] != "-"}
        assert await _listed(estate, who, institution=here.org.ids[name]) == read, name


async def _listed(estate: Estate, who: str, **wanted: str) -> set[str]:
    status, page = await estate.house.call(who, "POST", "/api/user/uploads", {"pageSize": 5_000, **wanted})
    assert status == 200
    assert sum(one["total"] for one in page["vaultCounts"].values()) == page["total"] == len(page["data"])
    there = {one["_id"] for one in page["data"]}
    assert _told(page) == {name for name, id_ in estate.documents.items() if id_ in there}
    return _told(page)


def _told(seen: Any) -> set[str]:
    return {name for name, secret in SECRET.items() if secret in str(seen)}


@pytest.mark.parametrize("who", PEOPLE)
async def test_many_at_once(estate: Estate, who: str) -> None:
    here, before = estate.house, estate.everything()
    documents = {estate.documents[name]: right[who] for name, right in DOCUMENTS.items() if right[who] not in "wW"}
    folders = {estate.folders[name]: right[who] for name, right in FOLDERS.items() if right[who] not in "wW"}
    foreign = {here.org.ids[name]: right[who] for name, right in TWINS.items() if right[who] != "w"}
    wishes = [("upload", action, documents, estate.mine[who]) for action in rights.ACTIONS if action != "moveVault"]
    wishes += [("upload", "moveVault", documents, "personal"), ("collection", "delete", folders, "")]
    wishes += [("collection", "exclude", folders, ""), ("collection", "moveToCollection", folders, "")]
    for kind, action, ids, place in wishes:
        body = {"ids": [*ids, "0" * 24, "nonsense"], "type": kind, "action": action, "target": place}
        status, done = await here.call(who, "POST", "/api/user/bulk/action", body)
        expected = {id_: {"-": "not_found"}.get(right, _refused(who)) for id_, right in ids.items()}
        expected |= {"0" * 24: "not_found", "nonsense": "invalid_id"}
        assert (status, done["count"]) == (200, 0), (action, done)
        assert {one["id"]: one["reason"] for one in done["skipped"]} == expected, action
    for action, mine, places, nothing in (
        ("moveToCollection", ("upload", estate.errands[who]), folders, "not_found"),
        ("moveToCollection", ("collection", estate.mine[who]), folders, "not_found"),
        ("moveVault", ("upload", estate.errands[who]), foreign, "not_a_member"),
    ):
        for place, right in {**places, "0" * 24: "-"}.items():
            body = {"ids": [mine[1]], "type": mine[0], "action": action, "target": place}
            _, done = await here.call(who, "POST", "/api/user/bulk/action", body)
            assert [one["reason"] for one in done["skipped"]] == [nothing if right == "-" else _refused(who)], place
    status, _ = await here.call(None, "POST", "/api/user/bulk/action", {})
    assert status == 401
    assert estate.everything() == before


async def test_what_an_answer_was_searched_from_is_its_readers(estate: Estate) -> None:
    answer = await estate.house.ask("member", f"Where is the {COMMON} of {SECRET['twin']}?")
    assert SECRET["twin"] in str(answer.json["sources"]) + answer.json["outputs"][0]
    for route in rights.ON_TURNS:
        line = Line(route, {}, 200, 200, 404)
        for who in PEOPLE:
            status, seen = await estate.ask(who, line, id=answer.turn_id)
            assert (status, SECRET["twin"] in seen) == ((200, True) if who == "member" else (404, False)), (who, seen)
            if status == 404:
                assert (status, seen) == await estate.ask_in_vain(who, line, id=answer.turn_id)
        assert (await estate.ask(None, line, id=answer.turn_id))[0] == 401


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if _who_may_change(DOCUMENTS[name])])
async def test_who_may_delete_does(estate: Estate, name: str) -> None:
    for who in _who_may_change(DOCUMENTS[name]):
        for hides in (False, True):
            document = await estate.add(name, f"{who} {hides}. ")
            path = f"/api/user/upload/{document}"
            hidden = await estate.house.call(who, "PUT", path, {"status": "deleted"}) if hides else (200,)
            gone = await estate.house.call(who, "DELETE", path)
            assert (hidden[0], gone[0]) == (200, 200), who
            assert (await estate.house.call(who, "GET", path))[0] == 404


# -- more than one table tells ----------------------------------------------------------------------------------------


async def test_a_twin_may_take_no_files_from_members(estate: Estate) -> None:
    here = estate.house
    await here.org.set_twin("oak", disable_file_upload_for_user=True)
    try:
        status, body = await here.send("member", [("no.md", b"No.")])
        assert (status, body["error"]["code"]) == (403, "uploads_disabled")
        status, _ = await here.send("admin", [("yes.md", b"Yes, mine.")])
        assert status == 200
    finally:
        await here.org.set_twin("oak", disable_file_upload_for_user=False)


async def test_a_twin_has_room_for_so_many(estate: Estate) -> None:
    here = estate.house
    await here.org.set_twin("oak", max_files=1)
    try:
        status, body = await here.send("admin", [("more.md", b"One more.")], institution=here.org.ids["oak"])
        assert (status, body["files"][0]["code"]) == (200, "vault_full")
    finally:
        await here.org.set_twin("oak", max_files=300)


async def test_confidential_means_nothing_outside_of_twins(estate: Estate) -> None:
    here = estate.house
    document = await here.bring("nobody", "diary.md", b"Dear diary.", confidential="true")
    assert not (await here.document("nobody", document))["is_private"]


async def test_public_wins_over_confidential(estate: Estate) -> None:
    here, ids = estate.house, estate.documents
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


async def test_moving_takes_the_passages_along(estate: Estate) -> None:
    here = estate.house
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


async def test_who_leaves_a_twin_reads_nothing_of_it_any_more(estate: Estate) -> None:
    here, ids = estate.house, estate.documents
    await here.org.person("leaver", "oak")
    assert (await here.call("leaver", "GET", f"/api/user/upload/{ids['twin']}"))[0] == 200
    membership = await here.org.membership("leaver", "oak")
    await here.org.good("DELETE", f"/api/user/userInstitution/{membership}", who="leaver")
    here.org.tokens["leaver"] = await here.org.sign_in("leaver")
    assert (await here.call("leaver", "GET", f"/api/user/upload/{ids['twin']}"))[0] == 404
