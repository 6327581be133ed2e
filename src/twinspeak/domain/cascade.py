"""Which setting wins: model, token limit, effort, retrieval (contract sections 4 and 4.5)."""

import msgspec

from twinspeak.domain.assistant import Assistant
from twinspeak.domain.institution import Institution
from twinspeak.domain.models import ModelChoice

INHERIT = -1
"""The token limit that says: ask the next in line."""


class Retrieval(msgspec.Struct, frozen=True):
    """Whether the vault is searched (`search`), and whether its passages are the whole answer (`only`)."""

    search: bool
    only: bool


def choose_model(
    *, assistant: Assistant | None, institution: Institution | None, default: str, chat_completion: bool
) -> ModelChoice:
    """Walk assistant > (chat completions only) the twin's chat-completion override > twin > server default.

    Each of the three settings cascades by itself; the assistant always wins.
    """
    models: list[str] = []
    limits: list[int] = []
    efforts: list[str] = []
    if assistant:
        models.append(assistant.conversation_model)
        limits.append(assistant.max_completion_tokens)
        efforts.append(assistant.reasoning_effort)
    if institution:
        if chat_completion:
            models.append(institution.chat_completion_model)
            limits.append(institution.chat_completion_max_completion_tokens)
            efforts.append(institution.chat_completion_reasoning_effort)
        models.append(institution.conversation_model)
        limits.append(institution.max_completion_tokens)
        efforts.append(institution.reasoning_effort)
    return ModelChoice(
        model_id=next((model for model in models if model), default),
        max_tokens=next((limit for limit in limits if limit != INHERIT), 0),
        effort=next((effort for effort in efforts if effort), ""),
    )


class RagSwitches(msgspec.Struct, frozen=True):
    """The two switches as one level sets them; None says nothing."""

    ignore: bool | None = None
    only: bool | None = None


def choose_retrieval(levels: list[RagSwitches]) -> Retrieval:
    """Walk `levels`, first to last: request, user, assistant, twin. The first that says something decides a switch.

    The request's level must pass None for False, because the seeds' samples always send False (contract 4.5).
    Ignoring wins over only.
    """
    ignore = next((level.ignore for level in levels if level.ignore is not None), False)
    only = next((level.only for level in levels if level.only is not None), False)
    return Retrieval(search=not ignore, only=only and not ignore)
