"""Short words for the machines' tests."""

import json
from typing import Any

from twinspeak.transports.socketio.wire.connection import Connected, ConnectionLimits, Happening, SioConnection
from twinspeak.transports.socketio.wire.engine import EngineLimits, EngineSession, Message, Poll, Transport

SID = "the-session"


def polling(now: float = 0, **limits: Any) -> EngineSession:
    """Return a session that polls, as the client sees it first: its handshake still to be fetched."""
    return EngineSession(SID, EngineLimits(**limits), now=now, transport=Transport.POLLING)


def websocket(now: float = 0, **limits: Any) -> EngineSession:
    """Return a WebSocket-only session whose handshake has been sent."""
    session = EngineSession(SID, EngineLimits(**limits), now=now, transport=Transport.WEBSOCKET)
    assert frames(session)[0][0] == "0"
    return session


def greeted(now: float = 0, **limits: Any) -> EngineSession:
    """Return a session that polls and whose handshake has been fetched."""
    session = polling(now, **limits)
    assert get(session).startswith(b"0")
    return session


def probing(**limits: Any) -> EngineSession:
    """Return a session that polls while its WebSocket has sent the probe and got the answer."""
    session = greeted(**limits)
    assert session.attach()
    assert session.frame("2probe") == []
    assert frames(session) == ["3probe"]
    return session


def upgraded(**limits: Any) -> EngineSession:
    """Return a session that came from polling to its WebSocket."""
    session = probing(**limits)
    assert session.frame("5") == []
    return session


def get(session: EngineSession) -> bytes:
    """Poll a session that has something to say."""
    assert session.poll() is Poll.READY
    return session.poll_payload()


def wait(session: EngineSession) -> None:
    """Begin a poll that has to wait."""
    assert session.poll() is Poll.WAIT
    assert not session.poll_ready


def frames(session: EngineSession) -> list[Message]:
    """Take all frames that are to be sent now."""
    taken: list[Message] = []
    while (frame := session.next_frame()) is not None:
        taken.append(frame)
    return taken


def handshake(data: Message | bytes) -> dict[str, Any]:
    """Read an open packet."""
    text = data.decode() if isinstance(data, bytes) else data
    assert text[0] == "0"
    return json.loads(text[1:])


def connection(*namespaces: str, now: float = 0, **limits: Any) -> SioConnection:
    """Return a connection on which nothing was said yet; `/` and `/admin` exist."""
    return SioConnection(frozenset(namespaces or ("/", "/admin")), ConnectionLimits(**limits), now=now)


def joined(*namespaces: str, **limits: Any) -> SioConnection:
    """Return a connection that is in `namespaces` (`/` unless others are named)."""
    made = connection(**limits)
    for namespace in namespaces or ("/",):
        join(made, namespace)
    return made


def join(made: SioConnection, namespace: str) -> None:
    """Let a connection into a namespace."""
    asked = made.receive("0" if namespace == "/" else f"0{namespace},")
    assert asked == [Connected(namespace, {})]
    assert made.accept(namespace, f"sid of {namespace}")
    sent(made)


def sent(made: SioConnection) -> list[Message]:
    """Take what a connection wants sent."""
    taken = list(made.outgoing)
    made.outgoing.clear()
    return taken


def heard(made: SioConnection, *messages: Message) -> list[Happening]:
    """Feed messages; return what happened."""
    return [happening for message in messages for happening in made.receive(message)]
