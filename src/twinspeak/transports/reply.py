"""A finished turn as REST replies with it and `complete` carries it: the same fields on both (contract 4.1)."""

from typing import Any

from twinspeak.domain.events import StopReason
from twinspeak.domain.locator import parse_locator
from twinspeak.domain.turn import Passage, TurnReply


def render(reply: TurnReply) -> dict[str, Any]:
    """Return the reply's wire fields (reference 3.1); what is false or empty and not documented is left out."""
    usage, paid = reply.usage, reply.settlement
    body: dict[str, Any] = {
        "success": True,
        "turnId": reply.turn_id,
        "outputs": [reply.output],
        "usage": usage.total,
        "totalLength": usage.total,
        "cached": usage.cached,
        "completion": usage.completion,
        "credits": paid.credits,
        "totalCredits": paid.total_credits,
        "creditsUsed": paid.credits_used,
        "model": reply.model,
        "query_duration_ms": reply.duration_ms,
        "course_id": reply.course_id,
        "course_name": reply.course_name,
        "sources": [source(passage) for passage in reply.passages],
    }
    if paid.institution_credits is not None:
        body["institutioncredits"] = paid.institution_credits
    if usage.estimated:
        body["usageEstimated"] = True
    if reply.cancelled:
        body["cancelled"] = True
    if reply.moderated:
        body["moderated"] = True
    if reply.stop_reason == StopReason.LENGTH:
        body["truncated"] = True
    if not reply.settled:
        body["settlementPending"] = True
    if reply.passages_only:
        body["ragResults"] = [{**source(passage), "text": passage.text} for passage in reply.passages]
    return body


def source(passage: Passage) -> dict[str, Any]:
    """Return one entry of `sources`: what [number] in the answer stands for, and whether the answer cites it."""
    return {
        "number": passage.number,
        "uploadId": passage.document_id,
        "chunkId": passage.chunk_id,
        "originalname": passage.document_name,
        "section": passage.section,
        "location": parse_locator(passage.locator).label,
        "chunkUrl": f"#{passage.locator}" if passage.locator else "",
        "snippet": passage.text[:200],
        "score": round(passage.score, 4),
        "cited": passage.cited,
    }
