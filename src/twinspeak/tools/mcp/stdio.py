"""Programs of the operator's on this machine, asked over standard input and output (specification, "Transports").

Which there are is the operator's configuration alone; what anybody sends here names one of them. A program is started
when it is first asked, runs for one server record, knows nothing of our environment, and is killed with all that it
started: when nobody has asked it for a while, when its record changes or goes, and when this server stops.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from itertools import count
from typing import Any

import msgspec

from twinspeak.domain.clock import monotonic
from twinspeak.tools.mcp import wire
from twinspeak.tools.mcp.http import MAX_BYTES, Progress, Unavailable

MOST_RUNNING = 32
"""Programs that run at once, of all twins together."""
IDLE_S = 600.0
PATH = os.defpath
_LONGEST_LINE = 1_000_000
_MOST_UNREAD = 1_000_000
_ANSWERED = 20
_RESTART_S = 2.0
_FAREWELL_S = 1.0


class Program(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a program is run, and which twins may use it (ids, `*` for all).

    `env` is all that it gets of an environment, beside a plain PATH.
    """

    command: str
    twins: tuple[str, ...]
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    cwd: str = "/"

    def __repr__(self) -> str:
        """Say nothing of arguments and environment: keys are in there."""
        return f"Program({self.command!r})"


class Programs:
    """The operator's programs by name. One for the whole server."""

    def __init__(self, listed: Mapping[str, Program]) -> None:
        """Keep them; nothing is started yet."""
        self._listed = listed
        self._running: set[_Process] = set()

    def allows(self, name: str, twin: str) -> bool:
        """Tell whether there is a program of this name for a twin."""
        program = self._listed.get(name)
        return program is not None and ("*" in program.twins or twin in program.twins)

    def way(self, name: str, twin: str) -> "StdioServer":
        """Return the way to a program, for one server record. Raises Unavailable."""
        if not self.allows(name, twin):
            raise Unavailable("This server has no such program for this digital twin any more.")
        return StdioServer(self._listed[name], self._running)

    @property
    def running(self) -> int:
        """How many run."""
        return sum(not process.over for process in self._running)

    async def close(self) -> None:
        """End those that run, and wait until the system has let go of all."""
        async with asyncio.TaskGroup() as group:
            for process in self._running:
                group.create_task(process.end(), name="mcp program")


class StdioServer:
    """One program for one server record, as `client.Server`. Safe for any number of calls at once."""

    def __init__(self, program: Program, running: "set[_Process]") -> None:
        """Keep the parts; nothing is started yet."""
        self._program = program
        self._running = running
        self._opening = asyncio.Lock()
        self._process: _Process | None = None
        self._started: float | None = None
        self._calls = 0
        self._idle: asyncio.TimerHandle | None = None

    async def request(
        self, method: str, params: dict[str, Any], *, timeout_s: float, progress: Progress | None = None
    ) -> dict[str, Any]:
        """Ask, within `timeout_s` for everything. Raises Unavailable and wire.Refused."""
        self._calls += 1
        self._set_idle(None)
        try:
            async with asyncio.timeout(timeout_s):
                return await (await self._opened()).ask(method, params, progress)
        except TimeoutError:
            if self._calls == 1:
                # Nobody else waits for it: what hangs is started anew.
                self.drop()
            raise Unavailable("It took too long to answer.") from None
        except wire.WireError as error:
            raise Unavailable("It does not speak the protocol.") from error
        finally:
            self._calls -= 1
            if self._calls == 0 and self._process is not None:
                self._set_idle(asyncio.get_running_loop().call_later(IDLE_S, self.drop))

    async def close(self) -> None:
        """End the program: its input ends, and a moment later it is killed."""
        self._set_idle(None)
        process, self._process = self._process, None
        if process is not None:
            await process.end()

    def drop(self) -> None:
        """Kill the program at once; it is started anew when it is asked again."""
        self._set_idle(None)
        process, self._process = self._process, None
        if process is not None:
            process.kill()

    def _set_idle(self, handle: asyncio.TimerHandle | None) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = handle

    async def _opened(self) -> "_Process":
        async with self._opening:
            if self._process is None or self._process.over:
                self._process = await self._start()
            return self._process

    async def _start(self) -> "_Process":
        now = monotonic()
        if self._started is not None and now - self._started < _RESTART_S:
            raise Unavailable("It has stopped, and is started again in a moment.")
        self._running -= {process for process in self._running if process.gone}
        if sum(not process.over for process in self._running) >= MOST_RUNNING:
            raise Unavailable("Too many programs run on this server now.")
        self._started = now
        made = await _Process.start(self._program)
        self._running.add(made)
        speaks = False
        try:
            if wire.version_of(await made.ask("initialize", wire.hello(), None)) is None:
                raise Unavailable(wire.OTHER_VERSION)
            await made.tell(wire.notification("notifications/initialized"))
            speaks = True
        finally:
            if not speaks:
                made.kill()
        return made


class _Protocol(asyncio.subprocess.SubprocessStreamProtocol):
    """Tells when a program has ended, whatever its children still hold of its pipes."""

    def __init__(self) -> None:
        super().__init__(limit=_LONGEST_LINE, loop=asyncio.get_running_loop())
        self.exited = asyncio.Event()

    def process_exited(self) -> None:
        super().process_exited()
        self.exited.set()


class _Process:
    """One run of a program. Whoever waits for an answer reads, one line at a time, for all who wait."""

    def __init__(
        self,
        transport: asyncio.SubprocessTransport,
        protocol: _Protocol,
        stdin: asyncio.StreamWriter,
        stdout: asyncio.StreamReader,
    ) -> None:
        self.pid = transport.get_pid()
        self._transport = transport
        self._exited = protocol.exited
        self._stdin = stdin
        self._stdout = stdout
        self._numbers = count(1)
        self._waiting: dict[int, Progress | None] = {}
        self._found: dict[int, dict[str, Any]] = {}
        self._reading = asyncio.Lock()
        self._writing = asyncio.Lock()
        self._taken = 0
        self._answered = 0
        self.over = False

    @classmethod
    async def start(cls, program: Program) -> "_Process":
        """Start a program. Raises Unavailable."""
        loop = asyncio.get_running_loop()
        try:
            transport, protocol = await loop.subprocess_exec(
                _Protocol,
                program.command,
                *program.args,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                cwd=program.cwd,
                env={"PATH": PATH, "LANG": "C.UTF-8", **program.env},
                start_new_session=True,
            )
        except OSError as error:
            raise Unavailable("It cannot be started.") from error
        if protocol.stdin is None or protocol.stdout is None:
            raise Unavailable("It cannot be started.")
        return cls(transport, protocol, protocol.stdin, protocol.stdout)

    @property
    def gone(self) -> bool:
        """Whether the system has let go of it."""
        return self._exited.is_set()

    async def ask(self, method: str, params: dict[str, Any], progress: Progress | None) -> dict[str, Any]:
        """Return what a request is answered with. Raises Unavailable, wire.Refused and wire.WireError."""
        number = next(self._numbers)
        if progress is not None:
            params = {**params, "_meta": {"progressToken": number}}
        self._waiting[number] = progress
        self._taken = self._answered = 0
        try:
            await self.tell(wire.request(number, method, params))
            while number not in self._found:
                async with self._reading:
                    if number not in self._found:
                        await self._read()
            return wire.result_of(self._found[number])
        finally:
            del self._waiting[number]
            if self._found.pop(number, None) is None:
                with contextlib.suppress(Unavailable):
                    self._write(wire.notification("notifications/cancelled", {"requestId": number}))

    async def tell(self, message: bytes) -> None:
        """Send a message. Raises Unavailable."""
        async with self._writing:
            self._write(message)
            try:
                await self._stdin.drain()
            except ConnectionError:
                raise self._ended("It has stopped.") from None

    def kill(self) -> None:
        """Kill it and all that it started."""
        if self.over:
            return
        self.over = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._transport.close()

    async def end(self) -> None:
        """End its input, give it a moment, and kill it."""
        self._stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._exited.wait(), _FAREWELL_S)
        self.kill()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._exited.wait(), _FAREWELL_S)

    def _write(self, message: bytes) -> None:
        if self.over or self._stdin.is_closing():
            raise self._ended("It has stopped.")
        if self._stdin.transport.get_write_buffer_size() > _MOST_UNREAD:
            raise self._ended("It does not take what it is sent.")
        self._stdin.write(message + b"\n")

    async def _read(self) -> None:
        """Take one line: an answer, something that it asks or tells, or what else programs print."""
        if self.over:
            raise Unavailable("It has stopped.")
        try:
            line = await self._stdout.readline()
        except ValueError:
            raise self._ended("It sent more than it may.") from None
        self._taken += len(line)
        if not line.endswith(b"\n"):
            raise self._ended("It has stopped.")
        if self._taken > MAX_BYTES:
            raise self._ended("It sent more than it may.")
        try:
            messages = wire.read(line)
        except wire.WireError:
            return
        for message in messages:
            await self._take(message)

    async def _take(self, message: dict[str, Any]) -> None:
        for number, progress in self._waiting.items():
            if wire.answers(message, number):
                self._found[number] = message
                return
            told = wire.progress_of(message, number)
            if told is not None and progress is not None:
                progress(*told)
        if wire.is_request(message) and self._answered < _ANSWERED:
            self._answered += 1
            await self.tell(wire.answer_to(message))

    def _ended(self, why: str) -> Unavailable:
        self.kill()
        return Unavailable(why)
