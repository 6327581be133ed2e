"""What a record of a twin's own model may hold (reference admin.md 8.2, 8.3)."""

import re
from collections.abc import Iterator, Mapping

from twinspeak.domain import ai_models
from twinspeak.domain.ai_models import FEATURES, INPUT_MEDIA, LIBRARIES, OUTPUT_MEDIA, AiModel, OwnSecrets
from twinspeak.domain.errors import AddressNotAllowed
from twinspeak.egress.guard import MAX_URL, Guard
from twinspeak.services.administered import MASK

MAX_NAME = 200
MAX_TEXT = 2_000
MAX_SECRET = 4_096
MAX_HEADERS = 20
MAX_TOKENS = 100_000_000
MAX_RATE = 100_000_000
EFFORTS = ("", "none", "low", "medium", "high", "max")

_USE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VISIBLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_KEY = re.compile(r"[\x21-\x7e]+")
_FRAMING = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect"}
    | {"keep-alive", "accept-encoding", "cookie", "proxy-authorization", "proxy-connection"}
)
_NEEDS_KEY = frozenset(LIBRARIES) - {ai_models.BEDROCK}

Fault = dict[str, str]


def faults_of(record: AiModel, secrets: OwnSecrets, guard: Guard) -> list[Fault]:
    """Return everything that is wrong, as `details.fields` of a ValidationFailed."""
    found = (
        *_texts(record),
        *_use(record),
        *_access(record, secrets, guard),
        *_headers(secrets.headers),
        *_numbers(record),
    )
    return [{"field": name, "message": message} for name, message in found]


def _texts(record: AiModel) -> Iterator[tuple[str, str]]:
    if not 1 <= len(record.name) <= MAX_NAME or record.name != record.name.strip() or not record.name.isprintable():
        yield "name", f"must have 1 to {MAX_NAME} printable characters, and no blanks around them"
    if len(record.wire_name) > MAX_NAME or not record.wire_name.isprintable():
        yield "modelId", f"must have at most {MAX_NAME} printable characters"
    if len(record.description) > MAX_TEXT:
        yield "description", f"must have at most {MAX_TEXT} characters"
    picture = record.picture_url
    if picture and (len(picture) > MAX_URL or not picture.startswith(("http://", "https://"))):
        yield "picture_url", "must be an http or https address"
    if record.reasoning_effort not in EFFORTS:
        yield "reasoning_effort", "must be none, low, medium, high or max"
    if record.status not in ("active", "inactive"):
        yield "status", "must be active or inactive"
    switches = (("features", FEATURES), ("input_media", INPUT_MEDIA), ("output_media", OUTPUT_MEDIA))
    for name, known in switches:
        if set(getattr(record, name)) - set(known):
            yield name, f"may hold {', '.join(known)}"


def _use(record: AiModel) -> Iterator[tuple[str, str]]:
    if not _USE.fullmatch(record.model_use):
        yield "model_use", "must be a word such as conversationModel"
    if record.model_use == ai_models.EMBEDDINGS and record.library not in ai_models.EMBEDDING_LIBRARIES:
        yield "client_library", f"must be {' or '.join(ai_models.EMBEDDING_LIBRARIES)} for this use"


def _access(record: AiModel, secrets: OwnSecrets, guard: Guard) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with library, address and key, which only make sense together."""
    if record.library not in LIBRARIES:
        yield "client_library", f"must be one of {', '.join(LIBRARIES)}"
        return
    key = secrets.api_key
    if key and (len(key) > MAX_SECRET or not _KEY.fullmatch(key)):
        yield "api_key", f"must have at most {MAX_SECRET} characters, without blanks"
    if secrets.headers and record.borrows:
        yield "default_headers", "need a key of your own: without one the server's own requests are used as they are"
    if not key and record.library in _NEEDS_KEY:
        yield "api_key", f"is needed for {record.library}"
    if not record.api_url:
        if record.library == ai_models.OPENAI:
            yield "api_url", f"is needed for {record.library}"
        return
    if not key and record.library == ai_models.BEDROCK:
        yield "api_key", "is needed for an address of your own: the server's credentials go to AWS alone"
    try:
        target = guard.parse(record.api_url)
    except AddressNotAllowed as refused:
        yield "api_url", refused.message
        return
    if "#" in record.api_url or (target.url.query_string and record.library == ai_models.BEDROCK):
        yield "api_url", "must be a base address, without a fragment"


def _headers(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if len(headers) > MAX_HEADERS or len({name.lower() for name in headers}) < len(headers):
        yield "default_headers", f"may hold at most {MAX_HEADERS}, each once"
    for name, value in headers.items():
        if not _HEADER.fullmatch(name) or name.lower() in _FRAMING:
            yield "default_headers", "holds a name that may not be set"
        elif value == MASK or len(value) > MAX_SECRET or (value and not _VISIBLE.fullmatch(value)):
            yield "default_headers", "holds a value that cannot be sent"
        else:
            continue
        return


def _numbers(record: AiModel) -> Iterator[tuple[str, str]]:
    for name in ("max_input_tokens", "max_output_tokens"):
        if not 0 <= getattr(record, name) <= MAX_TOKENS:
            yield name, f"must be between 0 and {MAX_TOKENS}"
    price = record.price
    if price is not None and not all(0 <= rate <= MAX_RATE for rate in (price.input, price.cached, price.completion)):
        yield "price", "is out of range"
