"""The tool `read_page`: one page of the web as text, through the guarded way out."""

import asyncio
from typing import Annotated

from msgspec import Meta

from twinspeak.domain.errors import ToolError
from twinspeak.domain.events import DisplayInfo
from twinspeak.domain.tools import WEB
from twinspeak.domain.turn import ToolOutcome
from twinspeak.egress.fetch import Answer, Bounds, Fetcher, Request
from twinspeak.egress.guard import MAX_URL
from twinspeak.engine.ports import ToolContext
from twinspeak.tools import page_text, policy
from twinspeak.tools.registry import Rules, Tool

DISPLAY = DisplayInfo(icon="page", label="Reading a page")
PART_CHARS = 12_000
"""How much of a page is returned at once."""
_DESCRIPTION = (
    "Read a page of the web as text: an address that the user wrote, or that web_search returned. A long page comes in "
    "parts: ask again with the `start` that the end of a part names."
)
_BOUNDS = Bounds(max_bytes=2_000_000, total_s=20)
_HTML = ("text/html", "application/xhtml+xml")
_PLAIN = ("application/json", "application/xml", "application/ld+json", "application/rss+xml", "application/atom+xml")

Url = Annotated[str, Meta(min_length=1, max_length=MAX_URL, description="The whole address, with https://.")]
Start = Annotated[int, Meta(ge=0, le=10_000_000, description="From which character on.")]


def read_page_tool(fetcher: Fetcher) -> Tool:
    """Make the tool over the guarded fetcher."""

    async def read_page(context: ToolContext, url: Url, start: Start = 0) -> ToolOutcome:
        del context
        async with fetcher.ask(
            Request(url=url.strip(), headers={"Accept": "text/html, text/plain, */*;q=0.1"}), _BOUNDS
        ) as answer:
            title, text = await _text(answer)
            where = answer.url
        if start and start >= len(text):
            raise ToolError(f"The page has only {len(text)} characters.")
        part = text[start : start + PART_CHARS]
        rest = len(text) - start - len(part)
        more = f"\n\n[{rest} more characters: read on with start={start + len(part)}]" if rest else ""
        return ToolOutcome(text=f"{title}\n{where}\n\n{part or 'The page holds no text.'}{more}".strip())

    rules = Rules(origin=WEB, check=policy.check_address, most=12)
    return Tool(read_page, description=_DESCRIPTION, display=DISPLAY, rules=rules)


async def _text(answer: Answer) -> tuple[str, str]:
    """Return title and text of what came. Raises ToolError for what is no page, AddressNotAllowed and FetchFailed."""
    if answer.status >= 400:
        raise ToolError(f"The page cannot be read: its server answers {answer.status}.")
    kind = answer.media_type or "text/plain"
    if kind not in (*_HTML, *_PLAIN) and not kind.startswith("text/"):
        raise ToolError(f"This is no page of text, but {kind[:100]}.")
    body = await answer.read()
    text = _decoded(body, answer.charset)
    if kind in _HTML:
        return await asyncio.to_thread(page_text.text_of, text)
    return "", page_text.visible(text)


def _decoded(body: bytes, charset: str | None) -> str:
    try:
        return body.decode(charset or "utf-8", errors="replace")
    except LookupError:
        return body.decode("utf-8", errors="replace")
