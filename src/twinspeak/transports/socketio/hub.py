"""Who gets which turn (contract 4.3): binding, fall-back, orphans and their adoption, cancel, mute, revocation.

A turn goes to the socket that its request named, if that is the same user's or nobody's; else to the user's only live
registered socket; else it goes on, orphaned, until the same user registers a socket with a token. Nothing is ever sent
to a socket that somebody else has registered.
"""

import asyncio
from collections.abc import Callable, Collection

from twinspeak.domain.caller import Caller
from twinspeak.engine.control import CancelReason
from twinspeak.engine.tasks import Supervisor
from twinspeak.engine.turn import Step, Turn
from twinspeak.transports.audience import Audience
from twinspeak.transports.socketio.feed import Feed, FeedOptions
from twinspeak.transports.socketio.link import Link
from twinspeak.transports.socketio.sockets import Delivery, Socket

_PROBE_S = 5.0
"""How long a socket may take to show that it is alive when another one of the user wants its turns."""

MayReceive = Callable[[Socket, Turn], bool]
"""Tells whether a socket's page may be sent a turn of that twin."""


class Hub:
    """All sockets of this process, and the turns that stream to them."""

    def __init__(
        self,
        audience: Audience,
        may_receive: MayReceive,
        *,
        keep_s: float,
        coalesce_ms: int,
        sockets_per_user: int = 50,
    ) -> None:
        """`keep_s` is how long an ended turn can still be picked up."""
        self._audience = audience
        self._keep_s = keep_s
        self._coalesce_ms = coalesce_ms
        self._may_receive = may_receive
        self._sockets_per_user = sockets_per_user
        self._supervisor = Supervisor("socket feeds")
        self._sockets: dict[str, Socket] = {}
        self._by_user: dict[str, dict[str, Socket]] = {}
        self._deliveries: dict[str, Delivery] = {}
        self._owned: dict[str, dict[str, Delivery]] = {}

    # -- sockets ------------------------------------------------------------------------------------------------------

    def join(self, socket: Socket) -> None:
        """Add a socket that is nobody's yet."""
        self._sockets[socket.sid] = socket

    def register(self, socket: Socket, caller: Caller, *, client_id: str | None) -> bool:
        """Bind a socket to a user, who has shown a token, and give it his orphaned turns.

        Whatever another user was being sent through it ends here. False: the user has too many sockets.
        """
        mine = self._by_user.setdefault(caller.user_id, {})
        if socket.sid not in mine and len(mine) >= self._sockets_per_user:
            return False
        self._unbind(socket)
        socket.caller, socket.guest_of = caller, None
        socket.client_id = client_id or socket.client_id
        mine = self._by_user.setdefault(caller.user_id, {})
        mine[socket.sid] = socket
        for delivery in list(socket.carried.values()):
            if delivery.user_id != caller.user_id:
                self._release(delivery)
        self._supersede(socket, mine)
        for delivery in tuple(self._owned.get(caller.user_id, {}).values()):
            wanted = delivery.socket is None and not delivery.confirmed
            if wanted and self._may_receive(socket, delivery.turn):
                self._deliver(delivery, socket, catch_up=True)
        return True

    def leave(self, socket: Socket) -> None:
        """Take a socket out; its turns go to the user's only other one, or wait."""
        self._sockets.pop(socket.sid, None)
        self._unbind(socket)
        for delivery in list(socket.carried.values()):
            self._release(delivery)

    def alive(self, link: Link) -> None:
        """Note that the peer has answered: what was sent completely has arrived."""
        if link.session.unanswered:
            return
        for sid in link.connection.joined.values():
            socket = self._sockets.get(sid)
            for delivery in socket.carried.values() if socket else ():
                delivery.confirmed = delivery.confirmed or delivery.sent_all

    def revoke(self, user_id: str, session_ids: Collection[str] | None = None) -> None:
        """Close the user's sockets: all, or those of the sessions named (sign-out, suspension, password change)."""
        for socket in tuple(self._by_user.get(user_id, {}).values()):
            if socket.caller is not None and (session_ids is None or socket.caller.session_id in session_ids):
                socket.link.close("signed out")

    # -- turns --------------------------------------------------------------------------------------------------------

    def bind(self, turn: Turn, socket_id: str, *, delta_only: bool, extended: bool) -> None:
        """Stream a turn to the socket that its request named, or to whoever may have it instead."""
        options = FeedOptions(delta_only=delta_only, extended=extended, coalesce_ms=self._coalesce_ms)
        delivery = Delivery(turn, options)
        self._deliveries[turn.turn_id] = delivery
        self._owned.setdefault(delivery.user_id, {})[turn.turn_id] = delivery
        self._supervisor.spawn_forever(self._forget(delivery), name=f"forget {turn.turn_id}")
        named = self._sockets.get(socket_id)
        socket = named if named is not None and self._fits(named, turn) else self._only_live(turn)
        if socket is not None:
            if socket.caller is None:
                socket.guest_of = turn.turn_id
            self._deliver(delivery, socket, catch_up=False)

    def released(self, turn: Turn) -> bool:
        """The REST call is gone. Return whether the turn may go on: it may once a socket has had part of it.

        Reloading a page ends call and socket in either order, so the answer cannot depend on which came first
        (decision 017); a turn that nobody takes up is abandoned in the end.
        """
        delivery = self._deliveries.get(turn.turn_id)
        if delivery is None or not delivery.had_socket:
            return False
        delivery.alone = True
        if delivery.socket is None:
            self._audience.nobody(turn)
        return True

    def failed(self, turn: Turn) -> bool:
        """Whether a turn that was to be streamed reaches nobody: `streamingFailed`."""
        delivery = self._deliveries.get(turn.turn_id)
        return delivery is not None and not delivery.reached

    def cancel(self, socket: Socket, turn_id: str | None) -> list[str]:
        """Cancel a turn of this socket's, or all that it is being sent; return their ids."""
        chosen = [delivery for delivery in self._chosen(socket, turn_id) if delivery.turn.step is not Step.ENDED]
        for delivery in chosen:
            delivery.turn.cancel(CancelReason.REQUESTED)
        return [delivery.turn.turn_id for delivery in chosen]

    def mute(self, socket: Socket, turn_id: str | None) -> list[str]:
        """Send this socket no more of a turn, or of all that it is being sent; the turns go on. Return their ids."""
        chosen = [delivery for delivery in self._chosen(socket, turn_id) if delivery.socket is socket]
        for delivery in chosen:
            if delivery.feed is not None:
                delivery.feed.mute()
        return [delivery.turn.turn_id for delivery in chosen]

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

    def _chosen(self, socket: Socket, turn_id: str | None) -> list[Delivery]:
        """Return the deliveries meant by `turn_id`: the user's own, or what the socket carries when it names none."""
        carried = list(socket.carried.values())
        named = self._deliveries.get(turn_id) if turn_id else None
        if named is None:
            return carried
        if named in carried or (socket.caller is not None and socket.caller.user_id == named.user_id):
            return [named]
        return []

    def _fits(self, socket: Socket, turn: Turn) -> bool:
        if not socket.live or not self._may_receive(socket, turn):
            return False
        if socket.caller is not None:
            return socket.caller.user_id == turn.ask.caller.user_id
        return socket.guest_of is None

    def _only_live(self, turn: Turn) -> Socket | None:
        mine = [socket for socket in self._by_user.get(turn.ask.caller.user_id, {}).values() if socket.live]
        return mine[0] if len(mine) == 1 and self._may_receive(mine[0], turn) else None

    def _deliver(self, delivery: Delivery, socket: Socket, *, catch_up: bool) -> None:
        delivery.socket, delivery.sent_all, delivery.had_socket = socket, False, True
        self._audience.enter(delivery.turn)
        socket.carried[delivery.turn.turn_id] = delivery
        feed = Feed(delivery.turn, socket.link, socket.namespace, delivery.options)
        delivery.feed = feed
        work = self._run(delivery, feed, catch_up=catch_up)
        delivery.task = self._supervisor.spawn_forever(work, name=f"feed {delivery.turn.turn_id}")

    async def _run(self, delivery: Delivery, feed: Feed, *, catch_up: bool) -> None:
        if not await feed.run(catch_up=catch_up) or delivery.feed is not feed or delivery.socket is None:
            return
        delivery.sent_all = True
        if delivery.socket.guest_of == delivery.turn.turn_id:
            delivery.socket.guest_of = None
        link = delivery.socket.link
        link.session.probe_alive(asyncio.get_running_loop().time(), _PROBE_S * 4)
        link.touch()

    def _release(self, delivery: Delivery) -> None:
        """Take a turn from the socket that carries it, and find it another."""
        if delivery.task is not None:
            delivery.task.cancel()
        if delivery.socket is not None:
            delivery.socket.carried.pop(delivery.turn.turn_id, None)
        delivery.socket = delivery.feed = delivery.task = None
        self._audience.leave(delivery.turn, watch=delivery.alone)
        if delivery.confirmed:
            return
        other = self._only_live(delivery.turn)
        if other is not None:
            self._deliver(delivery, other, catch_up=True)

    def _supersede(self, socket: Socket, mine: dict[str, Socket]) -> None:
        """Close the half-open twin of a tab that has come back; ask the others that carry turns if they are alive."""
        now = asyncio.get_running_loop().time()
        for other in tuple(mine.values()):
            if other is socket or other.link is socket.link:
                continue
            if socket.client_id is not None and other.client_id == socket.client_id:
                other.link.close("superseded")
            elif other.carried:
                other.link.session.probe_alive(now, _PROBE_S)
                other.link.touch()

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

    async def _forget(self, delivery: Delivery) -> None:
        await delivery.turn.ended()
        await asyncio.sleep(self._keep_s)
        turn_id = delivery.turn.turn_id
        self._deliveries.pop(turn_id, None)
        owned = self._owned.get(delivery.user_id, {})
        owned.pop(turn_id, None)
        if not owned:
            self._owned.pop(delivery.user_id, None)
        if delivery.socket is not None and delivery.sent_all:
            delivery.socket.carried.pop(turn_id, None)
