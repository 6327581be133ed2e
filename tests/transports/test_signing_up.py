"""Signing up, resetting a password and one's own account, through a real server and real mails."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest
import pytest_asyncio
from aiosmtpd.handlers import Message
from aiosmtpd.smtp import SMTP
from sqlalchemy import inspect, text

from tests.faces import Face, ask
from tests.fakes.upstream import STALL, Reply, text_reply, text_steps
from tests.faults.stage import eventually, reached
from tests.live import live_server
from tests.mailbox import code_in, mails, next_mail
from tests.transports.socketio.clients import joined
from tests.world import World, charges, looking_into, mistakes, world
from twinspeak.persistence import fulltext
from twinspeak.services.codes import MAX_TRIES

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

PASSWORD = "a quiet green lamp"
OTHER = "another quiet lamp"
MOMENT_S = 1


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[World]:
    async with world(tmp_path_factory.mktemp("people")) as made:
        yield made


@pytest.fixture(autouse=True)
def unlimited(here: World) -> None:
    """Limits have tests of their own; everybody here comes from one address."""
    cast("Any", here.server.live.asgi).state.services.limits._counters.clear()


async def call(here: World, method: str, path: str, body: Any = None, token: str | None = None) -> tuple[int, Any]:
    headers = here.server.auth(token) if token else {}
    async with here.server.http.request(method, path, json=body, headers=headers) as response:
        return response.status, await response.json()


async def person(here: World, email: str) -> str:
    """Sign somebody up; return the token."""
    status, _ = await call(here, "POST", "/api/auth/signup", {"email": email, "password": PASSWORD, "fname": "Ida"})
    assert status == 200
    code = code_in(await next_mail(here.server.settings.data_dir, email))
    status, body = await call(here, "POST", "/api/auth/signup/confirm", {"email": email, "code": f" {code.lower()} "})
    assert status == 200, body
    return body["token"]


async def test_an_address_is_shown_before_there_is_an_account(here: World) -> None:
    token = await person(here, "ida@example.org")
    _, body = await call(here, "POST", "/api/user/refresh/profile", token=token)
    profile = body["profile"]
    assert (profile["email"], profile["fname"], profile["credits"]) == ("ida@example.org", "Ida", 50)
    assert (profile["accountType"], profile["institution"]) == ("user", None)
    assert await here.server.sign_in("ida@example.org", PASSWORD)


async def test_before_the_code_comes_back_nobody_can_sign_in(here: World) -> None:
    await call(here, "POST", "/api/auth/signup", {"email": "una@example.org", "password": PASSWORD})
    status, body = await call(here, "POST", "/api/auth/signin", {"email": "una@example.org", "password": PASSWORD})
    assert (status, body["error"]["code"]) == (401, "invalid_credentials")


@pytest.mark.parametrize("path", ["/api/auth/signup", "/api/auth/resetCode"])
async def test_nothing_tells_whether_an_address_is_known(here: World, path: str) -> None:
    known = await call(here, "POST", path, {"email": "admin@example.org", "password": PASSWORD})
    assert known == await call(here, "POST", path, {"email": "nobody@example.org", "password": PASSWORD})
    assert known[0] == 200


async def test_who_signs_up_twice_is_told_by_mail_alone(here: World) -> None:
    await person(here, "twice@example.org")
    await call(here, "POST", "/api/auth/signup", {"email": "Twice@example.org", "password": OTHER})
    second = await next_mail(here.server.settings.data_dir, "twice@example.org", after=1)
    assert "already" in second["Subject"]
    assert await here.server.sign_in("twice@example.org", PASSWORD)


async def test_a_code_is_good_once_and_not_for_ever_guessed_at(here: World) -> None:
    await call(here, "POST", "/api/auth/signup", {"email": "oda@example.org", "password": PASSWORD})
    code = code_in(await next_mail(here.server.settings.data_dir, "oda@example.org"))
    for _ in range(MAX_TRIES):
        await refused(here, "oda@example.org", "AAAAAAAA")
    await refused(here, "oda@example.org", code)
    await person(here, "once@example.org")
    used = code_in(await next_mail(here.server.settings.data_dir, "once@example.org"))
    await refused(here, "once@example.org", used)
    await refused(here, "never@example.org", used)


async def refused(here: World, email: str, code: str) -> None:
    status, body = await call(here, "POST", "/api/auth/signup/confirm", {"email": email, "code": code})
    assert (status, body["error"]["code"]) == (400, "invalid_code")


async def test_of_two_who_show_one_code_at_once_one_gets_in(here: World) -> None:
    await call(here, "POST", "/api/auth/signup", {"email": "race@example.org", "password": PASSWORD})
    code = code_in(await next_mail(here.server.settings.data_dir, "race@example.org"))
    body = {"email": "race@example.org", "code": code}
    answers = await asyncio.gather(*(call(here, "POST", "/api/auth/signup/confirm", body) for _ in range(4)))
    assert sorted(status for status, _ in answers) == [200, 400, 400, 400]


async def test_a_new_password_by_mail_ends_every_session(here: World) -> None:
    token = await person(here, "lost@example.org")
    await call(here, "POST", "/api/auth/resetCode", {"email": "lost@example.org"})
    code = code_in(await next_mail(here.server.settings.data_dir, "lost@example.org", after=1))
    body = {"email": "lost@example.org", "resetCode": code, "password": "short"}
    status, answer = await call(here, "POST", "/api/auth/changePassword", body)
    assert (status, answer["error"]["param"]) == (422, "password")
    status, answer = await call(here, "POST", "/api/auth/changePassword", {**body, "password": OTHER})
    assert (status, answer["message"]) == (200, "Password changed successfully")
    assert (await call(here, "GET", "/api/user/sessions", token=token))[0] == 401
    assert await here.server.sign_in("lost@example.org", OTHER)
    told = await next_mail(here.server.settings.data_dir, "lost@example.org", after=2)
    assert "changed" in told["Subject"]
    status, _ = await call(here, "POST", "/api/auth/changePassword", {**body, "password": PASSWORD})
    assert status == 400


async def test_another_address_is_taken_once_it_is_shown(here: World) -> None:
    token = await person(here, "old@example.org")
    for new in ("admin@example.org", "new@example.org"):
        status, body = await call(here, "PUT", "/api/user/me", {"email": new, "lname": "X"}, token)
        assert (status, body["message"][-9:]) == (200, " address.")
    assert mails(here.server.settings.data_dir, "admin@example.org")[-1]["Subject"].startswith("You have an account")
    code = code_in(await next_mail(here.server.settings.data_dir, "new@example.org"))
    assert (await call(here, "POST", "/api/user/me/email", {"code": "AAAAAAAA"}, token))[0] == 400
    assert await here.server.sign_in("old@example.org", PASSWORD)
    assert (await call(here, "POST", "/api/user/me/email", {"code": code}, token))[0] == 200
    assert await here.server.sign_in("new@example.org", PASSWORD)
    assert "changed" in (await next_mail(here.server.settings.data_dir, "old@example.org", after=1))["Subject"]


async def test_a_session_that_is_ended_takes_stream_and_socket_along(here: World) -> None:
    token = await person(here, "many@example.org")
    other = await here.server.sign_in("many@example.org", PASSWORD)
    here.upstream.script(Reply([*text_steps("The library opens"), STALL]))
    async with asyncio.TaskGroup() as group, joined(here.server, other) as tab:
        asking = group.create_task(ask(here.server, other, Face.SSE))
        await reached(here, "The library opens")
        _, listed = await call(here, "GET", "/api/user/sessions", token=token)
        assert [one["current"] for one in listed["data"]].count(True) == 1
        victim = next(one["_id"] for one in listed["data"] if not one["current"])
        async with asyncio.timeout(MOMENT_S):
            assert (await call(here, "DELETE", f"/api/user/sessions/{victim}", token=token))[0] == 200
            await asyncio.wait({asking})
            await tab.gone.wait()
    assert (await call(here, "DELETE", f"/api/user/sessions/{victim}", token=token))[0] == 404
    assert (await call(here, "GET", "/api/ai/turns", token=other))[0] == 401
    assert (await call(here, "GET", "/api/ai/turns", token=token))[0] == 200


async def test_all_other_sessions_end_together(here: World) -> None:
    token = await person(here, "three@example.org")
    others = [await here.server.sign_in("three@example.org", PASSWORD) for _ in range(2)]
    assert await call(here, "DELETE", "/api/user/sessions", token=token) == (200, {"success": True, "ended": 2})
    for other in others:
        assert (await call(here, "GET", "/api/user/sessions", token=other))[0] == 401


async def test_a_deleted_account_is_gone_at_once_and_its_address_free(here: World) -> None:
    token = await person(here, "gone@example.org")
    assert (await call(here, "DELETE", "/api/user/me", {"password": "wrong password"}, token))[0] == 401
    assert (await call(here, "DELETE", "/api/user/me", {"password": PASSWORD}, token))[0] == 200
    assert (await call(here, "GET", "/api/user/sessions", token=token))[0] == 401
    status, _ = await call(here, "POST", "/api/auth/signin", {"email": "gone@example.org", "password": PASSWORD})
    assert status == 401
    await call(here, "POST", "/api/auth/signup", {"email": "gone@example.org", "password": OTHER})
    assert "Confirm" in (await next_mail(here.server.settings.data_dir, "gone@example.org", after=1))["Subject"]


async def test_what_deleted_people_wrote_is_erased_and_the_books_stay(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with world(tmp_path_factory.mktemp("erased"), turn_lease_s=5) as own:
        token = await person(own, "eve@example.net")
        own.upstream.script(text_reply("The heirloom is in the attic."))
        answer = await ask(own.server, token, Face.REST, "Where is the heirloom?", model="gpt-4o")
        assert answer.status == 200
        await call(own, "POST", "/api/user/feedback", {"text": "heirloom!", "historyId": answer.turn_id}, token)
        assert words_kept(own, "heirloom") > 0
        charged = charges(own.database, answer.turn_id)
        assert (await call(own, "DELETE", "/api/user/me", {"password": PASSWORD}, token))[0] == 200
        await eventually(lambda: words_kept(own, "heirloom") == 0)
        assert charges(own.database, answer.turn_id) == charged
        assert mistakes(own.database) == []


def words_kept(here: World, word: str) -> int:
    """Return in how many rows of any table a word is, and in how many places of the index."""
    found = 0
    with looking_into(here.database) as connection:
        for table in sorted(inspect(connection).get_table_names()):
            if table.startswith("turn_search"):
                continue
            rows = connection.execute(text(f'SELECT * FROM "{table}"')).all()  # noqa: S608 -- names of our tables
            found += sum(word in str(row) for row in rows)
        if connection.dialect.name == "sqlite":
            matching = text("SELECT count(*) FROM turn_search WHERE turn_search MATCH :words")
            for words in connection.execute(text("SELECT id FROM users")).scalars():
                key = fulltext.in_column(words, word).strip("'")
                found += connection.execute(matching, {"words": f'"{key}"'}).scalar() or 0
    return found


async def test_the_last_super_administrator_stays(here: World) -> None:
    status, body = await call(here, "DELETE", "/api/user/me", {"password": "correct horse battery"}, here.token)
    assert (status, body["error"]["code"]) == (409, "conflict")


async def test_nobodys_mailbox_is_filled(here: World) -> None:
    seen = [(await call(here, "POST", "/api/auth/resetCode", {"email": "full@example.org"}))[0] for _ in range(7)]
    assert seen == [200] * 5 + [429] * 2


class Sink(Message):
    """Keeps what an SMTP client hands over."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []

    def handle_message(self, message: Any) -> None:
        self.kept.append(message)


async def test_mail_goes_to_the_operators_server(tmp_path_factory: pytest.TempPathFactory) -> None:
    sink = Sink()
    loop = asyncio.get_running_loop()
    async with await loop.create_server(lambda: SMTP(sink, hostname="localhost"), "127.0.0.1", 0) as receiver:
        port = receiver.sockets[0].getsockname()[1]
        settings = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_security": "none", "mail_from": "t@example.org"}
        async with live_server(tmp_path_factory.mktemp("smtp"), **settings) as server:
            body = {"email": "Ed@example.org", "password": PASSWORD}
            async with server.http.post("/api/auth/signup", json=body) as response:
                assert response.status == 200
            await eventually(lambda: bool(sink.kept))
        mail = sink.kept[0]
        assert (mail["From"], mail["To"], mail["X-RcptTo"]) == ("t@example.org", "ed@example.org", "ed@example.org")


async def test_signing_up_can_be_closed(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with live_server(tmp_path_factory.mktemp("closed"), sign_up="closed") as server:
        body = {"email": "ed@example.org", "password": PASSWORD}
        async with server.http.post("/api/auth/signup", json=body) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (403, "sign_up_closed")
