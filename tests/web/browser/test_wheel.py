"""The wheel carries the page: what is installed from it serves all of it, with no `web/` and no Node near by."""

import asyncio
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Browser, expect

from tests.durable.server_process import ServerProcess
from tests.fakes.upstream import Upstream
from tests.web.browser.visitor import Visitor
from twinspeak.web import bundle

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

_BUILD = (
    "import os, sys; from hatchling import build; os.chdir(sys.argv[1]); print(build.build_wheel(sys.argv[2]))",
    str(Path.cwd()),
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as installers do, by its own build backend, and unpack it; return the folder."""
    made = tmp_path_factory.mktemp("wheel")
    built = subprocess.run([sys.executable, "-c", *_BUILD, str(made)], check=True, capture_output=True, text=True)
    packages = made / "packages"
    with zipfile.ZipFile(made / built.stdout.splitlines()[-1]) as wheel:
        wheel.extractall(packages)
    return packages


async def test_what_is_installed_from_the_wheel_shows_the_page(
    browser: Browser, installed: Path, tmp_path: Path
) -> None:
    # Another folder, without this project's files, and a path on which no Node can be found.
    apart = {"PYTHONPATH": str(installed), "PATH": str(tmp_path), "PYTHONSAFEPATH": "1"}
    async with Upstream() as upstream:
        server = ServerProcess.on(tmp_path / "data", upstream.base_url)
        server.env = {**os.environ, **server.env, **apart}
        assert (await asyncio.to_thread(_imported, server.env, tmp_path)).is_relative_to(installed)
        await server.start()
        try:
            async with Visitor.arriving(browser, server.url, upstream) as visitor:
                await visitor.sign_in()
                await expect(visitor.page.get_by_role("heading", name="Sage")).to_be_visible()
                assert visitor.complaints == []
            await _all_of_it_is_served(server.url)
        finally:
            await server.kill()


def _imported(env: dict[str, str], folder: Path) -> Path:
    where = [sys.executable, "-c", "import twinspeak; print(twinspeak.__file__)"]
    found = subprocess.run(where, check=True, capture_output=True, text=True, env=env, cwd=folder)
    return Path(found.stdout.strip())


async def _all_of_it_is_served(url: str) -> None:
    built = bundle.load()
    assert built
    async with aiohttp.ClientSession(url) as http:
        for path, file in built.files.items():
            async with http.get(f"/{path}") as response:
                assert (response.status, await response.read()) == (200, file.content), path
        assert "twinspeak.js" in built.files
