"""The API documents: complete, true to the routes, and readable without a network."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute, iter_route_contexts

from tests.transports.http.harness import World, served
from tests.transports.rest.conftest import House
from twinspeak.transports.http.application import build
from twinspeak.transports.openai import routes as openai_face
from twinspeak.transports.rest import qanda
from twinspeak.transports.rest.docs import document
from twinspeak.transports.rest.examples import sample
from twinspeak.transports.sse import routes as sse_face
from twinspeak.web.pages import mount

FACES = (qanda.ROUTER, sse_face.ROUTER, openai_face.ROUTER)
APP = build(World().services(), FACES)
RUNTIME = document(APP, administration=False)
ADMINISTRATION = document(APP, administration=True)


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for described in (RUNTIME, ADMINISTRATION)
        for path, item in described["paths"].items()
        for method, operation in item.items()
    ]


OPERATIONS = operations()
EACH = pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS, ids=[f"{m} {p}" for p, m, _ in OPERATIONS])


def test_every_route_is_in_exactly_one_document():
    routes = {
        (context.path, method.lower())
        for context in iter_route_contexts(APP.routes)
        if isinstance(context.route, APIRoute)
        for method in context.methods or ()
    }
    documented = [(path, method) for path, method, _ in OPERATIONS]
    assert sorted(routes) == sorted(documented)
    assert ("/api/ai/personal-stream/qanda-stream", "post") in routes
    assert set(ADMINISTRATION["paths"]) >= {"/api/test/health", "/metrics", "/healthz", "/readyz"}


def test_operations_are_named_after_their_handlers():
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(names)) == len(names)
    handlers = [c.route.name for c in iter_route_contexts(APP.routes) if isinstance(c.route, APIRoute)]
    assert sorted(names) == sorted(handlers)
    assert all(re.fullmatch(r"[a-z_]+", name) for name in names)


@EACH
def test_an_operation_says_what_it_does(path: str, method: str, operation: dict[str, Any]):
    assert operation["summary"]
    assert operation["description"].strip().endswith((".", ":"))
    assert len(operation["tags"]) == 1


@EACH
def test_replies_have_a_schema_or_a_type_and_an_example(path: str, method: str, operation: dict[str, Any]):
    assert GOOD & operation["responses"].keys()
    for status, reply in operation["responses"].items():
        assert reply["content"], status
        for media_type, media in reply["content"].items():
            assert "example" in media, (status, media_type)
            assert media_type != "application/json" or media["schema"], status


@EACH
def test_failures_have_the_one_shape(path: str, method: str, operation: dict[str, Any]):
    failed = {status: reply for status, reply in operation["responses"].items() if status not in GOOD}
    if path != "/readyz":
        for status, reply in failed.items():
            media = reply["content"]["application/json"]
            assert media["schema"] == {"$ref": "#/components/schemas/ErrorBody"}
            assert media["example"]["error"]["status"] == int(status)
            assert media["example"]["error"]["param"] is None or status == "422"
    if operation.get("security"):
        assert "401" in failed
    if method in ("post", "put"):
        assert failed.keys() >= {"400", "408", "413", "415", "422"}


GOOD = {"200", "202", "302"}
OPEN_TO_ALL = {
    "/api/shared/{token}",
    "/api/admin-docs.json",
    "/api/auth/api-key-signin",
    "/api/auth/changePassword",
    "/api/auth/resetCode",
    "/api/auth/signin",
    "/api/auth/signup",
    "/api/auth/signup/confirm",
    "/api/session/signup",
    "/api/session/sso",
    "/api/auth/autosignup",
    "/api/auth/mfa-cancel",
    "/api/auth/mfa-resend",
    "/api/auth/mfa-verify",
    "/api/auth/sdk-sign",
    "/api/auth/sdk-verify",
    "/api/data-export/{link}",
    "/api/session/verify",
    "/api/test/url",
    "/api/auth/sso_callback",
    "/api/rt-docs.json",
    "/api/session",
    "/api/test/health",
    "/docs",
    "/docs/admin",
    "/healthz",
    "/metrics",
    "/readyz",
    "/sso/callback",
    "/sso/{slug}",
}


@EACH
def test_what_needs_a_token_says_which(path: str, method: str, operation: dict[str, Any]):
    schemes = [name for option in operation.get("security", []) for name in option]
    is_open = path in OPEN_TO_ALL and method != "delete"
    assert schemes == ([] if is_open else ["accessToken", "bearer"])


@EACH
def test_bodies_have_an_example(path: str, method: str, operation: dict[str, Any]):
    if "requestBody" in operation:
        (body,) = operation["requestBody"]["content"].values()
        assert body["example"]


def test_examples_are_requests_that_routes_take():
    routes = {
        (context.path, method.lower()): context
        for context in iter_route_contexts(APP.routes)
        for method in context.methods or ()
    }
    for path, method, operation in OPERATIONS:
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        field: Any = routes[path, method].body_field
        if body and field:
            _, wrong = field.validate(body["example"], {}, loc=("body",))
            assert not wrong, path


async def test_replies_look_as_documented(house: House):
    _, header = await house.newcomer()
    caller = await house.stage.auth.authenticate(header["x-access-token"])
    turn_id = await house.stage.turn(caller)
    asked = [
        ("GET", "/api/ai/models", "/api/ai/models"),
        ("GET", "/api/ai/turns", "/api/ai/turns"),
        ("POST", f"/api/ai/turns/{turn_id}/cancel", "/api/ai/turns/{turnId}/cancel"),
        ("POST", "/api/user/histories", "/api/user/histories"),
        ("POST", "/api/user/refresh/profile", "/api/user/refresh/profile"),
        ("GET", "/api/test/health", "/api/test/health"),
        ("POST", "/api/auth/signout", "/api/auth/signout"),
    ]
    examples = {(method.upper(), path): operation["responses"].get("200") for path, method, operation in OPERATIONS}
    for method, path, template in asked:
        answer = (await house.client.request(method, path, headers=header)).json()
        assert same_keys(answer, examples[method, template]["content"]["application/json"]["example"]), path


def same_keys(real: Any, shown: Any) -> bool:
    if isinstance(real, dict) and isinstance(shown, dict) and real and shown:
        return real.keys() == shown.keys() and all(same_keys(real[name], shown[name]) for name in real)
    if isinstance(real, list) and isinstance(shown, list) and real and shown:
        return same_keys(real[0], shown[0])
    return True


def refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for member in value.values():
            yield from refs(member)
    elif isinstance(value, list):
        for member in value:
            yield from refs(member)


@pytest.mark.parametrize("described", [RUNTIME, ADMINISTRATION])
def test_documents_are_whole(described: dict[str, Any]):
    assert described["openapi"].startswith("3.1.")
    schemas = described.get("components", {}).get("schemas", {})
    assert {ref.rsplit("/", 1)[-1] for ref in refs(described)} == set(schemas)
    assert "HTTPValidationError" not in schemas


async def test_documents_are_served_as_they_are_made():
    async with served(World(), FACES) as client:
        assert (await client.get("/api/rt-docs.json")).json() == RUNTIME
        assert (await client.get("/api/admin-docs.json")).json() == ADMINISTRATION


# -- pages ------------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Collects what a browser would act on."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.resources: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in ("meta", "link", "br", "img"):
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name == "href" and tag == "a":
                self.links.append(value or "")
            elif name in ("src", "href", "action", "srcset") or name.startswith("on"):
                self.resources.append(f"{tag} {name}={value}")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


async def _nobody(_public_id: str) -> tuple[str, ...]:
    return ()


@pytest.mark.parametrize("path", ["/docs", "/docs/admin"])
async def test_a_page_needs_nothing_but_itself(path: str):
    async with served(World(), (*FACES, mount(APIRouter(), None, _nobody))) as client:
        answer = await client.get(path)
        page = Page(answer.text)
        assert page.open == []
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script" not in policy
        assert page.resources == []
        assert page.tags.isdisjoint({"script", "link", "iframe", "img", "form", "object"})
        assert "@import" not in answer.text
        assert "url(" not in answer.text
        assert len(set(page.ids)) == len(page.ids)
        for link in page.links:
            if link.startswith("#"):
                assert link[1:] in page.ids
            else:
                assert (await client.get(link)).status_code == 200


async def test_a_page_shows_every_operation_and_example():
    async with served(World(), FACES) as client:
        text = (await client.get("/docs")).text
    for path, item in RUNTIME["paths"].items():
        assert f"</span> {path}<" in text
        for operation in item.values():
            assert f'id="{operation["operationId"]}"' in text
    assert "validation_failed" in text


def test_a_recursive_schema_has_an_example_that_ends():
    tree = {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Tree"}, "name": {"type": "string"}}}
    described = {"components": {"schemas": {"Tree": tree}}}
    made = sample({"$ref": "#/components/schemas/Tree"}, described)
    assert (made["name"], made["next"]["name"]) == ("text", "text")
