"""The table of routes sends every request where the framework's own router would have sent it."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from fastapi import APIRouter, FastAPI

from tests.world import World, world
from twinspeak.transports.http.route_index import RouteIndex

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]


async def _nothing() -> None:
    """Answer."""


def _index(*paths: str) -> RouteIndex:
    router = APIRouter()
    for path in paths:
        router.add_api_route(path, _nothing, methods=["GET"])
    app = FastAPI()
    app.include_router(router)
    return RouteIndex(app.routes, app.router)


async def test_a_plain_path_is_found_before_a_pattern_and_a_pattern_reads_the_path():
    index = _index("/things/mine", "/things/{thing}", "/things/{thing}/parts/{part:int}")
    found = index.find("GET", "/things/mine")
    assert found is not None
    assert (found[0].path, found[1]) == ("/things/mine", {})
    found = index.find("GET", "/things/7")
    assert found is not None
    assert (found[0].path, found[1]) == ("/things/{thing}", {"thing": "7"})
    found = index.find("GET", "/things/7/parts/12")
    assert found is not None
    assert found[1] == {"thing": "7", "part": 12}


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/things/mine"), ("GET", "/things"), ("GET", "/things/mine/"), ("GET", "/THINGS/mine"), ("GET", "//")],
)
async def test_what_it_does_not_hold_is_the_routers(method: str, path: str):
    assert _index("/things/mine").find(method, path) is None


async def test_a_path_behind_a_pattern_that_takes_it_is_refused_at_the_start():
    with pytest.raises(ValueError, match="/things/mine"):
        _index("/things/{thing}", "/things/mine")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[World]:
    path: Path = tmp_path_factory.mktemp("routes")
    async with world(path) as made:
        yield made


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/ai/turns", 200, None),
        ("HEAD", "/healthz", 405, None),
        ("POST", "/healthz", 405, "method_not_allowed"),
        ("GET", "/api/ai/nowhere", 404, "route_not_found"),
        ("GET", "/api/ai/turns/", 404, "route_not_found"),
        ("GET", "/api/user/history/000000000000000000000000/thinking", 404, "not_found"),
        ("PATCH", "/api/user/history/000000000000000000000000/thinking", 405, "method_not_allowed"),
    ],
)
async def test_requests_end_as_before(here: World, method: str, path: str, status: int, code: str | None):
    headers = here.server.auth(here.token)
    async with here.server.http.request(method, path, headers=headers) as response:
        assert response.status == status
        if code:
            assert (await response.json())["error"]["code"] == code


async def test_metrics_still_name_the_route_and_not_the_path(here: World):
    await here.get("/api/user/history/000000000000000000000000/thinking")
    async with here.server.http.get("/metrics") as response:
        said = await response.text()
    assert "/api/user/history/{" in said
    assert "000000000000000000000000" not in said
