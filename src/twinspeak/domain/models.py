"""What is known of a model: limits, price, abilities. The data itself is in `providers.catalogue`."""

from collections.abc import Iterable

import msgspec

from twinspeak.domain.attachments import Attachment
from twinspeak.domain.credits import Price

OWN = "own"
"""What metrics call the provider of all models that twins bring themselves."""


class ModelSpec(msgspec.Struct, frozen=True):
    """One model as this server can call it.

    `id` is what twins and users write; `provider` is our adapter's name; `wire_name` is what the vendor is asked for.
    Token limits are in tokens. `uses_passages` marks a model that answers from `ModelRequest.passages` itself.
    `reads` are the media types that a question may carry along.
    `shows_thinking` False: what it thinks goes back to it and is paid for, but is for no client (contract 4.1).
    `record` is the id of the twin's record that this comes from, "" for the server's own models, and `revision` the
    state of it; `effort` is what such a record wants where no setting says otherwise.
    """

    id: str
    provider: str
    wire_name: str
    label: str
    context_window: int
    max_output: int
    price: Price
    takes_tools: bool = True
    thinks: bool = False
    uses_passages: bool = False
    shows_thinking: bool = True
    reads: tuple[str, ...] = ()
    record: str = ""
    revision: int = 0
    effort: str = ""

    @property
    def measured_as(self) -> str:
        """Whose it is in metrics: what a twin brings, and breaks, is no alarm of the operator's."""
        return OWN if self.record else self.provider

    def takes(self, attachments: Iterable[Attachment]) -> bool:
        """Tell whether the model reads all of them."""
        return all(attachment.media_type in self.reads for attachment in attachments)


class ModelChoice(msgspec.Struct, frozen=True):
    """What the cascade chose: an id, an output limit (0 = the catalogue's), an effort ("" = the vendor's default)."""

    model_id: str
    max_tokens: int = 0
    effort: str = ""
