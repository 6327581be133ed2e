"""Nothing that was answered is lost: not to a reload, another tab, a dead socket or a dead network."""

import asyncio
import re

import pytest
from playwright.async_api import Route, WebSocketRoute, expect

from tests.fakes.upstream import text_reply
from tests.web.browser.test_chat import FIRST, WHOLE, halting
from tests.web.browser.visitor import WAIT_MS, Visitor
from tests.world import World

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]


async def _begun(visitor: Visitor, question: str = "Begin.") -> asyncio.Event:
    """Ask something whose answer stands still in the middle; return what lets it go on."""
    gate = asyncio.Event()
    visitor.upstream.script(halting(gate))
    await visitor.sign_in()
    await visitor.ask(question)
    await visitor.stands(FIRST.strip(), "streaming")
    return gate


async def test_a_reload_in_mid_answer_ends_with_the_whole_text(visitor: Visitor):
    gate = await _begun(visitor)
    await visitor.page.reload()
    await visitor.stands(FIRST.strip(), "streaming")
    gate.set()
    await visitor.answered(WHOLE)
    await expect(visitor.page.locator("article.turn")).to_have_count(1)
    await visitor.page.reload()
    await visitor.answered(WHOLE)


async def test_a_reload_while_the_answer_ends_shows_it_all(visitor: Visitor):
    gate = await _begun(visitor)
    gate.set()
    await visitor.page.reload()
    await visitor.answered(WHOLE)
    await expect(visitor.page.locator("article.turn")).to_have_count(1)


async def test_a_second_tab_sees_the_same_answer_come(visitor: Visitor):
    gate = await _begun(visitor)
    second = await visitor.context.new_page()
    await second.goto(visitor.page.url)
    await visitor.stands(FIRST.strip(), "streaming", page=second)
    gate.set()
    await visitor.answered(WHOLE, page=second)
    await visitor.answered(WHOLE)
    visitor.upstream.script(text_reply("The second answer."))
    await visitor.ask("And more?", page=second)
    await visitor.answered("The second answer.", page=second)
    await visitor.answered("The second answer.")


async def test_the_tab_that_asked_may_be_closed(visitor: Visitor):
    gate = await _begun(visitor, "Who goes on?")
    second = await visitor.context.new_page()
    await second.goto("/")
    await visitor.page.close()
    gate.set()
    await second.get_by_role("navigation").get_by_role("link", name="Who goes on?").click()
    await visitor.answered(WHOLE, page=second)


async def test_an_answer_that_ends_while_a_tab_opens_is_in_its_list(visitor: Visitor, here: World):
    gate = await _begun(visitor, "What ends meanwhile?")
    read = asyncio.Event()

    async def late(route: Route) -> None:
        await asyncio.wait_for(read.wait(), WAIT_MS / 1000)
        gate.set()
        await here.ended()
        await route.continue_()

    second = await visitor.context.new_page()
    await second.route("**/api/ai/turns", late)
    second.on("response", lambda reply: read.set() if reply.url.endswith("/api/user/courses") else None)
    await second.goto("/")
    await visitor.page.close()
    await second.get_by_role("navigation").get_by_role("link", name="What ends meanwhile?").click()
    await visitor.answered(WHOLE, page=second)


async def test_without_a_socket_answers_come_as_an_event_stream(visitor: Visitor):
    async def refuse(route: Route) -> None:
        await route.abort()

    await visitor.context.route("**/socket.io/**", refuse)
    await visitor.context.route_web_socket(re.compile("/socket.io/"), lambda socket: None)
    gate = asyncio.Event()
    visitor.upstream.script(halting(gate))
    await visitor.page.reload()
    await visitor.sign_in()
    await visitor.ask("Without a socket.")
    await visitor.stands(FIRST.strip(), "streaming")
    gate.set()
    await visitor.answered(WHOLE)


async def test_a_socket_that_dies_in_mid_answer_gives_way_to_a_stream(visitor: Visitor):
    open_sockets: list[WebSocketRoute] = []

    def through(socket: WebSocketRoute) -> None:
        open_sockets.append(socket)
        socket.connect_to_server()

    await visitor.context.route_web_socket(re.compile("/socket.io/"), through)
    await visitor.page.reload()
    gate = await _begun(visitor)
    assert open_sockets
    await open_sockets[-1].close()
    gate.set()
    await visitor.answered(WHOLE)
    await expect(visitor.page.locator("article.turn")).to_have_count(1)


async def test_a_network_that_is_gone_for_a_while_costs_nothing(visitor: Visitor, here: World):
    gate = await _begun(visitor)
    await visitor.context.set_offline(True)
    gate.set()
    await here.ended()
    await visitor.context.set_offline(False)
    await visitor.page.evaluate("dispatchEvent(new Event('online'))")
    await visitor.answered(WHOLE)


async def test_a_question_that_cannot_be_sent_is_kept_and_sent_later(visitor: Visitor):
    await visitor.sign_in()
    visitor.upstream.script(text_reply("It came through."))
    await visitor.context.set_offline(True)
    await visitor.ask("Are you there?")
    await expect(visitor.turn()).to_have_attribute("data-status", "reconnecting")
    await visitor.context.set_offline(False)
    await visitor.page.evaluate("dispatchEvent(new Event('online'))")
    await visitor.answered("It came through.")
    await expect(visitor.page.locator("article.turn")).to_have_count(1)
