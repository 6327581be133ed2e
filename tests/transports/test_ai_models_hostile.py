"""What people might try with records of twins' own models: odd bodies, races, names that change their minds."""

import asyncio
import io
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio

from tests.own_models import Own, own_world
from twinspeak.domain.ids import new_id
from twinspeak.egress import pinned

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

RECORD, LIST = "/api/admin/aimodel", "/api/admin/aimodels"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def own(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[Own]:
    async with own_world(tmp_path_factory.mktemp("hostile-records"), provider_attempts=1) as made:
        yield made


async def raw(own: Own, method: str, path: str, body: bytes, **headers: str) -> tuple[int, Any]:
    sent = own.here.server.auth(own.here.token) | {"Content-Type": "application/json"} | headers
    async with own.here.server.http.request(method, path, data=io.BytesIO(body), headers=sent) as response:
        return response.status, await response.json()


BODIES: dict[str, tuple[bytes, set[int]]] = {
    "nothing": (b"", {400, 422}),
    "null": (b"null", {422}),
    "a list": (b"[]", {422}),
    "cut": (b'{"name": "x"', {400}),
    "no text": (b"\xff\xfe\x00", {400}),
    "deep": (b'{"features": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", {400}),
    "huge": (b'{"description": "' + b"x" * 5_000_000 + b'"}', {413}),
    "many headers": (json.dumps({"default_headers": dict.fromkeys(map(str, range(20_000)), "x")}).encode(), {422}),
    "many switches": (json.dumps({"features": dict.fromkeys(map(str, range(20_000)), True)}).encode(), {422}),
    "no number": (b'{"max_input_tokens": NaN}', {400, 422}),
    "an endless price": (b'{"creditsPer10kTokens": {"input": 1e400, "cached": 0, "completion": 0}}', {400, 422}),
    "a key twice": (b'{"name": "a", "name": 7}', {422}),
    "half a character": (b'{"name": "\\ud800"}', {400, 422}),
    "no character": (b'{"name": "a\\u0000b"}', {400}),
}


@pytest.mark.parametrize("case", BODIES)
async def test_odd_bodies_are_refused_and_change_nothing(own: Own, case: str) -> None:
    made = await own.make(name=f"odd-{new_id()}")
    body, expected = BODIES[case]
    stored = own.dump()
    for method, path in (("POST", RECORD), ("PUT", f"{RECORD}/{made}")):
        status, answer = await raw(own, method, path, body)
        assert status in expected, answer
        assert len(str(answer)) < 20_000
    assert own.dump() == stored
    assert (await own.call("DELETE", f"{RECORD}/{made}"))[0] == 200


async def test_odd_characters_in_free_text_break_nothing(own: Own) -> None:
    made = await own.make(name="odd-text", description="tail\u202e \U0001f600")
    assert "tail" in (await own.read(made))["description"]
    for form in ({}, {"minimum": True}):
        assert (await own.call("POST", LIST, form))[0] == 200
    assert (await own.call("DELETE", f"{RECORD}/{made}"))[0] == 200


async def test_lists_have_bounds(own: Own) -> None:
    many = " ".join(new_id() for _ in range(501))
    for body in ({"page": 0}, {"pageSize": 10**6}, {"page": 10**9}, {"institution": "x" * 30_000}, {"page": "1"}):
        assert (await own.call("POST", LIST, body))[0] == 422
    assert (await own.call("POST", LIST, {"institution": many}))[0] == 400
    assert (await own.call("POST", LIST, {"page": 1_000_000}))[1]["data"] == []


async def test_a_name_that_leads_inside_is_not_asked_whatever_it_was_before(
    own: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is resolved when a record is written: what counts is where its name leads when it is asked."""
    twin, port = await own.twin(), own.here.upstream.port
    made = await own.make(name="rebound", api_url=f"https://models.example.org:{port}/v1")
    await own.choose("rebound", twin)
    asked: list[str] = []

    def look_up(host: str) -> list[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    monkeypatch.setattr(pinned, "_look_up", look_up)
    answers = [["127.0.0.1"], ["93.184.216.34", "::1"], ["169.254.169.254"], []]
    for _ in answers:
        answer = await own.ask()
        assert (answer.status, answer.json["error"]["code"]) == (502, "provider_failed")
        assert "127.0.0.1" not in str(answer.json)
    answers.append(["10.0.0.1"])
    status, tried = await own.call("POST", f"{RECORD}/{made}/test")
    assert (status, tried["data"]["ok"]) == (200, False)
    assert asked == ["models.example.org"] * 5
    assert own.here.upstream.exchanges == []
    await own.choose("", twin)
    assert (await own.call("DELETE", f"{RECORD}/{made}"))[0] == 200


async def test_more_records_than_a_twin_may_have_do_not_fit_through_a_race(
    own: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twinspeak.services.ai_models.MAX_PER_TWIN", 3)
    answers = await asyncio.gather(*(own.call("POST", RECORD, own.record(name=f"race-{n}")) for n in range(9)))
    made = [body["id"] for status, body in answers if status == 200]
    assert len(made) == 3
    assert {status for status, _ in answers} <= {200, 409, 503}
    for model_id in made:
        assert (await own.call("DELETE", f"{RECORD}/{model_id}"))[0] == 200


async def test_who_loses_the_right_loses_it_at_once(own: Own) -> None:
    stranger = await own.here.stranger()
    twin = await own.twin(stranger)
    await own.entitle(twin, "aimodels.add", "aimodels.edit", "aimodels.list")
    made = await own.make(stranger, name="mine-until-now")
    await own.entitle(twin, "users.list")
    for method, path, body in (
        ("GET", f"{RECORD}/{made}", None),
        ("PUT", f"{RECORD}/{made}", {"description": "x"}),
        ("POST", f"{RECORD}/{made}/test", None),
        ("POST", RECORD, own.record(name="another")),
        ("POST", LIST, {}),
    ):
        status, answer = await own.call(method, path, body, stranger)
        assert (status, answer["error"]["code"]) == (403, "entitlement_missing")
    assert (await own.call("POST", "/api/auth/signout", {}, stranger))[0] == 200
    assert (await own.call("GET", f"{RECORD}/{made}", token=stranger))[0] == 401
