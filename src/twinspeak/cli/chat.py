"""`twinspeak chat`: one question, or a conversation, over the event stream.

Ctrl-C closes the stream, and that is what cancels a turn (contract 4.2); then history tells what was kept of it.
"""

import asyncio
import contextlib
import getpass
import importlib
import sys
from collections.abc import Iterator

import msgspec
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from rich.console import Console

from twinspeak.cli.client import Client, CodeWanted, Question, ServerError, is_in_the_clear, normal_url
from twinspeak.cli.events import Complete, Connected, Done, Failed
from twinspeak.cli.exits import CommandError, ExitCode
from twinspeak.cli.terminal import consoles
from twinspeak.cli.view import BAD, Output, View

KEPT_WAIT_S = 5.0
"""How long to wait, after Ctrl-C, for the server to say what it kept."""
_KEPT_STEP_S = 0.2
_STALE = {"token_expired", "invalid_token"}
_HELP = "/new begins another conversation, /quit (or Ctrl-D) leaves, Ctrl-C stops an answer."


class ClientSettings(BaseSettings):
    """Where and as whom to chat; environment variables `TWINSPEAK_URL`, `TWINSPEAK_EMAIL` and so on."""

    model_config = SettingsConfigDict(env_prefix="TWINSPEAK_", frozen=True, extra="ignore")

    url: str = "http://127.0.0.1:8080"
    email: str = ""
    password: SecretStr | None = None
    token: SecretStr | None = None
    twin: str = ""


class Login(msgspec.Struct, frozen=True):
    """How to get an access token: `token` as it is, else by e-mail address and password."""

    email: str = ""
    password: str = ""
    token: str = ""


class Chat:
    """A conversation with one twin of one server; its methods run in one event loop."""

    def __init__(self, client: Client, login: Login, twin: str, output: Output) -> None:
        """Keep what every question needs; `sign_in` comes first."""
        self._client = client
        self._login = login
        self._twin = twin
        self._output = output
        self._token = login.token
        self._course: tuple[int, str] | None = None
        self._results, self._notes = consoles()

    @property
    def notes(self) -> Console:
        """Where remarks are written."""
        return self._notes

    async def sign_in(self) -> None:
        """Get an access token, unless one was given. Raises CommandError."""
        if not self._login.token:
            self._token = await token_for(self._client, self._login)

    def begin_anew(self) -> None:
        """Leave the conversation: the next question begins another one."""
        self._course = None

    async def ask(self, text: str) -> ExitCode:
        """Ask, show the answer while it comes, and return how it ended. Raises CommandError before the first event."""
        try:
            return await self._answer(text)
        except ServerError as problem:
            if problem.error_code not in _STALE or self._login.token:
                raise
        await self.sign_in()  # the sign-in ran out in the middle of a conversation
        return await self._answer(text)

    async def _answer(self, text: str) -> ExitCode:
        view = View(self._results, self._notes, self._output)
        reading = _Reading(view)
        view.begin()
        try:
            events = self._client.ask(self._token, self._question(text))
            async with contextlib.aclosing(events):
                async for event, raw in events:
                    view.show(event, raw)
                    if reading.take(event):
                        break
        except asyncio.CancelledError:
            _forget_cancel()
            return await self._cancelled(view, reading.turn_id)
        except CommandError as problem:
            if not reading.turn_id and not reading.begun:
                raise
            reading.cut(problem.message)
        finally:
            view.end()
        return self._ended(view, reading)

    def _question(self, text: str) -> Question:
        course_id, course_name = self._course or (None, "")
        return Question(text=text, twin=self._twin, course_id=course_id, course_name=course_name)

    def _ended(self, view: View, reading: "_Reading") -> ExitCode:
        if reading.complete:
            if reading.complete.course_id is not None:
                self._course = (reading.complete.course_id, reading.complete.course_name or "")
            return ExitCode.OK
        view.remark(reading.problem or "The answer was cut: the server ended the stream.", BAD)
        return ExitCode.ANSWER_FAILED

    async def _cancelled(self, view: View, turn_id: str) -> ExitCode:
        view.end()
        if not turn_id:
            view.remark("Cancelled before the answer began.")
            return ExitCode.INTERRUPTED
        characters = f"{len(view.text)} character{'' if len(view.text) == 1 else 's'}"
        try:
            async with asyncio.timeout(KEPT_WAIT_S):
                credits = await self._kept_credits(turn_id)
        except (TimeoutError, CommandError):
            view.remark(f"Cancelled after {characters}; the server has not said yet what it kept (turn {turn_id}).")
            return ExitCode.INTERRUPTED
        cost = "" if credits is None else f" {credits} credit{'' if credits == 1 else 's'} charged."
        view.remark(f"Cancelled. The {characters} above are kept in your history (turn {turn_id}).{cost}")
        return ExitCode.INTERRUPTED

    async def _kept_credits(self, turn_id: str) -> int | None:
        while True:
            kept = await self._client.kept(self._token, turn_id)
            if kept:
                return kept.credits
            await asyncio.sleep(_KEPT_STEP_S)


class _Reading:
    """What one stream has told so far."""

    def __init__(self, view: View) -> None:
        self.turn_id = ""
        self.begun = False
        self.complete: Complete | None = None
        self.problem = ""
        self._view = view

    def take(self, event: object) -> bool:
        """Note an event; True when nothing follows."""
        self.begun = True
        match event:
            case Connected():
                self.turn_id = event.turn_id
            case Complete():
                self.complete = event
            case Failed():
                self.problem = event.error.message or "The answer failed."
            case Done():
                return True
            case _:
                pass
        return False

    def cut(self, why: str) -> None:
        """Note that the stream ended in its middle."""
        self.problem = self.problem or f"The answer was cut: {why}"


def _forget_cancel() -> None:
    """Take back the cancellation that Ctrl-C made, so that this task may still wait for what was kept."""
    task = asyncio.current_task()
    if task:
        task.uncancel()


def run_chat(question: str | None, settings: ClientSettings, output: Output, *, password_on_stdin: bool) -> ExitCode:
    """Chat until the question is answered or the person leaves. Raises CommandError, KeyboardInterrupt."""
    url = normal_url(settings.url)
    login = login_of(settings, password_on_stdin=password_on_stdin)
    with asyncio.Runner() as runner:
        client = runner.run(_opened(url))
        try:
            chat = Chat(client, login, settings.twin, output)
            if is_in_the_clear(url) and not login.token:
                chat.notes.print(f"Warning: {url} is not encrypted; your password can be read on its way.")
            runner.run(chat.sign_in())
            if question is not None:
                return runner.run(chat.ask(question))
            return _converse(runner, chat)
        finally:
            runner.run(client.close())


async def _opened(url: str) -> Client:
    return Client.open(url)


async def token_for(client: Client, login: Login) -> str:
    """Return an access token, having asked for the code of a second step if one is wanted. Raises CommandError."""
    opened = login.token or await client.sign_in(login.email, login.password)
    return await client.show_code(opened, _code(opened)) if isinstance(opened, CodeWanted) else opened


def _code(wanted: CodeWanted) -> str:
    """Ask for the code of the second step. Raises CommandError where nobody can be asked."""
    if not sys.stdin.isatty():
        hint = "Run it on a terminal, or give a token in TWINSPEAK_TOKEN."
        raise CommandError("Signing in takes a code, and there is nobody to ask for it.", ExitCode.REFUSED, hint=hint)
    where = f"sent to {wanted.sent_to}" if wanted.sent_to else "of your authenticator app"
    return input(f"Code {where}: ").strip()


def login_of(settings: ClientSettings, *, password_on_stdin: bool) -> Login:
    """Return how to sign in: a token, or address and password, asked for where somebody is at the keyboard.

    Raises CommandError.
    """
    if settings.token and not password_on_stdin:
        return Login(token=settings.token.get_secret_value())
    asking = sys.stdin.isatty()
    email = settings.email
    if not email and asking:
        email = input("E-mail: ").strip()
    password = settings.password.get_secret_value() if settings.password else ""
    if password_on_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif not password and asking and email:
        password = getpass.getpass("Password: ")
    if not email or not password:
        missing = "e-mail address" if not email else "password"
        hint = "Set TWINSPEAK_EMAIL and TWINSPEAK_PASSWORD, or TWINSPEAK_TOKEN, or use --email with --password-stdin."
        raise CommandError(f"No {missing} to sign in with.", ExitCode.USAGE, hint=hint)
    return Login(email=email, password=password)


def _converse(runner: asyncio.Runner, chat: Chat) -> ExitCode:
    """Ask each line until the input ends; return how the last answer ended when nobody is at the keyboard."""
    asking = sys.stdin.isatty()
    if asking:
        chat.notes.print(_HELP, style="dim")
    last = ExitCode.OK
    for line in _lines(asking=asking):
        if line == "/quit":
            break
        if line == "/new":
            chat.begin_anew()
        elif line == "/help":
            chat.notes.print(_HELP, style="dim")
        elif line:
            last = _ask_one(runner, chat, line)
            if last is ExitCode.INTERRUPTED and not asking:
                break
    return ExitCode.OK if asking else last


def _ask_one(runner: asyncio.Runner, chat: Chat, line: str) -> ExitCode:
    try:
        return runner.run(chat.ask(line))
    except CommandError as problem:
        chat.notes.print(problem.message, style="red")
        if problem.hint:
            chat.notes.print(problem.hint, style="dim")
        return problem.code


def _lines(*, asking: bool) -> Iterator[str]:
    if asking:
        with contextlib.suppress(ImportError):
            importlib.import_module("readline")  # gives input() its editing keys, where the platform has it
    while True:
        try:
            yield (input("\n> ") if asking else input()).strip()
        except (EOFError, KeyboardInterrupt):
            return
