"""Every fact of the reference that a test was written for keeps that test: who renames one, says it in the table."""

import ast

import pytest

from tests.laws.reference_facts import CONTENT_2, CORE_4
from tests.laws.source import ROOT


def names_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    return {one.name for one in tree.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("table", [CORE_4, CONTENT_2], ids=["core 4", "content 2"])
def test_each_fact_has_its_test(table: list[tuple[str, str, str, str]]) -> None:
    held = {path: names_in(path) for _, _, path, _ in table}
    assert [(section, fact, name) for section, fact, path, name in table if name not in held[path]] == []
    facts = [(section, fact) for section, fact, _, _ in table]
    assert len(set(facts)) == len(facts)
