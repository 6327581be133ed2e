"""The commands that look after an installation, run as they are typed."""

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import databases
from tests.cli.processes import run
from tests.laws.source import ROOT
from twinspeak.cli.banner import render
from twinspeak.cli.config import load_settings
from twinspeak.cli.exits import ExitCode
from twinspeak.domain.ai_models import ANTHROPIC, OPENAI, AiModel, OwnSecrets
from twinspeak.domain.caller import Scope
from twinspeak.domain.errors import OperatorError
from twinspeak.domain.ids import new_id, new_uuid
from twinspeak.domain.institution import Institution
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import ai_models, audit_log, institutions, second_factors, users
from twinspeak.persistence.repos.audit_log import LogFilter
from twinspeak.persistence.secrets import SecretBox


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory, database: str) -> Path:
    """Make a place where Ann has been added; what fails there changes nothing."""
    place = tmp_path_factory.mktemp("installation")
    command = (sys.executable, "-m", "twinspeak", "user", "add", "ann@example.org")
    env = {**os.environ, **databases.environment(place / "data")}
    subprocess.run(command, cwd=place, check=True, capture_output=True, timeout=50, env=env)
    return place


COMMANDS = ("serve", "chat", "models", "migrate", "user", "doctor")


async def test_help_names_every_command():
    ended = await run("--help")
    assert ended.code == ExitCode.OK
    assert all(command in ended.out for command in COMMANDS)
    for command in COMMANDS:
        assert (await run(command, "--help")).code == ExitCode.OK


async def test_the_version():
    ended = await run("--version")
    assert ended.code == ExitCode.OK
    assert re.fullmatch(r"twinspeak \d+\.\d+\.\d+\n", ended.out)


async def test_migrate_twice(tmp_path: Path, database: str):
    env = databases.environment(tmp_path / "here")
    first = await run("migrate", "--data-dir", "here", cwd=tmp_path, env=env)
    assert (first.code, first.err) == (ExitCode.OK, "")
    assert "now at revision" in first.out
    assert (tmp_path / "here" / "twinspeak.sqlite3").exists() == (database == databases.SQLITE)
    second = await run("migrate", "--data-dir", "here", cwd=tmp_path, env=env)
    assert "Nothing to do" in second.out
    assert "No problem found." in (await run("doctor", "--data-dir", "here", "--port", "0", cwd=tmp_path, env=env)).out


KEYS = {"GEMINI_API_KEY": "g-key", "OPENAI_API_KEY": "o-key", "OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}


async def test_models(tmp_path: Path):
    alone = await run("models", cwd=tmp_path)
    assert (alone.code, alone.err) == (ExitCode.OK, "")
    assert [line.split()[:3] for line in alone.out.splitlines()[1:]] == [["local", "*", "local"]]
    chosen = {"TWINSPEAK_DEFAULT_MODEL": "openai/llama-3"}
    listed = await run("models", cwd=tmp_path, env={**KEYS, **chosen})
    lines = {line.split()[0]: line.split() for line in listed.out.splitlines()[1:]}
    assert lines["openai/llama-3"] == [
        "openai/llama-3",
        "*",
        "openai",
        "32,768",
        "4,096",
        "yes",
        "no",
        "png,jpeg,webp,gif",
    ]
    assert lines["gemini-3.5-flash-lite"][1] == "gemini"
    assert "gpt-6-luna" not in lines  # what a compatible server holds is its own affair
    assert "key" not in listed.out


async def test_models_that_twins_bring(tmp_path: Path, database: str):
    env = databases.environment(tmp_path / "data")
    assert "bring themselves" not in (await run("models", cwd=tmp_path, env=env)).out
    assert not (tmp_path / "data" / "twinspeak.sqlite3").exists()
    await run("migrate", cwd=tmp_path, env=env)
    assert "bring themselves" not in (await run("models", cwd=tmp_path, env=env)).out
    with contextlib.closing(Database.open(databases.url_for(tmp_path / "data", empty=False))) as db:
        await db.write(_bring_models)
    listed = await run("models", cwd=tmp_path, env=env)
    assert (listed.code, listed.err) == (ExitCode.OK, "")
    *_, first, second = (re.split(" {2,}", line) for line in listed.out.splitlines())
    assert first == ["Oak", "our-llama", "openai", "8,192", "16,384", "yes", "no", "png,jpeg,webp,gif,pdf"]
    assert second[:3] == ["Oak", "paused (off)", "anthropic"]
    assert "sesame" not in listed.out


def _bring_models(tx: Tx) -> None:
    oak = Institution(id=new_id(), public_id=new_uuid(), name="Oak", ai_name="Oak")
    institutions.create(tx, oak, account_id=institutions.ensure_account(tx, "north"))
    box = SecretBox(["x" * 32])
    for name, library, status in (("our-llama", OPENAI, "active"), ("paused", ANTHROPIC, "inactive")):
        record = AiModel(
            id=new_id(), institution_id=oak.id, name=name, library=library, status=status, max_input_tokens=8_192
        )
        ai_models.create(tx, Scope(user_id=new_id(), institution_id=oak.id), box, record, OwnSecrets(api_key="sesame"))


async def test_models_with_a_default_that_nobody_serves(tmp_path: Path):
    ended = await run("models", cwd=tmp_path, env={"TWINSPEAK_DEFAULT_MODEL": "claude-opus-5"})
    assert ended.code == ExitCode.CANNOT_START
    assert "claude-opus-5" in ended.err
    assert not ended.out


async def test_letting_somebody_in_again(installation: Path):
    env = databases.environment(installation / "data", empty=False)
    with contextlib.closing(Database.open(databases.url_for(installation / "data", empty=False))) as db:
        ann = await db.read(lambda tx: users.by_email(tx, "ann@example.org"))
        assert ann
        await db.write(lambda tx: second_factors.switch_on(tx, ann.id))
        before = await db.read(lambda tx: users.password_hash(tx, ann.id))
        done = await run("user", "let-in", "Ann@Example.org", cwd=installation, env=env)
        assert (done.code, done.err) == (ExitCode.OK, "")
        assert "taken away" in done.out
        assert re.search(r"Password +\S{12,}\n", done.out)
        assert await db.read(lambda tx: second_factors.enabled(tx, ann.id)) is None
        assert await db.read(lambda tx: users.password_hash(tx, ann.id)) != before
        (entry,) = await db.read(lambda tx: audit_log.listing(tx, LogFilter(target_id=ann.id), limit=1))
        assert (entry.entry.action, entry.entry.actor_email) == ("user.let_in", "(command line)")
        kept = await db.read(lambda tx: users.password_hash(tx, ann.id))
        refused = {("ann@example.org", "--password-stdin"): "password", ("nobody@example.org",): "nobody by that"}
        for arguments, words in refused.items():
            ended = await run("user", "let-in", *arguments, given="x\n", cwd=installation, env=env)
            assert ended.code != ExitCode.OK
            assert words in ended.err.lower()
        assert await db.read(lambda tx: users.password_hash(tx, ann.id)) == kept


async def test_adding_people(tmp_path: Path, database: str):
    env = databases.environment(tmp_path / "data")
    made = await run("user", "add", "Ann@Example.org", cwd=tmp_path, env=env)
    assert made.code == ExitCode.OK, made
    assert "Added ann@example.org." in made.out
    assert re.search(r"Password +\S{12,}\n", made.out)
    given = await run(
        "user", "add", "bob@example.org", "--admin", "--password-stdin", given="a good one\n", cwd=tmp_path, env=env
    )
    assert given.code == ExitCode.OK
    assert "as an administrator" in given.out
    assert "a good one" not in given.out


@pytest.mark.parametrize(
    ("arguments", "given", "code", "words"),
    [
        (("Ann@example.org",), "", 1, "already"),
        (("nobody",), "", 1, "e-mail"),
        (("new@example.org", "--password-stdin"), "short\n", 1, "8 characters"),
        (("new@example.org", "--password-stdin"), "", 2, "no password"),
        (("new@example.org", "--twin", "f831501f-b645-481a-9cbb-331509aaf8c1"), "", 1, "twin"),
    ],
)
async def test_people_who_cannot_be_added(
    installation: Path, arguments: tuple[str, ...], given: str, code: int, words: str
):
    env = databases.environment(installation / "data")
    ended = await run("user", "add", *arguments, given=given, cwd=installation, env=env)
    assert (ended.code, ended.out) == (code, "")
    assert words in ended.err


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"TWINSPEAK_LOG_LEVEL": "secret"}, "TWINSPEAK_LOG_LEVEL"),
        ({"TWINSPEAK_REDIS_URL": "redis://x"}, "TWINSPEAK_REDIS_URL"),
        ({"TWINSPEAK_DATABASE_URL": "mysql://user:secret@db/x"}, "mysql"),
    ],
)
async def test_a_start_that_cannot_be(tmp_path: Path, env: dict[str, str], words: str):
    ended = await run("serve", "--port", "0", cwd=tmp_path, env=env)
    assert ended.code == ExitCode.CANNOT_START
    assert words in ended.err
    assert "secret" not in ended.err


def test_the_command_line_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TWINSPEAK_PORT", "9000")
    monkeypatch.setenv("TWINSPEAK_HOST", "::1")
    settings = load_settings(port=9001, host=None)
    assert (settings.port, settings.host) == (9001, "::1")
    with pytest.raises(OperatorError, match="TWINSPEAK_PORT"):
        load_settings(port=99999)


def test_the_banner_shows_a_password_only_when_it_was_made_now():
    first = render("http://127.0.0.1:8080", "admin@twinspeak.local", "pw-made-now", "local", Path("data"))
    assert "http://127.0.0.1:8080" in first
    assert "pw-made-now" in first
    assert "OPENAI_API_KEY" in first
    later = render("http://127.0.0.1:8080", "admin@twinspeak.local", None, "gpt-x", Path("data"))
    assert "Password" not in later
    assert "the model gpt-x" in later
    assert "OPENAI_API_KEY" not in later


def test_every_exit_code_is_in_the_operators_handbook():
    handbook = (ROOT / "docs" / "operating.md").read_text("utf-8")
    documented = [int(code) for code in re.findall(r"^\| (\d+) \| \w.+ \|$", handbook, re.MULTILINE)]
    assert documented == [code.value for code in ExitCode]
