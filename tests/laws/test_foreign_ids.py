"""No mounted route and no socket event tells a foreign id from an unknown one (contract section 3, house law).

Every place of every mounted route that takes an id is in `PLACES`; a route with a place that is not there fails. Each
place is called with ids of somebody else and with an id that nobody has: the two answers must be the same but for
what is new in every answer, and so must be what the provider is asked. The caller is a super administrator, who is no
exception; then the two people change places.
"""

import asyncio
import base64
import json
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast, get_args
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel
from sqlalchemy import update

from tests.faces import PATHS, Face, ask
from tests.fakes.upstream import Reply as Script
from tests.fakes.upstream import chunk, ending, text_reply
from tests.laws.foreign_places import (
    BESIDE,
    BODIES,
    EVENTS,
    FOR_EVERYBODY,
    NO_IDS,
    NOT_OURS,
    PLACES,
    REST,
    SUPER_REACHES,
    UNDECLARED,
)
from tests.transports.socketio.clients import Tab, face, joined
from tests.world import World, world
from twinspeak.domain.access import ALL_VERBS
from twinspeak.domain.ai_models import AiModel, OwnSecrets
from twinspeak.domain.assistant import Assistant
from twinspeak.domain.caller import Scope
from twinspeak.domain.clock import now_ms
from twinspeak.domain.ids import new_id, new_uuid
from twinspeak.knowledge.ingest import ingest
from twinspeak.persistence.repos import ai_models, assistants, second_factors, users
from twinspeak.persistence.tables import memberships

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

_ID = re.compile(r"[a-z]I[dD]s?$|(^|[._-])ids?$|^institution$|^assistant$")
_NEW_EACH_TIME = re.compile(r"[0-9a-f]{24}|\b1[67]\d{11}\b|\d{4}-\d\d-\d\dT[\d:.]+Z")
_COUNTED = re.compile(
    r'"(query_duration_ms|responseDurationMs|credits\w*|totalCredits|institutioncredits|created|latencyMs'
    r'|tookMs|totalMs|fused|lexical|dense)":-?[\d.]+'
)


@dataclass
class Person:
    """Somebody, and ids of what is hers, by kind."""

    token: str
    secret: str
    ids: dict[str, list[Any]] = field(default_factory=dict)


@dataclass
class Two:
    here: World
    admin: Person
    stranger: Person


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def two(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[Two]:
    async with world(tmp_path_factory.mktemp("foreign-ids")) as here:
        stranger = Person(await here.stranger(), "the blue drain cover")
        await here.server.ground.db.write(_entitle)
        admin = Person(here.token, "the red letter box")
        gate = asyncio.Event()
        async with owning(here, admin, gate), owning(here, stranger, gate):
            yield Two(here, admin, stranger)


@asynccontextmanager
async def owning(here: World, person: Person, gate: asyncio.Event) -> AsyncGenerator[None]:
    """Give somebody one of everything: an ended and a running turn, a conversation, assistants, a socket."""
    _, refreshed = await here.post("/api/user/refresh/profile", token=person.token)
    profile = refreshed["profile"]
    here.upstream.script(text_reply(f"Nobody else may read of {person.secret}."))
    course = 1_700_000_000_000 + int(profile["_id"][-6:], 16)
    args = {"selectedCourse": {"course_id": course, "course_name": person.secret}}
    ended = await ask(here.server, person.token, Face.REST, f"Where is {person.secret}?", **args)
    assert ended.status == 200
    here.upstream.script(Script([chunk({"role": "assistant", "content": person.secret}), gate, *ending()]))
    async with (
        here.server.http.post(
            PATHS[Face.SSE], json={"inputs": [f"And {person.secret}?"]}, headers=here.server.auth(person.token)
        ) as running,
        joined(here.server, person.token) as tab,
    ):
        made = await here.server.ground.db.write(lambda tx: _assistants(tx, profile["_id"], person.secret))
        document = await _document(here, person, profile["_id"])
        person.ids = {
            "public": [profile["institution"]["publicId"]],
            "twin": [profile["institution"]["_id"]],
            "reset": [profile["resetCodeId"]],
            "course": [course],
            "assistant": made,
            "model": [await here.server.ground.db.write(lambda tx: _model(tx, here, profile))],
            "turn": [ended.turn_id, running.headers["x-turn-id"]],
            "record": [ended.turn_id, running.headers["x-turn-id"]],
            "branch": [ended.turn_id],
            "share": [await _share(here, person, course)],
            "memory": [await _memory(here, person, shared=shared) for shared in (False, True)],
            "socket": [tab.sid],
            "upload": [document],
            "folder": [(await here.post("/api/user/collection", {"name": person.secret}, person.token))[1]["id"]],
            "chunk": await _chunks(here, person, document),
            "session": [_session_of(person.token)],
            "device": [await here.server.ground.db.write(lambda tx: _device(tx, profile["_id"]))],
            "user": [profile["_id"]],
            "mcp": [await _mcp_server(here, person, profile["institution"]["_id"])],
            "provider": [await _provider(here, person, profile["institution"]["_id"])],
            "key": [(await here.post("/api/user/api-key", {"name": "Mine"}, person.token))[1]["data"]["_id"]],
            "account": [(await _memberships(here, person))[0]["account_data"]["_id"]],
            "membership": [one["_id"] for one in await _memberships(here, person)],
            "cursor": [_cursor(here, running.headers["x-turn-id"], profile["_id"])],
        }
        yield
        gate.set()
        await running.read()


async def _memory(here: World, person: Person, *, shared: bool) -> str:
    body = {"name": f"place {shared}", "value": person.secret, "shared": shared}
    _, made = await here.post("/api/user/memory", body, token=person.token)
    return made["id"]


async def _document(here: World, person: Person, user_id: str) -> str:
    text = f"{person.secret} is in the square. The {person.secret}, once more."
    scope = Scope(user_id=user_id, institution_id=None)
    return (await ingest(here.server.ground.db, scope, f"{person.secret}.md", text)).document_id


async def _chunks(here: World, person: Person, document: str) -> list[str]:
    _, body = await here.post("/api/user/embeddings", {"upload": document}, token=person.token)
    return [one["_id"] for one in body["data"]]


async def _share(here: World, person: Person, course: int) -> str:
    _, body = await here.post("/api/user/share", {"course_id": course}, token=person.token)
    return body["data"]["_id"]


async def _memberships(here: World, person: Person) -> list[dict[str, Any]]:
    _, body = await here.post("/api/user/refresh/entitlements", token=person.token)
    return body["entitlements"]


async def _mcp_server(here: World, person: Person, twin: str) -> str:
    new = {"institution": twin, "name": person.secret, "server_url": "https://mcp.example.org/", "status": "inactive"}
    return (await here.post("/api/admin/mcpserver", new, person.token))[1]["id"]


async def _provider(here: World, person: Person, twin: str) -> str:
    new = {"institution": twin, "slug": twin, "clientId": person.secret, "issuer": "https://login.example.org"}
    return (await here.post("/api/admin/ssoProvider", new, person.token))[1]["id"]


def _entitle(tx: Any) -> None:
    """Give everybody every verb where they are: refusals for want of one would hide what an id leads to."""
    tx.run(update(memberships).values(entitlements=json.dumps(ALL_VERBS)))


def _model(tx: Any, here: World, profile: dict[str, Any]) -> str:
    """Give somebody's twin a model of its own."""
    twin = profile["institution"]["_id"]
    made = AiModel(id=new_id(), institution_id=twin, name=f"model-{profile['_id']}", has_key=True, created=1)
    scope, secrets = Scope(user_id=profile["_id"], institution_id=twin), OwnSecrets(api_key="key")
    ai_models.create(tx, scope, here.server.ground.secrets, made, secrets)
    return made.id


def _assistants(tx: Any, user_id: str, secret: str) -> list[str]:
    user = users.by_id(tx, user_id)
    assert user
    scope = Scope(user_id=user_id, institution_id=user.active_institution_id)
    mine = Assistant(id="", name="Mine", instructions=secret)
    shared = assistants.create(tx, scope, "institution", mine)
    personal = assistants.create(tx, Scope(user_id=user_id, institution_id=None), "personal", mine)
    return [shared.id, personal.id]


def _device(tx: Any, user_id: str) -> str:
    """Trust a browser of somebody's."""
    new = second_factors.NewDevice(user_id, new_id(), "198.51.0.0/16", "198.51.100.7", "", now_ms() + 600_000)
    second_factors.trust(tx, new, most=5)
    return second_factors.devices(tx, user_id)[0].id


def _cursor(here: World, turn_id: str, user_id: str) -> str:
    turn = here.server.live.turns.find(turn_id, user_id)
    assert turn
    return turn.log.read().cursor.token


def _session_of(token: str) -> str:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sessionId"]


UNKNOWN: dict[str, Any] = {
    "session": new_id(),
    "device": new_id(),
    "user": new_id(),
    "provider": new_id(),
    "mcp": new_id(),
    "key": new_id(),
    "account": new_id(),
    "membership": new_id(),
    "public": new_uuid(),
    "twin": new_id(),
    "reset": new_uuid(),
    "course": 1_699_999_999_999,
    "assistant": new_id(),
    "model": new_id(),
    "turn": new_id(),
    "record": new_id(),
    "branch": new_id(),
    "share": new_id(),
    "memory": new_id(),
    "socket": "AAAAAAAAAAAAAAAAAAAA",
    "upload": new_id(),
    "chunk": new_id(),
    "folder": new_id(),
    "cursor": f"{new_id()}-0-0-0-0",
}


# -- the walk ---------------------------------------------------------------------------------------------------------


def places_of(context: Any) -> Iterator[str]:
    """Yield every place of a route whose name says that it takes an id."""
    dependant = context.dependant
    yield from (f"path {param.alias}" for param in dependant.path_params)
    for kind in ("query", "header", "cookie"):
        found: list[Any] = list(getattr(dependant, f"{kind}_params"))
        found += [param for inner in dependant.dependencies for param in getattr(inner, f"{kind}_params")]
        yield from (f"{kind} {param.alias}" for param in found if _ID.search(param.alias))
    if context.body_field is not None:
        yield from (f"body {name}" for name in _fields(context.body_field.field_info.annotation))


def _fields(annotation: Any, above: str = "") -> Iterator[str]:
    """Yield the dotted wire names of a body's fields that take ids, through unions, lists and nested models."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, info in annotation.model_fields.items():
            alias = info.validation_alias if isinstance(info.validation_alias, str) else info.alias or name
            inner = list(_fields(info.annotation, f"{above}{alias}."))
            yield from inner
            if not inner and _ID.search(alias) and alias not in NOT_OURS:
                yield f"{above}{alias}"
    else:
        for part in get_args(annotation):
            yield from _fields(part, above)


async def test_every_place_that_takes_an_id_is_judged_here(two: Two) -> None:
    found: dict[str, set[str]] = {}
    for context in iter_route_contexts(cast("Any", two.here.server.live.asgi).routes):
        if getattr(context, "dependant", None) is None:
            continue
        for method in set(context.methods or ()) - {"HEAD"}:
            if places := set(places_of(context)) - FOR_EVERYBODY.get(f"{method} {context.path}", set()):
                found[f"{method} {context.path}"] = places
    declared = {route: set(places) - UNDECLARED.get(route, set()) for route, places in PLACES.items()}
    assert found == {route: places for route, places in declared.items() if places}


async def test_every_socket_event_is_judged_here(two: Two) -> None:
    assert set(face(two.here.server)._events.handlers) == set(EVENTS) | NO_IDS


# -- the law ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("route", "place"), [(route, place) for route, places in PLACES.items() for place in places], ids=str
)
async def test_a_foreign_id_is_answered_like_an_unknown_one(two: Two, route: str, place: str) -> None:
    kind = PLACES[route][place]
    pairs = ((two.admin, two.stranger), (two.stranger, two.admin))
    for caller, owner in pairs[1:] if route in SUPER_REACHES else pairs:
        unknown = await call(two.here, caller, route, place, UNKNOWN[kind])
        for foreign in owner.ids[kind]:
            assert await call(two.here, caller, route, place, foreign) == unknown
        assert owner.secret not in unknown
        if kind == "turn":
            assert "not_found" in unknown


@pytest.mark.parametrize("event", EVENTS)
async def test_a_foreign_id_on_a_socket_is_answered_like_an_unknown_one(two: Two, event: str) -> None:
    for caller, owner in ((two.admin, two.stranger), (two.stranger, two.admin)):
        async with joined(two.here.server, caller.token) as tab:
            unknown = await emitted(tab, event, UNKNOWN["turn"])
            for foreign in owner.ids["turn"]:
                assert await emitted(tab, event, foreign) == unknown
            assert tab.payloads == []


async def test_nobody_else_has_ended_or_read_the_running_turns(two: Two) -> None:
    for person in (two.admin, two.stranger):
        _, listed = await two.here.get("/api/ai/turns", person.token)
        assert [turn["turnId"] for turn in listed["data"]] == [person.ids["turn"][1]]


async def test_the_owner_is_answered_otherwise(two: Two) -> None:
    """Or the law would hold because nothing works."""
    for person in (two.admin, two.stranger):
        for kind, route, place in (
            ("turn", "GET /api/ai/turns/{turnId}/events", "path turnId"),
            ("turn", "POST /api/user/histories", "body historyId"),
            ("assistant", REST, "body requestArgs.assistantId"),
            ("course", REST, "body requestArgs.selectedCourse.course_id"),
        ):
            assert person.secret in await call(two.here, person, route, place, person.ids[kind][0])


async def emitted(tab: Tab, event: str, turn_id: str) -> str:
    return _NEW_EACH_TIME.sub("#", json.dumps(await tab.call(event, {"turnId": turn_id})))


async def call(here: World, caller: Person, route: str, place: str, value: Any) -> str:
    """Call a route with an id in one place; return all there is to see, without what is new each time."""
    method, _, path = route.partition(" ")
    where, _, name = place.partition(" ")
    body = json.loads(json.dumps(BODIES.get(f"{route} {place}", BODIES.get(route, {}))))
    headers = here.server.auth(caller.token)
    if where == "path":
        path = path.replace(f"{{{name}}}", value)
    elif where == "header":
        path = path.replace("{turnId}", next(iter(caller.ids["turn"])))
        headers[name] = str(value)
    elif where == "query":
        beside = {key: caller.ids[kind][0] for key, kind in BESIDE.get(f"{route} {place}", {}).items()}
        path = f"{path}?{urlencode({name: value, **beside})}"
    else:
        into = body
        *above, last = name.split(".")
        for step in above:
            into = into.setdefault(step, {})
        into[last] = [value] if last in ("ids", "selectedUploadIds") else value
        if "attachments" in above:
            body["requestArgs"]["attachments"] = [body["requestArgs"]["attachments"]]
    here.upstream.default = lambda _: text_reply("Hello.")
    asked = len(here.upstream.exchanges)
    async with here.server.http.request(method, path, json=body, headers=headers) as response:
        text = await response.text()
        heard = {
            name: value
            for name, value in response.headers.items()
            if name.lower() not in {"date", "x-request-id", "content-length"} and not name.lower().startswith("rate")
        }
    prompts = [exchange.json for exchange in here.upstream.exchanges[asked:]]
    seen = json.dumps([response.status, heard, text, prompts], ensure_ascii=False).replace('\\"', '"')
    # The id itself may come back, in either case.
    return _COUNTED.sub("#", _NEW_EACH_TIME.sub("#", seen.replace(str(value), "#")))
