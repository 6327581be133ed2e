"""What we ask of an MCP server: its tools, and to run one. All that it says is cut to size before it is believed."""

import re
from typing import Any, Protocol, cast

import msgspec

from twinspeak.tools.mcp.http import Progress, Unavailable
from twinspeak.tools.mcp.wire import Refused
from twinspeak.tools.page_text import visible

MAX_TOOLS = 128
_PAGES = 20
_NAME_CHARS, _TITLE_CHARS, _DESCRIPTION_CHARS, _SCHEMA_BYTES = 128, 100, 1_500, 20_000
_ARGUMENT_BYTES = 100_000
_LIST_S = 10.0


class Server(Protocol):
    """A way to a server: `http.HttpServer`, `stdio.StdioServer`."""

    async def request(
        self, method: str, params: dict[str, Any], *, timeout_s: float, progress: Progress | None = None
    ) -> dict[str, Any]:
        """Ask. Raises Unavailable and Refused."""
        ...

    async def close(self) -> None:
        """Let go of it, having told it."""
        ...

    def drop(self) -> None:
        """Let go of it at once."""
        ...


class ListedTool(msgspec.Struct, frozen=True):
    """A tool as its server describes it. `schema` is an object's, and small."""

    name: str
    title: str
    description: str
    schema: dict[str, Any]


class Result(msgspec.Struct, frozen=True):
    """What a tool gave."""

    text: str
    success: bool


async def tools_of(server: Server, *, timeout_s: float = _LIST_S) -> list[ListedTool]:
    """Return a server's tools, at most 128; what is no tool is left out. Raises Unavailable."""
    found: dict[str, ListedTool] = {}
    cursor: str | None = None
    for _ in range(_PAGES):
        page = await _asked(server, "tools/list", {"cursor": cursor} if cursor else {}, timeout_s=timeout_s)
        listed: Any = page.get("tools")
        for one in cast("list[Any]", listed) if isinstance(listed, list) else []:
            tool = _tool(one)
            if tool is not None and len(found) < MAX_TOOLS:
                found.setdefault(tool.name, tool)
        following: Any = page.get("nextCursor")
        if not isinstance(following, str) or not following or following == cursor or len(found) >= MAX_TOOLS:
            break
        cursor = following[:2_000]
    return list(found.values())


async def call(
    server: Server, name: str, arguments: dict[str, Any], *, timeout_s: float, progress: Progress | None = None
) -> Result:
    """Run a tool. What it reports as an error is a result without success. Raises Unavailable."""
    if len(msgspec.json.encode(arguments)) > _ARGUMENT_BYTES:
        return Result("The arguments are too large.", success=False)
    params = {"name": name, "arguments": arguments}
    try:
        found = await server.request("tools/call", params, timeout_s=timeout_s, progress=progress)
    except Refused as refused:
        return Result(visible(str(refused)) or "The server refused this.", success=False)
    return Result(_text(found), success=found.get("isError") is not True)


async def _asked(server: Server, method: str, params: dict[str, Any], *, timeout_s: float) -> dict[str, Any]:
    try:
        return await server.request(method, params, timeout_s=timeout_s)
    except Refused as refused:
        raise Unavailable("It refuses to list its tools.") from refused


def _tool(given: object) -> ListedTool | None:
    if not isinstance(given, dict):
        return None
    one = cast("dict[str, Any]", given)
    name, schema = one.get("name"), _schema(one.get("inputSchema"))
    if not isinstance(name, str) or not 0 < len(name) <= _NAME_CHARS or not name.isprintable() or schema is None:
        return None
    annotations: Any = one.get("annotations")
    hinted = cast("dict[str, Any]", annotations).get("title") if isinstance(annotations, dict) else ""
    return ListedTool(
        name=name,
        title=_line(one.get("title") or hinted, _TITLE_CHARS),
        description=_line(one.get("description"), _DESCRIPTION_CHARS),
        schema=schema,
    )


def _schema(given: object) -> dict[str, Any] | None:
    """Return a schema that vendors take: of an object, small, and naming nothing that stands elsewhere."""
    if not isinstance(given, dict):
        return None
    schema = {key: value for key, value in cast("dict[str, Any]", given).items() if key not in ("$schema", "$id")}
    if schema.get("type", "object") != "object" or not isinstance(schema.get("properties", {}), dict):
        return None
    written = msgspec.json.encode(schema)
    if len(written) > _SCHEMA_BYTES or re.search(rb'"\$ref":"[^#]', written):
        return None
    return {**schema, "type": "object", "properties": schema.get("properties", {})}


def _text(result: dict[str, Any]) -> str:
    content: Any = result.get("content")
    blocks = cast("list[Any]", content) if isinstance(content, list) else []
    parts = [_block(cast("dict[str, Any]", block)) for block in blocks if isinstance(block, dict)]
    text = "\n\n".join(part for part in parts if part)
    if not text and isinstance(result.get("structuredContent"), dict | list):
        text = msgspec.json.encode(result["structuredContent"]).decode()
    return visible(text) or "It gave no text."


def _block(block: dict[str, Any]) -> str:
    kind: Any = block.get("type")
    if kind == "text":
        return str(block.get("text") or "")
    if kind == "resource" and isinstance(block.get("resource"), dict):
        held = cast("dict[str, Any]", block["resource"])
        return str(
            held.get("text") or f"[{_line(held.get('mimeType'), 100) or 'data'} at {_line(held.get('uri'), 500)}]"
        )
    if kind == "resource_link":
        return f"{_line(block.get('title') or block.get('name'), 200)} {_line(block.get('uri'), 500)}".strip()
    if kind in ("image", "audio"):
        return f"[{kind}: {_line(block.get('mimeType'), 100)}, not shown]"
    return ""


def _line(value: object, most: int) -> str:
    return " ".join(visible(value).split())[:most] if isinstance(value, str) else ""
