"""Google Gemini, `streamGenerateContent?alt=sse`: bytes to `ModelEvent`s.

Source: the vendor's reference "Generating content" (ai.google.dev/api/generate-content) and its guides "Thinking",
"Thought signatures" and "Function calling". An answer is a row of parts; each event brings some of them whole, and the
last ones say `finishReason`, or the prompt was blocked and `promptFeedback` says so.
"""

from collections.abc import AsyncGenerator, Callable
from typing import Any
from urllib.parse import quote

import msgspec
from yarl import URL

from twinspeak.domain.events import (
    ModelEvent,
    ModelState,
    ModelText,
    ModelThinking,
    ModelToolDelta,
    ModelUsage,
    StopReason,
)
from twinspeak.domain.ids import new_id
from twinspeak.domain.models import ModelSpec
from twinspeak.domain.turn import ModelRequest, Opaque
from twinspeak.egress.client import TrustedClient
from twinspeak.providers.gemini_request import MAKER, GeminiQuirks, encode
from twinspeak.providers.http import Endpoint
from twinspeak.providers.relay import relay
from twinspeak.providers.sse_decoder import SseDecoder
from twinspeak.providers.wire.loose import is_mapping, items, mapping, text, whole

_STOPS = {
    "MAX_TOKENS": StopReason.LENGTH,
    "SAFETY": StopReason.REFUSED,
    "RECITATION": StopReason.REFUSED,
    "LANGUAGE": StopReason.REFUSED,
    "BLOCKLIST": StopReason.REFUSED,
    "PROHIBITED_CONTENT": StopReason.REFUSED,
    "SPII": StopReason.REFUSED,
    "IMAGE_SAFETY": StopReason.REFUSED,
    "MODEL_ARMOR": StopReason.REFUSED,
}
_FAILED_STOPS = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
    }
)
_PLACES = frozenset({"models", "tunedModels"})


class GeminiDecoder(SseDecoder):
    """Decodes one answer. Its parts go back with a tool round as they came, because signatures hang on them."""

    def __init__(self, provider: str = "gemini", *, max_event_bytes: int = 8_000_000) -> None:
        super().__init__(provider, max_event_bytes=max_event_bytes)
        self._reason = ""
        self._blocked = False
        self._parts: list[dict[str, Any]] = []
        self._run: list[str] = []
        self._calls = 0
        self._usage: ModelUsage | None = None

    @property
    def whole(self) -> bool:
        """True when the answer is complete; what may follow is more of the same last event."""
        return self._blocked or bool(self._reason)

    def _event(self, name: str, payload: dict[str, Any], found: list[ModelEvent]) -> None:
        if name == "error" or payload.get("error"):
            self._fail(payload)
            return
        for raw in items(payload.get("candidates")):
            candidate = mapping(raw)
            if whole(candidate.get("index")):
                continue
            for part in items(mapping(candidate.get("content")).get("parts")):
                self._part(mapping(part), found)
            self._reason = text(candidate.get("finishReason")) or self._reason
        if mapping(payload.get("promptFeedback")).get("blockReason"):
            self._blocked = True
        self._count(mapping(payload.get("usageMetadata")), found)
        if self._reason in _FAILED_STOPS:
            self._fail()

    def _part(self, part: dict[str, Any], found: list[ModelEvent]) -> None:
        if not part:
            return
        words = text(part.get("text"))
        if is_mapping(part.get("functionCall")):
            self._call(mapping(part["functionCall"]), found)
        elif words:
            found.append(ModelThinking(words) if part.get("thought") is True else ModelText(words))
        self._keep(part, words)

    def _call(self, call: dict[str, Any], found: list[ModelEvent]) -> None:
        given = text(call.get("id"))
        found.append(
            ModelToolDelta(
                index=self._calls,
                call_id=given or f"call_{new_id()}",
                name=text(call.get("name")) or "",
                arguments=msgspec.json.encode(call.get("args") or {}).decode(),
                state=Opaque(MAKER, {"id": given}) if given else None,
            )
        )
        self._calls += 1

    def _keep(self, part: dict[str, Any], words: str | None) -> None:
        """Keep the part for the next round. Pieces of plain text become one; what carries a signature stays itself."""
        if words is None or part.get("thoughtSignature"):
            self._seal()
            self._parts.append(part)
        elif words:
            if self._run and part.get("thought") is not self._parts[-1].get("thought"):
                self._seal()
            if not self._run:
                self._parts.append(part)
            self._run.append(words)

    def _seal(self) -> None:
        if self._run:
            self._parts[-1] = {**self._parts[-1], "text": "".join(self._run)}
            self._run = []

    def _count(self, usage: dict[str, Any], found: list[ModelEvent]) -> None:
        """Normalise tokens (contract section 4): thoughts are counted beside the candidates.

        Counts of the prompt alone are not told: an answer that is cut off would look as if it had cost nothing.
        """
        names = ("promptTokenCount", "toolUsePromptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
        prompt, tools, candidates, thoughts = (max(0, whole(usage.get(name)) or 0) for name in names)
        if not (candidates or (usage and self.whole)):
            return
        cached = max(0, whole(usage.get("cachedContentTokenCount")) or 0)
        tokens = ModelUsage(prompt + tools, min(cached, prompt), candidates + thoughts)
        if tokens != self._usage and (tokens.input or tokens.completion):
            self._usage = tokens
            found.append(tokens)

    def _left(self) -> list[ModelEvent]:
        self._seal()
        return [ModelState(Opaque(MAKER, self._parts))] if self._calls else []

    def _stop(self) -> StopReason:
        if self._blocked:
            return StopReason.REFUSED
        return _STOPS.get(self._reason) or (StopReason.TOOLS if self._calls else StopReason.END)


class Gemini:
    """Asks Google. `quirks` tells how a model wants to be asked; the endpoint's address ends in the API's version."""

    def __init__(
        self,
        client: TrustedClient,
        endpoint: Endpoint,
        quirks: Callable[[ModelSpec], GeminiQuirks],
    ) -> None:
        self._client = client
        self._endpoint = endpoint
        self._quirks = quirks

    def stream(self, request: ModelRequest) -> AsyncGenerator[list[ModelEvent]]:
        """Yield the events of each network read as one batch. Raises ProviderFailed."""
        url = url_of(self._endpoint.url, request.model.wire_name)
        endpoint = msgspec.structs.replace(self._endpoint, url=url)
        body = encode(request, self._quirks(request.model))
        return relay(self._client, endpoint, body, GeminiDecoder(endpoint.provider))


def url_of(base: str, name: str) -> str:
    """Return where model `name` streams below `base`; a name may say its place (`models/…`, `tunedModels/…`)."""
    place, _, rest = name.rpartition("/")
    path = f"{place}/{quote(rest, safe='')}" if place in _PLACES else f"models/{quote(name, safe='')}"
    url = URL(base)
    path = f"{url.raw_path.rstrip('/')}/{path}:streamGenerateContent"
    return str(url.with_path(path, encoded=True, keep_query=True).update_query(alt="sse"))
