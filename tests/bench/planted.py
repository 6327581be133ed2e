"""A pass-through with a fault planted in it: `python -m tests.bench.planted UPSTREAM FAULT`."""

import asyncio
import sys
import time

import uvloop
from starlette.types import Message, Receive, Scope, Send

from bench import passthrough

SLOW_S = 300e-6
LEAK_BYTES = 400_000
LEAKED: list[bytearray] = []


class Planted(passthrough.PassThrough):
    """`fault` is none, slow, lose, double or leak."""

    fault = "none"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        pieces = 0

        async def spoilt(message: Message) -> None:
            nonlocal pieces
            if message.get("body"):
                pieces += 1
                if self.fault == "slow":
                    burn(SLOW_S)
                if self.fault == "leak" and pieces == 1:
                    LEAKED.append(bytearray(b"x" * LEAK_BYTES))
                if pieces == 5 and self.fault == "lose":
                    return
                if pieces == 5 and self.fault == "double":
                    await send(message)
            await send(message)

        await super().__call__(scope, receive, spoilt)


def burn(seconds: float) -> None:
    """Use processor time."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


if __name__ == "__main__":
    Planted.fault = sys.argv[2]
    passthrough.PassThrough = Planted
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(passthrough.serve(sys.argv[1]))
