"""Files on the page: from a drop to a cited answer, what is done with them afterwards, and what goes wrong."""

import asyncio
import base64
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, FilePayload, Locator, Page, Route, expect

from tests.fakes.upstream import text_reply
from tests.web.browser.test_everybody import faults, reach
from tests.web.browser.test_strangers_text import ATTACKS
from tests.web.browser.visitor import Visitor
from tests.world import World
from twinspeak.app.embedding import open_embedders
from twinspeak.app.ingesting import worker_of
from twinspeak.knowledge.worker import Worker

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

LION = "# The zoo\n\n## Lions\n\nLions are fed at noon by the keeper called Ada.\n"
LONGEST = "long-" * 49 + "name.txt"
"""255 characters, as long as file systems have them."""
BACKWARDS = "\u202egnp.exe.txt"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reader(here: World) -> AsyncGenerator[Worker]:
    """Read what is brought as soon as a test says so."""
    settings, ground = here.server.settings, here.server.ground
    async with open_embedders(settings, ground.db, ground.secrets) as embedders:
        yield worker_of(settings, ground.db, embedders)


async def read(page: Page, reader: Worker, *names: str) -> None:
    """Have all files read, once those of these names are at the server."""
    for name in names:
        await expect(tray(page, name)).to_contain_text("Queued")
    while await reader.once():
        pass


async def drop(page: Page, files: dict[str, bytes]) -> None:
    """Drop files onto the conversation, as a file manager does."""
    given = json.dumps({name: base64.b64encode(data).decode() for name, data in files.items()})
    moved = await page.evaluate_handle(
        f"""() => {{
            const moved = new DataTransfer();
            for (const [name, data] of Object.entries({given})) {{
                const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
                moved.items.add(new File([bytes], name));
            }}
            return moved;
        }}"""
    )
    await page.locator(".chat").dispatch_event("dragover", {"dataTransfer": moved})
    await expect(page.get_by_text("Drop files to add them")).to_be_visible()
    await page.locator(".chat").dispatch_event("drop", {"dataTransfer": moved})
    await expect(page.get_by_text("Drop files to add them")).to_have_count(0)


async def paste(page: Page, name: str, data: str, text: str = "") -> bool:
    """Paste a file, and a text beside it if there is any; return whether the page took it."""
    return await page.evaluate(
        """([name, data, text]) => {
            const clipboardData = new DataTransfer();
            clipboardData.items.add(new File([data], name));
            if (text) clipboardData.setData('text/plain', text);
            const event = new ClipboardEvent('paste', {clipboardData, bubbles: true, cancelable: true});
            return !document.activeElement.dispatchEvent(event);
        }""",
        [name, data, text],
    )


def tray(page: Page, name: str) -> Locator:
    return page.get_by_role("list", name="Files being added").get_by_role("listitem").filter(has_text=name)


async def panel(page: Page) -> Locator:
    await page.get_by_role("button", name="Files", exact=True).click()
    opened = page.get_by_role("dialog", name="Files")
    await expect(opened.get_by_text("are searched for answers")).to_be_visible()
    return opened


async def test_from_a_drop_to_a_cited_answer(visitor: Visitor, reader: Worker) -> None:
    page = visitor.page
    await visitor.sign_in()
    await drop(page, {"zoo.md": LION.encode()})
    row = tray(page, "zoo.md")
    await expect(row).to_contain_text("Queued")
    assert await faults(page) == []
    await visitor.shot("file-queued")
    await read(page, reader, "zoo.md")
    await expect(row).to_contain_text("Ready")
    await row.get_by_role("button", name="Ask about it").click()
    await expect(page.get_by_text("Asking about")).to_be_visible()
    visitor.upstream.script(text_reply("By Ada, at noon [1]."))
    await visitor.ask("Who feeds the lions?")
    await visitor.answered("By Ada, at noon")
    await expect(page.get_by_text("Asking about")).to_be_visible()
    source = visitor.answer().get_by_role("button", name="Source 1: zoo.md")
    await source.click()
    passage = page.get_by_role("dialog", name="Source 1: zoo.md")
    await expect(passage.locator("blockquote")).to_contain_text("fed at noon by the keeper called Ada")
    await visitor.shot("file-cited")
    await page.keyboard.press("Escape")
    await expect(visitor.turn().locator(".sources li")).to_have_count(1)
    await page.get_by_role("button", name="Ask about everything again").click()
    await expect(page.get_by_text("Asking about")).to_have_count(0)


async def test_a_file_is_pasted_and_text_stays_text(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.sign_in()
    assert await paste(page, "pasted.md", "# Pasted")
    await expect(tray(page, "pasted.md")).to_contain_text("Queued")
    assert not await paste(page, "picture.png", "of the text", "the text")
    await expect(tray(page, "picture.png")).to_have_count(0)


async def test_a_dropped_folder_is_refused_and_what_lies_beside_it_is_taken(visitor: Visitor, tmp_path: Path) -> None:
    page, folder, file = visitor.page, tmp_path / "papers", tmp_path / "beside.txt"
    folder.mkdir()
    (folder / "inside.txt").write_text("Inside.", encoding="utf-8")
    file.write_text("Beside the folder.", encoding="utf-8")
    await visitor.sign_in()
    # As the browser gets it of a file manager: only there folders are told from files.
    mouse = await visitor.context.new_cdp_session(page)
    held = {"items": [], "files": [str(folder), str(file)], "dragOperationsMask": 1}
    for step in ("dragEnter", "dragOver", "drop"):
        await mouse.send("Input.dispatchDragEvent", {"type": step, "x": 400, "y": 300, "data": held})
    await expect(tray(page, "papers").get_by_role("alert")).to_contain_text("Folders cannot be added")
    await expect(tray(page, "beside.txt")).to_contain_text("Queued")
    await expect(tray(page, "inside.txt")).to_have_count(0)
    await visitor.shot("folder-refused")


async def test_files_are_chosen_found_and_shown(visitor: Visitor, reader: Worker) -> None:
    page = visitor.page
    await visitor.sign_in()
    opened = await panel(page)
    await visitor.shot("files")
    async with page.expect_file_chooser() as chooser:
        await opened.get_by_role("button", name="Choose files").click()
    owl: FilePayload = {
        "name": "owl.md",
        "mimeType": "text/markdown",
        "buffer": b"# Owls\n\nOwls are fed at midnight.\n",
    }
    broken: FilePayload = {"name": "broken.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7\n%%EOF\n"}
    await (await chooser.value).set_files([owl, broken])
    await read(page, reader, "owl.md", "broken.pdf")
    await expect(tray(page, "broken.pdf").locator(".failed")).not_to_be_empty()
    await expect(tray(page, "owl.md")).to_contain_text("Ready")

    opened = await panel(page)
    await opened.get_by_role("searchbox").fill("owl")
    await expect(opened.get_by_role("listitem")).to_have_count(1)
    await opened.get_by_role("button", name="Show “owl.md”").click()
    await expect(opened.get_by_text("Owls are fed at midnight.")).to_be_visible()
    assert await faults(page) == []
    await visitor.shot("file-preview")


async def test_a_file_is_excluded_and_deleted_with_regret(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.sign_in()
    opened = await panel(page)
    switch = opened.get_by_role("switch", name="Search “owl.md” for answers")
    await switch.click()
    await expect(switch).not_to_be_checked()
    await expect(opened.get_by_role("button", name="Ask about “owl.md”")).to_have_count(0)
    await page.reload()
    opened = await panel(page)
    await expect(opened.get_by_role("switch", name="Search “owl.md” for answers")).not_to_be_checked()
    assert await faults(page) == []
    await visitor.shot("files-excluded")
    await opened.get_by_role("button", name="Delete “owl.md”").click()
    await expect(opened.get_by_role("listitem").filter(has_text="owl.md")).to_have_count(0)
    await visitor.shot("file-deleted")
    await opened.get_by_role("button", name="Undo").click()
    await expect(opened.get_by_role("listitem").filter(has_text="owl.md")).to_have_count(1)
    await opened.get_by_role("button", name="Delete “owl.md”").click()
    await opened.get_by_role("button", name="Delete “broken.pdf”").click()
    await page.reload()
    opened = await panel(page)
    await expect(opened.get_by_role("listitem").filter(has_text="owl.md")).to_have_count(0)
    await expect(opened.get_by_role("listitem").filter(has_text="broken.pdf")).to_have_count(0)


async def test_strangers_names_and_documents_stay_text(visitor: Visitor, here: World, reader: Worker) -> None:
    page, asked = visitor.page, list[str]()
    page.on("request", lambda request: asked.append(request.url))
    attack = ATTACKS[1].replace("/", "-")
    names = [f"{attack}.md", BACKWARDS, LONGEST]
    text = "# Of strangers\n\n" + "\n\n".join(ATTACKS)
    await visitor.sign_in()
    await drop(page, {name: f"{text}\n\n{at}".encode() for at, name in enumerate(names)})
    await read(page, reader, attack, "gnp.exe", LONGEST)
    await expect(tray(page, attack)).to_contain_text("Ready")
    await visitor.shot("strangers-files")
    await tray(page, attack).get_by_role("button", name="Ask about it").click()
    visitor.upstream.script(text_reply("See there [1]."))
    await visitor.ask("What do strangers write?")
    await visitor.answered("See there")
    await visitor.answer().get_by_role("button", name=re.compile("^Source 1: ")).click()
    await expect(page.locator(".passage blockquote")).to_contain_text("window.owned = 1")
    await page.keyboard.press("Escape")
    opened = await panel(page)
    for name in names:
        row = opened.get_by_role("listitem").filter(has_text=name.strip("\u202e"))
        await expect(row).to_have_count(1)
        # What turns letters round does so within the name.
        assert await row.locator("bdi").evaluate("name => getComputedStyle(name).unicodeBidi") == "isolate"
        assert await row.evaluate("row => row.scrollWidth <= row.clientWidth")
    await opened.get_by_role("button", name=f"Show “{attack}.md”").click()
    await expect(opened.get_by_text("window.owned = 1").first).to_be_visible()
    await visitor.shot("strangers-preview")
    await expect(opened.locator("script, iframe, img, svg[onload], form")).to_have_count(0)
    assert await page.evaluate("window.owned") is None
    # Opened apart, it is text or it is saved, and runs nowhere.
    href = await opened.get_by_role("link", name="Open the file").get_attribute("href")
    answer = await page.request.get(href or "")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert [url for url in asked if "evil.example" in url] == []


async def test_what_goes_wrong_says_so_and_can_be_tried_again(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.sign_in()
    await drop(page, {"nothing.txt": b""})
    await expect(tray(page, "nothing.txt").get_by_role("alert")).to_contain_text("This is empty")
    await page.get_by_role("button", name="Stop adding “nothing.txt”").click()
    await expect(tray(page, "nothing.txt")).to_have_count(0)

    opened = await panel(page)
    await opened.get_by_label("Or from a web address").fill("http://127.0.0.1:9/secret")
    await opened.get_by_role("button", name="Add", exact=True).click()
    refused = tray(page, "127.0.0.1").get_by_role("alert")
    await expect(refused).to_contain_text("not on the public internet")
    await visitor.shot("file-refused")
    await page.get_by_role("button", name=re.compile("^Stop adding")).click()

    # The line breaks in the middle, and is there again.
    await visitor.context.set_offline(offline=True)
    await drop(page, {"later.txt": b"It comes later."})
    await expect(tray(page, "later.txt").get_by_role("alert")).to_contain_text("cannot be reached")
    await visitor.context.set_offline(offline=False)
    await tray(page, "later.txt").get_by_role("button", name="Try again").click()
    await expect(tray(page, "later.txt")).to_contain_text("Queued")


def answering(status: int, body: Any) -> Callable[[Route], Awaitable[None]]:
    async def answer(route: Route) -> None:
        await route.fulfill(status=status, json=body)

    return answer


async def test_sending_can_be_stopped_and_a_vault_can_be_full(visitor: Visitor) -> None:
    page, gate = visitor.page, asyncio.Event()

    async def held(route: Route) -> None:
        del route
        await gate.wait()

    await visitor.sign_in()
    await page.route("**/api/user/files", held)
    await drop(page, {"slow.txt": b"Slow."})
    await expect(tray(page, "slow.txt")).to_contain_text("Uploading")
    await page.get_by_role("button", name="Stop adding “slow.txt”").click()
    await expect(tray(page, "slow.txt")).to_have_count(0)
    gate.set()
    await page.unroute("**/api/user/files")

    full = {"success": False, "error": {"code": "vault_full", "message": "There is no room in this vault."}}
    refusal = {"success": False, "uploadId": None, "duplicate": False, "code": "vault_full", "message": "No room."}
    for status, body in ((409, full), (200, {"success": False, "files": [refusal]})):
        await page.route("**/api/user/files", answering(status, body))
        await drop(page, {"full.txt": b"Full."})
        await expect(tray(page, "full.txt").get_by_role("alert")).to_contain_text("There is no room")
        await page.get_by_role("button", name="Stop adding “full.txt”").click()
        await page.unroute("**/api/user/files")


async def test_files_go_by_keyboard_alone(visitor: Visitor, here: World, reader: Worker) -> None:
    page, keys = visitor.page, visitor.page.keyboard
    await visitor.sign_in()
    await drop(page, {"keys.md": b"# Keys\n\nKeys hang by the door.\n"})
    await read(page, reader, "keys.md")
    await expect(tray(page, "keys.md")).to_contain_text("Ready")
    await reach(page, re.compile("^Files$"))
    await keys.press("Enter")
    await expect(page.get_by_role("dialog", name="Files")).to_be_visible()
    await reach(page, re.compile("^Show “keys.md”$"))
    await keys.press("Enter")
    await expect(page.get_by_role("button", name="All files")).to_be_focused()
    await keys.press("Enter")
    await reach(page, re.compile("^Search “keys.md”"))
    await keys.press("Space")
    await expect(page.get_by_role("switch", name="Search “keys.md” for answers")).not_to_be_checked()
    await keys.press("Space")
    await expect(page.get_by_role("switch", name="Search “keys.md” for answers")).to_be_checked()
    await keys.press("Escape")
    await expect(page.get_by_role("dialog", name="Files")).to_have_count(0)
    await expect(page.get_by_role("button", name="Files", exact=True)).to_be_focused()


async def test_a_phone_has_room_for_files(browser: Browser, here: World, reader: Worker) -> None:
    phone = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
    async with Visitor.arriving(browser, here.server.url, here.upstream, **phone) as visitor:
        page = visitor.page
        await visitor.sign_in()
        await drop(page, {LONGEST.replace("long-", "slim-"): b"Slim."})
        await read(page, reader, "slim-")
        await expect(tray(page, "slim-")).to_contain_text("Ready")
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        # What stands above gives no way: it is scrolled to.
        mark = await page.locator(".welcome .mark").bounding_box()
        assert mark
        assert (mark["width"], mark["height"]) == (52, 52)
        await visitor.shot("phone-tray")
        opened = await panel(page)
        assert await opened.evaluate("panel => panel.scrollWidth <= panel.clientWidth")
        assert await faults(page) == []
        await visitor.shot("phone-files")
        assert visitor.complaints == []
