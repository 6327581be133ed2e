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
        self.registered = 0
        """Larger than that of every socket that registered before."""
        self.expiry: asyncio.TimerHandle | None = None
        self.carried: dict[str, Delivery] = {}

    @property
    def live(self) -> bool:
        """Whether anything sent can still arrive, as far as is known."""
        return not self.link.closed and self.namespace in self.link.connection.joined

    @property
    def user_id(self) -> str | None:
        """Whose it is now: the user's who registered it, else the one's whose turn it is being sent as a guest."""
        if self.caller is not None:
            return self.caller.user_id
        return next((each.user_id for each in self.carried.values() if not each.sent_all), None)


class Delivery:
    """A turn that was asked to stream to a socket, wherever it goes now."""

    def __init__(self, turn: Turn, options: FeedOptions) -> None:
        """Nowhere yet."""
        self.turn = turn
        self.options = options
        self.socket: Socket | None = None
        self.feed: Feed | None = None
        self.task: asyncio.Task[None] | None = None
        self.answered = asyncio.Event()
        """The REST call that asked has ended, or is gone."""
        self.client_id: str | None = None
        """The tab that asked, where it said which it is; that tab may take its turn back from another one."""
        self.since = 0
        """Sockets registered after it went to its socket have a larger number."""
        self.had_socket = False
        """Some socket has had it."""
        self.sent_all = False
        """The last frame was handed to the link."""
        self.probed = False
        """And the peer was asked behind it whether it is there."""
        self.confirmed = False
        """And has answered: all of the turn has arrived somewhere, now or before."""
        self.at_home = False
        """All of it has arrived at the tab that asked."""

        self.given_up = False
        """The REST reply has said that nobody could be reached, and has the whole answer."""

    @property
    def settled(self) -> bool:
        """Whether no socket needs to have it any more."""
        return self.confirmed or self.given_up

    @property
    def user_id(self) -> str:
        """Whose turn it is."""
        return self.turn.ask.caller.user_id

    @property
    def reached(self) -> bool:
        """Whether somebody has it, or is getting it."""
        return self.confirmed or (self.socket is not None and self.socket.live)
