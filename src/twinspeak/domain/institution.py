"""The digital twin as a turn sees it."""

import msgspec


class Institution(msgspec.Struct, frozen=True):
    """An active twin. Sentinels as stored: tokens -1 inherit, 0 auto, > 0 explicit; effort and model "" inherit.

    `fallback_models` answer in this order where the model of the cascade does not (decision 026). `summary_model` sums
    up long conversations, "" leaves it to rules; `compact_history` False sends them as they were said (decision 032).
    `location_enabled` lets a model know where those are who want it to. `moderation_action` is block or record;
    `moderation_phrases` are the twin's own beside the rules of `domain.moderation` (decision 036).
    `tools_disabled` are names or record ids of tools; `mcp_enabled` lets its MCP secret in.
    """

    id: str
    public_id: str
    name: str
    ai_name: str
    prompt: str = ""
    conversation_model: str = ""
    max_completion_tokens: int = -1
    reasoning_effort: str = ""
    display_thinking_details: bool = True
    pool_credits: bool = True
    rag_ignore: bool = False
    rag_only: bool = False
    rag_limit_chunks: int = 6
    tool_results_max_chars: int = 4000
    chat_completion_enabled: bool = False
    chat_completion_openai_compat: bool = False
    chat_completion_model: str = ""
    chat_completion_max_completion_tokens: int = -1
    chat_completion_reasoning_effort: str = ""
    public_authorized_urls: tuple[str, ...] = ()
    fallback_models: tuple[str, ...] = ()
    summary_model: str = ""
    compact_history: bool = True
    location_enabled: bool = True
    enable_moderation: bool = True
    moderation_action: str = "block"
    moderation_phrases: tuple[str, ...] = ()
    tools_disabled: tuple[str, ...] = ()
    mcp_enabled: bool = False
