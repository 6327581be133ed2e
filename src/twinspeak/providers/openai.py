"""OpenAI over the wire that a model needs: Responses to think and use tools at once, chat completions else."""

from collections.abc import AsyncGenerator, Callable, Sequence

from twinspeak.domain.events import ModelEvent
from twinspeak.domain.models import ModelSpec
from twinspeak.domain.turn import ModelRequest
from twinspeak.engine.ports import ModelProvider


class EitherWire:
    """Two providers that serve one vendor; `needs_responses` tells by the model which one is asked."""

    def __init__(
        self, responses: ModelProvider, chat: ModelProvider, needs_responses: Callable[[ModelSpec], bool]
    ) -> None:
        self._responses = responses
        self._chat = chat
        self._needs_responses = needs_responses

    def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent]]:
        """Ask over the model's wire; as `engine.ports.ModelProvider`."""
        provider = self._responses if self._needs_responses(request.model) else self._chat
        return provider.stream(request)
