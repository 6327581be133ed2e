"""What tests of Engine.IO sessions through real sockets share."""

from tests.live import LiveServer
from tests.transports.socketio.clients import Engine, Polling, eventually, links_of
from twinspeak.transports.socketio.wire.engine import EngineSession

ECHO = '4217["register"]'
ECHOED = '4317[{"success":true,"registered":false}]'
"""Our server has no echo: an event that is acknowledged stands for a message there and back."""


async def polling_with_namespace(server: LiveServer) -> Polling:
    session = await Polling.open(server)
    assert await session.post("40") == (200, "ok")
    status, (packet,) = await session.get()
    assert (status, packet[:2]) == (200, "40")
    return session


async def in_namespace(engine: Engine) -> None:
    await engine.send("40")
    assert str(await engine.frame())[:2] == "40"


async def is_open(session: Polling) -> bool:
    """Post something harmless and see whether the session takes it."""
    return (await session.post("6"))[0] == 200


async def listens(session: Polling) -> None:
    """Wait until the server has the session's GET."""
    await eventually(lambda: session_of(session)._polling)


def session_of(session: Polling) -> EngineSession:
    return links_of(session.server)[session.sid].session
