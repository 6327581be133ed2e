"""A secret link in a browser: a page that can be read and can do nothing."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.transports.rest.ada import Ada
from twinspeak.domain.turn import TurnState

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
COURSE = 7
HOSTILE = (
    "</title><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\" onmouseover='alert(1)' x=\"",
    "</div></main></body><iframe src=//evil.example>",
    "<style>*{background:url(//evil.example)}</style> [x](javascript:alert(1)) ![y](https://evil.example/p.png)",
    "&lt;b&gt; <svg/onload=alert(1)> \ud83c \x00 \u202e مرحبا",
)
TAGS = {"html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p", "bdi", "article", "div", "ul", "li"}
ATTRIBUTES = {"lang", "charset", "name", "content", "dir", "class"}


class Reader(HTMLParser):
    """Reads a page as a browser does: which tags and attributes there are, and what text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


async def opened(ada: Ada, token: str, accept: str | None = BROWSER, **query: str) -> Any:
    headers = {} if accept is None else {"accept": accept}
    return await ada.client.get(f"/api/shared/{token}", params=query, headers=headers)


async def link(ada: Ada) -> dict[str, Any]:
    return (await ada.done("share", {"course_id": COURSE}))["data"]


def harmless(page: Any) -> Reader:
    """Check what no page of a link may lack; return what a browser reads in it."""
    policy = page.headers["content-security-policy"]
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[^']+'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        policy,
    )
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-robots-tag"] == "noindex"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["cache-control"] == "private, no-store"
    assert page.headers["vary"] == "Accept"
    assert "set-cookie" not in page.headers
    reader = Reader()
    reader.feed(page.text)
    assert reader.tags <= TAGS
    assert reader.attributes <= ATTRIBUTES
    return reader


async def test_a_browser_reads_the_conversation_as_a_page(ada: Ada):
    await ada.turn(course_id=COURSE, question="Why?\nTell me.", answer="Because.\n\n    of leaves")
    await ada.turn(course_id=COURSE, question="And?", answer="Half", state=TurnState.CANCELLED)
    made = await link(ada)
    page = await opened(ada, made["token"])
    assert page.status_code == 200
    text = harmless(page).text
    for told in ("A conversation with Oak, as of ", "Why?\nTell me.", "Because.\n\n    of leaves", "Answer (stopped)"):
        assert told in text
    assert text.index("Because.") < text.index("Half")
    assert "ada@example.org" not in page.text
    assert made["token"] not in page.text


async def test_nothing_in_a_title_question_or_answer_is_more_than_text(ada: Ada):
    for text in HOSTILE:
        await ada.turn(course_id=COURSE, question=text, answer=text)
    await ada.done("renameHistory", {"course_id": COURSE, "course_name": HOSTILE[0]})
    page = await opened(ada, (await link(ada))["token"])
    text = harmless(page).text
    for told in HOSTILE[:5]:
        assert text.count(told) >= 2
    assert text.count(HOSTILE[0]) == 4  # <title>, <h1>, question, answer


@pytest.mark.parametrize("why", ["unknown", "ended", "forgotten"])
async def test_a_link_that_shows_nothing_is_a_page_with_404(ada: Ada, why: str):
    turn_id = await ada.turn(course_id=COURSE, answer="Secret.")
    made = await link(ada)
    if why == "ended":
        await ada.client.delete(f"/api/user/share/{made['_id']}", headers=ada.header)
    elif why == "forgotten":
        await ada.done("clearHistory", {"id": turn_id})
    page = await opened(ada, "x" * 43 if why == "unknown" else made["token"])
    assert page.status_code == 404
    assert "This link shows nothing" in harmless(page).text
    assert page.text == (await opened(ada, "y" * 43)).text  # nobody learns why
    for accept in (None, "*/*"):
        other = await opened(ada, made["token"] if why != "unknown" else "x" * 43, accept)
        assert (other.status_code, other.json()["error"]["code"]) == (404, "not_found")


PAGE, JSON = "text/html; charset=utf-8", "application/json"
ACCEPTED: list[tuple[str | None, dict[str, str], str]] = [
    (BROWSER, {}, PAGE),
    ("TEXT/HTML", {}, PAGE),
    (None, {}, JSON),
    ("*/*", {}, JSON),
    ("application/json, text/html", {}, JSON),
    ("application/json;q=0.5, text/html;q=0.9", {}, PAGE),
    ("text/html;q=0", {}, JSON),
    ("text/html;q=lots,,;;", {}, JSON),
    (BROWSER, {"format": "json"}, JSON),
    (BROWSER, {"format": "markdown"}, "text/markdown; charset=utf-8"),
    ("*/*", {"format": "html"}, PAGE),
]


async def test_what_is_sent_is_what_is_accepted_unless_format_says_it(ada: Ada):
    await ada.turn(course_id=COURSE)
    token = (await link(ada))["token"]
    for accept, query, kind in ACCEPTED:
        page = await opened(ada, token, accept, **query)
        assert (accept, query, page.status_code, page.headers["content-type"]) == (accept, query, 200, kind)
