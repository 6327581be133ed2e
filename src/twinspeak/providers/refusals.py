"""What a provider says instead of an answer, before its stream or inside of it, and what callers are told of that.

A provider's own words can hold a key's last letters or somebody's prompt. They are looked at, to tell one cause from
another where the vendor has no code for it, and then dropped: neither shown nor logged.
"""

import math
import re
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

import msgspec

from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import ProviderFailed
from twinspeak.providers.wire.loose import items, mapping, read_object, text, whole

_RETRIED = frozenset({408, 424, 500, 502, 503, 504, 529})
_STATUSES = {
    # Names for a status inside a stream: Google's canonical codes, and the error types of OpenAI and who copies it.
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
    "invalid_request_error": 400,
    "invalid_prompt": 400,
    "context_length_exceeded": 400,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "server_error": 500,
    "server_is_overloaded": 503,
    "slow_down": 503,
}


class Cause(StrEnum):
    """Why a provider did not answer."""

    QUOTA = "quota"
    KEY = "key"
    MODEL = "model"
    TOO_LONG = "too_long"
    BUSY = "busy"
    UNSAFE = "unsafe"
    REQUEST = "request"
    OTHER = "other"


_CODES = {
    "insufficient_quota": Cause.QUOTA,
    "billing_error": Cause.QUOTA,
    "authentication_error": Cause.KEY,
    "invalid_api_key": Cause.KEY,
    "API_KEY_INVALID": Cause.KEY,
    "model_not_found": Cause.MODEL,
    "invalid_model": Cause.MODEL,
    "context_length_exceeded": Cause.TOO_LONG,
    "request_too_large": Cause.TOO_LONG,
    "content_policy_violation": Cause.UNSAFE,
    "content_filter": Cause.UNSAFE,
    "invalid_prompt": Cause.UNSAFE,
}
# In this order; where a vendor has no code, its words have not changed for years, and a miss only costs clarity.
_WORDS = (
    (
        Cause.TOO_LONG,
        r"context.{0,12}(length|window)|maximum context|token count.{0,30}exceed|too long|too many tokens",
    ),
    (Cause.TOO_LONG, r"too large for model|maximum prompt length"),
    (Cause.QUOTA, r"credit balance|available credits|spending limit|insufficient (balance|credits|funds)"),
    (Cause.KEY, r"\bapi[ _-]?key\b"),
    (Cause.MODEL, r"\bmodels?\b.{0,120}(not found|not exist|invalid)|(unknown|invalid) model"),
)
_PATTERNS = tuple((cause, re.compile(words, re.IGNORECASE | re.DOTALL)) for cause, words in _WORDS)
_MESSAGES = {
    Cause.QUOTA: "This server's account with the model provider is used up. Its operator must act.",
    Cause.KEY: "The model provider does not accept this server's key. Its operator must act.",
    Cause.MODEL: "The model provider does not know this model. The server's operator must act.",
    Cause.TOO_LONG: "The question and its conversation are too long for this model.",
    Cause.BUSY: "The model provider is busy. Please try again in a moment.",
    Cause.UNSAFE: "The model provider's safety rules do not let it answer this.",
    Cause.REQUEST: "The model provider did not accept the request. The server's operator must act.",
    Cause.OTHER: None,
}
_TWINS_OWN = {
    Cause.QUOTA: "The account behind this model's key is used up. Whoever manages the digital twin must act.",
    Cause.KEY: "The key of this model is not accepted. Whoever manages the digital twin must enter another.",
    Cause.MODEL: "The server of this model does not know it. Whoever manages the digital twin must act.",
    Cause.REQUEST: "The server of this model did not accept the request. Whoever manages the digital twin must act.",
}
"""Where a twin brought the model, what its people must do themselves."""


class Refusal(msgspec.Struct, frozen=True):
    """An answer that is none. `status` 0: not known. `said`: what the provider's words came to."""

    status: int
    code: str = ""
    kind: str = ""
    param: str = ""
    retry_after_s: float | None = None
    said: Cause | None = None

    @property
    def transient(self) -> bool:
        """True when asking again may help; an empty account (429 `insufficient_quota`) does not fill by waiting."""
        return self.status in _RETRIED or (self.status == 429 and not self.out_of_quota)

    @property
    def out_of_quota(self) -> bool:
        """True when the operator's account with the provider is empty."""
        return self.cause is Cause.QUOTA

    @property
    def cause(self) -> Cause:
        """What to tell people."""
        if coded := _CODES.get(self.code) or _CODES.get(self.kind):
            return coded
        if self.said is Cause.QUOTA or self.status == 402:
            return Cause.QUOTA
        by_status = {401: Cause.KEY, 403: Cause.KEY, 404: Cause.MODEL, 413: Cause.TOO_LONG, 429: Cause.BUSY}
        by_status |= {503: Cause.BUSY, 529: Cause.BUSY}
        if plain := by_status.get(self.status):
            return plain
        if self.status >= 500:
            return Cause.OTHER
        return self.said or (Cause.REQUEST if self.status else Cause.OTHER)


class Refused(Exception):
    """Why a `ProviderFailed` came: its cause, for who knows what to do about it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal.status))
        self.refusal = refusal


def refusal_from(status: int, headers: dict[str, str], body: bytes) -> Refusal:
    """Take an error response apart; any body will do. A wait is in its headers or, at Google, in its body.

    AWS names the kind of error in a header.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    found = refusal_in(read_object(body) or {}, status=status)
    if kind := lowered.get("x-amzn-errortype"):
        found = msgspec.structs.replace(found, kind=_word(kind.partition(":")[0]))
    wait = _retry_after(lowered)
    return found if wait is None else msgspec.structs.replace(found, retry_after_s=wait)


def refusal_in(payload: dict[str, Any], *, status: int = 0) -> Refusal:
    """Read an error's JSON: `{"error": {…}}`, `{"error": "…"}`, `{"message": …}`, or the error itself.

    `status` 0: inside a stream, where the error may name one.
    """
    error = mapping(payload.get("error", payload))
    details = [mapping(detail) for detail in items(error.get("details"))]
    reason = next((detail["reason"] for detail in details if detail.get("reason")), None)
    return Refusal(
        status=status or _status_of(error),
        code=_word(reason or error.get("code")),
        kind=_word(error.get("type") or error.get("status")),
        param=_word(error.get("param")),
        retry_after_s=next((wait for detail in details if (wait := _retry_delay(detail)) is not None), None),
        said=_said(payload, error),
    )


def failure_of(provider: str, refusal: Refusal, *, own: bool = False) -> ProviderFailed:
    """Turn a refusal into the error that callers see: what to do, never the provider's own words.

    Its cause is the refusal, as `Refused`. `own`: a twin brought the model.
    """
    wait = refusal.retry_after_s
    details: dict[str, Any] = {"provider": provider}
    failure = ProviderFailed(
        (_TWINS_OWN if own else {}).get(refusal.cause, _MESSAGES[refusal.cause]),
        details={**details, "status": refusal.status} if refusal.status else details,
        retry_after_s=int(wait + 0.999) if wait is not None and refusal.transient else None,
        elsewhere=refusal.cause is not Cause.UNSAFE,
    )
    failure.__cause__ = Refused(refusal)
    return failure


def _status_of(error: dict[str, Any]) -> int:
    for key in ("status_code", "code", "status"):
        status = whole(error.get(key))
        if status and 400 <= status <= 599:
            return status
    names = (error.get(key) for key in ("status", "code", "type"))
    return next((_STATUSES[name] for name in names if isinstance(name, str) and name in _STATUSES), 0)


def _said(payload: dict[str, Any], error: dict[str, Any]) -> Cause | None:
    words = " ".join(text(part) or "" for part in (error.get("message"), payload.get("error"), payload.get("message")))
    return next((cause for cause, pattern in _PATTERNS if pattern.search(words[:2_000])), None)


def _word(value: object) -> str:
    return str(value)[:80] if isinstance(value, str | int) else ""


def _retry_after(headers: dict[str, str]) -> float | None:
    """Read `retry-after-ms`, or `Retry-After` in seconds or as a date."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        if words := headers.get(name, "").strip():
            return _until(words) if "GMT" in words else _seconds(words, unit)
    return None


def _until(date: str) -> float:
    try:
        return max(0.0, parsedate_to_datetime(date).timestamp() - now_ms() / 1000)
    except ValueError:
        return 60.0


def _retry_delay(detail: dict[str, Any]) -> float | None:
    """Read Google's `RetryInfo`: `{"retryDelay": "34.07s"}`."""
    delay = text(detail.get("retryDelay"))
    return _seconds(delay.removesuffix("s"), 1.0) if delay else None


def _seconds(words: str, unit: float) -> float:
    try:
        wait = float(words) / unit
    except ValueError:
        return 60.0
    return max(0.0, wait) if math.isfinite(wait) else 60.0
