"""The house of `tests.vault.house` with documents of every access level in every vault, folders, ids of nothing."""

import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import text

from tests.vault.house import House, house
from tests.vault.rights import DOCUMENTS, PEOPLE, Line
from tests.world import looking_into
from twinspeak.domain.access import ALL_VERBS
from twinspeak.domain.ids import new_id
from twinspeak.persistence.repos import documents, memberships, users

COMMON = "xylograph"
SECRET = {name: f"okapi{number}x" for number, name in enumerate(DOCUMENTS)}
TEXT = {name: f"The {COMMON} of {SECRET[name]} is kept in the hall." for name in DOCUMENTS}
TERMS: dict[str, tuple[str, dict[str, Any]]] = {
    "own": ("member", {}),
    "own public": ("member", {"is_public": True}),
    "twin": ("admin", {"twin": "oak"}),
    "twin public": ("admin", {"twin": "oak", "is_public": True}),
    "twin confidential": ("admin", {"twin": "oak", "is_private": True}),
    "left confidential": ("left", {"twin": "oak", "is_private": True}),
    "account": ("manager", {"twin": "elm", "account_shared": True}),
    "account public": ("manager", {"twin": "elm", "account_shared": True, "is_public": True}),
    "account confidential": ("manager", {"twin": "elm", "account_shared": True, "is_private": True}),
    "sibling": ("super", {"twin": "fir"}),
}


@dataclass
class Estate:
    """Ids by name; `errands` a document of each person's own, `mine` a folder."""

    house: House
    documents: dict[str, str] = field(default_factory=dict)
    chunks: dict[str, str] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)
    errands: dict[str, str] = field(default_factory=dict)
    mine: dict[str, str] = field(default_factory=dict)
    gone: dict[str, dict[str, str]] = field(default_factory=dict)
    unknown: dict[str, tuple[int, str]] = field(default_factory=dict)

    async def add(self, name: str, words: str = "") -> str:
        """Put a document there as its line in `TERMS` says; return its id."""
        who, terms = TERMS[name]
        return await self.house.put(who, f"{words}{SECRET[name]}.md", words + TEXT[name], **terms)

    async def ask(self, who: str | None, line: Line, **ids: str) -> tuple[int, str]:
        """Make a request; return the status and all that came, without what is new in every answer."""
        self.house.org.unlimited()
        mine = {"errand": self.errands[who], "mine": self.mine[who]} if who else {"errand": "0" * 24, "mine": "0" * 24}
        method, path = _filled(line.route, {**mine, **ids}).split(" ", 1)
        body = json.loads(_filled(json.dumps(line.body), {**mine, **ids}))
        if path == "/api/user/files" and who:
            status, found = await self.house.send(who, [("new.md", f"New of {who}, {new_id()}.".encode())], **body)
        else:
            status, found = await self.house.call(who, method, path, body)
        return status, re.sub(r"[0-9a-f]{24}|[0-9a-f-]{36}", "#", str(found)).replace(ids.get("id", "#"), "#")

    async def ask_in_vain(self, who: str, line: Line, **ids: str) -> tuple[int, str]:
        """Return what comes of an id that nothing has, of the kinds that `ids` name."""
        key = f"{who} {line.route} {line.body}"
        if key not in self.unknown:
            self.unknown[key] = await self.ask(who, line, **dict.fromkeys(ids, "0" * 24))
        return self.unknown[key]

    def everything(self) -> dict[str, list[Any]]:
        """Return what is in the vaults, all of it; but for how often something was found."""
        columns = {
            "documents": "id, institution_id, user_id, name, status, title, phase, is_public, is_private,"
            " collection_id, account_shared, identity, revision",
            "chunks": "id, text",
            "collections": "id, name, color, parent_id",
            "jobs": "id, state, attempts",
        }
        with looking_into(self.house.server.settings.data_dir / "twinspeak.sqlite3") as connection:
            return {
                name: [tuple(row) for row in connection.execute(text(f"SELECT {some} FROM {name} ORDER BY id"))]  # noqa: S608
                for name, some in columns.items()
            }


@asynccontextmanager
async def estate_in(folder: Path) -> AsyncGenerator[Estate]:
    """Serve all of it: see `tests.vault.rights`."""
    async with house(folder) as here:
        found = Estate(here)
        await _people(here)
        for name in DOCUMENTS:
            found.documents[name] = await found.add(name)
            found.chunks[name] = await _chunk(here, found.documents[name])
        for name, (who, terms) in {
            "own folder": ("member", {}),
            "twin folder": ("admin", {"institution": here.org.ids["oak"]}),
            "account folder": ("manager", {"institution": here.org.ids["elm"], "account_shared": True}),
            "sibling folder": ("super", {"institution": here.org.ids["fir"]}),
        }.items():
            found.folders[name] = await _folder(here, who, name, **terms)
        for who in PEOPLE:
            found.errands[who] = await here.put(who, "errand.md", f"An errand of {who}.")
            found.mine[who] = await _folder(here, who, "Mine")
        await _gone(found)
        yield found


async def _people(here: House) -> None:
    """Add who is not in every organisation."""
    await here.org.person("firs", "fir")
    await here.org.person("guest", "oak")
    await here.org.person("left", "oak", account_type="admin", verbs=ALL_VERBS)
    left = await here.org.membership("left", "oak")
    wanted = {"reason": "Ticket 17", "minutes": 15}
    acting = await here.org.good("POST", f"/api/admin/user/{here.org.ids['admin']}/actAs", wanted, who="super")
    here.org.tokens["acting"], here.org.ids["acting"] = acting["token"], here.org.ids["admin"]

    def store(tx: Any) -> None:
        memberships.create(tx, here.org.ids["manager"], here.org.ids["elm"], account_type="admin")
        users.edit(tx, here.org.ids["manager"], {"active_institution_id": here.org.ids["elm"]})
        users.edit(tx, here.org.ids["guest"], {"email": f"{new_id()}@launched.invalid", "email_verified": None})
        memberships.set_status(tx, left, "suspended")

    await here.server.ground.db.write(store)


async def _chunk(here: House, document: str) -> str:
    return await here.server.ground.db.read(lambda tx: documents.chunk_ids(tx, document)[0])


async def _folder(here: House, who: str, name: str, **terms: Any) -> str:
    status, made = await here.call(who, "POST", "/api/user/collection", {"name": name, **terms})
    assert status == 200, made
    return made["id"]


async def _gone(found: Estate) -> None:
    """Have ids of what is not there, or not any more: of a document, its passage, a folder."""
    here = found.house
    hidden, erased = await found.add("twin", "Hidden. "), await found.add("twin", "Erased. ")
    passages = {"hidden": await _chunk(here, hidden), "erased": await _chunk(here, erased)}
    emptied = await _folder(here, "admin", "Emptied", institution=here.org.ids["oak"])
    assert (await here.call("admin", "PUT", f"/api/user/upload/{hidden}", {"status": "deleted"}))[0] == 200
    assert (await here.call("admin", "DELETE", f"/api/user/upload/{erased}"))[0] == 200
    assert (await here.call("admin", "DELETE", f"/api/user/collection/{emptied}"))[0] == 200
    other = {"id": found.folders["twin folder"], "chunk": found.documents["twin"], "folder": found.documents["twin"]}
    found.gone = {
        "unknown": dict.fromkeys(("id", "chunk", "folder"), "0" * 24),
        "erased": {"id": erased, "chunk": passages["erased"], "folder": emptied},
        "hidden": {"id": hidden, "chunk": passages["hidden"], "folder": emptied},
        "of another kind": other,
        "too short": dict.fromkeys(("id", "chunk", "folder"), "abc"),
        "no digits": dict.fromkeys(("id", "chunk", "folder"), "z" * 24),
    }


def _filled(wanted: str, values: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], found[0]), wanted)
