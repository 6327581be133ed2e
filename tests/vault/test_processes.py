"""The whole of it as people run it: `serve`, which starts its own worker, `ingest` and `search`."""

import asyncio
from functools import partial
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from tests.cli.processes import run
from tests.durable.server_process import ServerProcess
from tests.live import EMAIL, PASSWORD
from tests.vault.house import LION
from twinspeak.cli.chat import ClientSettings
from twinspeak.cli.exits import CommandError, ExitCode
from twinspeak.cli.vault import files_in, run_search


def test_what_is_not_there_is_sent_by_nobody(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="nowhere") as told:
        list(files_in([tmp_path, tmp_path / "nowhere"]))
    assert told.value.code == ExitCode.USAGE


@pytest.mark.usefixtures("database")
async def test_a_folder_from_the_command_line(tmp_path: Path) -> None:
    brought = tmp_path / "brought"
    (brought / "deep").mkdir(parents=True)
    (brought / "zoo.md").write_bytes(LION)
    (brought / "deep" / "okapi.txt").write_text("The okapi is called Ota.")
    (brought / ".hidden").write_text("Never.")
    server = ServerProcess.on(tmp_path / "data", "http://127.0.0.1:9", default_model="local")
    await server.start()
    env = {"TWINSPEAK_URL": server.url, "TWINSPEAK_EMAIL": EMAIL, "TWINSPEAK_PASSWORD": PASSWORD}
    assert server.process
    try:
        told = await run("ingest", str(brought), env=env)
        assert told.code == 0, told.err
        assert "okapi.txt: 1 passages" in told.err
        assert "zoo.md: 2 passages" in told.err
        assert "hidden" not in told.err
        empty = brought / "empty.txt"
        empty.write_text("")
        again = await run("ingest", str(brought / "zoo.md"), str(empty), env=env)
        assert (again.code, "there already" in again.err, "empty" in again.err) == (1, True, True)
        found = await run("search", "What is the okapi called?", env=env)
        assert found.code == 0, found.err
        assert "okapi.txt" in found.out
        assert "Ota" in found.out
        nothing = ClientSettings(url=server.url, email=EMAIL, password=SecretStr(PASSWORD))
        looked = partial(run_search, "zebrafish", nothing, limit=5, as_json=False, password_on_stdin=False)
        assert await asyncio.to_thread(looked) == ExitCode.PROBLEM
        answer = await run("chat", "What is the okapi called?", "--output", "answer", env=env)
        assert "Ota" in answer.out
        workers = psutil.Process(server.process.pid).children(recursive=True)
    finally:
        await server.kill()
    await asyncio.to_thread(psutil.wait_procs, workers, timeout=10)
    assert not [one for one in workers if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
