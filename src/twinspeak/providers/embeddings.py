"""Embedding models that twins bring: `POST {base}/embeddings`, as OpenAI has it and many servers copy it.

platform.openai.com/docs/api-reference/embeddings; Mistral's is the same but for the model's name. The vendor takes
2,048 texts of 8,192 tokens each, others 64, 32 or 10 at once: what is refused as too much is asked again in halves, and
one text that is too long is cut. Keys and addresses are an AI-model record's; every address is judged (`egress`).
"""

import asyncio
from collections.abc import Sequence
from math import isfinite

import aiohttp
import msgspec
import structlog

from twinspeak.domain.ai_models import MISTRAL, AiModel, OwnSecrets
from twinspeak.domain.caller import Scope
from twinspeak.domain.errors import AddressNotAllowed, OperatorError, ProviderFailed
from twinspeak.egress.client import GuardedClient
from twinspeak.persistence.db import Database
from twinspeak.persistence.repos import ai_models as rows
from twinspeak.persistence.secrets import SecretBox, SecretUnreadable
from twinspeak.providers import vendors
from twinspeak.providers.access import Access, headers
from twinspeak.providers.http import Endpoint, ask
from twinspeak.providers.refusals import Refused, failure_of

AT_ONCE = 32
ATTEMPTS = 3
"""How often one request is made that fails for a reason that may pass."""
REQUEST_S = 60.0
_LONGEST_PAUSE_S = 10.0
_MOST_BYTES = 32_000_000
_MOST_DIMENSIONS = 8_192
_SHORTEST = 500
"""A text of so few letters is not cut any further."""
_TOO_MUCH = frozenset({400, 413, 422})

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class _Row(msgspec.Struct):
    index: int
    embedding: list[float]


class _Answer(msgspec.Struct):
    data: list[_Row]


_answer = msgspec.json.Decoder(_Answer)


class OwnEmbedder:
    """An embedding model of a twin's. `name` is the model's as its server knows it: vectors are stored under that."""

    def __init__(self, client: GuardedClient, record: AiModel, secrets: OwnSecrets) -> None:
        """Keep the way to it. Raises OperatorError when its address is none."""
        site = vendors.MISTRAL_SITE if record.library == MISTRAL else vendors.OPENAI_SITE
        access = Access(api_key=secrets.api_key, base_url=record.api_url)
        key = {"Authorization": f"Bearer {secrets.api_key}"} if secrets.api_key else {}
        self._client = client.carrying(secrets.headers)
        self._endpoint = Endpoint(record.library, access.url(site, "embeddings"), headers("application/json") | key)
        self._record = record

    @property
    def name(self) -> str:
        """Return what the vectors are stored under."""
        return self._record.asked_as

    @property
    def provider(self) -> str:
        """Return how it is spoken to."""
        return self._record.library

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Return a unit vector for each text, as little-endian float32, all of one length. Raises ProviderFailed."""
        found: list[bytes] = []
        for first in range(0, len(texts), AT_ONCE):
            found += await self._halved([text.strip() or "-" for text in texts[first : first + AT_ONCE]])
        if len({len(one) for one in found}) > 1:
            raise self._failed("vectors of different lengths")
        return found

    async def _halved(self, texts: list[str]) -> list[bytes]:
        """Ask for some; where that is too much at once, for half as much."""
        try:
            return await self._patiently(texts)
        except ProviderFailed as failure:
            refused = failure.__cause__
            if not isinstance(refused, Refused) or refused.refusal.status not in _TOO_MUCH:
                raise
            if len(texts) > 1:
                middle = len(texts) // 2
                return [*await self._halved(texts[:middle]), *await self._halved(texts[middle:])]
            if len(texts[0]) <= _SHORTEST:
                raise
            return await self._halved([texts[0][: len(texts[0]) // 2]])

    async def _patiently(self, texts: list[str]) -> list[bytes]:
        """Ask again, a few times, after what may pass."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._asked(texts)
            except ProviderFailed as failure:
                if attempt == ATTEMPTS or not _may_pass(failure):
                    raise
                await asyncio.sleep(_pause(failure, attempt))
        raise self._failed("no attempt left")

    async def _asked(self, texts: list[str]) -> list[bytes]:
        mended = [text.encode("utf-8", "replace").decode() for text in texts]
        body = msgspec.json.encode({"model": self.name, "input": mended})
        try:
            async with asyncio.timeout(REQUEST_S), ask(self._client, self._endpoint, body) as response:
                answer = await asyncio.to_thread(_answer.decode, await _read(response))
        except AddressNotAllowed as error:
            raise self._failed("address") from error
        except ProviderFailed as failure:
            if isinstance(failure.__cause__, Refused):
                told = failure_of(self._endpoint.provider, failure.__cause__.refusal, own=True)
                raise told from failure.__cause__
            raise
        except (TimeoutError, aiohttp.ClientError, OSError, msgspec.MsgspecError) as error:
            raise self._failed(type(error).__name__) from error
        found = sorted(answer.data, key=lambda row: row.index)
        if [row.index for row in found] != list(range(len(texts))):
            raise self._failed("another number of vectors than texts")
        return await asyncio.to_thread(self._units, found)

    def _units(self, found: list[_Row]) -> list[bytes]:
        import numpy as np

        sizes = {len(row.embedding) for row in found}
        if len(sizes) != 1 or not 1 <= max(sizes) <= _MOST_DIMENSIONS:
            raise self._failed("vectors of no usable length")
        if not all(isfinite(number) for row in found for number in row.embedding):
            raise self._failed("numbers that are none")
        matrix = np.array([row.embedding for row in found], dtype=np.float64)
        matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
        return [row.astype("<f4").tobytes() for row in matrix]

    def _failed(self, why: str) -> ProviderFailed:
        _log.warning("embedding_failed", record=self._record.id, why=why)
        return ProviderFailed(
            "The embedding model of this digital twin failed to answer.", details={"provider": self._endpoint.provider}
        )


class OwnEmbedders:
    """Finds a twin's embedding model: the newest active record of that use."""

    def __init__(self, db: Database, box: SecretBox, client: GuardedClient) -> None:
        """Keep the parts."""
        self._db = db
        self._box = box
        self._client = client

    async def of(self, institution_id: str) -> OwnEmbedder | None:
        """Return a twin's, None where it has none. Raises ProviderFailed for one that cannot be asked."""
        scope = Scope(user_id=None, institution_id=None, managed=frozenset({institution_id}))
        try:
            opened = await self._db.read(lambda tx: rows.embedding(tx, scope, self._box))
            return None if opened is None else OwnEmbedder(self._client, *opened)
        except (SecretUnreadable, OperatorError) as error:
            _log.error("embedding_model_unusable", institution=institution_id, error=type(error).__name__)
            raise ProviderFailed(
                "The embedding model of this digital twin cannot be asked: its key or its address is of no use."
            ) from error


def _may_pass(failure: ProviderFailed) -> bool:
    cause = failure.__cause__
    return cause.refusal.transient if isinstance(cause, Refused) else not isinstance(cause, AddressNotAllowed)


def _pause(failure: ProviderFailed, attempt: int) -> float:
    """Return how long to wait, in seconds: what the server asks for, within reason, else longer each time."""
    cause = failure.__cause__
    wanted = cause.refusal.retry_after_s if isinstance(cause, Refused) else None
    return min(_LONGEST_PAUSE_S, 0.5 * 4 ** (attempt - 1) if wanted is None else wanted)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    while len(body) <= _MOST_BYTES and (piece := await response.content.readany()):
        body += piece
    return bytes(body)
