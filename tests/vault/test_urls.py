"""Documents from web addresses: fetched by the guarded way out alone; folders and bulk work; sources of an answer."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from tests.egress.sites import HERE, Site, moved, serving
from tests.vault.house import House, house

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]


@dataclass
class Web:
    """A house, a site that it may ask, and one that it may not."""

    house: House
    site: Site
    forbidden: Site

    def at(self, path: str) -> str:
        return f"http://{HERE}:{self.site.port}{path}"

    def page(self, path: str, text: str, kind: str = "text/plain", **headers: str) -> str:
        self.site.replies[path] = {"body": text.encode(), "content_type": kind, "headers": headers}
        return self.at(path)

    async def bring(self, who: str, url: str, **fields: Any) -> tuple[int, Any]:
        self.house.org.unlimited()
        return await self.house.call(who, "POST", "/api/user/url", {"url": url, **fields})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def web(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[Web]:
    async with serving() as site, serving() as forbidden:
        folder = tmp_path_factory.mktemp("vault-urls")
        async with house(folder, egress_allow=(f"{HERE}:{site.port}",), upload_file_max_bytes=100_000) as made:
            yield Web(made, site, forbidden)


async def test_a_file_from_an_address_is_answered_from(web: Web) -> None:
    url = web.page("/notes/quokka.txt", "Quokkas live on Rottnest Island.")
    status, body = await web.bring("member", url)
    assert (status, body["message"], body["code"]) == (200, "URL ingested successfully", 1)
    await web.house.read()
    found = await web.house.document("member", body["uploadId"])
    assert (found["originalname"], found["source_url"], found["ingestion"]["phase"]) == ("quokka.txt", url, "done")
    answer = await web.house.ask("member", "Where do quokkas live?")
    assert "Rottnest Island" in answer.json["outputs"][0]


async def test_what_is_there_now_replaces_what_was(web: Web) -> None:
    url = web.page("/dodo.txt", "Dodos eat nothing.")
    _, body = await web.bring("member", url)
    await web.house.read()
    web.page("/dodo.txt", "Dodos eat fallen fruit.")
    status, again = await web.house.call("member", "PUT", f"/api/user/reingest/{body['uploadId']}", {})
    assert (status, again["success"], again["data"]["_id"]) == (200, True, body["uploadId"])
    await web.house.read()
    (chunk,) = await web.house.chunks("member", body["uploadId"])
    assert chunk["chunkText"] == "Dodos eat fallen fruit."
    own = await web.house.bring("member", "own.txt", b"Mine.")
    assert (await web.house.call("member", "PUT", f"/api/user/reingest/{own}", {}))[0] == 409


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "http://10.0.0.1/",
        "http://localhost/",
        "http://2130706433/",
        "file:/etc/passwd",
        "ftp://example.org/x",
        "nonsense",
        "http://user:secret@example.org/",
    ],
)
async def test_addresses_that_lead_inside(web: Web, url: str) -> None:
    before = await web.house.listed("member")
    status, body = await web.bring("member", url)
    assert (status, body["error"]["code"]) == (422, "address_not_allowed")
    assert await web.house.listed("member") == before


async def test_a_redirect_inside_is_not_followed(web: Web) -> None:
    web.site.replies["/away"] = moved(f"http://{HERE}:{web.forbidden.port}/secret")
    status, body = await web.bring("member", web.at("/away"))
    assert (status, body["error"]["code"]) == (422, "address_not_allowed")
    assert web.forbidden.seen == []


async def test_addresses_that_fail(web: Web) -> None:
    web.site.replies["/gone"] = {"status": 404, "text": "Not here."}
    status, body = await web.bring("member", web.at("/gone"))
    assert (status, body["error"]["code"], body["error"]["details"]["status"]) == (502, "fetch_failed", 404)
    status, body = await web.bring("member", web.page("/huge", "x" * 100_001))
    assert (status, body["error"]["details"]["reason"]) == (502, "too_large")
    status, body = await web.bring("member", web.page("/empty", ""))
    assert (status, body["error"]["code"]) == (422, "validation_failed")


@pytest.mark.parametrize(
    ("path", "kind", "headers", "name"),
    [
        ("/report", "application/pdf", {}, "report.pdf"),
        ("/x", "text/plain", {"Content-Disposition": 'attachment; filename="../a b.txt"'}, "a b.txt"),
        ("/a%20b.md", "text/plain", {}, "a b.md"),
        ("/page", "text/html", {}, "page.html"),
    ],
)
async def test_names(web: Web, path: str, kind: str, headers: dict[str, str], name: str) -> None:
    _, body = await web.bring("nobody", web.page(path, f"{path} {kind}", kind, **headers))
    assert body["upload"]["originalname"] == name


async def test_a_twin_of_others_takes_nothing(web: Web) -> None:
    asked = len(web.site.seen)
    terms = {"institution": web.house.org.ids["elm"]}
    status, body = await web.bring("member", web.page("/never", "Never."), **terms)
    assert (status, body["error"]["code"], len(web.site.seen)) == (403, "not_a_member", asked)


async def test_reading_again_and_waiting(web: Web) -> None:
    document = await web.house.bring("nobody", "wait.md", b"Wait for it.")
    import asyncio

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(web.house.call("nobody", "PUT", f"/api/user/reload/{document}"))
        while not waiting.done():
            await web.house.read()
            await asyncio.sleep(0.05)
    status, body = waiting.result()
    assert (status, body["success"], body["data"]["ingestion"]["phase"]) == (200, True, "done")


# -- folders ----------------------------------------------------------------------------------------------------------


async def folder(web: Web, who: str, name: str, **fields: Any) -> str:
    status, body = await web.house.call(who, "POST", "/api/user/collection", {"name": name, **fields})
    assert status == 200, body
    return body["id"]


async def test_folders(web: Web) -> None:
    here = web.house
    outer = await folder(web, "member", "Outer", color="#3b82f6")
    inner = await folder(web, "member", "Inner", parent=outer)
    document = await here.bring("member", "in.md", b"Inside of it.", collection=inner)
    found = await here.document("member", document)
    assert [step["name"] for step in found["collection_path"]] == ["Outer", "Inner"]
    _, listed = await here.call("member", "POST", "/api/user/collections", {})
    counts = {one["name"]: (one["fileCount"], one["subCollectionCount"]) for one in listed["data"]}
    assert (counts["Outer"], counts["Inner"]) == ((0, 1), (1, 0))
    _, inside = await here.call("member", "POST", f"/api/user/collection/{inner}/files", {})
    assert [one["_id"] for one in inside["data"]] == [document]
    _, above = await here.call("member", "POST", f"/api/user/collection/{outer}/files", {})
    assert [one["name"] for one in above["childCollections"]] == ["Inner"]
    path = f"/api/user/collection/{outer}"
    assert (await here.call("member", "PUT", path, {"parent": inner}))[0] == 409
    assert (await here.call("member", "PUT", path, {"parent": outer}))[0] == 409
    assert (await here.call("member", "PUT", path, {"name": "Outermost"}))[0] == 200
    assert (await here.call("other", "PUT", path, {"name": "Mine"}))[0] == 404
    assert (await here.call("other", "DELETE", path))[0] == 404
    assert (await here.call("member", "PUT", f"/api/user/upload/{document}", {"collection": outer}))[0] == 200
    assert (await here.call("member", "DELETE", path))[1]["count"] == 1
    assert (await here.call("member", "GET", f"/api/user/upload/{document}"))[0] == 404
    assert (await here.call("member", "POST", f"/api/user/collection/{inner}/files", {}))[0] == 404


async def test_a_folder_of_a_twin(web: Web) -> None:
    here = web.house
    oak = here.org.ids["oak"]
    shared = await folder(web, "admin", "Shared", institution=oak)
    status, body = await here.call("member", "POST", "/api/user/collection", {"name": "No", "institution": oak})
    assert (status, body["error"]["code"]) == (403, "admin_required")
    assert (await here.call("member", "POST", f"/api/user/collection/{shared}/files", {}))[0] == 200
    assert (await here.call("member", "DELETE", f"/api/user/collection/{shared}"))[0] == 403
    own = await here.bring("admin", "own.md", b"My own.")
    status, body = await here.call("admin", "PUT", f"/api/user/upload/{own}", {"collection": shared})
    assert (status, body["error"]["code"]) == (409, "conflict")
    secret = await here.bring("bare", "s.md", b"Secret.", institution=oak, collection=shared, confidential="true")
    _, seen = await here.call("admin", "POST", f"/api/user/collection/{shared}/files", {})
    assert seen["total"] == 0
    assert (await here.call("admin", "DELETE", f"/api/user/collection/{shared}"))[1]["count"] == 0
    kept = await here.document("bare", secret)
    assert kept["collection"] is None


async def test_many_at_once(web: Web) -> None:
    here = web.house
    mine = [await here.bring("member", f"bulk{number}.md", f"Bulk {number}.".encode()) for number in range(3)]
    foreign = await here.bring("other", "foreign.md", b"Not yours.")
    place = await folder(web, "member", "Bulk")

    async def act(action: str, ids: list[str], target: str = "", kind: str = "upload") -> dict[str, Any]:
        body = {"ids": ids, "type": kind, "action": action, "target": target}
        status, done = await here.call("member", "POST", "/api/user/bulk/action", body)
        assert status == 200, done
        return done

    done = await act("exclude", [*mine, foreign, "0" * 24, "nonsense", mine[0]])
    assert (done["count"], [one["reason"] for one in done["skipped"]]) == (3, ["not_found", "not_found", "invalid_id"])
    assert [(await here.document("member", one))["status"] for one in mine] == ["active"] * 3
    await act("moveToCollection", mine, place)
    assert (await act("include", [place], kind="collection"))["count"] == 1
    assert [(await here.document("member", one))["status"] for one in mine] == ["selected"] * 3
    await act("public", mine[:1])
    assert (await here.document("member", mine[0]))["is_public"]
    await act("reprocess", mine)
    await here.read()
    assert (await act("moveVault", mine[:1], "instance"))["skipped"][0]["reason"] == "admin_required"
    await act("delete", mine)
    assert (await here.call("member", "GET", f"/api/user/upload/{mine[2]}"))[0] == 404
    assert (await here.document("other", foreign))["status"] == "selected"


# -- sources ----------------------------------------------------------------------------------------------------------


async def test_sources_are_told_as_they_stand_now(web: Web) -> None:
    here = web.house
    oak = here.org.ids["oak"]
    text = b"The okapi of the zoo is called Ota. " * 10
    document = await here.bring("admin", "okapi.md", text, institution=oak)
    answer = await here.ask("member", "What is the okapi called?")
    path = f"/api/user/history/{answer.turn_id}/ragSearch"
    (segment,) = (await here.call("member", "GET", path))[1]["data"]
    assert (segment["uploadId"], segment["originalname"], segment["confidential"]) == (document, "okapi.md", False)
    assert segment["length"] == len(segment["chunkText"])
    assert (await here.call("admin", "GET", path))[0] == 404
    await here.call("admin", "PUT", f"/api/user/upload/{document}", {"is_private": True})
    (segment,) = (await here.call("member", "GET", path))[1]["data"]
    assert (segment["originalname"], segment["chunkText"], segment["confidential"]) == ("", "", True)
    own = await here.ask("admin", "What is the okapi called?")
    path = f"/api/user/history/{own.turn_id}/ragSearch"
    (segment,) = (await here.call("admin", "GET", path))[1]["data"]
    assert segment["chunkText"].endswith(" (rest is confidential)")
    _, seen = await here.call("super", "GET", f"/api/admin/history/{own.turn_id}/prompt")
    assert seen["data"]["passages"] == ["[1] a confidential document"]
