"""An OpenAPI document as one HTML page: no script, no font, no picture from anywhere, so it reads offline."""

import base64
import hashlib
import json
from collections.abc import Iterable
from html import escape
from typing import Any

from twinspeak.transports.rest.examples import Schema, name_of, operations, resolve

_STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent) }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 62rem; padding: 1rem }
code, pre { font: .875rem/1.45 ui-monospace, monospace }
pre { border: 1px solid var(--line); border-radius: .25rem; overflow-x: auto; padding: .75rem }
table { border-collapse: collapse; width: 100% }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .5rem .25rem 0; text-align: left; vertical-align: top }
section.operation { border-top: 1px solid var(--line); margin-top: 2rem; padding-top: .5rem }
summary { cursor: pointer }
.method { font-weight: 700; text-transform: uppercase }
nav ul { columns: 18rem; padding-left: 1rem }
"""

POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
)
"""The pages' Content-Security-Policy: their own style and nothing else."""


def render(document: Schema) -> str:
    """Return the page of an OpenAPI document."""
    info = document["info"]
    listed = list(operations(document))
    body = [
        '<p><a href="/">Start</a> · <a href="/docs">Runtime API</a> · <a href="/docs/admin">Administration API</a></p>',
        f"<h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>",
        f"<p>{escape(info.get('description', ''))}</p>",
        _contents(listed),
        *(_operation(path, method, operation, document) for path, method, operation in listed),
        "<h2>Schemas</h2>",
        *(_named_schema(name, schema, document) for name, schema in _schemas(document).items()),
    ]
    return _page(info["title"], body)


def _page(title: str, body: Iterable[str]) -> str:
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
    )
    return f"{head}<body><main>{''.join(body)}</main></body></html>"


def _contents(listed: list[tuple[str, str, Schema]]) -> str:
    lines: list[str] = []
    for tag in dict.fromkeys(operation["tags"][0] for _, _, operation in listed):
        lines.append(f"<h2>{escape(tag)}</h2><ul>")
        lines += [
            f'<li><a href="#{_anchor(operation)}">{escape(operation["summary"])}</a></li>'
            for _, _, operation in listed
            if operation["tags"][0] == tag
        ]
        lines.append("</ul>")
    return f'<nav aria-label="Routes">{"".join(lines)}</nav>'


def _operation(path: str, method: str, operation: Schema, document: Schema) -> str:
    parts = [
        f'<section class="operation" id="{_anchor(operation)}"><h3>{escape(operation["summary"])}</h3>',
        f'<p><code><span class="method">{escape(method)}</span> {escape(path)}</code></p>',
        *(f"<p>{escape(line)}</p>" for line in operation.get("description", "").split("\n\n")),
        _parameters(operation.get("parameters", [])),
    ]
    content = operation.get("requestBody", {}).get("content", {})
    if content:
        parts.append("<h4>Request</h4>" + _content(content, document))
    parts.append("<h4>Replies</h4>")
    for status, reply in sorted(operation["responses"].items()):
        opened = " open" if status.startswith("2") else ""
        parts.append(
            f"<details{opened}><summary><code>{escape(status)}</code> {escape(reply['description'])}</summary>"
            f"{_content(reply.get('content', {}), document)}</details>"
        )
    return "".join(parts) + "</section>"


def _parameters(parameters: list[Schema]) -> str:
    if not parameters:
        return ""
    rows = [(one["name"], one["in"], one.get("description", "")) for one in parameters]
    return "<h4>Parameters</h4>" + _table(("Name", "In", "What it is"), rows)


def _content(content: dict[str, Schema], document: Schema) -> str:
    parts: list[str] = []
    for media_type, media in content.items():
        parts.append(f"<p><code>{escape(media_type)}</code> {_type_of(media.get('schema', {}), document)}</p>")
        if "example" in media:
            example = media["example"]
            text = example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)
            parts.append(f"<pre><code>{escape(text)}</code></pre>")
    return "".join(parts)


def _schemas(document: Schema) -> dict[str, Schema]:
    return document.get("components", {}).get("schemas", {})


def _named_schema(name: str, schema: Schema, document: Schema) -> str:
    required = schema.get("required", [])
    rows = [
        f"<tr><td><code>{escape(field)}</code>{'*' if field in required else ''}</td>"
        f"<td>{_type_of(member, document)}</td><td>{escape(resolve(member, document).get('description', ''))}</td></tr>"
        for field, member in schema.get("properties", {}).items()
    ]
    head = "<tr><th>Field</th><th>Type</th><th>What it is</th></tr>"
    table = f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"
    text = escape(schema.get("description", ""))
    return f'<section id="schema-{escape(name)}"><h3>{escape(name)}</h3><p>{text}</p>{table if rows else ""}</section>'


def _type_of(schema: Schema, document: Schema) -> str:
    """Say a schema's type in a word or two, with a link where it has a name."""
    if "$ref" in schema:
        name = escape(name_of(schema["$ref"]))
        return f'<a href="#schema-{name}">{name}</a>'
    options: list[Schema] = schema.get("anyOf") or schema.get("oneOf") or []
    if options:
        return " or ".join(_type_of(option, document) for option in options)
    kind: Any = schema.get("type", "")
    if kind == "array":
        return f"list of {_type_of(schema.get('items', {}), document) or 'anything'}"
    return escape(str(kind))


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    heads = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>"


def _anchor(operation: Schema) -> str:
    return escape(operation["operationId"])
