"""Generated model output, and the rules of contract 4.1 said once more, in the simplest way that could work."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

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
    TurnEvent,
)
from twinspeak.domain.turn import Opaque

PIECES = st.one_of(
    st.sampled_from(["", "[", "[1", "]", "[12, ", "3]", "[[", "\n", "[1\n", ", ", "é", "😀", "漢字", " "]),
    st.text(alphabet="ab[]12, \n", max_size=8),
)
STATES = st.builds(Opaque, maker=st.just("fake"), value=st.integers(0, 9))
ROUND: st.SearchStrategy[list[ModelEvent]] = st.lists(
    st.one_of(
        PIECES.map(lambda piece: ModelText(text=piece)),
        PIECES.map(lambda piece: ModelText(text=piece)),
        PIECES.map(lambda piece: ModelThinking(text=piece)),
        st.builds(ModelSignature, signature=st.sampled_from(["s1", "s2"])),
        st.builds(ModelState, item=STATES),
        st.builds(
            ModelToolDelta,
            index=st.integers(0, 2),
            call_id=st.sampled_from([None, "c1", "c2"]),
            name=st.sampled_from([None, "look", "add"]),
            arguments=st.sampled_from(["", "{", "}", '"a":1', "nonsense"]),
            state=st.none() | STATES,
        ),
        st.builds(ModelUsage, input=st.integers(0, 9), cached=st.just(0), completion=st.integers(0, 9)),
        st.builds(ModelStop, reason=st.sampled_from(list(StopReason))),
    ),
    max_size=14,
)
ROUNDS = st.lists(ROUND, min_size=1, max_size=4)


def cut(events: list[ModelEvent], cuts: Sequence[int]) -> list[list[ModelEvent]]:
    """Cut `events` into batches, some of them empty."""
    places = sorted({min(place, len(events)) for place in cuts})
    return [events[start:end] for start, end in zip([0, *places], [*places, len(events)], strict=True)]


def whole_text(rounds: Sequence[Sequence[ModelEvent]]) -> str:
    """The answer: what each round said, rounds parted by a blank line where both sides said something."""
    said = ["".join(event.text for event in events if isinstance(event, ModelText)) for events in rounds]
    return "\n\n".join(text for text in said if text)


def all_thinking(events: Sequence[ModelEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, ModelThinking))


def shown_thinking(events: Sequence[ModelEvent]) -> str:
    """A round's reasoning up to the first text or tool call that comes after some of it."""
    shown = ""
    for event in events:
        closes = isinstance(event, ModelToolDelta) or (isinstance(event, ModelText) and event.text)
        if shown and closes:
            break
        if isinstance(event, ModelThinking):
            shown += event.text
    return shown


def joined(events: Sequence[TurnEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def thinking_of(events: Sequence[TurnEvent]) -> dict[int, str]:
    found: dict[int, str] = {}
    for event in events:
        if isinstance(event, ThinkingDelta):
            found[event.round] = found.get(event.round, "") + event.text
    return found


def structure(events: Sequence[TurnEvent]) -> list[Any]:
    return [event for event in events if not isinstance(event, TextDelta | ThinkingDelta)]


def check_frames(events: Sequence[TurnEvent]) -> None:
    """What any reader from the start may rely on, whatever was merged for it."""
    length = 0
    closed: set[int] = set()
    for event in events:
        if isinstance(event, TextDelta):
            assert event.text
            length += len(event.text)
            assert event.end == length
        elif isinstance(event, ThinkingDelta):
            assert event.text
            assert event.round not in closed
        elif isinstance(event, ThinkingDone):
            assert event.round not in closed
            closed.add(event.round)
            assert thinking_of(events)[event.round] == event.text
    assert set(thinking_of(events)) == closed
