"""The models this server knows, a module a vendor: limits, abilities, and how each wants to be asked. Data only."""

from twinspeak.domain.credits import FREE
from twinspeak.domain.models import ModelSpec

LOCAL = "local"

LOCAL_MODEL = ModelSpec(
    id=LOCAL,
    provider=LOCAL,
    wire_name=LOCAL,
    label="Built-in (quotes the vault)",
    context_window=32_000,
    max_output=2_000,
    price=FREE,
    takes_tools=False,
    uses_passages=True,
)
