"""`make lint` checks the arrows; this proves that the contract behind it can fail."""

import pytest
from grimp import ImportGraph

from tests.laws.arrows import broken_arrows, read_table

ROOMS = read_table(["app -> tools engine domain", "tools -> engine.ports domain", "engine -> domain", "domain ->"])
LIBRARIES = read_table(["domain -> msgspec"])
HOUSE = ["house", *(f"house.{name}" for name in ("app", "tools", "engine", "engine.ports", "engine.turn", "domain"))]


def complaints(importer: str, imported: str) -> list[str]:
    graph = ImportGraph()
    for module in {*HOUSE, importer, imported}:
        graph.add_module(module, is_squashed=not module.startswith("house"))
    graph.add_import(importer=importer, imported=imported)
    return broken_arrows(graph, "house", ROOMS, LIBRARIES)


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("house.app", "house.tools"),
        ("house.tools", "house.engine.ports"),
        ("house.engine.turn", "house.engine.ports"),
        ("house.engine", "house"),
        ("house.engine", "aiohttp"),
        ("house.domain", "msgspec"),
        ("house.domain", "json"),
    ],
)
def test_an_arrow_allows_it(importer: str, imported: str):
    assert complaints(importer, imported) == []


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("house.tools", "house.engine.turn"),
        ("house.tools", "house.engine"),
        ("house.engine.turn", "house.tools"),
        ("house.domain", "house.engine.ports"),
        ("house.domain", "aiohttp"),
        ("house", "house.domain"),
    ],
)
def test_no_arrow_allows_it(importer: str, imported: str):
    assert complaints(importer, imported) == [f"{importer} imports {imported}"]


def test_every_room_needs_a_line():
    assert complaints("house.attic.trunk", "json") == ["house.attic.trunk: attic has no line of its own"]


def test_every_target_needs_a_line():
    graph = ImportGraph()
    graph.add_module("house")
    assert broken_arrows(graph, "house", read_table(["app -> attic"]), {}) == ["attic has no line of its own"]


@pytest.mark.parametrize("lines", [["app tools"], ["app -> tools", "app -> domain"]])
def test_a_line_that_cannot_be_read_is_refused(lines: list[str]):
    with pytest.raises(ValueError, match="form"):
        read_table(lines)
