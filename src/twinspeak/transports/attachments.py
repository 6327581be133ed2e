"""Files in a question: `data:` addresses in base64, bounded in number, size and kind. No other address is fetched."""

import binascii
import re

from twinspeak.domain.attachments import MEDIA_TYPES, Attachment, media_type_of
from twinspeak.domain.errors import PayloadTooLarge, ValidationFailed

MOST = 5
"""Files with one question: Bedrock takes no more documents, and the others take more."""
MAX_BYTES = 3_750_000
"""Of one file: what Bedrock and Anthropic take of an image, and the others take more."""

_DATA = re.compile(r"data:[\w.+-]{1,64}/[\w.+-]{1,64}(?:;[\w.+-]{1,64}=[\w.+-]{1,64}){0,4};base64,", re.ASCII)
_NAME = re.compile(r"[^\w .()\[\]-]+")


def attachments_from(files: list[tuple[str, str]], param: str) -> tuple[Attachment, ...]:
    """Read (address, name) pairs. `param` names the field at fault. Raises ValidationFailed and PayloadTooLarge."""
    if len(files) > MOST:
        raise _invalid(param, f"must hold at most {MOST} files")
    return tuple(_attachment(url, name, param) for url, name in files)


def _attachment(url: str, name: str, param: str) -> Attachment:
    head = _DATA.match(url)
    if not head:
        raise _invalid(param, "must be a data: address in base64; other addresses are not fetched")
    if (len(url) - head.end()) // 4 * 3 > MAX_BYTES:
        raise PayloadTooLarge(param=param, details={"maxBytes": MAX_BYTES})
    try:
        data = binascii.a2b_base64(url[head.end() :], strict_mode=True)
    except ValueError:
        raise _invalid(param, "is not base64") from None
    # What it is counts, not what it is called: vendors refuse a JPEG that says it is a PNG.
    kind = media_type_of(data)
    if kind is None:
        raise _invalid(param, f"must be one of {', '.join(MEDIA_TYPES)}")
    return Attachment(media_type=kind, data=data, name=_NAME.sub("_", name)[:100].strip())


def _invalid(param: str, words: str) -> ValidationFailed:
    return ValidationFailed(param=param, details={"fields": [{"field": param, "message": words}]})
