"""The way out for mail: SMTP to the operator's server, or files in an outbox folder where none is set.

Whoever sends does not wait, so that how long it takes tells nobody whether an address is known. What cannot be
delivered is tried again for about a minute; codes in mails live longer, and can be asked for again.
"""

import asyncio
import os
import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path

import msgspec
import structlog

from twinspeak.domain.ids import new_id
from twinspeak.domain.mail import Mail

MAX_WAITING = 1_000
TRIES_AFTER_S = (0.0, 2.0, 10.0, 45.0)
_TIMEOUT_S = 20.0

Deliver = Callable[[EmailMessage], None]
"""Delivers one message, blocking; raises OSError or SMTPException."""

_log = structlog.get_logger(__name__)


class Smtp(msgspec.Struct, frozen=True):
    """The operator's mail server. `security` is starttls, tls or none."""

    host: str
    port: int
    user: str = ""
    password: str = ""
    security: str = "starttls"

    def deliver(self, message: EmailMessage) -> None:
        """Hand one message over."""
        context = ssl.create_default_context()
        # Named after the sender: the machine's own name would have to be looked up.
        name = str(message["From"]).rpartition("@")[2].rstrip(">") or "localhost"
        if self.security == "tls":
            client: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, name, timeout=_TIMEOUT_S, context=context)
        else:
            client = smtplib.SMTP(self.host, self.port, name, timeout=_TIMEOUT_S)
        with client:
            if self.security == "starttls":
                client.starttls(context=context)
            if self.user:
                client.login(self.user, self.password)
            client.send_message(message)


class Outbox(msgspec.Struct, frozen=True):
    """A folder that takes mails as files, each readable by its owner only: for development."""

    folder: Path

    def deliver(self, message: EmailMessage) -> None:
        """Write one message; it appears whole."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.folder / f".{new_id()}"
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(message.as_bytes())
        draft.rename(self.folder / f"{new_id()}.eml")


class Mailer:
    """Takes mails and delivers them one by one; `run` must be running."""

    def __init__(self, deliver: Deliver, sender: str) -> None:
        """`sender` is what mails come from."""
        self._deliver = deliver
        self._sender = sender
        self._waiting: asyncio.Queue[Mail] = asyncio.Queue(MAX_WAITING)

    def send(self, mail: Mail) -> None:
        """Take a mail; never blocks. When too many wait, the mail server is down: this one is dropped, and logged."""
        try:
            self._waiting.put_nowait(mail)
        except asyncio.QueueFull:
            _log.error("mail dropped: too many are waiting", subject=mail.subject)

    async def run(self) -> None:
        """Deliver, for ever."""
        while True:
            mail = await self._waiting.get()
            try:
                await self._try(mail)
            finally:
                self._waiting.task_done()

    async def flush(self, timeout_s: float) -> None:
        """Wait until all is delivered, or the time is up."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._waiting.join()
        except TimeoutError:
            _log.warning("mails left undelivered", count=self._waiting.qsize())

    async def _try(self, mail: Mail) -> None:
        message = self._message(mail)
        for wait_s in TRIES_AFTER_S:
            await asyncio.sleep(wait_s)
            try:
                await asyncio.to_thread(self._deliver, message)
            except smtplib.SMTPRecipientsRefused:
                _log.warning("mail refused: its recipient is", subject=mail.subject)
                return
            except (OSError, smtplib.SMTPException) as error:
                _log.warning("mail not delivered yet", subject=mail.subject, error=type(error).__name__)
            else:
                return
        _log.error("mail given up", subject=mail.subject)

    def _message(self, mail: Mail) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = mail.to
        message["Subject"] = mail.subject
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain=self._sender.rpartition("@")[2].rstrip(">") or None)
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.text)
        return message
