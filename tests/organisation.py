"""An organisation: two accounts, three twins, and people of every rank, signed in."""

from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import insert, select, update

from tests.world import World
from twinspeak.domain.access import ALL_VERBS
from twinspeak.domain.ids import new_id, new_uuid
from twinspeak.domain.institution import Institution
from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos import institutions, memberships, users
from twinspeak.persistence.tables import account_managers
from twinspeak.persistence.tables import institutions as twins_table
from twinspeak.persistence.tables import users as users_table
from twinspeak.services.auth import Auth, Device

EMAILS = {"admin": "chief"}
"""Local parts that are not the name: the server has a person of that name already."""


@dataclass
class Org:
    """`ids` and `tokens` by name; twins oak (account north), elm (account south), fir (account south)."""

    here: World
    ids: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def auth(self) -> Auth:
        return cast("Any", self.here.server.live.asgi).state.services.auth

    async def call(self, method: str, path: str, body: Any = None, who: str | None = None) -> tuple[int, Any]:
        """Call as somebody, by name; or as nobody."""
        headers = self.here.server.auth(self.tokens.get(who, who)) if who else {}
        async with self.here.server.http.request(method, path, json=body, headers=headers) as response:
            return response.status, await response.json()

    async def good(self, method: str, path: str, body: Any = None, who: str | None = None) -> Any:
        """As `call`, which must succeed."""
        status, answer = await self.call(method, path, body, who)
        assert status == 200, (path, status, answer)
        return answer

    async def code(self, method: str, path: str, body: Any = None, who: str | None = None) -> str:
        """As `call`, which must fail; return the code."""
        status, answer = await self.call(method, path, body, who)
        assert status >= 400, (path, answer)
        assert status == answer["error"]["status"]
        return answer["error"]["code"]

    async def person(self, name: str, twin: str | None = None, **kind: Any) -> str:
        """Add somebody, signed in, a member of a twin or of none; return the id."""

        def store(tx: Tx) -> tuple[str, str]:
            new = users.NewUser(
                email=f"{EMAILS.get(name, name)}@example.org",
                fname=name.capitalize(),
                account_type=kind.get("account_type", "user"),
                email_verified=True,
            )
            user = users.create(tx, new, credits=50)
            if twin is not None:
                inside = "user" if new.account_type == "user" else "admin"
                memberships.create(
                    tx, user.id, self.ids[twin], account_type=inside, entitlements=tuple(kind.get("verbs", ()))
                )
                users.edit(tx, user.id, {"active_institution_id": self.ids[twin]})
            return user.id, self.auth.open(tx, user.id, Device()).token

        self.ids[name], self.tokens[name] = await self.here.server.ground.db.write(store)
        return self.ids[name]

    async def sign_in(self, name: str) -> str:
        """Open another session of somebody; return its token."""
        db = self.here.server.ground.db
        return await db.write(lambda tx: self.auth.open(tx, self.ids[name], Device()).token)

    async def membership(self, name: str, twin: str) -> str:
        """Return the id of a membership."""
        found = await self.here.server.ground.db.read(lambda tx: memberships.get(tx, self.ids[name], self.ids[twin]))
        assert found
        return found.id

    async def set_twin(self, twin: str, **values: Any) -> None:
        """Set columns of a twin behind the server's back."""
        mine = update(twins_table).where(twins_table.c.id == self.ids[twin]).values(values)
        await self.here.server.ground.db.write(lambda tx: tx.run(mine))

    def unlimited(self) -> None:
        """Forget what is counted: everybody in a test comes from one address."""
        cast("Any", self.here.server.live.asgi).state.services.limits._counters.clear()


async def organisation(here: World) -> Org:
    """Return an organisation on a server: see `Org` and the names below."""
    org = Org(here, tokens={"super": here.token})

    def store(tx: Tx) -> None:
        row = tx.first(select(users_table.c.id).where(users_table.c.account_type == "super"))
        assert row
        org.ids["super"] = row.id
        for account, managed in (("north", ("oak",)), ("south", ("elm", "fir"))):
            org.ids[account] = institutions.ensure_account(tx, account)
            for name in managed:
                org.ids[name] = new_id()
                twin = Institution(id=org.ids[name], public_id=new_uuid(), name=name, ai_name=name.capitalize())
                institutions.create(tx, twin, account_id=org.ids[account], credits=50)
                org.ids[f"{name} public"] = twin.public_id
        tx.run(insert(account_managers).values(account_id=org.ids["south"], email="manager@example.org"))

    await here.server.ground.db.write(store)
    await org.person("member", "oak")
    await org.person("other", "elm")
    await org.person("nobody")
    await org.person("bare", "oak", account_type="admin")
    await org.person("admin", "oak", account_type="admin", verbs=ALL_VERBS)
    await org.person("stranger", "elm", account_type="admin", verbs=ALL_VERBS)
    await org.person("manager", account_type="admin")
    return org
