"""Conversations: a client-chosen number, and the exchanges replayed from it."""

from collections.abc import Sequence

import msgspec

UNASSIGNED = 0
"""The `course_id` of turns that belong to no conversation (contract section 4)."""


class CourseRef(msgspec.Struct, frozen=True):
    """`selectedCourse` as asked: the conversation, and the assistant it carries in older clients."""

    course_id: int
    course_name: str = ""
    assistant_id: str | None = None


class Exchange(msgspec.Struct, frozen=True):
    """One question and its answer, as they go back into a prompt."""

    question: str
    answer: str


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


def recall(exchanges: Sequence[Exchange]) -> tuple[Exchange, ...]:
    """Return what goes back into a prompt of the remembered `exchanges`, oldest first (reference 3.7).

    Up to 5 go as they are; of more, the last 3 do, and one exchange in front of them holds the older ones shortened,
    by rule and not by a model: it costs nothing, and it is the same every time.
    """
    if len(exchanges) <= VERBATIM_UP_TO:
        return tuple(exchanges)
    older, last = exchanges[:-VERBATIM_OF_MORE], exchanges[-VERBATIM_OF_MORE:]
    lines = [
        f"- I asked: {shorten(exchange.question, DIGEST_QUESTION_CHARS)}\n"
        f"  You answered: {shorten(exchange.answer, DIGEST_ANSWER_CHARS)}"
        for exchange in older
    ]
    return (Exchange(question="\n".join([DIGEST_HEAD, *lines]), answer=DIGEST_REPLY), *last)


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
