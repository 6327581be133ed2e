"""The load client's process: takes a job a line on standard input, answers each with a line of what was seen."""

import asyncio
import gc
import os
import random
import sys
import time
from array import array

import msgspec
import uvloop

from bench.load.askers import Asker, AskFailed, SocketAsker
from bench.load.check import Check
from bench.load.clients import asker_for
from bench.load.http import Gone, HttpConnection
from bench.load.job import Job, Seen, Spread

_job = msgspec.json.Decoder(Job)
_RELEASE = b"release"
_HOLD_S = 60.0


class Run:
    """One job."""

    def __init__(self, job: Job) -> None:
        """Nothing sent yet."""
        self.job = job
        self.seen = Seen()
        self.gaps = array("d")
        self.holding: list[asyncio.Future[None]] = []
        self.askers: list[Asker] = []
        self._random = random.Random(job.seed)  # noqa: S311 -- it must come out alike every time

    async def all(self) -> Seen:
        """Run every client to its end, or until all of them hold."""
        self.askers = [asker_for(self.job, index) for index in range(self.job.streams)]
        for asker in self.askers:
            await asker.connect()
        began, used = time.monotonic(), time.process_time()
        starts = [self._random.random() * self.job.stagger_s for _ in self.askers]
        async with asyncio.TaskGroup() as group:
            for index, (asker, start) in enumerate(zip(self.askers, starts, strict=True)):
                group.create_task(self._client(index, asker, start))
        self.seen.elapsed_s = time.monotonic() - began
        self.seen.client_cpu_s = time.process_time() - used
        self.seen.gaps = Spread.of(list(self.gaps))
        if not self.job.hold:
            self.hang_up()
        self.seen.received = sum(asker.received for asker in self.askers)
        return self.seen

    def hang_up(self) -> None:
        """Close every connection."""
        for asker in self.askers:
            asker.hang_up()

    async def _client(self, index: int, asker: Asker, start: float) -> None:
        await asyncio.sleep(start)
        for number in range(self.job.turns):
            if number and self.job.think_s:
                await asyncio.sleep(self._random.expovariate(1 / self.job.think_s))
            try:
                await self._turn(asker, f"{self.job.seed}-{index}-{number}")
            except (Gone, AskFailed, OSError) as error:
                self.seen.failed += 1
                if len(self.seen.errors) < 5:
                    self.seen.errors.append(f"{type(error).__name__}: {error}")
                asker.hang_up()

    async def _turn(self, asker: Asker, tag: str) -> None:
        answer = msgspec.structs.replace(self.job.answer, tag=tag) if self.job.cancel else self.job.answer
        check = Check(self.gaps, started=time.monotonic())
        if self.job.cancel:
            await self._cancelled(asker, check, tag)
        elif self.job.hold:
            await self._held(asker, check)
        else:
            await asker.ask(answer, check, _nothing)
            check.finish(answer.words, asker.whole)
            self._count(check, answer.words)

    def _count(self, check: Check, asked: int) -> None:
        seen = self.seen
        seen.turns += 1
        seen.asked += asked
        seen.words += check.words
        seen.frames += check.frames
        seen.lost += check.lost
        seen.doubled += check.doubled
        seen.garbled += check.garbled
        if check.first is not None:
            seen.first_s.append(check.first - check.started)

    async def _held(self, asker: Asker, check: Check) -> None:
        """Read until the frame where the job stops, and leave the stream open."""
        reached = asyncio.get_running_loop().create_future()

        def on_frame() -> None:
            if self.job.face == "polling" or check.frames == self.job.at_frame:
                if self.job.hold == "frozen":
                    asker.freeze()
                reached.set_result(None)

        asking = asyncio.ensure_future(asker.ask(self.job.answer, check, on_frame))
        asking.add_done_callback(lambda task: None if task.cancelled() else task.exception())
        self.holding.append(asking)
        await asyncio.wait_for(asyncio.wait([reached, asking], return_when=asyncio.FIRST_COMPLETED), _HOLD_S)
        if not reached.done():
            asking.result()
        self.seen.turns += 1

    async def _cancelled(self, asker: Asker, check: Check, tag: str) -> None:
        """Cancel in the middle, and note when."""
        answer = msgspec.structs.replace(self.job.answer, tag=tag)
        reached = asyncio.Event()

        def on_frame() -> None:
            if check.frames == self.job.at_frame:
                reached.set()

        side = await HttpConnection.connect(self.job.url) if self.job.cancel == "rest" else None
        asking = asyncio.ensure_future(asker.ask(answer, check, on_frame))
        if self.job.face == "rest":
            await asyncio.sleep(answer.interval * self.job.at_frame / 1000)
        else:
            await asyncio.wait(
                [asking, asyncio.ensure_future(reached.wait())], return_when=asyncio.FIRST_COMPLETED, timeout=_HOLD_S
            )
        self.seen.cancelled[tag] = time.monotonic()
        if side is not None:
            await asker.cancel_by_rest(side)
            side.close()
        elif isinstance(asker, SocketAsker) and self.job.cancel == "socket":
            asker.cancel()
        else:
            asker.hang_up()
        await asyncio.wait([asking], timeout=_HOLD_S)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        self.seen.turns += 1


def _nothing() -> None:
    """Take no notice of a frame."""


async def serve() -> None:
    """Do what standard input says, until it ends."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), os.fdopen(0, "rb"))
    held: Run | None = None
    while line := (await lines.readline()).strip():
        if line == _RELEASE:
            if held is not None:
                held.hang_up()
                await asyncio.gather(*held.holding, return_exceptions=True)
            held = None
            _say(Seen())
            continue
        run = Run(_job.decode(line))
        _say(await run.all())
        held = run if run.job.hold else None
        gc.collect()


def _say(seen: Seen) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(seen) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    gc.disable()  # a pause of ours would look like one of the server's
    uvloop.run(serve())
