"""A prompt fits its model's window, whatever a conversation, the vault and tools bring."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.fakes import END, MODEL, TOOLS, World, a_passage, a_plan, an_ask, call, text
from twinspeak.domain.conversation import DIGEST_HEAD, Exchange, compacted
from twinspeak.domain.errors import ContextTooLong
from twinspeak.domain.institution import Institution
from twinspeak.domain.models import ModelSpec
from twinspeak.domain.turn import ModelRequest, ToolCall, ToolMessage, ToolOutcome, UserMessage
from twinspeak.engine import prompt, window
from twinspeak.engine.ports import ToolContext


def small(tokens: int) -> ModelSpec:
    return msgspec.structs.replace(MODEL, context_window=tokens, max_output=tokens // 2)


def size(request: ModelRequest) -> int:
    said = sum(window.message_tokens(message) for message in request.messages)
    return window.exchange_tokens(Exchange(request.system, "")) + said + window.tool_tokens(request.tools)


@given(
    st.lists(st.tuples(st.text(max_size=400), st.text(max_size=800)), max_size=30),
    st.integers(min_value=0, max_value=2_000),
)
def test_what_is_kept_of_a_conversation_fits_and_is_the_newest(said: list[tuple[str, str]], room: int) -> None:
    history = tuple(Exchange(question, answer) for question, answer in said)
    kept = compacted(history, room, window.exchange_tokens)
    assert sum(window.exchange_tokens(exchange) for exchange in kept) <= room
    whole = kept[1:] if kept and kept[0] not in history else kept
    assert whole == history[len(history) - len(whole) :]


def test_what_was_shortened_before_is_shortened_further() -> None:
    digest = Exchange(f"{DIGEST_HEAD}\n- In sum: They met.\n- I asked: A?\n  You answered: B.", "I remember.")
    kept = compacted([digest, Exchange("Long? " * 400, "Yes.")], 120, window.exchange_tokens)
    assert len(kept) == 1
    assert "I asked: Long?" in kept[0].question
    assert "They met." in kept[0].question
    assert kept[0].question.count(DIGEST_HEAD) == 1


@pytest.mark.parametrize("tokens", [400, 1_000, 8_000])
def test_passages_go_before_the_newest_of_the_conversation(tokens: int) -> None:
    passages = [msgspec.structs.replace(a_passage(n), text="word " * 300) for n in range(1, 7)]
    history = tuple(Exchange(f"q{n} " + "why " * 30, f"a{n} " + "so " * 60) for n in range(15))
    plan = a_plan(an_ask(), model=small(tokens), output_limit=tokens // 2, history=history)
    built = prompt.build(plan, passages)
    assert built.tokens + min(plan.output_limit, window.usable(plan.model) // 4) <= window.usable(plan.model)
    assert "a14" in "".join(message.text for message in built.messages)
    assert built.compacted is (tokens < 8_000)


@pytest.mark.parametrize("what", ["question", "instructions"])
def test_what_cannot_be_cut_is_said_to_be_too_long(what: str) -> None:
    long = "word " * 2_000
    twin = Institution(id="1" * 24, public_id="", name="Oak", ai_name="", prompt=long if what == "instructions" else "")
    plan = a_plan(an_ask(long if what == "question" else "Why?"), model=small(1_000), institution=twin)
    with pytest.raises(ContextTooLong) as refused:
        prompt.build(plan, ())
    assert refused.value.details == {"contextWindow": 1_000}


def test_results_of_tools_are_cut_the_longest_first() -> None:
    messages = (
        UserMessage(text="Why?"),
        ToolMessage(call_id="a", name="t", text="x" * 40_000),
        ToolMessage(call_id="b", name="t", text="y" * 1_000),
    )
    kept = window.within(messages, 1_000)
    assert sum(window.message_tokens(message) for message in kept) <= 1_000
    assert kept[0] == messages[0]
    assert kept[2] == messages[2]
    assert kept[1].text.endswith(window.CUT)
    with pytest.raises(ContextTooLong):
        window.within((UserMessage(text="x" * 10_000),), 1_000)


async def test_a_question_that_is_too_long_is_refused_before_anything_is_streamed() -> None:
    world = World()
    world.resolver.changes["model"] = small(1_000)
    turn = world.registry.start(an_ask("why " * 2_000))
    with pytest.raises(ContextTooLong):
        await turn.admitted()
    await turn.ended()
    assert world.provider.requests == []
    assert world.store.held == 0


async def test_no_round_exceeds_the_window_however_much_tools_bring() -> None:
    async def big(_call: ToolCall, _context: ToolContext) -> ToolOutcome:
        return ToolOutcome(text="much " * 4_000)

    world = World()
    world.tools.tools["big"] = big
    rounds = [[call("big", call_id=f"c{number}"), TOOLS] for number in range(5)]
    turn = world.start(*rounds, [text("Done."), END], model=small(2_000), output_limit=1_000)
    await turn.ended()
    assert turn.reply is not None
    assert turn.reply.output == "Done."
    assert len(world.provider.requests) == 6
    for request in world.provider.requests:
        assert size(request) + request.output_limit <= 2_000


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("It is said that the quick brown fox jumps over the lazy dog. " * 50, 700, 900),
        ("0 1 2 3 4 5 6 7 8 9 " * 100, 1_900, 2_100),
        ("12.5, 13.8; " * 100, 1_000, 1_300),
        ("漢字仮名" * 100, 400, 600),
        ("🌳" * 100, 300, 400),
        ("", 0, 0),
        ("\ud83c", 1, 1),
    ],
    ids=["prose", "digits", "table", "chinese", "emoji", "nothing", "half a pair"],
)
def test_what_vendors_cut_into_more_tokens_counts_more(text: str, least: int, most: int) -> None:
    assert least <= window.text_tokens(text) <= most
