"""Images and PDFs that come with a question: what they may be, and what they cost."""

import base64
import re

import msgspec

PNG, JPEG, WEBP, GIF = "image/png", "image/jpeg", "image/webp", "image/gif"
PDF = "application/pdf"
IMAGES = (PNG, JPEG, WEBP, GIF)
MEDIA_TYPES = (*IMAGES, PDF)

MOST = 5
"""Files with one question: Bedrock takes no more documents, and the others take more."""
MAX_BYTES = 3_750_000
"""Of one file: what Bedrock and Anthropic take of an image, and the others take more."""

_IMAGE_TOKENS = 1_600
"""What vendors count for a large image, about; and for a page of a PDF, text and picture."""
_PAGE_TOKENS = 2_500
_PAGE_BYTES = 40_000
_NAME = re.compile(r"[^\w .()\[\]-]+")
_PAGE = re.compile(rb"/Type\s{0,2}/Page(?!s)")


class Attachment(msgspec.Struct, frozen=True):
    """A file as its bytes. `media_type` is one of `MEDIA_TYPES`, and is what the bytes are."""

    media_type: str
    data: bytes
    name: str = ""

    @property
    def is_image(self) -> bool:
        """True for a picture, False for a document."""
        return self.media_type in IMAGES

    @property
    def file_name(self) -> str:
        """The name it came with, or one that says what it is."""
        return self.name or ("document.pdf" if self.media_type == PDF else f"image.{self.media_type.split('/')[1]}")

    @property
    def base64(self) -> str:
        """The bytes as most vendors want them."""
        return base64.b64encode(self.data).decode()

    @property
    def data_url(self) -> str:
        """The bytes and their type as an address."""
        return f"data:{self.media_type};base64,{self.base64}"

    @property
    def tokens(self) -> int:
        """An estimate of what a model counts for it; a PDF's pages are guessed by its size."""
        if self.is_image:
            return _IMAGE_TOKENS
        return _PAGE_TOKENS * max(len(_PAGE.findall(self.data)), len(self.data) // _PAGE_BYTES + 1)


def safe_name(name: str) -> str:
    """Return a name that every vendor takes: letters, digits, a few signs, at most 100 of them."""
    return _NAME.sub("_", name)[:100].strip()


def media_type_of(data: bytes) -> str | None:
    """Tell what `data` is by how it begins; None for what is no file that models read."""
    beginnings = {b"\x89PNG\r\n\x1a\n": PNG, b"\xff\xd8\xff": JPEG, b"GIF87a": GIF, b"GIF89a": GIF}
    found = next((kind for start, kind in beginnings.items() if data.startswith(start)), None)
    if found is None and data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return WEBP
    return PDF if found is None and b"%PDF-" in data[:1_024] else found
