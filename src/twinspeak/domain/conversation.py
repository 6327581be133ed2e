"""Conversations: a client-chosen number, and the exchanges replayed from it."""

from collections.abc import Callable, Iterator, Sequence

import msgspec

UNASSIGNED = 0
"""The `course_id` of turns that belong to no conversation (contract section 4)."""


class CourseRef(msgspec.Struct, frozen=True):
    """`selectedCourse` as asked: the conversation, and the assistant it carries in older clients.

    `replaces_id` is the turn in whose place a question is asked (edited, or once more), `parent_id` the one it follows;
    without either it follows the newest. `branched`: the conversation has more than one path. `named_by_rule`: nobody
    has said what it is to be called.
    """

    course_id: int
    course_name: str = ""
    assistant_id: str | None = None
    replaces_id: str | None = None
    parent_id: str | None = None
    branched: bool = False
    named_by_rule: bool = False


class Exchange(msgspec.Struct, frozen=True):
    """One question and its answer, as they go back into a prompt; `turn_id` where the older ones are counted by it."""

    question: str
    answer: str
    turn_id: str = ""


def course_name_from(question: str) -> str:
    """Name a new conversation after its first question: one line of at most 60 characters, cut at a word."""
    line = " ".join(question.split())
    if len(line) <= 60:
        return line
    return line[:60].rsplit(" ", 1)[0] + "…"


def alternate(messages: list[tuple[str, str]]) -> tuple[Exchange, ...]:
    """Pair (role, text) messages into exchanges, strictly user then assistant (contract 4.4).

    Successive messages of one role are joined by a blank line; a leading assistant message and a trailing question
    have no partner and get an empty one, so nothing that was said is lost.
    """
    merged: list[tuple[str, str]] = []
    for role, text in messages:
        if merged and merged[-1][0] == role:
            merged[-1] = (role, f"{merged[-1][1]}\n\n{text}")
        else:
            merged.append((role, text))
    pairs: list[Exchange] = []
    question = ""
    for role, text in merged:
        if role == "user":
            question = text
        else:
            pairs.append(Exchange(question=question, answer=text))
            question = ""
    if question:
        pairs.append(Exchange(question=question, answer=""))
    return tuple(pairs)


VERBATIM_UP_TO = 5
VERBATIM_OF_MORE = 3
DIGEST_QUESTION_CHARS = 200
DIGEST_ANSWER_CHARS = 400
DIGEST_HEAD = "Earlier in this conversation, shortened:"
DIGEST_REPLY = "I remember."
SUMMARY_CHARS = 4_000
"""Characters of a summary that are kept."""
_IN_SUM = "- In sum:"
_LINE_CHARS = 600
_SUM_CHARS = (_LINE_CHARS, 300, 150)
_VERBATIM_SHARE = 3, 4
"""Of the room for a conversation that has to be compacted, how much its newest exchanges may take as they are."""


class Summary(msgspec.Struct, frozen=True):
    """What a model made of a conversation up to and with the turn `until`."""

    text: str
    until: str


def recall(
    exchanges: Sequence[Exchange], summary: Summary | None = None, *, compact: bool = True
) -> tuple[Exchange, ...]:
    """Return what goes back into a prompt of the remembered `exchanges`, oldest first (reference 3.7).

    Up to 5 go as they are; of more, the last 3 do, and one exchange in front of them holds the older ones: a model's
    `summary` of as many as it covers, the rest shortened by rule, which costs nothing and is the same every time.
    """
    if len(exchanges) <= VERBATIM_UP_TO or not compact:
        return tuple(_plain(exchange) for exchange in exchanges)
    last = exchanges[-VERBATIM_OF_MORE:]
    lines = [_line(exchange, DIGEST_QUESTION_CHARS, DIGEST_ANSWER_CHARS) for exchange in uncovered(exchanges, summary)]
    if summary is not None:
        lines.insert(0, f"{_IN_SUM} {shorten(summary.text, SUMMARY_CHARS)}")
    return (_digest(lines), *(_plain(exchange) for exchange in last))


def uncovered(exchanges: Sequence[Exchange], summary: Summary | None) -> Sequence[Exchange]:
    """Return those of the older exchanges that a summary does not tell of yet."""
    older = exchanges[:-VERBATIM_OF_MORE]
    covered = [place for place, exchange in enumerate(older) if summary and exchange.turn_id == summary.until]
    return older[covered[0] + 1 :] if covered else older


def compacted(exchanges: Sequence[Exchange], room: int, cost: Callable[[Exchange], int]) -> tuple[Exchange, ...]:
    """Return what of `exchanges` costs at most `room`: the newest as they are, of the older a line each, newest first.

    What was shortened before, by `recall`, is shortened further. What was summed up comes before the lines: one line
    of it tells more than one on a single exchange.
    """
    if sum(cost(exchange) for exchange in exchanges) <= room:
        return tuple(exchanges)
    share, used, first = room * _VERBATIM_SHARE[0] // _VERBATIM_SHARE[1], 0, len(exchanges)
    while first > 0 and used + cost(exchanges[first - 1]) <= share:
        first -= 1
        used += cost(exchanges[first])
    head = [line for line in _sums(exchanges[:first]) if cost(_digest([line])) <= room - used][:1]
    lines: list[str] = []
    for line in _lines_of(exchanges[:first]):
        if line.startswith(_IN_SUM) or cost(_digest([*head, line, *lines])) > room - used:
            break
        lines.insert(0, line)
    kept = [*head, *lines]
    return (_digest(kept), *exchanges[first:]) if kept else tuple(exchanges[first:])


def _sums(exchanges: Sequence[Exchange]) -> Iterator[str]:
    """Yield the summary at the beginning of what is remembered, if there is one: ever shorter lines."""
    if exchanges and exchanges[0].question.startswith(f"{DIGEST_HEAD}\n{_IN_SUM}"):
        told = exchanges[0].question.split("\n- ")[1]
        yield from (f"- {shorten(told, chars)}" for chars in _SUM_CHARS)


def _lines_of(exchanges: Sequence[Exchange]) -> Iterator[str]:
    """Yield lines on exchanges, the newest first; what stands for many of them is taken apart again."""
    for exchange in reversed(exchanges):
        if exchange.answer == DIGEST_REPLY and exchange.question.startswith(DIGEST_HEAD):
            body = exchange.question.removeprefix(DIGEST_HEAD).strip().removeprefix("- ")
            for line in reversed(body.split("\n- ")):
                yield f"- {shorten(line, _LINE_CHARS)}"
        else:
            yield _line(exchange, DIGEST_QUESTION_CHARS // 2, DIGEST_ANSWER_CHARS // 2)


def _line(exchange: Exchange, question_chars: int, answer_chars: int) -> str:
    return (
        f"- I asked: {shorten(exchange.question, question_chars)}\n"
        f"  You answered: {shorten(exchange.answer, answer_chars)}"
    )


def _digest(lines: Sequence[str]) -> Exchange:
    return Exchange(question="\n".join([DIGEST_HEAD, *lines]), answer=DIGEST_REPLY)


def _plain(exchange: Exchange) -> Exchange:
    return Exchange(question=exchange.question, answer=exchange.answer)


def shorten(text: str, limit: int) -> str:
    """Return `text` on one line and within `limit` characters: whole sentences if the first fits, else whole words."""
    line = " ".join(text.split())
    if len(line) <= limit:
        return line
    cut = line[: limit - 1]
    sentences = max(cut.rfind(mark) for mark in (". ", "! ", "? ", "。"))
    if sentences > 0:
        return f"{cut[: sentences + 1]}…"
    return cut.rsplit(" ", 1)[0] + "…"
