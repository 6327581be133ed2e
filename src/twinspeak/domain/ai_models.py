"""A model that a twin brings itself ("AI model record"), as data: what it is, and what it may be made of.

Reference: admin.md section 8, runtime-content.md 9.3. Keys are no part of it: `has_key` and `header_names` tell that
there are some.
"""

import msgspec

from twinspeak.domain.attachments import IMAGES, PDF
from twinspeak.domain.credits import OWN_KEY, Price

CONVERSATION = "conversationModel"
"""The use of a model that answers questions: the only one that turns look for."""

EMBEDDINGS = "embeddingsModel"
"""The use of a model that makes vectors of texts: a twin's newest active one of it searches its vault by sense."""

OPENAI = "openai_cli"
ANTHROPIC = "anthropic_cli"
GEMINI = "google_genai_cli"
MISTRAL = "mistral_cli"
XAI = "xai_cli"
BEDROCK = "bedrock_cli"
LIBRARIES = (OPENAI, ANTHROPIC, GEMINI, MISTRAL, XAI, BEDROCK)
"""`client_library`: how a model is spoken to (runtime-content 9.1)."""

EMBEDDING_LIBRARIES = (OPENAI, MISTRAL)
"""How models for vectors are spoken to: the others have no such wire, or another one."""

STREAM, TOOLS, VISION = "stream", "tools", "vision"
IMAGE, PDFS = "image", "pdf"
FEATURES = (STREAM, TOOLS, "code", VISION, "mcp")
INPUT_MEDIA = ("text", IMAGE, "audio", "video", PDFS)
OUTPUT_MEDIA = ("text", "audio", "video", "image")


class AiModel(msgspec.Struct, frozen=True, kw_only=True):
    """One record. `name` is what settings call it, `wire_name` what its server does ("" for the same).

    `api_url` "" is the vendor's own address. Token limits 0, and price None, are those that are known of the model.
    `revision` grows with every change. The three maps hold what was said of `FEATURES`, `INPUT_MEDIA`, `OUTPUT_MEDIA`.
    """

    id: str
    institution_id: str
    name: str
    wire_name: str = ""
    model_use: str = CONVERSATION
    description: str = ""
    library: str = OPENAI
    api_url: str = ""
    has_key: bool = False
    header_names: tuple[str, ...] = ()
    features: dict[str, bool] = {}
    input_media: dict[str, bool] = {}
    output_media: dict[str, bool] = {}
    max_input_tokens: int = 0
    max_output_tokens: int = 0
    reasoning_effort: str = ""
    extended_context: bool = False
    price: Price | None = None
    picture_url: str = ""
    status: str = "active"
    revision: int = 1
    created: int = 0

    @property
    def active(self) -> bool:
        """Whether it may be asked."""
        return self.status == "active"

    @property
    def asked_as(self) -> str:
        """What the model's server is asked for."""
        return self.wire_name or self.name

    @property
    def borrows(self) -> bool:
        """Whether it has no key of its own: Bedrock through the server's credentials, at AWS's own address."""
        return self.library == BEDROCK and not self.has_key

    def reads_over(self, known: tuple[str, ...]) -> tuple[str, ...]:
        """Return the media types that a question may carry along, where `known` are those known of the model."""
        seen = tuple(kind for kind in known if kind in IMAGES)
        sees = self.input_media.get(IMAGE, self.features.get(VISION, bool(seen)))
        pdfs = self.input_media.get(PDFS, PDF in known)
        return ((seen or IMAGES) if sees else ()) + ((PDF,) if pdfs else ())

    def price_over(self, known: Price) -> Price:
        """Return what a token costs, where `known` is the server's price of the same model."""
        if self.price is not None:
            return self.price
        return known if self.borrows else OWN_KEY


class OwnSecrets(msgspec.Struct, frozen=True):
    """What lets a record in at its server; never logged, never shown."""

    api_key: str = ""
    headers: dict[str, str] = {}

    def __repr__(self) -> str:
        """Say nothing."""
        return "OwnSecrets()"
