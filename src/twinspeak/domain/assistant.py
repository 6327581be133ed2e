"""A persona that a conversation runs under (reference content 2.1, 2.2)."""

from enum import StrEnum

import msgspec

ALL_TOOLS, SELECTED_TOOLS = "all", "selected"
"""Tool modes: what the twin offers, or of that what the assistant names."""
ARGUMENTS = 5
"""Free slots of an assistant."""


class Sharing(StrEnum):
    """Who may use an assistant: everybody, its owner, the members of its twin, of all twins of the account."""

    SYSTEM = "system"
    PERSONAL = "personal"
    INSTITUTION = "institution"
    ACCOUNT = "account"


class AssistantTool(msgspec.Struct, frozen=True):
    """A tool that an assistant may use; `instructions` take the place of the tool's own description, where given."""

    tool: str
    instructions: str = ""


class Assistant(msgspec.Struct, frozen=True):
    """An assistant. Sentinels as in `Institution`; None flags and None `remember_history` inherit.

    `status` is active, unpublished (its owner's alone), inactive or deleted. `created` is epoch milliseconds.
    """

    id: str
    name: str
    instructions: str = ""
    picture_url: str = ""
    conversation_model: str = ""
    max_completion_tokens: int = -1
    reasoning_effort: str = ""
    rag_ignore: bool | None = None
    rag_only: bool | None = None
    description: str = ""
    status: str = "active"
    admin_only: bool = False
    editable_others: bool = False
    remember_history: int | None = None
    bypass_system_context: bool = False
    sts_conversation_model: str = ""
    rag_collections: tuple[str, ...] = ()
    tool_mode: str = ALL_TOOLS
    tools: tuple[AssistantTool, ...] = ()
    arguments: tuple[str | None, ...] = (None,) * ARGUMENTS
    liked_count: int = 0


class Listed(msgspec.Struct, frozen=True):
    """An assistant with whose it is, and for whom. `liked`: by whoever asks."""

    assistant: Assistant
    sharing: Sharing
    owner_id: str | None
    institution_id: str | None
    created: int
    liked: bool = False
