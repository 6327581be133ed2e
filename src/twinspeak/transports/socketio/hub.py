"""Who gets which turn (contract 4.3): binding, fall-back, orphans and their adoption, cancel, mute, revocation.

A turn goes to the socket that its request named, if that is the same user's or nobody's; else to the user's only live
registered socket; else it goes on, orphaned, until the same user registers a socket with a token. Nothing is ever sent
to a socket that somebody else has registered. Decision 017 says what happens when sockets go.
"""

import asyncio
from collections.abc import Callable, Collection

import msgspec

from twinspeak.domain.caller import Caller
from twinspeak.engine.control import CancelReason
from twinspeak.engine.tasks import Supervisor
from twinspeak.engine.turn import Step, Turn
from twinspeak.transports.audience import Audience
from twinspeak.transports.socketio.feed import Feed, FeedOptions
from twinspeak.transports.socketio.link import Link
from twinspeak.transports.socketio.sockets import Delivery, Socket

MayReceive = Callable[[Socket, Turn], bool]
"""Tells whether a socket's page may be sent a turn of that twin."""
FindTurn = Callable[[str, str], Turn | None]
"""(turn id, user id) -> the user's own turn, running or just ended; None for anything else."""


class HubLimits(msgspec.Struct, frozen=True):
    """`keep_s`: how long an ended turn can still be picked up; `coalesce_ms`: see `transports.stream.Pacer`.

    `probe_s`: how long a socket may take to show that it is alive when another one of the user could have its turns.
    """

    keep_s: float = 60
    coalesce_ms: int = 20
    sockets_per_user: int = 50
    probe_s: float = 5
    confirm_s: float = 20


class Hub:
    """All sockets of this process, and the turns that stream to them."""

    def __init__(self, audience: Audience, may_receive: MayReceive, find: FindTurn, limits: HubLimits) -> None:
        """Nobody is here yet."""
        self._audience = audience
        self._may_receive = may_receive
        self._find = find
        self._limits = limits
        self._supervisor = Supervisor("socket feeds")
        self._sockets: dict[str, Socket] = {}
        self._by_user: dict[str, dict[str, Socket]] = {}
        self._deliveries: dict[str, Delivery] = {}
        self._owned: dict[str, dict[str, Delivery]] = {}
        self._registrations = 0
        self.revocations = 0
        """Grows whenever sessions are revoked: whoever looked at a session before must look again."""

    # -- sockets ------------------------------------------------------------------------------------------------------

    def join(self, socket: Socket) -> None:
        """Add a socket that is nobody's yet."""
        self._sockets[socket.sid] = socket

    def register(self, socket: Socket, caller: Caller, *, client_id: str | None) -> bool:
        """Bind a socket to a user, who has shown a token, and give it his orphaned turns.

        Whatever another user was being sent through it ends here. False: the user has too many sockets; those that are
        dead will be gone soon.
        """
        mine = self._by_user.get(caller.user_id, {})
        if socket.sid not in mine and len(mine) >= self._limits.sockets_per_user:
            for other in tuple(mine.values()):
                self._ask(other)
            return False
        self._unbind(socket)
        self._registrations += 1
        socket.caller, socket.registered = caller, self._registrations
        socket.client_id = client_id or socket.client_id
        self._by_user.setdefault(caller.user_id, {})[socket.sid] = socket
        for delivery in list(socket.carried.values()):
            if delivery.user_id != caller.user_id:
                self._release(delivery)
        self._ask_others(socket)
        for delivery in tuple(self._owned.get(caller.user_id, {}).values()):
            if self._takes(socket, delivery):
                if (
                    delivery.socket is not None
                ):  # a connection given up while it registered may come after its successor
                    self._ask(socket)
                self._take_away(delivery)
                self._deliver(delivery, socket, catch_up=True)
        return True

    def leave(self, socket: Socket) -> None:
        """Take a socket out; its turns go to another one of the user's, or wait."""
        self._sockets.pop(socket.sid, None)
        self._unbind(socket)
        for delivery in list(socket.carried.values()):
            self._release(delivery)

    def alive(self, link: Link) -> None:
        """Note that the peer has sent something: if it was the answer to a ping, what went before it has arrived."""
        if link.session.unanswered:
            return
        for sid in link.connection.joined.values():
            socket = self._sockets.get(sid)
            for delivery in tuple(socket.carried.values()) if socket else ():
                if delivery.sent_all and delivery.probed:
                    delivery.confirmed = True
                    delivery.at_home = delivery.at_home or same_tab(socket, delivery)
                elif delivery.sent_all:
                    self._probe(delivery, link)

    def revoke(self, user_id: str, session_ids: Collection[str] | None = None) -> None:
        """Close the user's sockets: all, or those of the sessions named (sign-out, suspension, password change)."""
        self.revocations += 1
        for socket in tuple(self._by_user.get(user_id, {}).values()):
            if socket.caller is not None and (session_ids is None or socket.caller.session_id in session_ids):
                socket.link.close("signed out")

    def leave_twin(self, user_id: str, institution_id: str) -> None:
        """Close the user's sockets that were opened in a twin, or carry a turn of it; a client may open new ones."""
        self.revocations += 1
        for socket in tuple(self._by_user.get(user_id, {}).values()):
            plans = [delivery.turn.plan for delivery in socket.carried.values()]
            carried = {plan.institution.id for plan in plans if plan is not None and plan.institution is not None}
            opened = socket.caller.institution_id if socket.caller is not None else None
            if institution_id == opened or institution_id in carried:
                socket.link.close("rights changed")

    # -- turns --------------------------------------------------------------------------------------------------------

    def bind(self, turn: Turn, socket_id: str, *, delta_only: bool, extended: bool) -> None:
        """Stream a turn to the socket that its request named, or to whoever may have it instead.

        The call that asked must end with `failed` or `released`.
        """
        options = FeedOptions(delta_only=delta_only, extended=extended, coalesce_ms=self._limits.coalesce_ms)
        delivery = Delivery(turn, options)
        delivery.since = self._registrations
        self._deliveries[turn.turn_id] = delivery
        self._owned.setdefault(delivery.user_id, {})[turn.turn_id] = delivery
        self._supervisor.spawn_forever(self._forget(delivery), name=f"forget {turn.turn_id}")
        named = self._sockets.get(socket_id)
        if named is not None and self._fits(named, turn):
            delivery.client_id = named.client_id
            self._deliver(delivery, named, catch_up=False)
        elif (heir := self._heir(delivery)) is not None:
            self._deliver(delivery, heir, catch_up=False)

    def released(self, turn: Turn) -> bool:
        """The REST call is gone. Return whether the turn may go on: it may once a socket has had part of it.

        Reloading a page ends call and socket in either order, so the answer cannot depend on which came first
        (decision 017); a turn that nobody takes up is abandoned in the end.
        """
        delivery = self._deliveries.get(turn.turn_id)
        if delivery is None:
            return False
        delivery.answered.set()
        if delivery.had_socket:
            self._audience.let_go(turn)
        return delivery.had_socket

    def failed(self, turn: Turn) -> bool:
        """The turn has ended. Return whether it was to be streamed and reaches nobody: `streamingFailed`."""
        delivery = self._deliveries.get(turn.turn_id)
        if delivery is None:
            return False
        delivery.answered.set()
        # One that a socket has had is still kept for the next: the reply may have been lost with that socket.
        delivery.given_up = not delivery.had_socket
        return not delivery.reached

    def cancel(self, socket: Socket, turn_id: str | None) -> list[str]:
        """Cancel a turn of the socket's user, or all that the socket is being sent; return their ids."""
        meant = [turn for turn in self._meant(socket, turn_id) if turn.step is not Step.ENDED]
        for turn in meant:
            turn.cancel(CancelReason.REQUESTED)
        return [turn.turn_id for turn in meant]

    def mute(self, socket: Socket, turn_id: str | None) -> list[str]:
        """Send this socket no more of a turn, or of all that it is being sent; the turns go on. Return their ids."""
        carried = [socket.carried.get(turn.turn_id) for turn in self._meant(socket, turn_id)]
        muted = [delivery for delivery in carried if delivery is not None and delivery.feed is not None]
        for delivery in muted:
            if delivery.feed is not None:
                delivery.feed.mute()
        return [delivery.turn.turn_id for delivery in muted]

    # -- the end ------------------------------------------------------------------------------------------------------

    async def finish(self, timeout_s: float) -> None:
        """Give feeds whose turns have ended a moment to send the rest."""
        feeds = [delivery.task for delivery in self._deliveries.values() if delivery.task is not None]
        if feeds:
            await asyncio.wait(feeds, timeout=timeout_s)

    async def aclose(self) -> None:
        """Stop every feed."""
        await self._supervisor.aclose()

    # -- inside -------------------------------------------------------------------------------------------------------

    def _meant(self, socket: Socket, turn_id: str | None) -> list[Turn]:
        """Return the turn meant by `turn_id` if it is the user's own, else what the socket carries.

        Somebody else's turn is as unknown as one that does not exist.
        """
        if turn_id:
            if (carried := socket.carried.get(turn_id)) is not None:
                return [carried.turn]
            own = self._find(turn_id, socket.caller.user_id) if socket.caller is not None else None
            if own is not None:
                return [own]
        return [delivery.turn for delivery in socket.carried.values()]

    def _fits(self, socket: Socket, turn: Turn) -> bool:
        """Whether a request may name this socket: its user's own, or nobody's but that user's guest."""
        return socket.live and socket.user_id in (None, turn.ask.caller.user_id) and self._may_receive(socket, turn)

    def _takes(self, socket: Socket, delivery: Delivery) -> bool:
        """Whether a socket that has just registered gets a turn: an orphan, or the one that its own tab asked for."""
        if delivery.socket is socket or not self._may_receive(socket, delivery.turn):
            return False
        if same_tab(socket, delivery):
            return not delivery.at_home
        return delivery.socket is None and not delivery.settled

    def _heir(self, delivery: Delivery) -> Socket | None:
        """Return who gets a turn whose socket is gone, or not there.

        The tab that asked, if it is there by another socket; else the user's only live socket; of several, the latest
        that registered since the turn went to the one that is gone, because it was the next to register although the
        server learnt too late that the other had died.
        """
        mine = self._by_user.get(delivery.user_id, {}).values()
        live = [each for each in mine if each.live and self._may_receive(each, delivery.turn)]
        if home := [each for each in live if same_tab(each, delivery)]:
            return max(home, key=lambda each: each.registered)
        several = len({each.link for each in live}) > 1
        heirs = [each for each in live if not several or each.registered > delivery.since]
        return max(heirs, key=lambda each: each.registered, default=None)

    def _deliver(self, delivery: Delivery, socket: Socket, *, catch_up: bool) -> None:
        delivery.socket, delivery.had_socket = socket, True
        delivery.sent_all = delivery.probed = False
        delivery.since = self._registrations
        self._audience.enter(delivery.turn)
        socket.carried[delivery.turn.turn_id] = delivery
        feed = Feed(delivery.turn, socket.link, socket.namespace, delivery.options)
        delivery.feed = feed
        work = self._run(delivery, feed, socket.link, catch_up=catch_up)
        delivery.task = self._supervisor.spawn_forever(work, name=f"feed {delivery.turn.turn_id}")

    async def _run(self, delivery: Delivery, feed: Feed, link: Link, *, catch_up: bool) -> None:
        if await feed.run(catch_up=catch_up) and delivery.feed is feed:
            delivery.sent_all = True
            self._probe(delivery, link)

    def _probe(self, delivery: Delivery, link: Link) -> None:
        """Ask the peer whether it is there, behind the last frame; its answer says that it has all of it.

        A ping that is on its way already says nothing about that: then the peer is asked again after its answer.
        """
        delivery.probed = not link.session.unanswered
        link.session.probe_alive(asyncio.get_running_loop().time(), self._limits.confirm_s)
        link.touch()

    def _release(self, delivery: Delivery) -> None:
        """Take a turn from the socket that carries it, and find it another."""
        self._take_away(delivery)
        if not delivery.settled and (heir := self._heir(delivery)) is not None:
            self._deliver(delivery, heir, catch_up=True)

    def _take_away(self, delivery: Delivery) -> None:
        if delivery.task is not None:
            delivery.task.cancel()
        if delivery.socket is not None:
            delivery.socket.carried.pop(delivery.turn.turn_id, None)
            self._audience.leave(delivery.turn)
        delivery.socket = delivery.feed = delivery.task = None

    def _ask_others(self, socket: Socket) -> None:
        """Ask the user's other sockets that carry turns, and the twins of this tab, whether they are alive.

        One that is not ends, and its turns find an heir; one that is lives on: tabs never displace each other.
        """
        user_id = socket.caller.user_id if socket.caller is not None else ""
        for other in tuple(self._by_user.get(user_id, {}).values()):
            twin = socket.client_id is not None and other.client_id == socket.client_id
            if other.link is not socket.link and (twin or other.carried):
                self._ask(other)

    def _ask(self, socket: Socket) -> None:
        socket.link.session.probe_alive(asyncio.get_running_loop().time(), self._limits.probe_s)
        socket.link.touch()

    def _unbind(self, socket: Socket) -> None:
        if socket.expiry is not None:
            socket.expiry.cancel()
            socket.expiry = None
        if socket.caller is None:
            return
        mine = self._by_user.get(socket.caller.user_id, {})
        mine.pop(socket.sid, None)
        if not mine:
            self._by_user.pop(socket.caller.user_id, None)
        socket.caller = None

    async def _forget(self, delivery: Delivery) -> None:
        """Wait until a turn is over for everybody: ended, answered, kept for a while, and sent to whom it goes."""
        await delivery.turn.ended()
        await delivery.answered.wait()
        await asyncio.sleep(self._limits.keep_s)
        while delivery.task is not None and not delivery.task.done():
            await asyncio.wait((delivery.task,))
        self._take_away(delivery)
        turn_id = delivery.turn.turn_id
        self._deliveries.pop(turn_id, None)
        owned = self._owned.get(delivery.user_id, {})
        owned.pop(turn_id, None)
        if not owned:
            self._owned.pop(delivery.user_id, None)


def same_tab(socket: Socket | None, delivery: Delivery) -> bool:
    """Whether a socket is of the tab that asked for a turn, as far as clients tell which tab they are."""
    return socket is not None and socket.client_id is not None and socket.client_id == delivery.client_id
