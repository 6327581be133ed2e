"""A turn's events again, from its history record: what a reader gets once the log has expired."""

from twinspeak.domain.errors import Conflict
from twinspeak.domain.events import (
    AnswerReady,
    TextDelta,
    ThinkingDelta,
    ThinkingDone,
    ToolFinished,
    ToolStarted,
    TurnEnded,
    TurnFailed,
    TurnStarted,
)
from twinspeak.domain.turn import Failure, Settlement, TurnRecord, TurnReply, TurnState
from twinspeak.engine.buffer import TextBuffer
from twinspeak.engine.log import TurnLog
from twinspeak.engine.ports import ToolRunner
from twinspeak.engine.toolbox import cut

REPLAY_EPOCH = "h"
"""The epoch of logs made from history: they are the same every time, so cursors into them stay good."""

_Structural = ThinkingDone | ToolStarted | ToolFinished


def log_of(record: TurnRecord, tools: ToolRunner, *, tool_results_max_chars: int) -> TurnLog:
    """Return a closed log with the record's events: reasoning and tools in the order they had, the text, the end.

    A structural event has the number that it had in the turn's own log, so a cursor of that log is good here.
    Raises Conflict for a turn that has not ended.
    """
    if record.state is TurnState.RUNNING:
        raise Conflict("This turn has not ended yet. Please try again in a moment.", retry_after_s=10)
    text, thinking = TextBuffer(record.output), TextBuffer("".join(part.text for part in record.thinking))
    log = TurnLog(f"{REPLAY_EPOCH}{record.id}", text=text, thinking=thinking)
    log.append(TurnStarted(turn_id=record.id))
    for number, event in _structure(record, tools, tool_results_max_chars):
        if isinstance(event, ThinkingDone):
            log.append(ThinkingDelta(round=event.round, text=event.text))
        log.append(event, number=number)
    if record.output:
        log.append(TextDelta(text=record.output, end=len(record.output)))
    log.append(_last(record))
    log.append(TurnEnded())
    return log


def _structure(record: TurnRecord, tools: ToolRunner, most: int) -> list[tuple[int, _Structural]]:
    events: list[tuple[int, _Structural]] = [
        (part.closed, ThinkingDone(round=part.round, text=part.text, signature=part.signature))
        for part in record.thinking
    ]
    for tool in record.tools:
        began = ToolStarted(
            call_id=tool.id,
            name=tool.name,
            arguments=tool.arguments,
            display=tools.display(tool.name),
            automatic=tool.automatic,
        )
        ended = ToolFinished(
            call_id=tool.id,
            name=tool.name,
            arguments=tool.arguments,
            response=cut(tool.response, most),
            response_length=tool.response_length,
            duration_ms=tool.duration_ms,
            success=tool.success,
        )
        events += [(tool.began, began), (tool.ended, ended)]
    return sorted(events, key=lambda numbered: numbered[0])


def reply_of(record: TurnRecord) -> TurnReply:
    """Return what was replied when the turn ended; not for a failed one."""
    paid = Settlement(credits=record.credits, total_credits=0, credits_used=0, institution_credits=None)
    return TurnReply(
        turn_id=record.id,
        output=record.output,
        model=record.model,
        usage=record.usage,
        settlement=record.settlement or paid,
        course_id=record.course_id,
        course_name=record.course_name,
        duration_ms=record.duration_ms,
        passages=record.passages,
        cancelled=record.state in (TurnState.CANCELLED, TurnState.INTERRUPTED),
        moderated=record.moderated,
        passages_only=record.passages_only,
        stop_reason=record.stop_reason,
    )


def reply_to(record: TurnRecord) -> TurnReply | Failure:
    """Return how the turn ended: its reply, or the failure that its asker was told."""
    return record.failure or reply_of(record)


def _last(record: TurnRecord) -> AnswerReady | TurnFailed:
    failure = record.failure
    if failure is None:
        return AnswerReady(reply=reply_of(record))
    return TurnFailed(
        code=failure.code,
        status=failure.status,
        type=failure.type,
        message=failure.message,
        details=failure.details,
    )
