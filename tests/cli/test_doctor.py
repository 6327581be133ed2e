"""`twinspeak doctor`: what it finds on machines, good and bad, and that it changes nothing."""

import os
import socket
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from tests import databases
from tests.cli.processes import run
from twinspeak.cli.checks import Finding, Verdict, machine, network
from twinspeak.cli.exits import ExitCode
from twinspeak.settings import Settings

GOOD, WARNING, PROBLEM = Verdict.GOOD, Verdict.WARNING, Verdict.PROBLEM


def by_subject(findings: list[Finding]) -> dict[str, Finding]:
    return {found.subject: found for found in findings}


def test_this_machine_can_run_a_server():
    assert [found.verdict for found in machine.look()] == [GOOD, GOOD]


def test_an_old_python_and_an_old_sqlite():
    assert machine.python((3, 10)).verdict is PROBLEM
    assert machine.sqlite((3, 31, 1), threadsafe=True).verdict is PROBLEM
    assert machine.sqlite((3, 45, 0), threadsafe=False).verdict is PROBLEM


@pytest.mark.parametrize(("free", "verdict"), [(10**8 - 1, PROBLEM), (5 * 10**8, WARNING), (10**10, GOOD)])
def test_disk_space(free: int, verdict: Verdict):
    assert machine.disk(free).verdict is verdict


def test_a_data_dir_that_is_not_there_yet(tmp_path: Path):
    found = by_subject(list(machine.look_at_data(tmp_path / "a" / "b")))
    assert found["data dir"].verdict is GOOD
    assert "will be made" in found["data dir"].detail
    assert list(tmp_path.iterdir()) == []


def test_a_good_data_dir_stays_as_it_is(tmp_path: Path):
    found = by_subject(list(machine.look_at_data(tmp_path)))
    assert {found.verdict for found in found.values()} == {GOOD}
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_data_dir(tmp_path: Path):
    (tmp_path / "data").touch()
    found = by_subject(list(machine.look_at_data(tmp_path / "data")))
    assert found["data dir"].verdict is PROBLEM


def test_a_data_dir_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # the tests may run as root, whom no mode stops
    found = by_subject(list(machine.look_at_data(tmp_path)))
    assert found["data dir"].verdict is PROBLEM
    assert "chown" in found["data dir"].remedy


def test_a_file_system_without_shared_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(sqlite3, "connect", broken)
    found = by_subject(list(machine.look_at_data(tmp_path)))
    assert found["file system"].verdict is PROBLEM
    assert "local disk" in found["file system"].remedy


def test_secrets_that_others_can_read(tmp_path: Path):
    tmp_path.chmod(0o755)
    secret, database = tmp_path / "jwt.secret", tmp_path / "twinspeak.sqlite3"
    for path in (secret, database):
        path.touch()
    secret.chmod(0o600)
    database.chmod(0o644)
    assert by_subject(list(machine.look_at_data(tmp_path)))["secrets"].verdict is WARNING
    secret.chmod(0o640)
    found = by_subject(list(machine.look_at_data(tmp_path)))["secrets"]
    assert (found.verdict, found.remedy) == (PROBLEM, f"chmod 600 jwt.secret (in {tmp_path})")
    secret.chmod(0o600)
    tmp_path.chmod(0o700)
    assert by_subject(list(machine.look_at_data(tmp_path)))["secrets"].verdict is GOOD


class Upstream:
    """A server that answers the doctor with what a test sets."""

    def __init__(self) -> None:
        self.url, self.port = "", 0
        self.replies: dict[str, web.Response] = {}
        self.keys: list[str | None] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.keys.append(request.headers.get("Authorization"))
        return self.replies.get(request.path) or web.Response(status=404)


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    made = Upstream()
    application = web.Application()
    application.router.add_get("/{tail:.*}", made.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    made.url = f"http://127.0.0.1:{made.port}/v1"
    yield made
    await runner.cleanup()


async def test_a_free_port(unused_tcp_port: int):
    assert (await network.port("127.0.0.1", unused_tcp_port)).verdict is GOOD
    assert (await network.port("127.0.0.1", 0)).verdict is GOOD


async def test_a_port_that_our_own_server_has(upstream: Upstream):
    upstream.replies["/api/test/health"] = web.json_response({"status": "ok", "eventLoopLag": {}})
    found = await network.port("127.0.0.1", upstream.port)
    assert found.verdict is GOOD
    assert "Twinspeak" in found.detail


async def test_a_port_that_another_program_has(upstream: Upstream):
    assert (await network.port("127.0.0.1", upstream.port)).verdict is PROBLEM
    with socket.create_server(("127.0.0.1", 0)) as silent:
        network_limit = network.LIMIT_S
        network.LIMIT_S = 1
        found = await network.port("127.0.0.1", silent.getsockname()[1])
        network.LIMIT_S = network_limit
    assert found.verdict is PROBLEM
    assert "--port" in found.remedy


async def test_an_address_of_another_machine():
    assert (await network.port("192.0.2.1", 8080)).verdict is PROBLEM


@pytest.mark.parametrize(
    ("status", "verdict", "words"),
    [
        (200, GOOD, "answers"),
        (401, PROBLEM, "refuses the key"),
        (403, PROBLEM, "refuses the key"),
        (404, WARNING, "no list of models"),
        (301, WARNING, "elsewhere"),
        (503, WARNING, "answers 503"),
    ],
)
async def test_a_provider(upstream: Upstream, status: int, verdict: Verdict, words: str):
    upstream.replies["/v1/models"] = web.Response(status=status)
    settings = Settings.model_validate({"OPENAI_API_KEY": "sk-doctor-secret", "OPENAI_BASE_URL": upstream.url})
    found = await network.provider(settings)
    assert found.verdict is verdict
    assert words in found.detail
    assert upstream.keys == ["Bearer sk-doctor-secret"]
    assert "sk-doctor-secret" not in str(found)


async def test_a_provider_that_is_not_there(unused_tcp_port: int):
    url = f"http://user:pass@127.0.0.1:{unused_tcp_port}/v1?key=zzz"
    found = await network.provider(Settings.model_validate({"OPENAI_BASE_URL": url}))
    assert found.verdict is PROBLEM
    assert "pass" not in found.detail
    assert "zzz" not in found.detail
    assert (await network.provider(Settings.model_validate({"OPENAI_BASE_URL": "nonsense"}))).verdict is PROBLEM


async def test_no_provider_is_fine():
    assert (await network.provider(Settings())).verdict is GOOD


async def test_the_command_on_a_fresh_machine(tmp_path: Path, database: str, unused_tcp_port: int):
    env = {"TWINSPEAK_PORT": str(unused_tcp_port), **databases.environment(tmp_path / "data")}
    ended = await run("doctor", cwd=tmp_path, env=env)
    assert ended.code == ExitCode.OK, ended
    assert "No problem found." in ended.out
    assert "✗" not in ended.out
    assert not (tmp_path / "data").exists()


async def test_the_command_where_something_is_wrong(tmp_path: Path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "twinspeak.sqlite3").write_text("this is no database, and it is long enough to be looked at")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        env = {"TWINSPEAK_DATA_DIR": "data", "TWINSPEAK_DATABASE_URL": "mysql://db/x"}
        ended = await run("doctor", "--port", str(taken.getsockname()[1]), cwd=tmp_path, env=env)
    assert ended.code == ExitCode.PROBLEM
    assert "another program uses" in ended.out
    assert "only sqlite and postgresql" in ended.out
    assert "2 problems found." in ended.out
    ended = await run("doctor", cwd=tmp_path)
    assert "✗ database" in ended.out


async def test_settings_that_make_no_sense_are_named_without_their_values(tmp_path: Path):
    ended = await run("doctor", cwd=tmp_path, env={"TWINSPEAK_PORT": "eighty-secret"})
    assert ended.code == ExitCode.PROBLEM
    assert "TWINSPEAK_PORT" in ended.out
    assert "eighty-secret" not in ended.out
