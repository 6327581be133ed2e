"""OpenAI's moderation endpoint as a judge: `POST {base}/moderations` (platform.openai.com/docs/api-reference)."""

import aiohttp
import msgspec

from twinspeak.domain.errors import ProviderFailed
from twinspeak.egress.client import TrustedClient
from twinspeak.providers.http import Endpoint, ask

MODEL = "omni-moderation-latest"
_MOST_BYTES = 1_000_000
_PIECE_CHARS = 20_000
_AT_ONCE = 10
"""Texts of one request."""


class _Result(msgspec.Struct):
    flagged: bool
    categories: dict[str, bool | None] = {}


class _Answer(msgspec.Struct):
    results: list[_Result]


_answer = msgspec.json.Decoder(_Answer)


class OpenAIJudge:
    """Asks the vendor; `name` is what records of findings say."""

    name = "openai"

    def __init__(self, client: TrustedClient, endpoint: Endpoint) -> None:
        """Keep the way out."""
        self._client = client
        self._endpoint = endpoint

    async def judge(self, text: str) -> tuple[str, ...]:
        """Return the vendor's categories that a text falls into, in alphabetical order. Raises ProviderFailed."""
        pieces = [text[start : start + _PIECE_CHARS] for start in range(0, len(text), _PIECE_CHARS)]
        found: set[str] = set()
        for start in range(0, len(pieces), _AT_ONCE):
            found |= await self._judged(pieces[start : start + _AT_ONCE])
        return tuple(sorted(found))

    async def _judged(self, pieces: list[str]) -> set[str]:
        mended = [piece.encode("utf-8", "replace").decode() for piece in pieces]
        body = msgspec.json.encode({"model": MODEL, "input": mended})
        try:
            async with ask(self._client, self._endpoint, body) as response:
                answer = _answer.decode(await _read(response))
        except (TimeoutError, aiohttp.ClientError, OSError, msgspec.MsgspecError) as error:
            raise ProviderFailed(details={"provider": self._endpoint.provider}) from error
        # Who flags a text without saying why has flagged it all the same.
        named = {name for result in answer.results for name, hit in result.categories.items() if result.flagged and hit}
        flagged = any(result.flagged for result in answer.results)
        return named or ({"flagged"} if flagged else set())


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    while len(body) <= _MOST_BYTES and (piece := await response.content.readany()):
        body += piece
    return body
