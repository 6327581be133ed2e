"""Domain values as the REST routes show them."""

from typing import Any

import msgspec

from twinspeak.domain.assistant import Assistant
from twinspeak.domain.clock import iso
from twinspeak.domain.events import StopReason
from twinspeak.domain.institution import Institution
from twinspeak.domain.turn import Face, Failure, ToolUse, TurnRecord, TurnState
from twinspeak.services.auth import SignedIn
from twinspeak.services.profiles import Profile, TwinProfile
from twinspeak.transports import wire_names as wire
from twinspeak.transports.reply import source
from twinspeak.transports.rest import shapes

TEXT_CHARS = 200
TOOL_CHARS = 80
"""How lists of records trim their texts and tool responses (reference 4.1)."""

APIS: dict[str, str] = {
    Face.REST.value: wire.QANDA_PATH,
    Face.SSE.value: wire.QANDA_STREAM_PATH,
    Face.OPENAI.value: wire.CHAT_PATH,
}
"""`api` of a record: which address was asked."""

_GOOD = frozenset({TurnState.DONE, TurnState.CANCELLED})


def faces_at(api: str) -> tuple[str, ...] | None:
    """Return the faces whose address holds `api`; None for any. No pattern: what looks like one is taken as it is."""
    if not api:
        return None
    return tuple(face for face, address in APIS.items() if api.casefold() in address)


def signed_in(signed: SignedIn) -> shapes.SignedInShape:
    """Render a token and its profile."""
    return shapes.SignedInShape(token=signed.token, profile=profile(signed.profile))


def profile(person: Profile) -> shapes.ProfileShape:
    """Render a person."""
    user = person.user
    return shapes.ProfileShape(
        **shapes.Preferences.model_validate(person.preferences).model_dump(),
        id=user.id,
        email=user.email,
        fname=user.fname,
        lname=user.lname,
        picture=user.picture,
        account_type=person.account_type,
        permissions=list(person.permissions),
        status=user.status,
        plan=person.plan,
        credits=person.credits,
        credits_used=user.credits_used,
        institution=institution(person.twin) if person.twin else None,
        remember_history_count=user.remember_history_count,
        rag_only_search=user.rag_only,
        rag_ignore=user.rag_ignore,
        must_change_password=user.must_change_password,
        mfa_enabled=person.mfa_enabled,
        reset_code_id=user.reset_code_id,
        referral_id=user.referral_id,
        created=iso(user.created),
    )


def institution(twin: TwinProfile) -> shapes.InstitutionShape:
    """Render the active twin; its prompt is its admin's business."""
    settings, card = twin.institution, twin.card
    return shapes.InstitutionShape(
        id=settings.id,
        public_id=settings.public_id,
        name=settings.name,
        ainame=settings.ai_name,
        about=card.about,
        picture=card.picture,
        status=card.status,
        created=iso(card.created),
        contact_email=card.contact_email,
        credits=twin.credits,
        pool_credits=settings.pool_credits,
        public_authorized_urls=list(settings.public_authorized_urls),
        conversation_model=settings.conversation_model,
        max_completion_tokens=settings.max_completion_tokens,
        reasoning_effort=settings.reasoning_effort,
        rag_ignore=settings.rag_ignore,
        rag_only=settings.rag_only,
        rag_limit_chunks=settings.rag_limit_chunks,
        display_thinking_details=settings.display_thinking_details,
        chat_completion_enabled=settings.chat_completion_enabled,
    )


def place(twin: Institution | None) -> shapes.PlaceShape:
    """Render where a dialogue was held: a twin, or None for the personal space."""
    if twin is None:
        return shapes.PlaceShape(personal=True)
    return shapes.PlaceShape(id=twin.id, name=twin.name, ainame=twin.ai_name)


def record(turn: TurnRecord, *, whole_texts: bool, whole_tools: bool) -> shapes.RecordShape:
    """Render a history record, its texts trimmed unless they are wanted whole."""
    question = turn.question if whole_texts else turn.question[:TEXT_CHARS]
    output = turn.output if whole_texts else turn.output[:TEXT_CHARS]
    return shapes.RecordShape(
        id=turn.id,
        created=iso(turn.created),
        state=turn.state,
        success=turn.state in _GOOD,
        user=turn.user_id,
        institution=turn.institution_id,
        course_id=turn.course_id,
        course_name=turn.course_name,
        role_id=turn.course_id,
        role_name=turn.course_name,
        api=APIS.get(turn.face, ""),
        asked=shapes.AskedShape(input=question, inputs=[question]),
        answered=shapes.AnsweredShape(output=output, outputs=[output]),
        conversation_model=turn.model,
        usage=turn.usage.total,
        cached=turn.usage.cached,
        completion=turn.usage.completion,
        usage_estimated=turn.usage.estimated,
        credits=turn.credits,
        latency_ms=turn.first_token_ms,
        query_duration_ms=turn.duration_ms,
        assistant=assistant(turn.assistant) if turn.assistant else None,
        tools=[_tool(tool, None if whole_tools else TOOL_CHARS) for tool in turn.tools],
        sources=[source(passage) for passage in turn.passages],
        has_thinking=turn.thinking_count > 0,
        thinking_count=turn.thinking_count,
        moderated=turn.moderated,
        truncated=turn.stop_reason == StopReason.LENGTH,
        favorite=turn.favorite,
        favorite_name=turn.favorite_name,
        thumb_up_down=turn.thumb,
        parent_id=turn.parent_id,
        replaces_id=turn.replaces_id,
        branched=turn.branched,
        error=_failure(turn.failure) if turn.failure else None,
    )


def _failure(failure: Failure) -> dict[str, Any]:
    """Render why it failed; when to come again was of use then only."""
    told: dict[str, Any] = msgspec.to_builtins(failure)
    del told["retry_after_s"]
    return told


def assistant(assistant: Assistant) -> shapes.AssistantShape:
    """Render what dialogues and conversations show of an assistant."""
    return shapes.AssistantShape(
        id=assistant.id, name=assistant.name, liked_count=assistant.liked_count, picture_url=assistant.picture_url
    )


def _tool(tool: ToolUse, limit: int | None) -> shapes.ToolUseShape:
    return shapes.ToolUseShape(
        id=tool.id,
        same_id=tool.id,
        name=tool.name,
        arguments=tool.arguments,
        response=tool.response[:limit],
        response_length=tool.response_length,
        response_duration_ms=tool.duration_ms,
        success=tool.success,
        refusal=tool.refusal or None,
    )
