"""What people find in their mailboxes: the outbox folder of a server that has no mail server."""

import email
import email.message
import email.policy
import re
from pathlib import Path

from tests.faults.stage import eventually

_CODE = re.compile(r"^ {4}([0-9A-Z]{6,8})$", re.MULTILINE)


def mails(data_dir: Path, to: str) -> list[email.message.EmailMessage]:
    """Return the mails to somebody, oldest first."""
    found = sorted((data_dir / "outbox").glob("*.eml"))
    read = [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in found]
    return [message for message in read if message["To"] == to]  # type: ignore[misc]


async def next_mail(data_dir: Path, to: str, *, after: int = 0) -> email.message.EmailMessage:
    """Wait for the mail that comes after the first `after` ones."""
    await eventually(lambda: len(mails(data_dir, to)) > after)
    return mails(data_dir, to)[after]


def code_in(message: email.message.EmailMessage) -> str:
    """Return the code in a mail."""
    found = _CODE.search(message.get_content())
    assert found, message.get_content()
    return found[1]
