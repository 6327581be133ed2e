"""Administration of twins' own models: who may, what is refused, and how it looks on the wire."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio

from tests.faces import Face, ask
from tests.fakes.upstream import STALL, Reply, error_reply
from tests.own_models import KEY, Own, own_world
from twinspeak.domain.ids import new_id
from twinspeak.egress.guard import MAX_URL
from twinspeak.providers import own as own_module
from twinspeak.services import ai_models as service
from twinspeak.services.administered import MASK

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

RECORD = "/api/admin/aimodel"
LIST = "/api/admin/aimodels"
VERBS = ("list", "add", "edit", "delete")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def own(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[Own]:
    async with own_world(tmp_path_factory.mktemp("ai-models")) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stranger(own: Own) -> str:
    """An administrator of another twin, who holds every verb about models there."""
    token = await own.here.stranger()
    await own.entitle(await own.twin(token), *(f"aimodels.{verb}" for verb in VERBS))
    return token


@pytest_asyncio.fixture(loop_scope="module")
async def made(own: Own) -> AsyncGenerator[str]:
    model_id = await own.make(name=f"model-{new_id()}")
    yield model_id
    await own.call("DELETE", f"{RECORD}/{model_id}")


def code(answer: tuple[int, Any]) -> tuple[int, str]:
    status, body = answer
    return status, body["error"]["code"]


def faults(answer: tuple[int, Any]) -> list[str]:
    status, body = answer
    assert (status, body["error"]["code"]) == (422, "validation_failed"), body
    return [field["field"] for field in body["error"]["details"]["fields"]]


# -- shapes -----------------------------------------------------------------------------------------------------------


async def test_a_record_looks_as_documented(own: Own) -> None:
    status, body = await own.call("POST", RECORD, own.record(name="looks", description="Ours", modelId="m-1"))
    assert (status, set(body), body["message"]) == (200, {"success", "id", "message"}, "AI model created!")
    twin = await own.twin()
    shown = await own.read(body["id"])
    assert shown.pop("created").endswith("Z")
    assert shown.pop("institution") == {"_id": twin, "name": "Sample", "ainame": "Sage", "picture": ""}
    assert shown == {
        "_id": body["id"],
        "name": "looks",
        "model_use": "conversationModel",
        "status": "active",
        "modelId": "m-1",
        "description": "Ours",
        "client_library": "openai_cli",
        "api_url": own.upstream.base_url,
        "api_key": MASK,
        "default_headers": {},
        "features": {"stream": True, "tools": True, "code": False, "vision": True, "mcp": False},
        "input_media": {"text": True, "image": True, "audio": False, "video": False, "pdf": False},
        "output_media": {"text": True, "audio": False, "video": False, "image": False},
        "max_input_tokens": 32_768,
        "max_output_tokens": 1_000,
        "reasoning_effort": None,
        "extended_context": False,
        "picture_url": "",
        "creditsPer10kTokens": {"input": 0.6, "cached": 0.3, "completion": 0.6},
    }
    assert (await own.call("DELETE", f"{RECORD}/{body['id']}"))[0] == 200
    assert code(await own.call("GET", f"{RECORD}/{body['id']}")) == (404, "not_found")


async def test_what_is_read_can_be_written_back(own: Own, made: str) -> None:
    """Forms send the whole record: masks leave the secrets, and what cannot be changed is passed over."""
    await own.call("PUT", f"{RECORD}/{made}", {"default_headers": {"X-Team": "one", "X-Tier": "two"}})
    before, stored = await own.read(made), own.dump()
    assert before["default_headers"] == {"X-Team": MASK, "X-Tier": MASK}
    rest = {name: value for name, value in before.items() if name != "creditsPer10kTokens"}
    assert (await own.call("PUT", f"{RECORD}/{made}", rest))[0] == 200
    assert await own.read(made) == before
    assert own.dump() != stored
    changed = {"default_headers": {"X-Team": MASK, "X-New": "three"}, "name": f"renamed-{made}"}
    assert (await own.call("PUT", f"{RECORD}/{made}", changed))[0] == 200
    await own.choose(f"renamed-{made}", await own.twin())
    await own.ask()
    headers = own.upstream.exchanges[-1].headers
    assert (headers["x-team"], headers["x-new"], headers["authorization"]) == ("one", "three", f"Bearer {KEY}")
    assert "x-tier" not in headers
    await own.choose("", await own.twin())


async def test_lists_have_pages_and_short_forms(own: Own) -> None:
    ids = [await own.make(name=f"page-{number}") for number in range(3)]
    twin = await own.twin()
    _, first = await own.call("POST", LIST, {"institution": twin, "page": 1, "pageSize": 2})
    assert [item["_id"] for item in first["data"]] == ids[:0:-1]
    assert {name: first[name] for name in ("total", "hasMore", "page", "pageSize")} == {
        "total": 3,
        "hasMore": True,
        "page": 1,
        "pageSize": 2,
    }
    _, second = await own.call("POST", LIST, {"institution": twin, "page": 2, "pageSize": 2})
    assert ([item["_id"] for item in second["data"]], second["hasMore"]) == ([ids[0]], False)
    _, short = await own.call("POST", LIST, {"minimum": True, "page": 7})
    assert short["data"][0] == {"_id": ids[2], "name": "page-2", "model_use": "conversationModel", "status": "active"}
    assert len(short["data"]) == 3
    for model_id in ids:
        assert (await own.call("DELETE", f"{RECORD}/{model_id}"))[0] == 200
    _, none = await own.call("POST", LIST, {})
    assert (none["data"], none["total"], none["hasMore"]) == ([], 0, False)


async def test_filters_reach_no_further_than_their_caller(own: Own, stranger: str, made: str) -> None:
    theirs = await own.make(stranger, name="theirs")
    ours, other = await own.twin(), await own.twin(stranger)
    seen: dict[str, set[str]] = {}
    for who, token in (("super", None), ("admin", stranger)):
        for name, asked in (("all", {}), ("both", {"institution": f"{ours} {other} {new_id()}"})):
            _, body = await own.call("POST", LIST, asked, token)
            seen[f"{who} {name}"] = {item["_id"] for item in body["data"]}
    assert seen == {
        "super all": {made, theirs},
        "super both": {made, theirs},
        "admin all": {theirs},
        "admin both": {theirs},
    }
    for bad in ({"institution": "x"}, {"account": "x y"}):
        assert code(await own.call("POST", LIST, bad)) == (400, "invalid_id")
    assert (await own.call("DELETE", f"{RECORD}/{theirs}", token=stranger))[0] == 200


# -- who may ----------------------------------------------------------------------------------------------------------


async def test_each_verb_is_needed_for_what_it_names(own: Own, stranger: str) -> None:
    twin = await own.twin(stranger)
    model_id = await own.make(stranger, name="verbs")
    calls = {
        "list": [("POST", LIST, {}), ("GET", f"{RECORD}/{model_id}", None)],
        "add": [("POST", RECORD, own.record(name="x"))],
        "edit": [("PUT", f"{RECORD}/{model_id}", {"description": "x"}), ("POST", f"{RECORD}/{model_id}/test", None)],
        "delete": [("DELETE", f"{RECORD}/{model_id}", None)],
    }
    for verb, needing in calls.items():
        await own.entitle(twin, *(f"aimodels.{other}" for other in VERBS if other != verb), "users.list")
        for method, path, body in needing:
            assert code(await own.call(method, path, body, stranger)) == (403, "entitlement_missing"), (verb, path)
    await own.entitle(twin, *(f"aimodels.{verb}" for verb in VERBS))
    assert (await own.call("DELETE", f"{RECORD}/{model_id}", token=stranger))[0] == 200


async def test_somebody_elses_record_is_answered_like_none(own: Own, stranger: str, made: str) -> None:
    ours = await own.twin()
    before = await own.read(made)
    for method, body, suffix in (
        ("GET", None, ""),
        ("PUT", {"name": "x"}, ""),
        ("DELETE", None, ""),
        ("POST", None, "/test"),
    ):
        answers = [await own.call(method, f"{RECORD}/{one}{suffix}", body, stranger) for one in (made, new_id())]
        assert [code(answer) for answer in answers] == [(404, "not_found")] * 2
        assert code(await own.call(method, f"{RECORD}/nonsense{suffix}", body, stranger)) == (400, "invalid_id")
    for twin, said in ((ours, (404, "not_found")), (new_id(), (404, "not_found")), ("x", (400, "invalid_id"))):
        assert code(await own.call("POST", RECORD, own.record(institution=twin), stranger)) == said
    assert await own.read(made) == before


async def test_who_is_no_administrator_is_let_in_nowhere(own: Own, stranger: str) -> None:
    async with own.here.server.http.post(LIST, json={}) as response:
        assert response.status == 401


async def test_a_price_is_a_super_administrators_to_set(own: Own, stranger: str) -> None:
    rates = {"input": 0, "cached": 0, "completion": 0}
    asked = own.record(name="cheap", creditsPer10kTokens=rates)
    assert code(await own.call("POST", RECORD, asked, stranger)) == (403, "super_required")
    model_id = await own.make(stranger, name="cheap")
    free = {"creditsPer10kTokens": rates}
    assert code(await own.call("PUT", f"{RECORD}/{model_id}", free, stranger)) == (403, "super_required")
    assert (await own.call("PUT", f"{RECORD}/{model_id}", free))[0] == 200
    assert (await own.read(model_id, stranger))["creditsPer10kTokens"] == {"input": 0, "cached": 0, "completion": 0}
    assert (await own.call("DELETE", f"{RECORD}/{model_id}"))[0] == 200


# -- what is refused --------------------------------------------------------------------------------------------------

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no name": ({"name": ""}, "name"),
    "a blank name": ({"name": "  "}, "name"),
    "blanks around": ({"name": " x"}, "name"),
    "a long name": ({"name": "x" * 201}, "name"),
    "a name with a line break": ({"name": "a\nb"}, "name"),
    "a name that is a number": ({"name": 7}, "name"),
    "a name that is null": ({"name": None}, "name"),
    "no library": ({"client_library": "grpc_cli"}, "client_library"),
    "no address": ({"api_url": ""}, "api_url"),
    "no key": ({"api_key": ""}, "api_key"),
    "the mask as a key": ({"api_key": MASK}, "api_key"),
    "a key with a line break": ({"api_key": "a\r\nHost: x"}, "api_key"),
    "a key of another alphabet": ({"api_key": "ключ"}, "api_key"),
    "a huge key": ({"api_key": "x" * 5_000}, "api_key"),
    "bedrock by itself at another address": (
        {"client_library": "bedrock_cli", "api_key": "", "api_url": "https://bedrock.example.org"},
        "api_key",
    ),
    "a key needed": ({"client_library": "anthropic_cli", "api_key": None}, "api_key"),
    "an address with a fragment": ({"api_url": "https://example.org/v1#x"}, "api_url"),
    "metadata": ({"api_url": "http://169.254.169.254/v1"}, "api_url"),
    "metadata over https": ({"api_url": "https://169.254.169.254/v1"}, "api_url"),
    "localhost": ({"api_url": "https://localhost:11434/v1"}, "api_url"),
    "this machine": ({"api_url": "http://127.0.0.1:11434/v1"}, "api_url"),
    "this machine in disguise": ({"api_url": "https://0x7f.1/v1"}, "api_url"),
    "no https": ({"api_url": "http://example.org/v1"}, "api_url"),
    "another scheme": ({"api_url": "ftp://example.org/v1"}, "api_url"),
    "credentials": ({"api_url": "https://me:secret@example.org/v1"}, "api_url"),
    "a port of another service": ({"api_url": "https://93.184.216.34:6379/v1"}, "api_url"),
    "a long address": ({"api_url": f"https://example.org/{'x' * MAX_URL}"}, "api_url"),
    "unknown feature": ({"features": {"magic": True}}, "features"),
    "a feature that is text": ({"features": {"tools": "yes"}}, "features.tools"),
    "unknown medium": ({"input_media": {"smell": True}}, "input_media"),
    "negative tokens": ({"max_output_tokens": -1}, "max_output_tokens"),
    "tokens as text": ({"max_input_tokens": "many"}, "max_input_tokens"),
    "tokens beyond sense": ({"max_input_tokens": 10**12}, "max_input_tokens"),
    "an unknown effort": ({"reasoning_effort": "heroic"}, "reasoning_effort"),
    "an unknown status": ({"status": "deleted"}, "status"),
    "an unknown use": ({"model_use": "two words"}, "model_use"),
    "a script as a picture": ({"picture_url": "javascript:alert(1)"}, "picture_url"),
    "a negative price": (
        {"creditsPer10kTokens": {"input": -1, "cached": 0, "completion": 0}}, "creditsPer10kTokens.input"
    ),
    "headers that are a list": ({"default_headers": ["x"]}, "default_headers"),
    "a header that frames": ({"default_headers": {"Host": "example.org"}}, "default_headers"),
    "a header with a line break": ({"default_headers": {"X-A": "a\r\nX-B: b"}}, "default_headers"),
    "a header without a name": ({"default_headers": {"": "x"}}, "default_headers"),
    "a header twice": ({"default_headers": {"X-A": "a", "x-a": "b"}}, "default_headers"),
    "many headers": ({"default_headers": {f"X-{number}": "a" for number in range(21)}}, "default_headers"),
    "the mask as a header": ({"default_headers": {"X-A": MASK}}, "default_headers"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
async def test_bad_input_is_named_and_makes_nothing(own: Own, case: str) -> None:
    fields, at_fault = BAD[case]
    stored = own.dump()
    assert at_fault in faults(await own.call("POST", RECORD, own.record(**fields)))
    assert own.dump() == stored


@pytest.mark.parametrize("case", [case for case, (fields, _) in BAD.items() if None not in fields.values()])
async def test_bad_input_changes_nothing(own: Own, made: str, case: str) -> None:
    fields, at_fault = BAD[case]
    if MASK in str(fields):
        return
    before = await own.read(made)
    assert at_fault in faults(await own.call("PUT", f"{RECORD}/{made}", fields))
    assert await own.read(made) == before


async def test_a_stored_key_goes_to_no_other_address(own: Own, made: str) -> None:
    await own.call("PUT", f"{RECORD}/{made}", {"default_headers": {"X-Team": "one"}})
    path, before = f"{RECORD}/{made}", await own.read(made)
    elsewhere = {"api_url": "https://thief.example.org/v1"}
    assert faults(await own.call("PUT", path, elsewhere)) == ["api_key", "default_headers"]
    assert faults(await own.call("PUT", path, {**elsewhere, "api_key": MASK, "default_headers": {"X-Team": MASK}})) == [
        "api_key",
        "default_headers",
    ]
    assert faults(await own.call("PUT", path, {**elsewhere, "api_key": "new"})) == ["default_headers"]
    assert faults(await own.call("PUT", path, {"client_library": "mistral_cli"})) == ["api_key", "default_headers"]
    assert await own.read(made) == before
    moved = {**elsewhere, "api_key": "new", "default_headers": {}}
    assert (await own.call("PUT", path, moved))[0] == 200
    assert (await own.read(made))["api_url"] == elsewhere["api_url"]


async def test_a_name_is_taken_once_even_at_the_same_moment(own: Own, stranger: str) -> None:
    answers = await asyncio.gather(*(own.call("POST", RECORD, own.record(name="twice")) for _ in range(4)))
    assert sorted(status for status, _ in answers) == [200, 409, 409, 409]
    other = await own.make(stranger, name="twice")
    speech = await own.make(name="twice", model_use="audioAnalysisModel")
    second = await own.make(name="once")
    assert code(await own.call("PUT", f"{RECORD}/{second}", {"name": "twice"})) == (409, "conflict")
    first = next(body["id"] for status, body in answers if status == 200)
    for model_id in (first, speech, second, other):
        assert (await own.call("DELETE", f"{RECORD}/{model_id}"))[0] == 200
    again = await own.make(name="twice")
    assert (await own.call("DELETE", f"{RECORD}/{again}"))[0] == 200


async def test_a_twin_has_a_bounded_number(own: Own, made: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MAX_PER_TWIN", 1)
    assert code(await own.call("POST", RECORD, own.record(name="one too many"))) == (409, "conflict")


async def test_an_assistant_may_name_a_model_of_its_twin_and_of_no_other(own: Own, stranger: str) -> None:
    model_id = await own.make(name="local/ours")
    path, uses = "/api/user/assistant", {"conversationModel": "local/ours"}
    _, made = await own.call("POST", path, {"name": "Uses it", **uses})
    answer = await ask(own.here.server, own.here.token, Face.REST, "Who are you?", assistantId=made["id"])
    assert (answer.reply["model"], own.upstream.exchanges[-1].json["model"]) == ("local/ours", "local/ours")
    for token, body in ((stranger, {"name": "Theirs"}), (None, {"name": "Personal", "institution": ""})):
        assert faults(await own.call("POST", path, {**body, **uses}, token)) == ["conversationModel"]
    assert (await own.call("PUT", f"{RECORD}/{model_id}", {"status": "inactive"}))[0] == 200
    assert (await own.call("PUT", f"{path}/{made['id']}", {"description": "Hm", **uses}))[0] == 200
    assert (await own.call("DELETE", f"{RECORD}/{model_id}"))[0] == 200
    assert faults(await own.call("PUT", f"{path}/{made['id']}", {"description": "Ha", **uses})) == ["conversationModel"]
    assert (await own.call("GET", f"{path}/{made['id']}"))[1]["data"]["description"] == "Hm"
    assert (await own.call("PUT", f"{path}/{made['id']}", {"conversationModel": ""}))[0] == 200


async def test_a_twins_settings_may_name_its_own_models_and_no_other_ones(own: Own, stranger: str) -> None:
    model_id = await own.make(name="local/ours")
    path, theirs = f"/api/admin/institution/{await own.twin()}", f"/api/admin/institution/{await own.twin(stranger)}"
    await own.entitle(await own.twin(stranger), "institutions.edit", *(f"aimodels.{verb}" for verb in VERBS))
    for setting, value in (("conversationModel", "local/ours"), ("fallbackModels", ["local/ours"])):
        assert faults(await own.call("PUT", theirs, {setting: value}, stranger)) == [setting]
        assert (await own.call("PUT", path, {setting: value}))[0] == 200
    assert (await own.ask()).reply["model"] == "local/ours"
    assert (await own.call("DELETE", f"{RECORD}/{model_id}"))[0] == 200
    # What is there already stands in nobody's way.
    assert (await own.call("PUT", path, {"conversationModel": "local/ours", "about": "Still ours"}))[0] == 200
    assert (await own.call("PUT", path, {"conversationModel": "", "fallbackModels": []}))[0] == 200
    assert faults(await own.call("PUT", path, {"conversationModel": "local/ours"})) == ["conversationModel"]


# -- trying -----------------------------------------------------------------------------------------------------------


async def test_a_model_can_be_tried(own: Own, made: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"{RECORD}/{made}/test"
    status, body = await own.call("POST", path)
    assert (status, body["data"]["ok"], body["data"]["code"]) == (200, True, "")
    own.upstream.script(error_reply(401, "bad key"))
    _, body = await own.call("POST", path)
    assert (body["data"]["ok"], body["data"]["code"]) == (False, "provider_failed")
    assert "key of this model is not accepted" in body["data"]["message"]
    monkeypatch.setattr(own_module, "_PROBE_S", 0.2)
    own.upstream.script(Reply([STALL]))
    _, body = await own.call("POST", path)
    assert (body["data"]["ok"], body["data"]["code"]) == (False, "provider_timeout")
    assert (await own.call("PUT", f"{RECORD}/{made}", {"status": "inactive"}))[0] == 200
    assert code(await own.call("POST", path)) == (409, "conflict")


async def test_trying_is_limited(own: Own, made: str) -> None:
    answers = [await own.call("POST", f"{RECORD}/{made}/test") for _ in range(service.TRIES.limit + 1)]
    assert code(answers[-1]) == (429, "rate_limited")
