"""Both OpenAPI documents, judged by schemathesis: what the routes answer is what the documents say.

It asks every operation with good requests and bad ones: as an administrator, as somebody who may nothing, as nobody.
"""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest
import pytest_asyncio

from tests import databases
from tests.fakes.upstream import text_reply
from tests.organisation import Org, organisation
from tests.world import UNBOUNDED, world

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

DOCUMENTS = ("/api/rt-docs.json", "/api/admin-docs.json")
CHECKS = "not_a_server_error,status_code_conformance,ignored_auth"
SELF_HARM = "^(/api/auth/signout|/api/user/me|/api/user/sessions.*|/api/user/userInstitution.*|/metrics)$"
"""What would end the very session, membership or account that the rest is asked with; all have tests of their own."""
EXAMPLES = int(os.environ.get("TWINSPEAK_TEST_EXAMPLES", "3"))
MANY = 40


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def org(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[Org]:
    async with world(tmp_path_factory.mktemp("openapi"), credits=UNBOUNDED) as here:
        here.upstream.default = lambda _: text_reply("Hello.")
        yield await organisation(here)


async def judged(org: Org, document: str, who: str | None, examples: int) -> tuple[int, str]:
    """Run schemathesis; return its exit code and what it said."""
    command = [
        sys.executable, "-W", "ignore", "-m", "schemathesis.cli", "run", f"{org.here.server.url}{document}",
        "--checks", CHECKS if who else CHECKS.rpartition(",")[0], "--max-examples", str(examples), "--seed", "7",
        "--phases", "examples,coverage,fuzzing" if examples > EXAMPLES else "examples,fuzzing",
        "--exclude-path-regex", SELF_HARM, "--generation-database", "none", "--no-color", "--request-timeout", "30",
    ]  # fmt: skip
    if who:
        command += ["--header", f"x-access-token: {org.tokens[who]}"]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


def unlimited(org: Org) -> None:
    """Count nobody's requests: the limits have tests of their own."""
    limits = cast("Any", org.here.server.live.asgi).state.services.limits
    limits.take = limits.standing


@pytest.mark.timeout(300)
@pytest.mark.parametrize("who", ["admin", "nobody", None])
@pytest.mark.parametrize("document", DOCUMENTS)
async def test_routes_answer_as_documented(org: Org, document: str, who: str | None) -> None:
    unlimited(org)
    # PostgreSQL has other SQL, not other routes: one example of each is enough of it here.
    examples = EXAMPLES if databases.kind() == databases.SQLITE else 1
    code, said = await judged(org, document, who, examples)
    assert code == 0, said[-20_000:]


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("who", ["super", "admin", "nobody", None])
@pytest.mark.parametrize("document", DOCUMENTS)
async def test_routes_answer_many_requests_as_documented(org: Org, document: str, who: str | None) -> None:
    unlimited(org)
    code, said = await judged(org, document, who, MANY)
    assert code == 0, said[-20_000:]
