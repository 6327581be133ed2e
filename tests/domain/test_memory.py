"""Memories as a prompt shows them."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from twinspeak.domain.memory import PROMPT_CHARS, Memory, MemoryScope, notes

ONE = Memory(
    id="1", institution_id=None, user_id="a", shared=False, name="n", value="v", description="", namespace="s",
    source="user", turn_id=None, version=1, created=1, updated=1,
)  # fmt: skip


def test_the_latest_comes_first_and_what_does_not_fit_is_left_out() -> None:
    kept = tuple(
        msgspec.structs.replace(ONE, id=str(number), name=f"n{number}", value="x" * 500, updated=number)
        for number in range(20)
    )
    shown = notes(kept)
    assert len(shown) <= PROMPT_CHARS
    assert shown.startswith("- s/n19: ")
    assert "n0:" not in shown
    assert notes(()) == ""


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=50))
def test_a_memory_is_one_line_whatever_is_in_it(name: str, value: str, author: str) -> None:
    evil = msgspec.structs.replace(ONE, name=name, value=value, author=author, shared=True)
    assert len(notes((evil,)).splitlines()) == 1


def test_scopes() -> None:
    assert ONE.scope is MemoryScope.PERSONAL
    inside = msgspec.structs.replace(ONE, institution_id="t")
    assert inside.scope is MemoryScope.TWIN
    assert msgspec.structs.replace(inside, shared=True).scope is MemoryScope.SHARED
