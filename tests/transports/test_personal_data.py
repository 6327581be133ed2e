"""One's own data: counted, exported by a job, erased in parts; and nobody else's in any of it."""

import asyncio
import csv
import io
import zipfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text, update

from tests.faces import Face, ask
from tests.faults.stage import eventually
from tests.mailbox import next_mail
from tests.organisation import Org, organisation
from tests.world import looking_into, mistakes, world
from twinspeak.persistence.db import Tx
from twinspeak.persistence.identity_tables import data_exports
from twinspeak.persistence.repos import users
from twinspeak.persistence.repos.personal_data import KINDS
from twinspeak.services.data_rights import DataRights

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

PATH = "/api/user/data"
SECRET = "=the blue drain cover"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def org(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[Org]:
    async with world(tmp_path_factory.mktemp("data")) as here:
        yield await organisation(here)


@pytest.fixture(autouse=True)
def unlimited(org: Org) -> None:
    org.unlimited()


_count = iter(range(1_000))


@pytest_asyncio.fixture(loop_scope="module")
async def ada(org: Org) -> str:
    """Somebody with two dialogues in the twin and one outside, memories and feedback; return the name."""
    name = f"dora{next(_count)}"
    await org.person(name, "oak")
    token = org.tokens[name]
    for question in (SECRET, "Another question?"):
        assert (await ask(org.here.server, token, Face.REST, question)).status == 200
    await org.good("POST", "/api/user/memory", {"name": "tree", "value": "An oak."}, name)
    db = org.here.server.ground.db
    await db.write(lambda tx: users.edit(tx, org.ids[name], {"active_institution_id": None}))
    reply = await ask(org.here.server, token, Face.REST, "A personal question?")
    assert reply.status == 200
    await org.good("POST", "/api/user/memory", {"name": "lake", "value": "A pond."}, name)
    await org.good("POST", "/api/user/feedback", {"text": "Well said.", "historyId": reply.turn_id}, name)
    await org.good("POST", "/api/user/assistant", {"name": "Mine"}, name)
    return name


async def stats(org: Org, name: str) -> dict[str, int]:
    data = (await org.good("GET", f"{PATH}/stats", who=name))["data"]
    return {kind: one["count"] for kind, one in data.items()}


def service(org: Org) -> DataRights:
    live: Any = org.here.server.live.asgi
    return live.state.services.people.data


async def exported(org: Org, name: str, *, before: int = 0) -> tuple[str, zipfile.ZipFile]:
    """Ask for an export; return the mailed link's path, and the file."""
    status, asked = await org.call("POST", f"{PATH}/export", {}, name)
    assert (status, asked["data"]["state"]) == (202, "waiting")
    mail = await next_mail(org.here.server.settings.data_dir, f"{name}@example.org", after=before)
    link = next(line.strip() for line in mail.get_content().splitlines() if "/api/data-export/" in line)
    path = link[link.index("/api/") :]
    async with org.here.server.http.get(path) as answer:
        assert (answer.status, answer.headers["content-type"]) == (200, "application/zip")
        assert answer.headers["cache-control"] == "private, no-store"
        return path, zipfile.ZipFile(io.BytesIO(await answer.read()))


def rows_of(found: zipfile.ZipFile, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(found.read(f"{name}.csv").decode())))


async def test_counts_tell_each_kind_and_when(org: Org, ada: str) -> None:
    data = (await org.good("GET", f"{PATH}/stats", who=ada))["data"]
    counts = {kind: one["count"] for kind, one in data.items()}
    assert counts == {
        "dialogues": 3, "uploads": 0, "memory": 2, "assistants": 1, "feedback": 1, "memberships": 1, "sessions": 1,
    }  # fmt: skip
    assert data["dialogues"]["first"] <= data["dialogues"]["last"]
    assert (data["uploads"]["first"], data["uploads"]["bytes"]) == (None, 0)


async def test_an_export_holds_all_of_it_and_nobody_elses(org: Org, ada: str) -> None:
    _, found = await exported(org, ada)
    assert found.namelist() == ["README.txt", *(f"{name}.csv" for name in KINDS)]
    dialogues = rows_of(found, "dialogues")
    assert [row["question"] for row in dialogues] == [f"'{SECRET}", "Another question?", "A personal question?"]
    assert all(row["output"] for row in dialogues)
    assert {row["name"] for row in rows_of(found, "memory")} == {"tree", "lake"}
    assert [row["comment"] for row in rows_of(found, "feedback")] == ["Well said."]
    assert [row["name"] for row in rows_of(found, "assistants")] == ["Mine"]
    assert "password" not in found.read("memberships.csv").decode()
    progress = (await org.good("GET", f"{PATH}/export", who=ada))["data"]
    assert (progress["state"], progress["done"], progress["total"]) == ("ready", 9, 9)
    assert progress["bytes"] > 500
    assert (await org.good("GET", f"{PATH}/export", who="member"))["data"] is None


async def test_once_an_hour(org: Org, ada: str) -> None:
    await exported(org, ada)
    status, body = await org.call("POST", f"{PATH}/export", {}, ada)
    assert (status, body["error"]["code"]) == (429, "rate_limited")
    before = update(data_exports).where(data_exports.c.user_id == org.ids[ada]).values(created=0)
    await org.here.server.ground.db.write(lambda tx: tx.run(before))
    await exported(org, ada, before=1)


async def test_of_two_who_ask_at_once_one_is_told_to_wait(org: Org, ada: str) -> None:
    answers = await asyncio.gather(*(org.call("POST", f"{PATH}/export", {}, ada) for _ in range(3)))
    assert sorted(status for status, _ in answers) == [202, 429, 429]


async def test_a_link_runs_out_and_its_file_goes(org: Org, ada: str) -> None:
    path, _ = await exported(org, ada)
    folder = Path(org.here.server.settings.data_dir / ".exports")
    export = (await org.good("GET", f"{PATH}/export", who=ada))["data"]["_id"]
    assert (folder / f"{export}.zip").stat().st_mode & 0o777 == 0o600
    late = update(data_exports).where(data_exports.c.user_id == org.ids[ada]).values(expires=1)
    await org.here.server.ground.db.write(lambda tx: tx.run(late))
    assert await org.code("GET", path) == "not_found"
    await service(org).once()
    assert not (folder / f"{export}.zip").exists()
    assert (await org.good("GET", f"{PATH}/export", who=ada))["data"] is None
    assert await org.code("GET", "/api/data-export/nonsense") == "not_found"


async def test_an_export_that_a_crash_cut_is_made_again(org: Org, ada: str) -> None:
    path, _ = await exported(org, ada)
    cut = update(data_exports).where(data_exports.c.user_id == org.ids[ada])
    await org.here.server.ground.db.write(lambda tx: tx.run(cut.values(state="running", done=2, link_hash=None)))
    assert await org.code("GET", path) == "not_found"
    await service(org).once()
    await next_mail(org.here.server.settings.data_dir, f"{ada}@example.org", after=1)
    assert (await org.good("GET", f"{PATH}/export", who=ada))["data"]["state"] == "ready"


async def test_a_disk_that_takes_nothing_is_told_of(org: Org, ada: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = service(org)
    monkeypatch.setattr(made, "_folder", Path("/dev/null/exports"))
    assert (await org.call("POST", f"{PATH}/export", {}, ada))[0] == 202
    mail = await next_mail(org.here.server.settings.data_dir, f"{ada}@example.org")
    assert "could not" in mail.get_content()
    assert (await org.good("GET", f"{PATH}/export", who=ada))["data"]["state"] == "failed"


async def test_parts_of_the_personal_space_are_erased_for_good(org: Org, ada: str) -> None:
    done = await org.good("DELETE", PATH, {"dialogues": True, "memory": True, "assistants": True}, ada)
    told = {name: done[name] for name in ("dialoguesForgotten", "memoryDeleted", "assistantsDeleted")}
    assert told == {"dialoguesForgotten": 1, "memoryDeleted": 1, "assistantsDeleted": 1}
    left = await stats(org, ada)
    assert (left["dialogues"], left["memory"], left["assistants"], left["feedback"]) == (2, 1, 0, 1)
    again = await org.good("DELETE", PATH, {"dialogues": True, "memory": True}, ada)
    assert (again["dialoguesForgotten"], again["memoryDeleted"]) == (0, 0)
    await org.good("DELETE", PATH, {"feedback": True, "sessions": True, "vault": True}, ada)
    assert (await stats(org, ada))["feedback"] == 0
    await org.good("POST", "/api/user/refresh/profile", {}, ada)  # signed in as before
    with looking_into(org.here.database) as connection:
        everything = "SELECT question || output FROM turns WHERE user_id = :user AND institution_id IS NULL"
        kept = connection.execute(text(everything), {"user": org.ids[ada]}).scalars().all()
    assert kept == [""]
    assert mistakes(org.here.database) == []


@pytest.mark.parametrize(
    ("body", "status"), [({}, 400), ({"dialogues": False}, 400), ({"everything": True}, 422), ({"memory": "x"}, 422)]
)
async def test_what_names_nothing_erases_nothing(org: Org, body: Any, status: int) -> None:
    assert (await org.call("DELETE", PATH, body, "member"))[0] == status


async def test_who_acts_as_somebody_has_none_of_it(org: Org, ada: str) -> None:
    acting = await org.good("POST", f"/api/admin/user/{org.ids[ada]}/actAs", {"reason": "Ticket 17"}, "admin")
    assert await org.code("POST", f"{PATH}/export", {}, acting["token"]) == "acting_as_somebody"
    assert await org.code("DELETE", PATH, {"memory": True}, acting["token"]) == "acting_as_somebody"


async def test_a_deleted_account_takes_its_exports_along(org: Org, ada: str) -> None:
    path, _ = await exported(org, ada)
    await org.good("DELETE", f"/api/admin/user/{org.ids[ada]}", {}, "super")
    assert await org.code("GET", path) == "not_found"
    await service(org).once()

    def left(tx: Tx) -> int:
        return len(tx.all(data_exports.select().where(data_exports.c.user_id == org.ids[ada])))

    assert await org.here.server.ground.db.read(left) == 0
    await eventually(lambda: not list((org.here.server.settings.data_dir / ".exports").glob("*.part")))
