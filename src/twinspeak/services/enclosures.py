"""Files of a vault that go with a question to the model, as they are."""

import asyncio

from twinspeak.domain.attachments import MAX_BYTES, MEDIA_TYPES, Attachment, media_type_of, safe_name
from twinspeak.domain.caller import Caller
from twinspeak.domain.errors import NotFound, PayloadTooLarge, ValidationFailed
from twinspeak.domain.turn import Ask, Face
from twinspeak.domain.vault import Document
from twinspeak.persistence.db import Tx
from twinspeak.persistence.files import Files
from twinspeak.services import vault_rights as rights


def look_up(tx: Tx, ask: Ask, caller: Caller, institution_id: str | None) -> tuple[Document, ...]:
    """Return the documents that a question encloses.

    Raises InvalidId, NotFound (unknown, foreign and another twin's alike), ValidationFailed (a document that came
    without a file) and PayloadTooLarge.
    """
    param = _param(ask)
    found = [rights.enclosed(tx, caller, one, institution_id=institution_id, param=param) for one in ask.uploads]
    for document in found:
        if not document.on_disk:
            raise _invalid(param, "must name documents that have a file")
        if document.bytes > MAX_BYTES:
            raise PayloadTooLarge(param=param, details={"maxBytes": MAX_BYTES})
    return tuple(found)


async def fetch(files: Files, ask: Ask, documents: tuple[Document, ...]) -> tuple[Attachment, ...]:
    """Return what a model is given. Raises ValidationFailed (no image and no PDF) and NotFound (deleted meanwhile)."""
    return tuple([await asyncio.to_thread(_read, files, document, _param(ask)) for document in documents])


def _read(files: Files, document: Document, param: str) -> Attachment:
    try:
        with files.path(document.id).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(param=param) from None
    kind = media_type_of(data)
    if kind is None:
        raise _invalid(param, f"must be one of {', '.join(MEDIA_TYPES)}")
    return Attachment(media_type=kind, data=data, name=safe_name(document.name))


def _param(ask: Ask) -> str:
    return "messages" if ask.face is Face.OPENAI else "requestArgs.attachments"


def _invalid(param: str, words: str) -> ValidationFailed:
    return ValidationFailed(param=param, details={"fields": [{"field": param, "message": words}]})
