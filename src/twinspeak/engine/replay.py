"""A turn's events again, from its history record: what a reader gets once the log has expired."""

from twinspeak.domain.credits import Usage
from twinspeak.domain.events import (
    AnswerReady,
    DisplayInfo,
    TextDelta,
    ThinkingDelta,
    ThinkingDone,
    ToolFinished,
    ToolStarted,
    TurnEnded,
    TurnFailed,
    TurnStarted,
)
from twinspeak.domain.turn import Settlement, TurnRecord, TurnReply, TurnState
from twinspeak.engine.buffer import TextBuffer
from twinspeak.engine.log import TurnLog
from twinspeak.engine.ports import ToolRunner
from twinspeak.engine.toolbox import cut

REPLAY_EPOCH = "h"
"""The epoch of logs made from history: they are the same every time, so cursors into them stay good."""


def log_of(record: TurnRecord, tools: ToolRunner, *, tool_results_max_chars: int) -> TurnLog:
    """Return a closed log with the record's events: tools and thinking in order of rounds, the text, the end."""
    text, thinking = TextBuffer(record.output), TextBuffer("".join(part.text for part in record.thinking))
    log = TurnLog(f"{REPLAY_EPOCH}{record.id}", text=text, thinking=thinking)
    log.append(TurnStarted(turn_id=record.id))
    for part in record.thinking:
        log.append(ThinkingDelta(round=part.round, text=part.text))
        log.append(ThinkingDone(round=part.round, text=part.text, signature=part.signature))
    for tool in record.tools:
        display: DisplayInfo = tools.display(tool.name)
        log.append(ToolStarted(call_id=tool.id, name=tool.name, arguments=tool.arguments, display=display))
        log.append(
            ToolFinished(
                call_id=tool.id,
                name=tool.name,
                arguments=tool.arguments,
                response=cut(tool.response, tool_results_max_chars),
                response_length=tool.response_length,
                duration_ms=tool.duration_ms,
                success=tool.success,
            )
        )
    if record.output:
        log.append(TextDelta(text=record.output, end=len(record.output)))
    log.append(_last(record))
    log.append(TurnEnded())
    return log


def _last(record: TurnRecord) -> AnswerReady | TurnFailed:
    failure = record.failure
    if failure is not None:
        return TurnFailed(
            code=failure.code,
            status=failure.status,
            type=failure.type,
            message=failure.message,
            details=failure.details,
        )
    usage: Usage = record.usage
    paid = Settlement(credits=record.credits, total_credits=0, credits_used=0, institution_credits=None)
    return AnswerReady(
        reply=TurnReply(
            turn_id=record.id,
            output=record.output,
            model=record.model,
            usage=usage,
            settlement=record.settlement or paid,
            course_id=record.course_id,
            course_name=record.course_name,
            duration_ms=record.duration_ms,
            passages=record.passages,
            cancelled=record.state in (TurnState.CANCELLED, TurnState.INTERRUPTED),
            moderated=record.moderated,
            stop_reason=record.stop_reason,
        )
    )
