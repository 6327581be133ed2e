"""A persona that a conversation runs under."""

import msgspec


class Assistant(msgspec.Struct, frozen=True):
    """An assistant the caller may use. Sentinels as in `Institution`; None flags inherit."""

    id: str
    name: str
    instructions: str = ""
    picture_url: str = ""
    conversation_model: str = ""
    max_completion_tokens: int = -1
    reasoning_effort: str = ""
    rag_ignore: bool | None = None
    rag_only: bool | None = None
