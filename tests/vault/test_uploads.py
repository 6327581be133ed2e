"""From a file over HTTP to an answer that cites it; and what becomes of files that are wrong, twice there, or gone."""

import asyncio
from typing import Any

import pytest

from tests.vault.house import LION, House

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]


def about(animal: str) -> bytes:
    return LION.replace(b"Lions", animal.encode())


async def test_a_file_is_answered_from_and_cited(here: House) -> None:
    status, body = await here.send("member", [("zoo.md", LION)])
    assert status == 200
    assert body["success"]
    (taken,) = body["files"]
    assert (taken["originalname"], taken["mimetype"], taken["size"]) == ("zoo.md", "text/markdown", len(LION))
    assert (taken["ingestion"]["phase"], taken["status"]) == ("queued", "selected")
    waiting = await here.document("member", taken["uploadId"])
    assert (waiting["ingestion"]["phase"], waiting["chunks"]) == ("queued", 0)
    await here.read()
    done = await here.document("member", taken["uploadId"])
    assert (done["ingestion"]["phase"], done["ingestion"]["progress"], done["chunks"]) == ("done", 100, 2)
    answer = await here.ask("member", "When are lions fed?")
    assert answer.status == 200
    assert "Lions are fed at noon" in answer.json["outputs"][0]
    source = answer.json["sources"][0]
    assert (source["uploadId"], source["originalname"], source["section"]) == (
        taken["uploadId"], "zoo.md", "The zoo > Lions",
    )  # fmt: skip
    assert f"[{source['number']}]" in answer.json["outputs"][0]
    assert source["cited"]


async def test_a_question_may_be_about_some_documents_only(here: House) -> None:
    kiwi = await here.bring("member", "kiwi.md", about("Kiwis"))
    moa = await here.bring("member", "moa.md", about("Moas"))
    theirs = await here.bring("other", "dodo.md", about("Dodos"))

    async def sources(*ids: str) -> list[str]:
        answer = await here.ask("member", "When are kiwis, moas and dodos fed?", selectedUploadIds=list(ids))
        assert answer.status == 200, answer.json
        return sorted({one["uploadId"] for one in answer.json["sources"]})

    assert {kiwi, moa} <= set(await sources())
    assert await sources(moa) == [moa]
    assert await sources(moa.upper(), theirs, "nonsense") == [moa]
    assert await sources(theirs) == []
    answer = await here.ask("member", "When?", selectedUploadIds=["x"] * 101)
    assert (answer.status, answer.json["error"]["code"]) == (422, "validation_failed")


async def test_passages_are_listed_and_corrected(here: House) -> None:
    document = await here.bring("member", "herons.md", about("Herons"))
    first, second = await here.chunks("member", document)
    assert (first["chunkIndex"], first["section"], first["upload"]) == (0, "The zoo > Herons", document)
    path = f"/api/user/embedding/{second['_id']}"
    status, body = await here.call("member", "PUT", path, {"chunkText": "Herons are fed at sunrise."})
    assert (status, body["message"]) == (200, "Segment updated!")
    found = await here.call("member", "POST", "/api/user/files/search-content", {"query": "herons sunrise"})
    assert found[1]["results"][0]["content"] == "Herons are fed at sunrise."
    assert (await here.call("other", "PUT", path, {"chunkText": "No."}))[0] == 404
    assert (await here.call("member", "PUT", path, {"chunkText": ""}))[0] == 422
    assert (await here.call("member", "PUT", path, {"chunkText": "x" * 8_001}))[0] == 422


async def test_the_same_content_is_there_once(here: House) -> None:
    first = await here.bring("nobody", "a.md", about("Tapirs"))
    status, body = await here.send("nobody", [("b.md", about("Tapirs"))])
    (again,) = body["files"]
    assert (status, again["uploadId"], again["duplicate"]) == (200, first, True)
    assert await here.listed("nobody", vault="personal") == ["a.md"]
    other = await here.bring("other", "a.md", about("Tapirs"))
    assert other != first


async def test_the_same_file_twice_at_once_is_there_once(here: House) -> None:
    sent = await asyncio.gather(*(here.send("other", [("gnu.md", about("Gnus"))]) for _ in range(6)))
    ids = {body["files"][0]["uploadId"] for _, body in sent}
    assert len(ids) == 1
    assert sum(not body["files"][0]["duplicate"] for _, body in sent) == 1
    await here.read()
    assert (await here.listed("other")).count("gnu.md") == 1


async def test_one_bad_file_keeps_no_other_out(here: House) -> None:
    files = [("good.md", about("Yaks")), ("empty.txt", b""), ("../../etc/passwd", about("Boars"))]
    status, body = await here.send("member", files)
    assert (status, body["success"]) == (200, True)
    good, empty, odd = body["files"]
    assert good["success"]
    assert (empty["success"], empty["uploadId"], empty["code"]) == (False, None, "validation_failed")
    assert odd["originalname"] == "passwd"
    status, body = await here.send("member", [("empty.txt", b"")])
    assert (status, body["success"]) == (200, False)


async def test_what_cannot_be_read_says_why(here: House) -> None:
    document = await here.bring("member", "broken.pdf", b"%PDF-1.7\n%%EOF\n")
    found = await here.document("member", document)
    assert found["ingestion"]["phase"] == "error"
    assert found["ingestion"]["error"]["code"]
    assert found["ingestion"]["error"]["message"]
    status, body = await here.call("member", "POST", f"/api/user/files/{document}/reprocess", {})
    assert (status, body["queued"], body["ingestion"]["phase"]) == (200, True, "queued")
    assert (await here.call("member", "POST", f"/api/user/files/{document}/reprocess", {}))[0] == 409
    await here.read()
    assert (await here.document("member", document))["ingestion"]["phase"] == "error"


@pytest.mark.parametrize(
    ("data", "content_type", "expected"),
    [
        (b"{}", "application/json", (415, "unsupported_media_type")),
        (b"x", "multipart/form-data", (400, "invalid_body")),
        (b"x", "multipart/form-data; boundary=b", (400, "invalid_body")),
        (b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--b--", "multipart/form-data; boundary=b",
         (422, "validation_failed")),
        (b"--b\r\nContent-Disposition: form-data; name=files; filename=a\r\n\r\nx", "multipart/form-data; boundary=b",
         (400, "invalid_body")),
        (b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\n" + b"x" * 70_000 + b"\r\n--b--",
         "multipart/form-data; boundary=b", (413, "payload_too_large")),
    ],
)  # fmt: skip
async def test_bad_bodies(here: House, data: bytes, content_type: str, expected: Any) -> None:
    headers = {**here.server.auth(here.org.tokens["member"]), "content-type": content_type}
    async with here.server.http.post("/api/user/files", data=data, headers=headers) as response:
        body = await response.json()
        assert (response.status, body["error"]["code"]) == expected


async def test_a_stranger_uploads_nothing(here: House) -> None:
    async with here.server.http.post("/api/user/files", data=b"x") as response:
        assert response.status == 401


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"confidential": "maybe"}, (422, "validation_failed")),
        ({"fileConfidential": "[1]"}, (422, "validation_failed")),
        ({"institution": "nonsense"}, (400, "invalid_id")),
        ({"institution": "0" * 24}, (403, "not_a_member")),
        ({"collection": "0" * 24}, (404, "not_found")),
    ],
)
async def test_bad_terms_keep_everything_out(here: House, fields: dict[str, str], expected: Any) -> None:
    before = await here.listed("member")
    status, body = await here.send("member", [("never.md", b"Never.")], **fields)
    assert (status, body["error"]["code"]) == expected
    assert await here.listed("member") == before


async def test_excluding_hiding_and_coming_back(here: House) -> None:
    document = await here.bring("member", "ibis.md", about("Ibises"))
    path = f"/api/user/upload/{document}"

    async def found() -> bool:
        answer = await here.call("member", "POST", "/api/user/files/search-content", {"query": "ibises"})
        return any(one["uploadId"] == document for one in answer[1]["results"])

    assert await found()
    for status, searched in (("active", False), ("selected", True), ("deleted", False)):
        assert (await here.call("member", "PUT", path, {"status": status}))[0] == 200
        assert await found() == searched
    assert (await here.call("member", "GET", path))[0] == 404
    assert (await here.call("member", "PUT", path, {"file_title": "Gone"}))[0] == 404
    assert "ibis.md" not in await here.listed("member")
    assert (await here.call("member", "PUT", path, {"status": "selected"}))[0] == 200
    assert await found()


async def test_a_document_is_deleted_for_good(here: House) -> None:
    document = await here.bring("member", "emu.md", about("Emus"))
    shown = await here.document("member", document)
    folder = here.server.live and here.server.settings.data_dir / "vault" / document[-2:] / document
    assert (folder / "original").read_bytes() == about("Emus")
    assert (await here.call("member", "GET", shown["file_url"]))[1] == about("Emus")
    assert (await here.call("member", "DELETE", f"/api/user/upload/{document}"))[0] == 200
    assert not folder.exists()
    assert (await here.call("member", "GET", shown["file_url"]))[0] == 404
    assert (await here.call("member", "DELETE", f"/api/user/upload/{document}"))[0] == 404
    answer = await here.call("member", "POST", "/api/user/files/search-content", {"query": "emus"})
    assert all(one["uploadId"] != document for one in answer[1]["results"])


async def test_cancelled_and_deleted_while_it_waits(here: House) -> None:
    _, body = await here.send("member", [("puma.md", about("Pumas")), ("lynx.md", about("Lynxes"))])
    puma, lynx = (one["uploadId"] for one in body["files"])
    assert (await here.call("member", "POST", f"/api/user/files/{puma}/cancel"))[0] == 200
    assert (await here.call("member", "POST", f"/api/user/files/{puma}/cancel"))[0] == 409
    assert (await here.call("member", "DELETE", f"/api/user/upload/{lynx}"))[0] == 200
    await here.read()
    found = await here.document("member", puma)
    assert (found["ingestion"]["phase"], found["ingestion"]["error"]["code"]) == ("error", "ingestion_cancelled")
    assert await here.chunks("member", puma) == []
    again = await here.call("member", "POST", f"/api/user/files/{puma}/reprocess", {})
    assert again[0] == 200
    await here.read()
    assert len(await here.chunks("member", puma)) == 2


async def test_only_kept_is_not_searched(here: House) -> None:
    document = await here.bring("member", "skua.md", about("Skuas"), skipIndexing="true")
    shown = await here.document("member", document)
    assert (shown["status"], shown["ingestion"]["phase"], shown["chunks"]) == ("active", "done", 0)


async def test_lists_are_paged_sorted_and_narrowed(here: House) -> None:
    for name in ("b.txt", "a.txt", "c.txt"):
        await here.bring("bare", name, f"A text called {name}.".encode())
    _, page = await here.call(
        "bare", "POST", "/api/user/uploads",
        {"vault": "personal", "sortBy": "originalname", "sortAscending": True, "pageSize": 2, "status": "all"},
    )  # fmt: skip
    assert [one["originalname"] for one in page["data"]] == ["a.txt", "b.txt"]
    assert (page["total"], page["hasMore"]) == (3, True)
    assert page["vaultCounts"]["personal"] == {"total": 3, "active": 3}
    _, rest = await here.call(
        "bare", "POST", "/api/user/uploads",
        {"vault": "personal", "sortBy": "originalname", "sortAscending": True, "pageSize": 2, "page": 2, "lean": True},
    )  # fmt: skip
    assert [one["originalname"] for one in rest["data"]] == ["c.txt"]
    assert rest["data"][0]["index"] == 2
    assert await here.listed("bare", fileNameSearch="B.T") == ["b.txt"]
    assert await here.listed("bare", fileNameSearch="%") == []
    assert (await here.call("bare", "POST", "/api/user/uploads", {"status": {"$gt": ""}}))[0] == 422
