"""Models that write for the server itself: `services.ports.Writer` over the providers."""

import asyncio
from contextlib import aclosing

from twinspeak.domain.errors import ProviderTimeout
from twinspeak.domain.events import ModelText
from twinspeak.domain.models import ModelSpec
from twinspeak.domain.turn import ModelRequest, Sampling, TurnPlan, UserMessage
from twinspeak.engine.ports import ModelDirectory, Summarizer
from twinspeak.services.ports import Behalf

OUTPUT_TOKENS = 1_000
PATIENCE_S = 60.0
_MOST_CHARS = 20_000


class Afterwards:
    """What is done after a turn, one after the other: `engine.ports.Summarizer`."""

    def __init__(self, *chores: Summarizer) -> None:
        """Keep them."""
        self._chores = chores

    async def keep_up(self, plan: TurnPlan) -> None:
        """Do each; none raises what another one must not suffer from."""
        for chore in self._chores:
            await chore.keep_up(plan)


class ModelWriter:
    """Asks one model once."""

    def __init__(self, models: ModelDirectory, *, patience_s: float = PATIENCE_S) -> None:
        """Keep the directory."""
        self._models = models
        self._patience_s = patience_s

    async def write(self, model: ModelSpec, system: str, text: str, *, behalf: Behalf) -> str:
        """Return what the model says, within bounds of time and length. Raises ServiceError."""
        request = ModelRequest(
            turn_id=behalf.turn_id,
            model=model,
            system=system,
            messages=(UserMessage(text=text),),
            tools=(),
            output_limit=min(OUTPUT_TOKENS, model.max_output),
            effort="",
            sampling=Sampling(),
            question=text,
            twin_id=behalf.twin_id,
            user_id=behalf.user_id,
        )
        said: list[str] = []
        length = 0
        try:
            async with (
                asyncio.timeout(self._patience_s),
                aclosing(self._models.serving(model).stream(request)) as stream,
            ):
                async for batch in stream:
                    said += [event.text for event in batch if isinstance(event, ModelText)]
                    length = sum(map(len, said))
                    if length > _MOST_CHARS:
                        break
        except TimeoutError:
            raise ProviderTimeout(details={"provider": model.provider, "limit": "turn"}) from None
        return "".join(said)
