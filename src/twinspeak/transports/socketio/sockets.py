"""Sockets: a namespace that a client has joined, whose it is, and what it is being sent."""

import asyncio

from twinspeak.domain.caller import Caller
from twinspeak.engine.turn import Turn
from twinspeak.transports.socketio.feed import Feed, FeedOptions
from twinspeak.transports.socketio.link import Link


class Socket:
    """One joined namespace. `caller` is who proved to be there with a token, None while nobody has."""

    def __init__(self, sid: str, link: Link, namespace: str) -> None:
        """Nobody's yet."""
        self.sid = sid
        self.link = link
        self.namespace = namespace
        self.caller: Caller | None = None
        self.client_id: str | None = None
        self.guest_of: str | None = None
        self.expiry: asyncio.TimerHandle | None = None
        self.carried: dict[str, Delivery] = {}

    @property
    def live(self) -> bool:
        """Whether anything sent can still arrive, as far as is known."""
        return not self.link.closed and self.namespace in self.link.connection.joined


class Delivery:
    """A turn that was asked to stream to a socket, wherever it goes now."""

    def __init__(self, turn: Turn, options: FeedOptions) -> None:
        """Nowhere yet."""
        self.turn = turn
        self.options = options
        self.socket: Socket | None = None
        self.feed: Feed | None = None
        self.task: asyncio.Task[None] | None = None
        self.had_socket = False
        """Some socket has had it."""
        self.alone = False
        """The REST call that asked is gone."""
        self.sent_all = False
        """The last frame was handed to the link."""
        self.confirmed = False
        """The peer has answered since."""

    @property
    def user_id(self) -> str:
        """Whose turn it is."""
        return self.turn.ask.caller.user_id

    @property
    def reached(self) -> bool:
        """Whether somebody has it, or is getting it."""
        return self.confirmed or (self.socket is not None and self.socket.live)
