"""The wires that keep state of a round, with what judges each: Messages and ConverseStream.

A judge reads a whole body as plainly as can be and shares no line with `twinspeak.providers`. A further wire is an
entry here, a judge beside this file, and recordings under `tests/recordings/<name>`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.laws import decode, decode_anthropic, decode_bedrock
from tests.laws.reading import Reading
from twinspeak.providers.anthropic import AnthropicDecoder
from twinspeak.providers.bedrock import BedrockDecoder
from twinspeak.providers.relay import Decoder


@dataclass(frozen=True)
class Wire:
    """`suffix` is that of its recordings."""

    name: str
    decoder: Callable[[], Decoder]
    judge: Callable[[bytes], Reading]
    suffix: str

    def own(self) -> list[Path]:
        return sorted((decode.ROOT / "tests" / "recordings" / self.name).glob(f"*.{self.suffix}"))

    def real(self) -> list[Path]:
        """Real answers beside a checkout; none where they are absent."""
        return sorted((decode.SHARED / self.name).glob(f"*.{self.suffix}"))


ANTHROPIC = Wire("anthropic", lambda: AnthropicDecoder("fake"), decode_anthropic.read, "sse")
BEDROCK = Wire("bedrock", lambda: BedrockDecoder("fake"), decode_bedrock.read, "bin")
WIRES = (ANTHROPIC, BEDROCK)
