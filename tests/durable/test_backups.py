"""Backup, restore and check over real files, and beside a real server."""

import asyncio
import io
import json
import os
import shutil
import sqlite3
import stat
import tarfile
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests import databases
from tests.durable.waiting import until
from tests.faces import Face
from tests.fakes.upstream import Reply, text_steps
from tests.live import EMAIL, PASSWORD
from tests.world import all_turns, world
from twinspeak.app import archive, restoring, upkeep
from twinspeak.app.backing import back_up
from twinspeak.app.lock import is_served, only_server
from twinspeak.app.offline import prepare
from twinspeak.app.restoring import restore
from twinspeak.domain.errors import OperatorError
from twinspeak.persistence import migrations
from twinspeak.settings import Settings

FILE = "twinspeak.sqlite3"


def settings_of(folder: Path, **changes: Any) -> Settings:
    return Settings(data_dir=folder, admin_email=EMAIL, admin_password=SecretStr(PASSWORD), **changes)


@pytest.fixture
def installed(tmp_path: Path) -> Settings:
    """An installation that ran once."""
    settings = settings_of(tmp_path / "data")
    with prepare(settings):
        pass
    return settings


@contextmanager
def database(settings: Settings) -> Generator[sqlite3.Connection]:
    """Write into the database by hand, as nobody should."""
    with closing(sqlite3.connect(settings.data_dir / FILE)) as connection:
        yield connection
        connection.commit()


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


# -- the file ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("sqlite_file")
async def test_a_backup_taken_under_load_restores_to_the_books_of_its_moment(tmp_path: Path):
    async with world(tmp_path / "data") as here:
        for _ in range(3):
            await here.ask(Face.REST)
        here.upstream.script(Reply([*text_steps("Half an answer "), asyncio.Event()]))
        running = asyncio.create_task(here.ask(Face.SSE))
        await until(lambda: len(here.upstream.exchanges) == 4)
        turn = await here.running()
        await until(lambda: turn.log.text.length > 10)
        busy = [asyncio.create_task(here.ask(Face.REST)) for _ in range(5)]
        made = await asyncio.to_thread(back_up, here.server.settings, tmp_path / "b.tar.gz")
        await asyncio.gather(*busy)
        token = here.token
        running.cancel()

    assert stat.S_IMODE(made.file.stat().st_mode) == 0o600
    target = settings_of(tmp_path / "other")
    await asyncio.to_thread(restore, target, made.file, force=False)
    assert (tmp_path / "other" / "jwt.secret").read_bytes() == (tmp_path / "data" / "jwt.secret").read_bytes()
    before = await asyncio.to_thread(upkeep.check, target)
    # Only the turns that ran when it was made are open.
    assert all("nobody runs it" in problem for problem in before.problems)
    async with world(tmp_path / "other", credits=0) as here:
        status, _ = await here.get("/api/ai/models", token)
        assert status == 401, "sessions of the backup are ended"
        assert (await asyncio.to_thread(upkeep.check, target)).clean
        rows = all_turns(tmp_path / "other" / FILE)
        assert len([row for row in rows if row["state"] == "done"]) >= 3
        assert [row["state"] for row in rows if row["id"] == turn.turn_id] == ["interrupted"]
        assert (await here.ask(Face.REST)).status == 200


def test_a_backup_overwrites_nothing(installed: Settings, tmp_path: Path):
    (tmp_path / "b").write_text("mine")
    with pytest.raises(OperatorError, match="overwrites nothing"):
        back_up(installed, tmp_path / "b")
    assert (tmp_path / "b").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "data"]


def test_a_backup_into_the_data_dir_does_not_hold_itself(installed: Settings):
    back_up(installed, installed.data_dir / "one.tar.gz")
    second = back_up(installed, installed.data_dir / "two.tar.gz")
    assert set(second.manifest.files) == {"data/jwt.secret", "data/secrets.key", "data/one.tar.gz", "database.sqlite3"}


def test_secrets_of_the_environment_are_named(tmp_path: Path):
    settings = settings_of(tmp_path / "data", jwt_secret="x" * 40)
    with prepare(settings):
        pass
    assert back_up(settings, tmp_path / "b").elsewhere == ("TWINSPEAK_JWT_SECRET",)


def test_every_changed_byte_is_noticed_and_leaves_what_is_there(installed: Settings, tmp_path: Path):
    whole = back_up(installed, tmp_path / "b").file.read_bytes()
    before = content(installed.data_dir)
    bad = tmp_path / "bad"
    step = max(1, len(whole) // 60)
    for at in [*range(30, len(whole), step), len(whole) - 6, len(whole) - 1]:
        bad.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        with pytest.raises(OperatorError):
            restore(installed, bad, force=True)
    for size in [*range(0, len(whole), step), len(whole) - 1]:
        bad.write_bytes(whole[:size])
        with pytest.raises(OperatorError):
            restore(installed, bad, force=True)
    assert content(installed.data_dir) == before
    assert not list(installed.data_dir.glob(".*"))


@pytest.mark.parametrize("name", ["../evil", "/evil", "data/../../evil", "other/file", "server.lock"])
def test_names_that_lead_elsewhere_are_refused(installed: Settings, tmp_path: Path, name: str):
    made = back_up(installed, tmp_path / "b")
    entry = {"bytes": 0, "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}
    told = json.loads(archive.msgspec.json.encode(made.manifest))
    told["files"][name] = entry
    (tmp_path / "manifest.json").write_text(json.dumps(told))
    with tarfile.open(tmp_path / "evil.tar.gz", "w:gz") as crafted:
        crafted.add(tmp_path / "manifest.json", "manifest.json")
    with pytest.raises(OperatorError, match="does not belong"):
        restore(installed, tmp_path / "evil.tar.gz", force=True)


@pytest.mark.parametrize("change", [lambda raw: raw[:-1] + b"X", lambda raw: raw + b"X", lambda raw: raw[:-1]])
def test_a_file_that_is_not_what_the_manifest_says_is_refused(
    installed: Settings, tmp_path: Path, change: Callable[[bytes], bytes]
):
    made = back_up(installed, tmp_path / "b")
    with tarfile.open(made.file) as source, tarfile.open(tmp_path / "evil.tar.gz", "w:gz") as crafted:
        for member in source.getmembers():
            file = source.extractfile(member)
            assert file is not None
            raw = file.read()
            if member.name == "data/jwt.secret":
                raw = change(raw)
                member.size = len(raw)
            crafted.addfile(member, io.BytesIO(raw))
    with pytest.raises(OperatorError, match="damaged"):
        restore(settings_of(tmp_path / "new"), tmp_path / "evil.tar.gz", force=False)


def test_links_are_refused(installed: Settings, tmp_path: Path):
    made = back_up(installed, tmp_path / "b")
    with tarfile.open(made.file) as source, tarfile.open(tmp_path / "evil.tar.gz", "w:gz") as crafted:
        for member in source.getmembers():
            if member.name == "data/jwt.secret":
                member.type, member.linkname, member.size = tarfile.SYMTYPE, "/etc/passwd", 0
                crafted.addfile(member)
            else:
                crafted.addfile(member, source.extractfile(member))
    with pytest.raises(OperatorError):
        restore(settings_of(tmp_path / "new"), tmp_path / "evil.tar.gz", force=False)


# -- putting it in place ----------------------------------------------------------------------------------------------


def test_what_is_there_is_only_replaced_by_force_and_is_kept_aside(installed: Settings, tmp_path: Path):
    made = back_up(installed, tmp_path / "b")
    with database(installed) as connection:
        connection.execute("UPDATE users SET fname = 'Later'")
    with pytest.raises(OperatorError, match="not empty"):
        restore(installed, made.file, force=False)
    done = restore(installed, made.file, force=True)
    assert done.aside is not None
    with database(installed) as connection:
        assert connection.execute("SELECT fname FROM users").fetchone()[0] != "Later"
    with closing(sqlite3.connect(done.aside / FILE)) as connection:
        assert connection.execute("SELECT fname FROM users").fetchone()[0] == "Later"
    assert upkeep.check(installed).clean


def test_beside_a_server_nothing_is_restored_or_repaired_or_served(installed: Settings, tmp_path: Path):
    made = back_up(installed, tmp_path / "b")
    with only_server(installed):
        assert is_served(installed)
        for refused in (
            lambda: restore(installed, made.file, force=True),
            lambda: upkeep.repair(installed),
            lambda: prepare(installed).__enter__(),
        ):
            with pytest.raises(OperatorError, match=str(installed.data_dir)):
                refused()
        assert upkeep.check(installed).clean
        back_up(installed, tmp_path / "c")
    assert not is_served(installed)


def test_two_data_dirs_over_one_file_are_one_server(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'shared.sqlite3'}"
    with prepare(settings_of(tmp_path / "a", database_url=url)), pytest.raises(OperatorError, match="runs on"):
        prepare(settings_of(tmp_path / "b", database_url=url)).__enter__()


def test_a_file_outside_the_data_dir_is_backed_up_and_put_back(tmp_path: Path):
    settings = settings_of(tmp_path / "a", database_url=f"sqlite:///{tmp_path / 'elsewhere.sqlite3'}")
    with prepare(settings):
        pass
    made = back_up(settings, tmp_path / "b")
    done = restore(settings, made.file, force=True)
    assert done.aside is not None
    assert (done.aside / "elsewhere.sqlite3").exists()
    assert upkeep.check(settings).clean


def test_a_restore_that_was_cut_short_is_noticed(installed: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = back_up(installed, tmp_path / "b")

    def power_cut(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(restoring.shutil, "move", power_cut)
    with pytest.raises(KeyboardInterrupt):
        restore(installed, made.file, force=True)
    monkeypatch.undo()
    with pytest.raises(OperatorError, match="cut short"):
        prepare(installed).__enter__()
    restore(installed, made.file, force=True)
    with prepare(installed):
        pass


def test_an_older_backup_is_brought_to_this_version(tmp_path: Path):
    """Made by the first version: its database knows no keys, and holds a turn that ran."""
    old = settings_of(tmp_path / "old")
    old.data_dir.mkdir()
    engine = migrations.make_engine(migrations.parse_url(old.database), read_only=False)
    with engine.begin() as connection:
        migrations.upgrade(connection, "0001")
    engine.dispose()
    done = restore(settings_of(tmp_path / "new"), back_up(old, tmp_path / "b").file, force=False)
    assert done.upgraded_from == "0001"
    assert migrations.revision_of(settings_of(tmp_path / "new").database) == migrations.HEAD


def test_a_newer_backup_is_refused(installed: Settings, tmp_path: Path):
    with database(installed) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    made = back_up(installed, tmp_path / "b")
    with pytest.raises(OperatorError, match="newer"):
        restore(settings_of(tmp_path / "new"), made.file, force=False)


# -- check ------------------------------------------------------------------------------------------------------------

DAMAGE = {
    "a held part without a turn": ("UPDATE wallets SET held = 5 WHERE kind <> 'system' AND balance > 5", True),
    "a balance out of nothing": ("UPDATE wallets SET balance = balance + 5 WHERE kind <> 'system'", False),
    "half a transfer": ("DELETE FROM ledger_entries WHERE id = (SELECT min(id) FROM ledger_entries)", False),
    "passages of no document": ("DELETE FROM documents", True),
    "sessions of nobody": (
        "INSERT INTO sessions (id, user_id, created, expires, last_seen) VALUES ('s', 'gone', 1, 1, 1)",
        True,
    ),
    "a key of no turn": ("INSERT INTO turn_keys VALUES ((SELECT id FROM users), 'k', 'f', 'gone', 1)", True),
    "details of no turn": (
        "INSERT INTO turn_details (turn_id, user_id) SELECT 'gone', id FROM users",
        True,
    ),
    "an orphan hold": (
        "INSERT INTO holds (turn_id, wallet_id, amount) SELECT 'gone', id, 2 FROM wallets WHERE kind = 'user'",
        True,
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found_and_repaired_where_that_is_safe(installed: Settings, damage: str):
    statement, safe = DAMAGE[damage]
    assert upkeep.check(installed).clean
    with database(installed) as connection:
        connection.execute(statement)
    found = upkeep.check(installed)
    assert not found.clean
    assert upkeep.check(installed).problems == found.problems, "looking changes nothing"
    repaired = upkeep.repair(installed)
    assert repaired.clean is safe
    assert upkeep.check(installed).clean is safe


@pytest.mark.usefixtures("sqlite_file")
async def test_what_a_crash_left_is_found_and_settled(tmp_path: Path):
    async with world(tmp_path / "data") as here:
        here.upstream.script(Reply([*text_steps("Half an answer "), asyncio.Event()]))
        running = asyncio.create_task(here.ask(Face.SSE))
        await here.upstream.exchange()
        assert (await asyncio.to_thread(upkeep.check, here.server.settings)).clean
        shutil.copytree(tmp_path / "data", tmp_path / "crashed")
        running.cancel()
    crashed = settings_of(tmp_path / "crashed")
    assert ["nobody runs it" in problem for problem in upkeep.check(crashed).problems] == [True]
    assert upkeep.repair(crashed).settled == 1
    assert upkeep.check(crashed).clean


def test_a_damaged_file_is_told_in_words(installed: Settings):
    path = installed.data_dir / FILE
    raw = bytearray(path.read_bytes())
    raw[8192:40960] = os.urandom(32768)
    path.write_bytes(raw)
    try:
        problems = upkeep.check(installed).problems
    except OperatorError as error:
        problems = (str(error),)
    assert problems


# -- PostgreSQL -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("database")
async def test_both_databases_go_through_the_same_file(tmp_path: Path):
    async with world(tmp_path / "data") as here:
        asked = [await here.ask(Face.REST) for _ in range(3)]
        settings = here.server.settings
        made = await asyncio.to_thread(back_up, settings, tmp_path / "b.tar.gz")
        before = all_turns(here.database)
    (tmp_path / "other").mkdir()
    target = settings_of(tmp_path / "other", database_url=databases.url_for(tmp_path / "other", empty=True))
    await asyncio.to_thread(restore, target, made.file, force=False)
    assert (await asyncio.to_thread(upkeep.check, target)).clean
    assert all_turns(tmp_path / "other" / FILE) == before
    with pytest.raises(OperatorError, match="not empty"):
        await asyncio.to_thread(restore, target, made.file, force=False)
    await asyncio.to_thread(restore, target, made.file, force=True)
    async with world(tmp_path / "other", credits=0) as here:
        for answer in asked:
            assert answer.texts["outputs"] in json.dumps(await here.record(answer.turn_id))
        assert (await here.ask(Face.REST)).status == 200, "counters go on where they were"
    assert (await asyncio.to_thread(upkeep.check, target)).clean
