"""What a secret link shows in a browser: a page of text, without scripts, links or anything fetched (decision 037).

All of it is strangers' text. It is escaped, shown as it was written, and kept in its own direction; the policy lets the
page do nothing but wear its one style.
"""

import base64
import hashlib
from html import escape

from starlette.requests import Request

from twinspeak.domain.clock import iso
from twinspeak.domain.transcript import Heading, remark
from twinspeak.domain.turn import TurnRecord

MEDIA_TYPE = "text/html; charset=utf-8"
_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:1rem/1.6 system-ui,sans-serif;margin:0 auto;max-width:46rem;padding:1.5rem}"
    "h1{font-size:1.4rem;line-height:1.3}h2{font-size:.9rem;margin:1.5rem 0 .25rem}article{border-top:1px solid #8888}"
    ".text{overflow-wrap:anywhere;white-space:pre-wrap}.asked{border-inline-start:.25rem solid #8888;padding:0 1rem}"
    "h1,li,p{overflow-wrap:anywhere}footer,.small{font-size:.85rem;opacity:.8}"
)
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
    "Vary": "Accept",
}
_TAIL = "</main></body></html>\n"


def wanted_by(request: Request) -> bool:
    """Tell whether a page is what the client would rather have: a browser's address bar says so, programs do not."""
    said = {"text/html": 0.0, "application/json": 0.0}
    for part in request.headers.get("accept", "").lower().split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        if kind in said:
            said[kind] = max(said[kind], _quality(parameters))
    return said["text/html"] > said["application/json"]


def _quality(parameters: list[str]) -> float:
    given = next((one[2:] for one in parameters if one.startswith("q=")), "1")
    try:
        return float(given)
    except ValueError:
        return 0.0


def head(heading: Heading) -> str:
    """Return the page's beginning."""
    title = escape(heading.title.strip() or "Conversation")
    twin = f" with <bdi>{escape(heading.twin)}</bdi>" if heading.twin else ""
    return (
        f"{_start(title)}<h1 dir=auto>{title}</h1>"
        f"<p class=small>A conversation{twin}, as of {iso(heading.at)}. Answers are a model's: it can be wrong.</p>\n"
    )


def exchange(record: TurnRecord) -> str:
    """Return a question and its answer."""
    sources = "".join(
        f"<li>[{one.number}] <bdi>{escape(one.document_name)}</bdi></li>" for one in record.passages if one.cited
    )
    cited = f"<h2>Sources</h2><ul>{sources}</ul>" if sources else ""
    return (
        f"<article><h2>Question, {iso(record.created)}</h2>"
        f'<div class="text asked" dir=auto>{escape(record.question)}</div>'
        f"<h2>Answer{escape(remark(record))}</h2>"
        f"<div class=text dir=auto>{escape(record.output) or '(no answer)'}</div>{cited}</article>\n"
    )


def tail() -> str:
    """Return the page's end."""
    return _TAIL


def gone() -> str:
    """Return the page of a link that shows nothing, whatever the reason."""
    text = "It was ended, it has run out, or it was never there. Who sent it to you can make another one."
    return f"{_start('Nothing is shown here')}<h1>This link shows nothing</h1><p>{text}</p>{_TAIL}"


def _start(title: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f'<meta name="referrer" content="no-referrer"><title>{title}</title><style>{_STYLE}</style></head><body><main>'
    )
