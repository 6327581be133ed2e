"""What the MCP face answers, as JSON-RPC bodies. Pure."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, cast

from twinspeak import __version__
from twinspeak.domain.vault import Document
from twinspeak.services.mcp_access import Door, Hit
from twinspeak.transports import wire_names as wire
from twinspeak.transports.mcp_server.request import VERSIONS, Rejected

URI = "twinspeak://files/"
_SUMMARY_CHARS = 600
_MOST_OPERATIONS = 25
_DOC_CHARS = 40_000


def answer(number: str | int | None, result: dict[str, Any]) -> dict[str, Any]:
    """Return the body that answers a request."""
    return {"jsonrpc": "2.0", "id": number, "result": result}


def refusal(number: str | int | None, error: Rejected) -> dict[str, Any]:
    """Return the body that refuses a request."""
    told: dict[str, Any] = {"code": error.code, "message": error.message}
    return {"jsonrpc": "2.0", "id": number, wire.ERROR: told if error.data is None else {**told, "data": error.data}}


def progress(token: str | int, done: int, message: str) -> dict[str, Any]:
    """Return the notification that a call is getting on."""
    params = {"progressToken": token, "progress": done, "message": message}
    return {"jsonrpc": "2.0", "method": "notifications/progress", "params": params}


def greeting(asked: str, door: Door) -> dict[str, Any]:
    """Return the answer to `initialize`: the version asked for, where it is one of ours."""
    name = (door.twin.ai_name or door.twin.name) if door.twin else "Twinspeak"
    return {
        "protocolVersion": asked if asked in VERSIONS else VERSIONS[0],
        "capabilities": {"tools": {}, "resources": {}},
        "serverInfo": {"name": "twinspeak", "title": name, "version": __version__},
        "instructions": f"Search the knowledge vault of {name}, read its files, and read about this server's API.",
    }


def tools(door: Door) -> list[dict[str, Any]]:
    """Return the tools for who came in: asking the twin takes a person, who pays and whose history it is."""
    found = [
        _tool(
            wire.SEARCH_INSTANCE_RAG,
            "Search the digital twin's knowledge vault by meaning; passages come best first, with their sources.",
            {"query": _text("What to look for."), "limit": {"type": "integer", "minimum": 1, "maximum": 20}},
            ["query"],
        ),
        _tool(wire.API_RT_DOCS, "Read about the runtime API of this server.", _DOC_ARGUMENTS, []),
        _tool(wire.API_ADMIN_DOCS, "Read about the administration API of this server.", _DOC_ARGUMENTS, []),
    ]
    if door.caller is not None:
        asked = {"question": _text("What to ask."), "conversation": {"type": "integer", "minimum": 0}}
        found.append(
            _tool(wire.ASK_TWIN, "Ask the digital twin, as the person whose token this is.", asked, ["question"])
        )
    return found


def _tool(name: str, description: str, properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    hints = {"readOnlyHint": name != wire.ASK_TWIN, "openWorldHint": False}
    return {"name": name, "description": description, "inputSchema": schema, "annotations": hints}


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


_DOC_ARGUMENTS = {
    "query": _text("Words that an operation must have; left out: all, by their titles."),
    "path": _text("One path, such as /api/auth/signin: everything about it."),
}


def text_result(text: str, *, failed: bool = False, structured: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what a tool gave."""
    found: dict[str, Any] = {"content": [{"type": "text", "text": text}], "isError": failed}
    return found if structured is None else {**found, "structuredContent": structured}


def search_result(hits: Sequence[Hit]) -> dict[str, Any]:
    """Return passages, best first: title, summary, address, id and score of each (reference content 5.7)."""
    rows = [
        {
            "title": " — ".join(part for part in (one.document.title or one.document.name, one.section) if part),
            "summary": " ".join(one.text.split())[:_SUMMARY_CHARS],
            "url": one.document.source_url or f"{URI}{one.document.id}",
            "source_id": one.document.id,
            "score": round(one.score, 4),
        }
        for one in hits
    ]
    text = "\n\n".join(
        f"{number}. {row['title']} ({row['url']})\n{one.text}"
        for number, (row, one) in enumerate(zip(rows, hits, strict=True), start=1)
    )
    return text_result(text or "No passage of the vault matches this query.", structured={"results": rows})


def documentation(described: dict[str, Any], query: str, path: str) -> dict[str, Any]:
    """Return operations of an API document: one path whole, or the titles of those that have the words."""
    paths = cast("dict[str, dict[str, Any]]", described.get("paths", {}))
    if path:
        if path not in paths:
            return text_result(f"There is no path {path[:200]!r}.", failed=True)
        return text_result(_written(path, paths[path]))
    words = [word.casefold() for word in re.findall(r"\w+", query)]
    lines = [line for line in _lines(paths) if all(word in line.casefold() for word in words)]
    if not lines:
        return text_result("No operation has all of these words.")
    shown = lines if not words else lines[:_MOST_OPERATIONS]
    left = f"\n{len(lines) - len(shown)} more." if len(shown) < len(lines) else ""
    return text_result("\n".join(shown)[:_DOC_CHARS] + left)


def _lines(paths: dict[str, dict[str, Any]]) -> Iterable[str]:
    for path, methods in paths.items():
        for method, told in methods.items():
            if isinstance(told, dict):
                told_of = cast("dict[str, Any]", told)
                yield f"{method.upper()} {path}: {told_of.get('summary', '')}. {told_of.get('description', '')}".strip()


def _written(path: str, methods: dict[str, Any]) -> str:
    import json

    return f"{path}\n{json.dumps(methods, ensure_ascii=False, indent=1)}"[:_DOC_CHARS]


def resource(file: Document) -> dict[str, Any]:
    """Return a file as lists show it; what is read of it is its text."""
    shown = {"uri": f"{URI}{file.id}", "name": file.name, "mimeType": "text/plain"}
    return {**shown, **({"title": file.title} if file.title else {}), "size": file.bytes}


def contents(file: Document, text: str) -> dict[str, Any]:
    """Return a file's text."""
    return {"contents": [{"uri": f"{URI}{file.id}", "mimeType": "text/plain", "text": text}]}
