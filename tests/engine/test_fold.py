"""The fold: a model's events, however they were cut, become the same turn."""

import re

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine import models
from twinspeak.domain.credits import Usage
from twinspeak.domain.events import (
    ModelEvent,
    ModelSignature,
    ModelState,
    ModelStop,
    ModelText,
    ModelThinking,
    ModelToolDelta,
    ModelUsage,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ThinkingDone,
)
from twinspeak.engine.arguments import parse_arguments
from twinspeak.engine.buffer import TextBuffer, encodable
from twinspeak.engine.fold import FoldEvent, RoundResult, TurnFold

CUTS = st.lists(st.integers(0, 14), max_size=8)


def fold_all(
    rounds: list[list[ModelEvent]], cuts: list[int], *, hold_markers: bool = True, show: bool = True
) -> tuple[TurnFold, list[list[FoldEvent]], list[RoundResult]]:
    fold = TurnFold(show_thinking=show)
    told: list[list[FoldEvent]] = []
    results: list[RoundResult] = []
    for number, events in enumerate(rounds):
        fold.begin_round(number)
        fold.hold_markers = hold_markers
        out: list[FoldEvent] = []
        for batch in models.cut(events, cuts):
            out += fold.feed(batch)
        result, rest = fold.end_round()
        results.append(result)
        told.append(out + rest)
    return fold, told, results


@given(rounds=models.ROUNDS, cuts=CUTS, hold=st.booleans())
def test_text_is_what_the_model_said(rounds: list[list[ModelEvent]], cuts: list[int], *, hold: bool):
    fold, told, results = fold_all(rounds, cuts, hold_markers=hold)
    events = [event for part in told for event in part]
    models.check_frames(events)
    assert models.joined(events) == fold.text.text() == models.whole_text(rounds)
    for events_of_round, result in zip(rounds, results, strict=True):
        assert result.text == models.whole_text([events_of_round])
        assert result.thinking == "".join([models.shown_thinking(events_of_round), *_late(events_of_round)])


def _late(events: list[ModelEvent]) -> list[str]:
    return [models.all_thinking(events)[len(models.shown_thinking(events)) :]]


@given(rounds=models.ROUNDS, cuts=CUTS)
def test_thinking_is_told_once_and_closed_once(rounds: list[list[ModelEvent]], cuts: list[int]):
    fold, told, _ = fold_all(rounds, cuts)
    for number, (events, out) in enumerate(zip(rounds, told, strict=True)):
        dones = [event for event in out if isinstance(event, ThinkingDone)]
        shown = models.shown_thinking(events)
        assert [(done.round, done.text) for done in dones] == ([(number, shown)] if shown else [])
    assert fold.thinking.text() == "".join(models.shown_thinking(events) for events in rounds)


@given(rounds=models.ROUNDS, one=CUTS, other=CUTS)
def test_how_the_wire_was_cut_does_not_show(rounds: list[list[ModelEvent]], one: list[int], other: list[int]):
    def seen(cuts: list[int]) -> list[object]:
        _, told, results = fold_all(rounds, cuts)
        dones = [event for part in told for event in part if isinstance(event, ThinkingDone)]
        blank = [
            msgspec.structs.replace(call, call_id="") for result in results for call in result.tool_calls
        ]  # ids may have been made up
        return [dones, blank, [(result.usage, result.stop, result.signature, result.state) for result in results]]

    assert seen(one) == seen(other)


@given(rounds=models.ROUNDS, cuts=CUTS)
def test_no_reader_sees_half_a_marker(rounds: list[list[ModelEvent]], cuts: list[int]):
    fold, told, _ = fold_all(rounds, cuts)
    ends = {event.end for out in told for event in out if isinstance(event, TextDelta)}
    for marker in re.finditer(r"\[\d{1,3}(, ?\d{1,3}){0,9}\]", fold.text.text()):
        assert not ends & set(range(marker.start() + 1, marker.end()))


@given(rounds=models.ROUNDS, cuts=CUTS)
def test_reasoning_that_is_not_shown_still_goes_back(rounds: list[list[ModelEvent]], cuts: list[int]):
    _, told, results = fold_all(rounds, cuts, show=False)
    assert not [event for out in told for event in out if not isinstance(event, TextDelta)]
    assert [result.thinking for result in results] == [models.all_thinking(events) for events in rounds]


@given(rounds=models.ROUNDS, cuts=CUTS)
def test_each_call_of_a_turn_has_an_id_of_its_own(rounds: list[list[ModelEvent]], cuts: list[int]):
    _, _, results = fold_all(rounds, cuts)
    found = [call.call_id for result in results for call in result.tool_calls]
    assert all(found)
    assert len(found) == len(set(found))


@given(rounds=models.ROUNDS, cuts=CUTS)
def test_what_a_provider_wants_back_is_kept_in_its_order(rounds: list[list[ModelEvent]], cuts: list[int]):
    _, _, results = fold_all(rounds, cuts)
    for events, result in zip(rounds, results, strict=True):
        assert list(result.state) == [event.item for event in events if isinstance(event, ModelState)]
        deltas = [event for event in events if isinstance(event, ModelToolDelta)]
        last = {delta.index: delta.state for delta in deltas if delta.state}
        assert [call.state for call in result.tool_calls] == [
            last.get(index) for index in sorted({delta.index for delta in deltas})
        ]


def test_late_thinking_does_not_shift_what_the_next_round_shows():
    rounds: list[list[ModelEvent]] = [
        [ModelThinking(text="abc"), ModelText(text="x"), ModelThinking(text="LATE"), ModelSignature(signature="s")],
        [ModelThinking(text="def"), ModelText(text="y")],
    ]
    fold, told, results = fold_all(rounds, [])
    assert told[0] == [
        ThinkingDelta(round=0, text="abc"),
        ThinkingDone(round=0, text="abc", signature=None),
        TextDelta(text="x", end=1),
    ]
    assert results[0].thinking == "abcLATE"
    assert results[0].signature == "s"
    assert fold.thinking.text() == "abcdef"
    assert told[1][0] == ThinkingDelta(round=1, text="def")


def test_the_last_count_of_a_round_counts():
    events: list[ModelEvent] = [
        ModelUsage(input=5, cached=1, completion=1),
        ModelText(text="x"),
        ModelUsage(input=5, cached=1, completion=7),
    ]
    _, _, results = fold_all([events], [1, 2])
    assert results[0].usage == Usage(input=5, cached=1, completion=7)


@pytest.mark.parametrize("nonsense", [(10**30, 0, 1), (1, 0, 2**31), (-1, 0, 5), (5, -1, 5), (2**30, 0, 2**30)])
def test_a_count_that_cannot_be_is_none(nonsense: tuple[int, int, int]):
    fold = TurnFold(show_thinking=True)
    fold.feed([ModelText(text="hello"), ModelUsage(*nonsense)])
    assert fold.end_round()[0].usage is None


def test_a_round_without_a_stop_is_told_from_its_calls():
    calls: list[ModelEvent] = [ModelToolDelta(index=0, call_id="c", name="look", arguments="{}")]
    _, _, results = fold_all([calls, [ModelText(text="x")], [ModelStop(reason=StopReason.LENGTH)]], [])
    assert [result.stop for result in results] == [StopReason.TOOLS, StopReason.END, StopReason.LENGTH]


@pytest.mark.parametrize("marker", ["[1]", "[12, 3]", "[1, 2, 3, 4, 5]", "[" + ", ".join(["123"] * 10) + "]"])
def test_a_marker_cut_anywhere_comes_out_whole(marker: str):
    for place in range(1, len(marker)):
        fold = TurnFold(show_thinking=True)
        fold.hold_markers = True
        first = fold.feed([ModelText(text=f"So it is {marker[:place]}")])
        then = fold.feed([ModelText(text=f"{marker[place:]}.")])
        assert [event.text for event in [*first, *then]] == ["So it is ", f"{marker}."]


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        ("", {}),
        (" \n", {}),
        ('{"a": 1}', {"a": 1}),
        ("[1]", None),
        ('{"a": ', None),
        ('{"a": NaN}', None),
        ('{"a": "\\ud800"}', None),
        ('{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
        ('{"a": [123456789012345678901234567890]}', {"a": [123456789012345678901234567890.0]}),
        ('{"a":' * 100 + "1" + "}" * 100, None),
        ('{"a":' * 5000, None),
        (f'{{"a": {"9" * 5000}}}', None),
    ],
)
def test_arguments_that_are_read_can_be_written(raw: str, read: object):
    parsed = parse_arguments(raw)
    assert parsed == read
    assert orjson.loads(orjson.dumps(parsed)) == msgspec.json.decode(msgspec.json.encode(parsed)) == read


def test_text_that_no_database_takes_is_made_whole():
    assert encodable("plain") == "plain"
    assert encodable("\ud83d\ude00!") == "😀!"
    assert encodable("a\ud83d") == "a\ufffd"
    assert encodable("a\0b\ud83d") == "a\ufffdb\ufffd"
    fold = TurnFold(show_thinking=True)
    fold.feed([ModelThinking(text="\ud800"), ModelText(text="\udc00")])
    assert (fold.thinking.text(), fold.text.text()) == ("\ufffd", "\ufffd")


@given(pieces=st.lists(st.text(max_size=3), max_size=200), data=st.data())
def test_a_buffer_is_its_pieces(pieces: list[str], data: st.DataObject):
    buffer = TextBuffer()
    whole = ""
    for piece in pieces:
        whole += piece
        assert buffer.append(piece) == len(whole) == buffer.length
        start = data.draw(st.integers(0, len(whole)))
        end = data.draw(st.sampled_from([len(whole), start, (start + len(whole)) // 2]))
        assert buffer.slice(start, end) == whole[start:end]
    assert buffer.text() == whole
