"""Examples for the API documents, made from the schemas, so that they cannot disagree with them. Pure functions."""

from collections.abc import Iterator
from typing import Any, cast

from twinspeak.transports.http.schemas import MEANINGS, ErrorBody, example

_FRAMEWORKS = ("HTTPValidationError", "ValidationError")
_JSON = "application/json"
_MAX_DEPTH = 8
"""Schemas may name themselves; examples end."""
_SIMPLE: dict[str, Any] = {"string": "text", "integer": 1, "number": 1.0, "boolean": False, "null": None}

Schema = dict[str, Any]


def fill_in(document: Schema) -> Schema:
    """Give every JSON body and reply of an OpenAPI document that has no example one; return the same document."""
    _our_own_failures(document)
    for _, _, operation in operations(document):
        _fill_in(operation.get("requestBody", {}), document, None)
        for status, reply in operation["responses"].items():
            _fill_in(reply, document, int(status))
    return document


def _our_own_failures(document: Schema) -> None:
    """Put our shape where the framework shows its own: what is wrong with a parameter is told like everything else."""
    for _, _, operation in operations(document):
        for status, reply in operation["responses"].items():
            schema = reply.get("content", {}).get(_JSON, {}).get("schema", {})
            if name_of(schema.get("$ref", "")) == _FRAMEWORKS[0]:
                schema["$ref"] = f"#/components/schemas/{ErrorBody.__name__}"
                reply["description"] = MEANINGS[int(status)]
    for name in _FRAMEWORKS:
        document.get("components", {}).get("schemas", {}).pop(name, None)


def _fill_in(holder: Schema, document: Schema, status: int | None) -> None:
    media = holder.get("content", {}).get(_JSON)
    if media is None or "example" in media or "schema" not in media:
        return
    if status is not None and name_of(media["schema"].get("$ref", "")) == ErrorBody.__name__:
        media["example"] = example(status)
    else:
        media["example"] = sample(media["schema"], document)


def operations(document: Schema) -> Iterator[tuple[str, str, Schema]]:
    """Yield (path, method, operation) in the document's order."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def resolve(schema: Schema, document: Schema) -> Schema:
    """Follow a `$ref` into the document's components."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][name_of(schema["$ref"])]
    return schema


def name_of(reference: str) -> str:
    """Return the last step of a `$ref`."""
    return reference.rsplit("/", 1)[-1]


def sample(schema: Schema, document: Schema, depth: int = 0) -> Any:
    """Return a value of `schema`: its own example, default or constant if it has one, else a plain one of its type."""
    schema = resolve(schema, document)
    said = _said(schema)
    if said is not None:
        return said
    if depth >= _MAX_DEPTH:
        return None
    options = cast("list[Schema]", schema.get("anyOf") or schema.get("oneOf") or [])
    if options:
        return sample(_first_telling(options), document, depth + 1)
    if schema.get("type") == "array":
        return [sample(schema["items"], document, depth + 1)] if "items" in schema else []
    if "properties" in schema:
        members = cast("dict[str, Schema]", schema["properties"])
        return {name: sample(member, document, depth + 1) for name, member in members.items()}
    return _SIMPLE.get(str(schema.get("type", "object")), {})


def _said(schema: Schema) -> Any:
    if "example" in schema:
        return schema["example"]
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    return schema.get("const", schema.get("default"))


def _first_telling(options: list[Schema]) -> Schema:
    return next((option for option in options if option.get("type") != "null"), options[0])
