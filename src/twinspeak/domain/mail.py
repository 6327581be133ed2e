"""A message to a person's mailbox."""

import msgspec


class Mail(msgspec.Struct, frozen=True):
    """Plain text to one address; `text` may hold a code, so it is never logged."""

    to: str
    subject: str
    text: str
