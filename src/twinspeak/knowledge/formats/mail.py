"""Mails (RFC 5322): headers, the text that people read, attachments as files of their own."""

from collections.abc import Iterator
from email import policy
from email.errors import MessageError
from email.message import EmailMessage, MIMEPart
from email.parser import BytesParser
from io import BytesIO
from typing import Any

from twinspeak.domain.file_errors import FileDamaged, FileTooLarge
from twinspeak.knowledge.document import Block
from twinspeak.knowledge.formats import html, markdown
from twinspeak.knowledge.formats.encodings import decode
from twinspeak.knowledge.formats.reading import Reading
from twinspeak.knowledge.formats.words import clean, items, one_line

_HEADERS = ("From", "To", "Cc", "Date", "Subject")
_MOST_PARTS = 2_000


def read(reading: Reading) -> Iterator[Block]:
    """Yield the headers and the body: the plain text where there is one, else the page."""
    try:
        message = BytesParser(EmailMessage, policy=policy.default).parsebytes(reading.data())
        reading.title = one_line(str(message.get("Subject", "")))[:500]
        above = (reading.title[:200],) if reading.title else ()
        headers = [f"{name}: {one_line(str(message[name]))}" for name in _HEADERS if message[name]]
        if headers:
            yield Block("\n".join(headers), above, lines=True)
        body = message.get_body(("plain", "html"))
        if body is not None:
            yield from _body(body, above)
        _keep_attachments(reading, message, body)
    except (MessageError, ValueError, LookupError, RecursionError) as error:
        raise FileDamaged(details={"format": "eml"}) from error


def _body(body: MIMEPart, above: tuple[str, ...]) -> Iterator[Block]:
    text = decode(_bytes(body), str(body.get_content_charset("")))
    if body.get_content_subtype() != "html":
        yield from markdown.blocks(clean(text), above)
        return
    page = html.parse(text)
    if page is not None:
        yield from html.blocks(page, above)


def _keep_attachments(reading: Reading, message: EmailMessage, body: MIMEPart | None) -> None:
    """Keep what has a name, and mails inside the mail."""
    for number, part in enumerate(message.walk()):
        if number >= _MOST_PARTS:
            raise FileTooLarge("This mail has too many parts.", details={"limit": "members", "most": _MOST_PARTS})
        if part is message or part is body:
            continue
        if part.get_content_type() == "message/rfc822":
            for inner in items(part.get_payload())[:1]:
                reading.keep(f"{_subject(inner).replace('/', '-')}.eml", BytesIO(inner.as_bytes()))
        elif part.get_filename() and not part.is_multipart():
            reading.keep(part.get_filename("file"), BytesIO(_bytes(part)))


def _subject(message: Any) -> str:
    return one_line(str(message["Subject"] or "")) or "message"


def _bytes(part: MIMEPart) -> bytes:
    """Return a part's bytes with its transfer encoding undone, wrong ones taken as they are."""
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""
