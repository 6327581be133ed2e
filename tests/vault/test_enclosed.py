"""A vault's images and PDFs handed to the model with a question: as they are, and only what the asker has there."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import update

from tests.faces import FACES, Answer, Face, ask, body_of, post
from tests.fakes.upstream import text_reply
from tests.faults.conftest import nothing_runs
from tests.vault.house import House, house
from twinspeak.domain.attachments import MAX_BYTES, Attachment
from twinspeak.persistence.repos import memberships
from twinspeak.persistence.tables import institutions

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

PNG = Attachment("image/png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
PDF = Attachment("application/pdf", b"%PDF-1.7 " + bytes(range(256)))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[House]:
    async with house(tmp_path_factory.mktemp("enclosed"), default_model="llama-3") as made:
        made.org.here.upstream.default = lambda _: text_reply("A picture.")
        await made.org.person("both", "oak")
        await made.server.ground.db.write(_in_two_twins(made))
        yield made


def _in_two_twins(here: House) -> Any:
    def store(tx: Any) -> None:
        memberships.create(tx, here.org.ids["both"], here.org.ids["elm"])
        tx.run(update(institutions).values(chat_completion_enabled=True))

    return store


async def put(here: House, who: str, data: bytes = PNG.data, name: str = "a picture.png", **fields: Any) -> str:
    """Upload a file that is not to be read; return its id."""
    status, body = await here.send(who, [(name, data)], skipIndexing="true", **fields)
    assert status == 200, body
    return body["files"][0]["uploadId"]


async def asked(here: House, who: str, face: Face, *uploads: Any) -> Answer:
    files = [{"uploadId": upload} for upload in uploads]
    return await ask(here.server, here.org.tokens[who], face, "What is it?", attachments=files)


def seen(here: House) -> Any:
    """What the model was given last."""
    return here.org.here.upstream.exchanges[-1].json["messages"][-1]["content"]


@pytest.mark.parametrize("face", FACES)
async def test_a_file_of_the_twin_goes_to_the_model_as_it_is(here: House, face: Face):
    upload = await put(here, "admin", institution=here.org.ids["oak"])
    answer = await asked(here, "member", face, upload)
    assert set(answer.texts.values()) == {"A picture."}, answer.error
    assert seen(here)[0] == {"type": "image_url", "image_url": {"url": PNG.data_url}}


async def test_it_goes_beside_what_came_with_the_question(here: House):
    upload = await put(here, "member", data=PNG.data + b"own")
    files = [{"url": PNG.data_url}, {"uploadId": upload.upper()}, {"uploadId": upload}]
    await ask(here.server, here.org.tokens["member"], Face.REST, attachments=files)
    assert [part["type"] for part in seen(here)] == ["image_url", "image_url", "text"]


async def test_what_is_not_there_for_the_asker_is_not_found(here: House):
    oak, elm = here.org.ids["oak"], here.org.ids["elm"]
    foreign = {
        "another person's": await put(here, "nobody"),
        "another twin's": await put(here, "manager", institution=elm),
        "confidential": await put(here, "admin", institution=oak, confidential="true"),
        "nobody's": "f" * 24,
    }
    for name, upload in foreign.items():
        for face in FACES:
            with nothing_runs(here.org.here):
                answer = await asked(here, "member", face, upload)
                assert answer.error, name
                assert (answer.status, answer.error["code"]) == (404, "not_found"), name
                assert answer.error["param"] == ("messages" if face is Face.OPENAI else "requestArgs.attachments")


async def test_what_one_reads_in_another_twin_stays_there(here: House):
    upload = await put(here, "manager", data=PNG.data + b"elm", institution=here.org.ids["elm"])
    assert (await here.document("both", upload))["_id"] == upload
    with nothing_runs(here.org.here):
        assert (await asked(here, "both", Face.REST, upload)).status == 404


async def test_what_no_model_reads_is_refused(here: House):
    words = await put(here, "member", data=b"Only words.", name="words.md")
    large = await put(here, "member", data=PNG.data + bytes(MAX_BYTES), name="large.png")
    paper = await put(here, "member", data=PDF.data, name="paper.pdf")
    wrong: list[tuple[Any, int, str]] = [
        (words, 422, "validation_failed"),
        (large, 413, "payload_too_large"),
        (paper, 422, "attachment_unsupported"),
        ("not an id", 400, "invalid_id"),
        (5, 422, "validation_failed"),
        ("", 422, "validation_failed"),
    ]
    for upload, status, code in wrong:
        with nothing_runs(here.org.here):
            answer = await asked(here, "member", Face.REST, upload)
            assert answer.error
            assert (answer.status, answer.error["code"]) == (status, code)


async def test_a_file_is_named_in_one_way(here: House):
    upload = await put(here, "member")
    with nothing_runs(here.org.here):
        for files in ([{"uploadId": upload, "url": PNG.data_url}], [{"uploadId": upload}] * 6):
            answer = await ask(here.server, here.org.tokens["member"], Face.REST, attachments=files)
            assert answer.status == 422


async def test_what_was_deleted_is_not_found(here: House):
    upload = await put(here, "member", data=PNG.data + b"deleted")
    status, _ = await here.call("member", "DELETE", f"/api/user/upload/{upload}")
    assert status == 200
    with nothing_runs(here.org.here):
        assert (await asked(here, "member", Face.REST, upload)).status == 404


async def test_an_estimate_counts_it_and_one_key_stands_for_it(here: House):
    upload, other = await put(here, "member"), await put(here, "member", data=PNG.data + b"other")

    async def tokens(**args: Any) -> int:
        status, body = await here.call("member", "POST", "/api/ai/estimate", body_of(Face.REST, **args))
        assert status == 200
        return body["promptTokens"]

    async def keyed(one: str) -> Answer:
        headers = {**here.server.auth(here.org.tokens["member"]), "idempotency-key": "enclosed"}
        return await post(here.server, Face.REST, body_of(Face.REST, attachments=[{"uploadId": one}]), headers)

    assert await tokens(attachments=[{"uploadId": upload}]) > await tokens() + 1_000
    first, again = await keyed(upload), await keyed(upload)
    assert first.turn_id == again.turn_id
    assert (await keyed(other)).status == 409
