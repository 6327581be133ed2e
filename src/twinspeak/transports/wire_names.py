"""Every literal that a client may compare, spelled here and nowhere else in transports (docs/wire.md lists them).

Field names of request and response bodies are the attributes and aliases of the models beside each route; what is here
is what several faces share.
"""

from enum import StrEnum
from typing import Final

# -- headers, in lower case as ASGI has them --------------------------------------------------------------------------

ACCESS_TOKEN: Final = "x-access-token"  # noqa: S105 - the name of a header
SSO_COOKIE: Final = "twinspeak_sso"
API_KEY: Final = "x-api-key"
KEY_PREFIX: Final = "pria_"
AUTHORIZATION: Final = "authorization"
CSRF_HEADER: Final = "x-csrf-token"
SESSION_COOKIE: Final = "twinspeak_session"
SECURE_SESSION_COOKIE: Final = "__Host-twinspeak_session"
"""Over TLS: a browser takes it from this very host alone, and sends it nowhere else."""
LAUNCH_COOKIE: Final = "twinspeak_launch"
DEVICE_COOKIE: Final = "twinspeak_device"
SECURE_DEVICE_COOKIE: Final = "__Host-twinspeak_device"
REQUEST_ID_HEADER: Final = "x-request-id"
TURN_ID_HEADER: Final = "x-turn-id"
CONVERSATION_ID_HEADER: Final = "x-conversation-id"
IDEMPOTENCY_KEY: Final = "idempotency-key"
REPLAYED_HEADER: Final = "idempotent-replayed"
RETRY_AFTER: Final = "retry-after"
CACHE_STATE: Final = "x-cache"
RATE_LIMIT_LIMIT: Final = "ratelimit-limit"
RATE_LIMIT_REMAINING: Final = "ratelimit-remaining"
RATE_LIMIT_RESET: Final = "ratelimit-reset"

INSTITUTION_HEADERS: Final = ("x-praxis-institution-public-id", "x-twinspeak-institution-public-id")
"""The seeds' name first, then the synonym (contract 4.4); so with the three below."""
CONVERSATION_HEADERS: Final = ("x-praxis-conversation-id", "x-twinspeak-conversation-id")
ASSISTANT_HEADERS: Final = ("x-praxis-assistant-id", "x-twinspeak-assistant-id")
TIMEZONE_HEADERS: Final = ("x-praxis-timezone", "x-twinspeak-timezone")

EXPOSED_HEADERS: Final = (
    TURN_ID_HEADER,
    CONVERSATION_ID_HEADER,
    REQUEST_ID_HEADER,
    REPLAYED_HEADER,
    RETRY_AFTER,
    RATE_LIMIT_LIMIT,
    RATE_LIMIT_REMAINING,
    RATE_LIMIT_RESET,
)
"""What a page of another origin may read (contract section 3)."""

TOKEN_FIELD: Final = "token"  # noqa: S105 - the name of a field
"""The access token in a JSON body (POST), and in the query where that is allowed."""

# -- addresses that records name (`api`) ------------------------------------------------------------------------------

QANDA_PATH: Final = "/api/ai/personal/qanda"
QANDA_STREAM_PATH: Final = "/api/ai/personal-stream/qanda-stream"
CHAT_PATH: Final = "/api/ai/chat/completions"

UPLOADS_PATH: Final = "/uploads"
"""Where files of the vault are opened."""

# -- what an answer is thought of -------------------------------------------------------------------------------------

THUMBS: Final = {"up": "a good answer", "down": "a bad one"}
"""A dict, for health speaks of up and down too."""

# -- event types of the SSE face (contract 4.1) -----------------------------------------------------------------------

CONNECTED: Final = "connected"
STREAM: Final = "stream"
THINKING: Final = "thinking"
TOOL_CALL: Final = "tool_call"
TOOL_PROGRESS: Final = "tool_progress"
TOOL_RESULT: Final = "tool_result"
COMPLETE: Final = "complete"
ERROR: Final = "error"
"""Also the member of every failed reply that holds the code."""
DONE: Final = "done"

CONNECTED_MESSAGE: Final = "Stream connected"

DELTA: Final = "delta"
"""New text in a frame, and the stream mode that sends nothing else."""
STREAM_MODES: Final = ("cumulative", DELTA)
LAST_EVENT_ID: Final = "last-event-id"

SSE_HEADERS: Final = (
    ("content-type", "text/event-stream; charset=utf-8"),
    ("cache-control", "no-cache, no-transform"),
    ("connection", "keep-alive"),
    ("content-encoding", "none"),
    ("x-accel-buffering", "no"),
)
"""As the seeds list them; the server adds `transfer-encoding: chunked` itself."""

# -- the Socket.IO face (contract 4.1 and 4.3) ------------------------------------------------------------------------

SOCKETS_PATH: Final = "/socket.io"
NAMESPACES: Final = {"/": "the default", SOCKETS_PATH: "how a JavaScript client reads the seeds' address"}
"""A dict, for `/` alone is too common a text to be kept to this file."""
RECEIVE_STREAM: Final = "RECEIVE_STREAM"
RELOAD: Final = "RELOAD"
STREAM_EVENT: Final = "STREAM"
THINKING_EVENT: Final = "THINKING"
TOOL_CALL_EVENT: Final = "TOOL_CALL"
TOOL_PROGRESS_EVENT: Final = "TOOL_PROGRESS"
TOOL_RESULT_EVENT: Final = "TOOL_RESULT"
ERROR_EVENT: Final = "ERROR"
REGISTER_EVENTS: Final = ("register", "register_user", "REGISTER")
CANCEL_REQUEST: Final = "cancel_request"
CANCEL_STREAMING: Final = "cancel_streaming"
CLIENT_ID: Final = "clientId"
POST_OK: Final = "ok"
"""What a POST of the polling transport is answered with."""

# -- the OpenAI-compatible face (contract 4.4) ------------------------------------------------------------------------

CHUNK_OBJECT: Final = "chat.completion.chunk"
COMPLETION_OBJECT: Final = "chat.completion"
CHAT_ID_PREFIX: Final = "chatcmpl-"
STREAM_END: Final = "[DONE]"
STOP: Final = "stop"
"""A finish reason, and the request field."""
FINISH_LENGTH: Final = "length"
FINISH_FILTERED: Final = "content_filter"
ROLE_ASSISTANT: Final = "assistant"
ROLE_USER: Final = "user"

# -- MCP (reference content 5.7) --------------------------------------------------------------------------------------

SEARCH_INSTANCE_RAG: Final = "search-instance-rag"
API_RT_DOCS: Final = "api-rt-docs"
API_ADMIN_DOCS: Final = "api-admin-docs"
ASK_TWIN: Final = "ask-twin"

# -- health -----------------------------------------------------------------------------------------------------------


class HealthStatus(StrEnum):
    """`status` of the health routes."""

    OK = "ok"
    DEGRADED = "degraded"
    STOPPING = "stopping"
