"""Every mounted route and socket event, asked by people of every rank: `access_table` says what each of them gets."""

import json
import re
from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest
import pytest_asyncio
from fastapi.routing import iter_route_contexts
from sqlalchemy import update
from yarl import URL

from tests.laws.access_table import EVENTS, TABLE
from tests.organisation import Org, organisation
from tests.transports.socketio.clients import face, hub, joined
from tests.world import world
from twinspeak.domain.access import ALL_VERBS
from twinspeak.domain.clock import now_ms
from twinspeak.domain.ids import new_id, new_uuid
from twinspeak.domain.institution import Institution
from twinspeak.domain.sso import Provider, ProviderSettings
from twinspeak.identity.tokens import Tokens
from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos import institutions, memberships, sessions, sso, users
from twinspeak.persistence.tables import users as users_table

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

PEOPLE = ("user", "stranger", "bare", "manager", "admin", "super")
REFUSED = {
    "": (401, "authentication_required"),
    "nonsense": (401, "invalid_token"),
    "expired": (401, "token_expired"),
    "revoked": (401, "invalid_token"),
    "suspended": (403, "account_suspended"),
}
LINES = {f"{method} {path}": said for method, path, *said in (line.split() for line in TABLE.strip().splitlines()[1:])}
QUESTION = {"inputs": ["What is a digital twin?"]}
BODIES: dict[str, Any] = {
    "POST /api/ai/personal/qanda": QUESTION,
    "POST /api/ai/personal-stream/qanda-stream": QUESTION,
    "POST /api/ai/chat/completions": {"messages": [{"role": "user", "content": "Hi"}]},
    "POST /api/ai/estimate": QUESTION,
    "PUT /api/user/me": {"fname": "Ada"},
    "DELETE /api/user/me": {"password": "wrong horse battery"},
    "POST /api/user/me/email": {"code": "AAAAAAAA"},
    "DELETE /api/user/data": {"memory": True},
    "POST /api/user/me/totp": {"password": "wrong horse battery"},
    "POST /api/user/me/totp/confirm": {"code": "123456"},
    "DELETE /api/user/me/totp": {"password": "wrong horse battery"},
    "POST /api/user/me/recovery-codes": {"password": "wrong horse battery"},
    "POST /api/user/api-key": {"name": "One"},
    "PUT /api/user/institutionJoin": {"institution": "{fresh}", "referrer": "{fresh}"},
    "POST /api/user/approveUid": {"ref": "{user}", "uI": "{membership}"},
    "POST /api/user/institutionSendInvite": {"institutionId": "{twin}", "email": "{mail}"},
    "POST /api/user/institutionCreateJoinId": {"institutionId": "{twin}"},
    "PUT /api/user/userInstitution/{membership}": {"favorite": True},
    "PUT /api/user/institution": {"about": "X"},
    "POST /api/user/renameHistory": {"id": "{turn}", "course_name": "X"},
    "POST /api/user/clearHistory": {"id": "{turn}"},
    "PUT /api/user/history/{turn}": {"favorite": True},
    "POST /api/user/feedback": {"text": "X", "historyId": "{turn}"},
    "POST /api/user/exportHistory": {"course_id": 7},
    "POST /api/user/share": {"course_id": 7},
    "POST /api/user/memory": {"name": "{mail}", "value": "X"},
    "PUT /api/user/memory/{turn}": {"value": "X"},
    "POST /api/user/assistant": {"name": "{mail}"},
    "PUT /api/user/assistant/{turn}": {"description": "X"},
    "POST /api/admin/aimodel": {"institution": "{twin}", "name": "M", "client_library": "mistral_cli", "api_key": "k"},
    "PUT /api/admin/aimodel/{turn}": {"description": "X"},
    "POST /api/admin/tool": {"name": "calculate"},
    "PUT /api/admin/tool/{turn}": {"status": "active"},
    "POST /api/admin/mcpserver": {"institution": "{twin}", "name": "Mine", "server_url": "https://mcp.example.org/"},
    "PUT /api/admin/mcpserver/{turn}": {"description": "X"},
    "POST /api/mcp": {"jsonrpc": "2.0", "id": 1, "method": "ping"},
    "POST /api/admin/user": {"email": "new-{mail}", "institution": "{twin}"},
    "PUT /api/admin/user/{user}": {"fname": "X"},
    "PUT /api/admin/users/bulk-status": {"ids": ["{user}"], "status": "active"},
    "POST /api/admin/user/{user}/actAs": {"reason": "Ticket 17"},
    "PUT /api/admin/userInstitution/{membership}": {"status": "active"},
    "POST /api/admin/userInstitutions/eligible": {"institution": "{twin}"},
    "POST /api/admin/userInstitutions/enroll": {"institution": "{twin}", "users": ["{user}"], "accountType": "user"},
    "POST /api/admin/userInstitutions/bulk-delete": {"ids": ["{fresh}"]},
    "POST /api/admin/institution": {"name": "New", "account": "{account}"},
    "POST /api/auth/createInstitutionForContextid": {"name": "New", "account": "{account}"},
    "PUT /api/admin/institution/{twin}": {"about": "X"},
    "POST /api/admin/institution/{twin}/clone": {"name": "Copy"},
    "PATCH /api/admin/institution/{twin}/account": {"account": "{account}"},
    "POST /api/admin/account": {"name": "{mail}", "managerEmail": "{mail}"},
    "POST /api/admin/ssoProvider": {
        "institution": "{twin}",
        "slug": "s{fresh}",
        "clientId": "x",
        "issuer": "https://login.example.org",
    },
    "PUT /api/admin/ssoProvider/{provider}": {"label": "X"},
    "POST /api/auth/sso_callback": {"code": "x", "state": "x"},
    "PUT /api/admin/account/{account}": {"qualification": ""},
    "POST /api/admin/history/{turn}/refund": {"note": "X"},
    "POST /api/admin/usage": {"by": "user"},
    "POST /api/admin/histories/charts/timeline": {"granularity": "day", "range": -7, "dimension": "credits"},
    "POST /api/admin/histories/charts/totals": {"range": -7, "dimension": "count"},
    "POST /api/admin/histories/charts/users": {"granularity": "day", "range": -7},
    "POST /api/admin/histories/charts/user-stats": {"granularity": "day"},
    "POST /api/admin/histories/charts/user-stats/export": {"granularity": "day"},
    "POST /api/admin/institution/{twin}/credits": {"credits": 1, "note": "X", "skipParentDebit": True},
    "POST /api/admin/account/{account}/credits": {"credits": 1, "note": "X"},
    "PUT /api/admin/accountInstitution/{account}": {"institutionId": "{twin}", "credits": -1},
    "PUT /api/user/upload/{turn}": {"file_title": "X"},
    "POST /api/user/embeddings": {"upload": "{turn}"},
    "PUT /api/user/embedding/{turn}": {"chunkText": "X"},
    "POST /api/user/files/search-content": {"query": "X"},
    "POST /api/user/searchRag": {"search": "X"},
    "POST /api/user/collection": {"name": "X"},
    "PUT /api/user/collection/{turn}": {"name": "X"},
    "POST /api/user/bulk/action": {"ids": ["{turn}"], "type": "upload", "action": "include"},
    "POST /api/user/url": {"url": "http://127.0.0.1/"},
}


OWN_CREDENTIALS = ("POST /api/auth/api-key-signin", "POST /api/auth/sso_callback", "POST /api/auth/autosignup")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def org(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[Org]:
    async with world(tmp_path_factory.mktemp("access")) as here:
        made = await organisation(here)
        made.tokens[""] = ""
        made.tokens["nonsense"] = "eyJhbGciOiJub25lIn0.e30."
        await bad_tokens(made)
        yield made


async def bad_tokens(org: Org) -> None:
    """Make tokens of a member that have run out or whose session has ended, and one of somebody suspended."""
    user_id = org.ids["member"]
    ended = await org.sign_in("member")
    session_id = Tokens(org.here.server.ground.jwt_secret, 60).read(ended).session_id
    await org.here.server.ground.db.write(lambda tx: sessions.revoke(tx, session_id, now_ms()))
    late = Tokens(org.here.server.ground.jwt_secret, -3_600)
    org.tokens["expired"], _ = late.issue(user_id=user_id, email="m@example.org", kind="user", session_id=session_id)
    org.tokens["revoked"] = ended
    await org.person("suspended", "oak")
    out = update(users_table).where(users_table.c.id == org.ids["suspended"]).values(status="suspended")
    await org.here.server.ground.db.write(lambda tx: tx.run(out))


async def target(org: Org) -> dict[str, str]:
    """Make a twin with administrators `bare` and `admin`, a member in it, and what else a request may name."""

    def store(tx: Tx) -> dict[str, str]:
        name = new_id()
        twin = Institution(id=new_id(), public_id=new_uuid(), name=name, ai_name=name)
        institutions.create(tx, twin, account_id=org.ids["north"], credits=50)
        other = Institution(id=new_id(), public_id=new_uuid(), name=f"{name} 2", ai_name=name)
        institutions.create(tx, other, account_id=org.ids["north"])
        for who, verbs in (("bare", ()), ("admin", ALL_VERBS)):
            for one in (twin, other):
                memberships.create(tx, org.ids[who], one.id, account_type="admin", entitlements=verbs)
        user = users.create(tx, users.NewUser(email=f"{name}@example.org", email_verified=True))
        member = memberships.create(tx, user.id, twin.id)
        session = sessions.create(tx, sessions.NewSession(user_id=user.id, expires=now_ms() + 60_000))
        provider = Provider(
            id=new_id(),
            institution_id=other.id,
            slug=name,
            settings=ProviderSettings(client_id="x", issuer="https://127.0.0.1"),
            enabled=True,
            created=0,
            updated=0,
        )
        sso.add(tx, provider, org.here.server.ground.secrets.encrypt("", context=f"sso_provider:{provider.id}"))
        return {
            "provider": provider.id,
            "slug": "no-such",
            "twin": twin.id,
            "user": user.id,
            "membership": member.id,
            "session": session,
            "account": org.ids["north"],
            "turn": new_id(),
            "fresh": new_id(),
            "mail": f"a{name}@example.org",
        }

    return await org.here.server.ground.db.write(store)


async def asked(org: Org, line: str, values: dict[str, str], token: str) -> tuple[int, str]:
    method, _, path = line.partition(" ")

    def filled(text: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda found: values[found[1]], text)

    body = filled(json.dumps(BODIES.get(line, {}))) if method != "GET" else None
    headers = {**(org.here.server.auth(token) if token else {}), "content-type": "application/json"}
    async with org.here.server.http.request(method, filled(path), data=body, headers=headers) as response:
        return response.status, await response.text()


async def test_the_table_is_whole(org: Org) -> None:
    mounted = {
        f"{method} {re.sub(r'{.*?}', '{}', context.path or '')}"
        for context in iter_route_contexts(cast("Any", org.here.server.live.asgi).routes)
        if getattr(context, "dependant", None) is not None
        for method in set(context.methods or ()) - {"HEAD"}
    }
    written = {re.sub(r"\{.*?\}", "{}", line) for line in LINES}
    assert sorted(mounted - written) == [], "say in tests/laws/access_table.py who gets what there"
    assert sorted(written - mounted) == []
    assert set(face(org.here.server)._events.handlers) == set(EVENTS)


@pytest.mark.parametrize("line", [line for line, said in LINES.items() if len(said) == len(PEOPLE)])
async def test_each_gets_what_the_table_says(org: Org, line: str) -> None:
    org.unlimited()
    values = await target(org)
    for who, (status, code) in REFUSED.items():
        got, text = await asked(org, line, values, org.tokens[who])
        assert (got, f'"{code}"' in text) == (status, True), (who, text[:300])
    for who, expected in zip(PEOPLE, LINES[line], strict=True):
        org.unlimited()
        token = await as_person(org, who)
        got, text = await asked(org, line, values, token)
        assert got == int(expected), (who, text[:300])


async def as_person(org: Org, who: str) -> str:
    """Return a token of a session of its own: what one line does to it is nothing to the next."""
    return await org.sign_in("member" if who == "user" else who)


@pytest.mark.parametrize("line", [line for line, said in LINES.items() if said in (["public"], ["operator"])])
async def test_what_is_public_looks_at_no_token(org: Org, line: str) -> None:
    org.unlimited()
    seen = {
        (await asked(org, line, {"slug": "no-such"}, org.tokens[who]))[0]
        for who in ("", "nonsense", "revoked", "admin")
    }
    assert len(seen) == 1
    if line not in OWN_CREDENTIALS:
        assert not seen & {401, 403}


@pytest.mark.parametrize("who", ["nonsense", "expired", "revoked", "suspended"])
async def test_a_bad_token_binds_no_socket(org: Org, who: str) -> None:
    async with joined(org.here.server) as tab:
        for event in ("register", "register_user", "REGISTER"):
            await tab.call(event, {"token": org.tokens[who]})
        socket = hub(org.here.server)._sockets[tab.sid]
        assert socket.caller is None


async def test_rights_are_the_databases_not_the_tokens(org: Org) -> None:
    """A token that says more than its session, signed well, gives nothing more."""
    tokens = Tokens(org.here.server.ground.jwt_secret, 60)
    session_id = tokens.read(await org.sign_in("member")).session_id
    claims = {"user_id": org.ids["member"], "email": "admin@example.org", "session_id": session_id}
    raised, _ = tokens.issue(kind="super", **claims)
    assert await org.code("POST", "/api/admin/users", {}, raised) == "admin_required"
    other, _ = tokens.issue(kind="super", **{**claims, "user_id": org.ids["super"]})
    assert await org.code("POST", "/api/admin/users", {}, other) == "invalid_token"


@pytest.mark.parametrize(
    "path",
    ["/api/admin/users/", "//api/admin/users", "/api/./admin/users", "/api/user/../admin/users", "/API/admin/users"],
)
async def test_no_spelling_of_a_path_goes_round_the_gate(org: Org, path: str) -> None:
    server = org.here.server
    url = f"{server.url}{path}"
    headers = {**server.auth(org.tokens["member"]), "host": "localhost", "x-forwarded-host": "evil.example"}
    async with server.http.post(URL(url, encoded=True), json={}, headers=headers) as response:
        assert response.status in (403, 404)
        assert "evil.example" not in await response.text()
