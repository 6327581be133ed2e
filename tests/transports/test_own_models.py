"""Turns over models that a twin brought: whose key goes where, and where nothing goes."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from tests.faces import FACES, Face, ask
from tests.fakes.upstream import error_reply, text_reply
from tests.own_models import ENVIRONMENT_KEY, HEADER, KEY, Own, own_world
from tests.world import charges, stored
from twinspeak.domain.ai_models import AiModel, OwnSecrets
from twinspeak.domain.attachments import IMAGES, PDF, Attachment
from twinspeak.domain.caller import Scope
from twinspeak.domain.clock import now_ms
from twinspeak.domain.ids import new_id
from twinspeak.persistence.repos import ai_models
from twinspeak.persistence.secrets import SecretBox

PICTURE = Attachment("image/png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "a.png").data_url

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def own(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[Own]:
    async with own_world(tmp_path_factory.mktemp("own-models")) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def twin(own: Own) -> AsyncGenerator[str]:
    """The administrator's twin, as it was afterwards."""
    institution = await own.twin()
    for upstream in (own.upstream, own.here.upstream):
        upstream.exchanges.clear()
        while not upstream._arrivals.empty():
            upstream._arrivals.get_nowait()
    yield institution
    await own.choose("", institution)
    _, listed = await own.call("POST", "/api/admin/aimodels", {"minimum": True})
    for record in listed["data"]:
        await own.call("DELETE", f"/api/admin/aimodel/{record['_id']}")


def sent(own: Own) -> list[dict[str, str]]:
    return [exchange.headers for exchange in own.upstream.exchanges]


@pytest.mark.parametrize("face", FACES)
async def test_a_twins_model_is_asked_with_its_own_key_at_its_own_address(own: Own, twin: str, face: Face) -> None:
    await own.make(default_headers={"X-Team": HEADER})
    await own.choose("own-model", twin)
    answer = await own.ask(face=face)
    assert set(answer.texts.values()) == {"Said by the twin's own model."}
    (headers,) = sent(own)
    assert (headers["authorization"], headers["x-team"]) == (f"Bearer {KEY}", HEADER)
    assert ENVIRONMENT_KEY not in str(headers)
    assert own.upstream.exchanges[0].json["model"] == "own-model"
    assert own.here.upstream.exchanges == []


async def test_the_servers_model_is_asked_with_the_servers_key(own: Own, twin: str) -> None:
    await own.make()
    assert set((await own.ask()).texts.values()) == {"Said by the server's model."}
    assert [exchange.headers["authorization"] for exchange in own.here.upstream.exchanges] == [
        f"Bearer {ENVIRONMENT_KEY}"
    ]
    assert own.upstream.exchanges == []


async def test_a_record_comes_before_a_servers_model_of_its_name_and_has_a_name_of_its_own_there(
    own: Own, twin: str
) -> None:
    await own.make(name="gpt-4o", modelId="llama3.3:70b", max_output_tokens=77, reasoning_effort="low")
    await own.choose("gpt-4o", twin)
    assert (await own.ask()).reply["model"] == "gpt-4o"
    body = own.upstream.exchanges[0].json
    assert (body["model"], body["max_tokens"], body["reasoning_effort"]) == ("llama3.3:70b", 77, "low")


async def test_a_model_without_tools_is_told_of_none(own: Own, twin: str) -> None:
    await own.make(features={"tools": False})
    await own.choose("own-model", twin)
    await own.ask()
    assert "tools" not in own.upstream.exchanges[0].json


@pytest.mark.parametrize(
    ("fields", "reads"),
    [
        ({}, IMAGES),
        ({"features": {"vision": False}}, ()),
        ({"features": {"vision": False}, "input_media": {"image": True, "pdf": True}}, (*IMAGES, PDF)),
        ({"input_media": {"image": False}}, ()),
        (
            {"client_library": "google_genai_cli", "modelId": "gemini-3.6-flash"},
            tuple(kind for kind in (*IMAGES, PDF) if kind != "image/gif"),
        ),
    ],
    ids=str,
)
async def test_what_a_model_reads_is_what_its_record_says(
    own: Own, twin: str, fields: dict[str, Any], reads: tuple[str, ...]
) -> None:
    made = await own.make(**fields)
    _, body = await own.here.get("/api/ai/models")
    assert sorted(body["data"][0]["reads"]) == sorted(reads)
    shown = await own.read(made)
    assert (shown["input_media"]["image"], shown["input_media"]["pdf"]) == (bool(reads), PDF in reads)
    if "client_library" in fields:
        return
    await own.choose("own-model", twin)
    answer = await ask(own.here.server, own.here.token, Face.REST, "What is it?", attachments=[{"url": PICTURE}])
    assert answer.status == (200 if reads else 422)
    assert len(own.upstream.exchanges) == bool(reads)


async def test_what_a_turn_costs_is_the_records_price(own: Own, twin: str) -> None:
    """40 % less with a key of one's own, unless a super administrator said otherwise."""
    made = await own.make()
    await own.choose("own-model", twin)
    own.upstream.script(text_reply("x"), text_reply("x"))
    own.upstream.default = lambda _: text_reply("x")
    turn = (await own.ask()).turn_id
    assert '"input":60' in stored(own.here.database, turn)["price"]
    rates = {"input": 200.0, "cached": 0, "completion": 300.5}
    status, _ = await own.call("PUT", f"/api/admin/aimodel/{made}", {"creditsPer10kTokens": rates})
    assert status == 200
    turn = (await own.ask()).turn_id
    assert charges(own.here.database, turn) == [1]
    assert '"completion":30050' in stored(own.here.database, turn)["price"]
    own.upstream.default = lambda _: text_reply("Said by the twin's own model.")


async def test_a_changed_key_is_used_from_the_next_question_on_and_a_deleted_one_never(own: Own, twin: str) -> None:
    made = await own.make()
    await own.choose("own-model", twin)
    await own.ask()
    path = f"/api/admin/aimodel/{made}"
    assert (await own.call("PUT", path, {"api_key": "another-key-1"}))[0] == 200
    await own.ask()
    assert [headers["authorization"] for headers in sent(own)] == [f"Bearer {KEY}", "Bearer another-key-1"]
    assert (await own.call("PUT", path, {"status": "inactive"}))[0] == 200
    # What was meant for the twin's own vendor goes to no other one, though the operator's takes every name.
    refused = await own.ask()
    assert (refused.status, refused.json["error"]["code"]) == (503, "model_unavailable")
    assert own.here.upstream.exchanges == []
    assert (await own.call("PUT", path, {"status": "active"}))[0] == 200
    assert set((await own.ask()).texts.values()) == {"Said by the twin's own model."}
    assert (await own.call("DELETE", path))[0] == 200
    assert set((await own.ask()).texts.values()) == {"Said by the server's model."}
    assert len(sent(own)) == 3


async def test_a_running_turn_ends_with_the_key_that_it_began_with(own: Own, twin: str) -> None:
    gate = asyncio.Event()
    made = await own.make()
    await own.choose("own-model", twin)
    reply = text_reply("Said by the twin's own model.")
    reply.steps.insert(1, gate)
    own.upstream.script(reply)
    asking = asyncio.ensure_future(own.ask())
    await asyncio.wait_for(own.upstream.exchange(), 10)
    assert (await own.call("DELETE", f"/api/admin/aimodel/{made}"))[0] == 200
    gate.set()
    assert set((await asking).texts.values()) == {"Said by the twin's own model."}


async def test_nobody_elses_twin_has_it(own: Own, twin: str) -> None:
    stranger = await own.here.stranger()
    await own.make(name="ours-alone")
    theirs = await own.twin(stranger)
    await own.choose("ours-alone", theirs)
    assert set((await own.ask(stranger)).texts.values()) == {"Said by the server's model."}
    assert sent(own) == []
    listed = {name: await own.here.get("/api/ai/models", token) for name, token in (("us", None), ("them", stranger))}
    ids = {name: [model["id"] for model in body["data"] if model["own"]] for name, (_, body) in listed.items()}
    assert ids == {"us": ["ours-alone"], "them": []}


async def test_the_list_shows_a_twins_model_once_before_the_servers(own: Own, twin: str) -> None:
    await own.make(name="local", max_input_tokens=9_000)
    await own.make(name="speech", model_use="audioAnalysisModel")
    await own.make(name="asleep", status="inactive")
    _, body = await own.here.get("/api/ai/models")
    first = body["data"][0]
    assert (first["id"], first["own"], first["contextWindow"], first["maxOutput"]) == ("local", True, 9_000, 1_000)
    assert first["owned_by"] == "openai"
    names = [model["id"] for model in body["data"]]
    assert names.count("local") == 1
    assert not {"speech", "asleep"} & set(names)
    assert KEY not in str(body)


# -- where nothing goes -----------------------------------------------------------------------------------------------


async def planted(own: Own, twin: str, **fields: Any) -> None:
    """Put a record past the rules of administration, as an older version or a changed allow-list could have left it."""
    record = AiModel(
        id=new_id(), institution_id=twin, name="planted", api_url="", has_key=True, header_names=(), created=now_ms()
    )
    record = msgspec.structs.replace(record, **fields)
    box = own.here.server.ground.secrets
    scope = Scope(user_id="0" * 24, institution_id=twin)
    await own.here.server.ground.db.write(
        lambda tx: ai_models.create(tx, scope, box, record, OwnSecrets(api_key=KEY if record.has_key else ""))
    )
    await own.choose("planted", twin)


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/v1",
        "https://169.254.169.254/v1",
        "https://localhost/v1",
        "https://127.0.0.1:{operators}/v1",
        "http://127.0.0.1:{operators}/v1",
        "http://[::ffff:127.0.0.1]:{operators}/v1",
        "https://2130706433/v1",
        "https://metadata.google.internal/v1",
    ],
)
async def test_an_address_inside_is_not_asked_even_where_a_record_holds_one(own: Own, twin: str, address: str) -> None:
    await planted(own, twin, api_url=address.format(operators=own.here.upstream.port))
    answer = await own.ask()
    assert (answer.status, answer.json["error"]["code"]) == (502, "provider_failed")
    assert "may not be asked" in answer.json["message"]
    assert own.here.upstream.exchanges == []
    assert own.upstream.exchanges == []


async def test_a_redirect_of_a_twins_server_is_not_followed(own: Own, twin: str) -> None:
    await own.make()
    await own.choose("own-model", twin)
    reply = error_reply(307, "elsewhere", headers={"Location": own.here.upstream.base_url + "/chat/completions"})
    own.upstream.script(reply)
    assert (await own.ask()).status == 502
    assert own.here.upstream.exchanges == []


async def test_bedrock_without_a_key_is_never_asked_at_a_twins_address(own: Own, twin: str) -> None:
    """The server's credentials would sign the request."""
    await planted(own, twin, library="bedrock_cli", has_key=False, api_url=own.upstream.base_url)
    answer = await own.ask()
    assert (answer.status, answer.json["error"]["code"]) == (503, "model_unavailable")
    assert own.upstream.exchanges == []


async def test_a_key_that_can_no_longer_be_read_is_told_and_nothing_is_asked(own: Own, twin: str) -> None:
    await own.make()
    await own.choose("own-model", twin)
    model = own.here.server.live.models
    box, model._own._box = model._own._box, SecretBox(["another key, long enough for a box"])
    try:
        answer = await own.ask()
    finally:
        model._own._box = box
    assert (answer.status, answer.json["error"]["code"]) == (503, "model_unavailable")
    assert "enter it again" in answer.json["message"]
    assert own.upstream.exchanges == []


# -- what is never told -----------------------------------------------------------------------------------------------


async def test_keys_are_in_no_row_no_answer_and_no_log(own: Own, twin: str, capfd: pytest.CaptureFixture[str]) -> None:
    made = await own.make(default_headers={"X-Team": HEADER})
    await own.choose("own-model", twin)
    echo = error_reply(401, f"Incorrect API key provided: {KEY} {HEADER}", code=KEY)
    own.upstream.script(echo)
    seen = [str((await own.ask()).json), str(await own.read(made)), own.dump()]
    own.upstream.script(echo)
    tried = await own.call("POST", f"/api/admin/aimodel/{made}/test")
    bad = await own.call("PUT", f"/api/admin/aimodel/{made}", {"api_key": f"{KEY} {HEADER}"})
    assert (tried[0], bad[0]) == (200, 422)
    seen += [str(tried), str(bad), str(await own.call("POST", "/api/admin/aimodels", {})), *capfd.readouterr()]
    for secret in (KEY, HEADER, ENVIRONMENT_KEY):
        assert [text for text in seen if secret in text] == []


async def test_connections_to_a_twins_server_are_used_again(own: Own, twin: str) -> None:
    await own.make()
    await own.choose("own-model", twin)
    await own.ask()
    before = set(own.upstream._tasks)
    for _ in range(4):
        await own.ask()
    assert set(own.upstream._tasks) == before
