"""Files in a question: `data:` addresses in base64, bounded in number, size and kind, and names of the vault's files.

No other address is fetched.
"""

import binascii
import re

import msgspec

from twinspeak.domain.attachments import MAX_BYTES, MEDIA_TYPES, MOST, Attachment, media_type_of, safe_name
from twinspeak.domain.errors import InvalidId, PayloadTooLarge, ValidationFailed
from twinspeak.domain.ids import parse_id

_DATA = re.compile(r"data:[\w.+-]{1,64}/[\w.+-]{1,64}(?:;[\w.+-]{1,64}=[\w.+-]{1,64}){0,4};base64,", re.ASCII)


class Sent(msgspec.Struct, frozen=True):
    """A file as a request has it: an address, or the id of an upload."""

    url: str = ""
    name: str = ""
    upload_id: str = ""


class Files(msgspec.Struct, frozen=True):
    """The files of a question: their bytes, and the ids of those that the vault has (`domain.turn.Ask.uploads`)."""

    attachments: tuple[Attachment, ...]
    uploads: tuple[str, ...]


def files_from(sent: list[Sent], param: str) -> Files:
    """Read what came. `param` names the field at fault. Raises ValidationFailed, PayloadTooLarge and InvalidId."""
    if len(sent) > MOST:
        raise _invalid(param, f"must hold at most {MOST} files")
    if any(bool(file.url) == bool(file.upload_id) for file in sent):
        raise _invalid(param, "must name each file by a data: address or by the id of an upload, one of them")
    uploads = [parse_id(file.upload_id) for file in sent if file.upload_id]
    if None in uploads:
        raise InvalidId(param=param)
    return Files(
        attachments=tuple(_attachment(file.url, file.name, param) for file in sent if file.url),
        uploads=tuple(dict.fromkeys(upload for upload in uploads if upload)),
    )


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
    return Attachment(media_type=kind, data=data, name=safe_name(name))


def _invalid(param: str, words: str) -> ValidationFailed:
    return ValidationFailed(param=param, details={"fields": [{"field": param, "message": words}]})
