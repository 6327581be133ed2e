"""Conversations as files that people and programs can read: Markdown, JSON."""

from typing import Any

import msgspec

from twinspeak.domain.clock import iso
from twinspeak.domain.turn import TurnRecord, TurnState

FORMAT = "twinspeak-conversation"
VERSION = 1


class Heading(msgspec.Struct, frozen=True):
    """What stands over a transcript. `at` is when it was made, epoch milliseconds."""

    title: str
    twin: str
    at: int


def markdown_head(heading: Heading) -> str:
    """Return the beginning of a transcript in Markdown."""
    twin = f" with {_plain(heading.twin)}" if heading.twin else ""
    return f"# {_plain(heading.title) or 'Conversation'}\n\nA conversation{twin}, as of {iso(heading.at)}.\n"


def markdown(record: TurnRecord) -> str:
    """Return one exchange in Markdown. The question is quoted: nothing in it can look like part of the transcript."""
    asked = "\n".join(f"> {line}".rstrip() for line in record.question.splitlines())
    parts = ["", "---", "", f"**Question**, {iso(record.created)}", "", asked, "", f"**Answer**{remark(record)}", ""]
    text = "\n".join([*parts, record.output or "(no answer)", ""])
    sources = [f"- [{one.number}] {_plain(one.document_name)}" for one in record.passages if one.cited]
    return "\n".join([text, "Sources:", "", *sources, ""]) if sources else text


def document(record: TurnRecord) -> dict[str, Any]:
    """Return one exchange as JSON holds it."""
    return {
        "id": record.id,
        "created": iso(record.created),
        "question": record.question,
        "answer": record.output,
        "state": record.state.value,
        "moderated": record.moderated,
        "model": record.model,
        "assistant": record.assistant.name if record.assistant else None,
        "sources": [{"number": one.number, "name": one.document_name} for one in record.passages if one.cited],
    }


def document_head(heading: Heading) -> dict[str, Any]:
    """Return what JSON holds beside the exchanges."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "title": heading.title,
        "twin": heading.twin,
        "exported": iso(heading.at),
    }


def remark(record: TurnRecord) -> str:
    """Return what has to be said of how an answer ended, with a blank before it; "" of one that ended well."""
    if record.moderated:
        return " (withdrawn)"
    remarks = {
        TurnState.CANCELLED: " (stopped)",
        TurnState.INTERRUPTED: " (interrupted)",
        TurnState.FAILED: " (failed)",
    }
    return remarks.get(record.state, "")


def _plain(text: str) -> str:
    """Return text on one line, with nothing in it that Markdown would read."""
    line = " ".join(text.split())
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]<>#|" else sign for sign in line)
