"""Two worlds round the machines, moved one step at a time: by hypothesis here, by bytes in tests/fuzz.

In `Honest` a client keeps every rule while the network delays each thing as long as it likes. In `Hostile` nobody keeps
any rule. What must hold is asserted at each step.
"""

from collections import deque
from collections.abc import Callable

from tests.transports.socketio.wire.oracle import read_payload, write_payload
from twinspeak.transports.socketio.wire.connection import Connected, ConnectionLimits, Received, SioConnection
from twinspeak.transports.socketio.wire.engine import EngineLimits, EngineSession, Message, Poll, Transport
from twinspeak.transports.socketio.wire.packets import ProtocolError

HONEST = EngineLimits(ping_interval_s=1, ping_timeout_s=1_000, max_payload=200, max_queue=10_000, upgrade_timeout_s=8)
HOSTILE = EngineLimits(
    ping_interval_s=5,
    ping_timeout_s=3,
    max_payload=100,
    max_packets=8,
    max_queue=6,
    max_queue_bytes=60,
    upgrade_timeout_s=4,
)
ATTACHED = ConnectionLimits(connect_s=7, max_attachment_bytes=50)


class Honest:
    """A session, a client, and a network that holds whatever was sent until somebody takes it out."""

    def __init__(self, transport: Transport) -> None:
        self.now = 0.0
        self.session = EngineSession("sid", HONEST, now=0, transport=transport)
        self.sent: list[Message] = []
        self.got: list[Message] = []
        self.said: list[Message] = []
        self.heard: list[Message] = []
        self.opened = False
        self.stage = "polls" if transport is Transport.POLLING else "upgraded"
        """polls, connected (a WebSocket is open), probed (its pong has come), upgraded, or lost."""
        self.get: str | bytes = "" if transport is Transport.POLLING else "never"
        """The client's GET: none (""), "waits", or the body on its way back."""
        self.body: bytes | None = None
        self.backlog: list[Message] = []
        self.down: deque[Message] = deque()
        self.up: deque[Message] = deque()

    # -- the server ---------------------------------------------------------------------------------------------------

    def server_sends(self, data: Message) -> None:
        self.session.send(data)
        self.sent.append(data)

    def server_answers_get(self) -> None:
        if self.get == "waits" and self.session.poll_ready:
            self.get = self.session.poll_payload()

    def server_takes_post(self) -> None:
        if self.body is not None:
            self.heard += self.session.post(self.body)
            self.session.end_post()
            self.body = None

    def server_takes_frame(self) -> None:
        if self.up:
            self.heard += self.session.frame(self.up.popleft())

    def server_writes_frame(self) -> None:
        frame = self.session.next_frame()
        if frame is not None:
            assert self.stage != "polls", "there is no WebSocket"
            self.down.append(frame)

    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.session.tick(self.now)
        if self.session.abandoned:
            # The server closes the WebSocket. A client that had let go of polling by then opens a new session.
            self.down.clear()
            self.up.clear()
            self.session.detach()
            self.stage = "lost" if self.stage == "upgraded" else "polls"

    # -- the client ---------------------------------------------------------------------------------------------------

    def client_gets(self) -> None:
        if self.get == "" and self.stage in {"polls", "connected"}:
            assert self.session.poll() in {Poll.READY, Poll.WAIT}
            self.get = "waits"

    def client_reads_response(self) -> None:
        if isinstance(self.get, bytes):
            for packet in read_payload(self.get):
                self._takes(packet)
            self.get = ""

    def client_says(self, data: Message) -> None:
        self.backlog.append(data if isinstance(data, bytes) else "4" + data)
        self.said.append(data)

    def client_posts(self) -> None:
        if self.body is None and self.backlog and self.stage in {"polls", "connected"}:
            self.session.begin_post()
            self.body = write_payload(self.backlog[: self._fitting()])
            self.backlog = self.backlog[self._fitting() :]

    def _fitting(self) -> int:
        """How many packets go into one POST: as many as the server takes, and one at least, as the official client."""
        fit = (most for most in range(5, 1, -1) if len(write_payload(self.backlog[:most])) <= HONEST.max_payload)
        return next(fit, 1)

    def client_opens_websocket(self) -> None:
        if self.stage == "polls" and self.opened:
            assert self.session.attach()
            self.stage = "connected"
            self.up.append("2probe")

    def client_reads_frame(self) -> None:
        if not self.down:
            return
        frame = self.down.popleft()
        if frame == "3probe":
            assert self.stage == "connected"
            self.stage = "probed"
        else:
            assert self.stage == "upgraded"
            self._takes(frame)

    def client_upgrades(self) -> None:
        """Send the upgrade packet, once polling is paused and nothing of it is on its way."""
        if self.stage == "probed" and self.get == "" and self.body is None:
            self.stage = "upgraded"
            self.up.append("5")

    def client_writes_frames(self) -> None:
        if self.stage == "upgraded":
            self.up.extend(self.backlog)
            self.backlog.clear()

    def client_loses_probe(self) -> None:
        """The WebSocket breaks before the upgrade packet: polling goes on."""
        if self.stage in {"connected", "probed"}:
            self.down.clear()
            self.up.clear()
            self.session.detach()
            self.stage = "polls"

    def _takes(self, packet: Message) -> None:
        if isinstance(packet, bytes):
            self.got.append(packet)
            return
        assert packet[0] in "0246", packet
        if packet[0] == "0":
            assert not self.opened
            self.opened = True
        elif packet[0] == "2":
            self.backlog.append("3")
        elif packet[0] == "4":
            self.got.append(packet[1:])

    # -- what must hold -----------------------------------------------------------------------------------------------

    def check(self) -> None:
        assert not self.session.closed, self.session.reason
        assert self.got == self.sent[: len(self.got)], "in order, and once"
        assert self.heard == self.said[: len(self.heard)], "in order, and once"
        assert self.session.waiting <= len(self.sent) - len(self.got) + 2

    def settle(self) -> None:
        """Let everything on its way arrive; then nothing may be missing."""
        for _ in range(30 + len(self.sent) + len(self.backlog)):
            for step in STEPS if self.stage != "lost" else ():
                step(self)
            self.check()
        assert self.stage == "lost" or not self._busy(), "it comes to rest"
        if self.stage != "lost":
            assert self.got == self.sent, "nothing missing"
            assert self.heard == self.said, "nothing missing"

    def _busy(self) -> bool:
        held = self.backlog or self.down or self.up or self.body or isinstance(self.get, bytes)
        return bool(held or self.session.waiting or self.stage in {"connected", "probed"})


STEPS: tuple[Callable[[Honest], None], ...] = (
    Honest.client_gets,
    Honest.server_answers_get,
    Honest.client_reads_response,
    Honest.client_posts,
    Honest.server_takes_post,
    Honest.client_opens_websocket,
    Honest.server_takes_frame,
    Honest.server_writes_frame,
    Honest.client_reads_frame,
    Honest.client_upgrades,
    Honest.client_writes_frames,
)
"""What moves things along; the other methods make something new happen."""


class Hostile:
    """A session and its connection under anything a peer, the time and the server can do in any order."""

    def __init__(self, transport: Transport) -> None:
        self.now = 0.0
        self.session = EngineSession("sid", HOSTILE, now=0, transport=transport)
        self.connection = SioConnection(frozenset({"/", "/socket.io"}), ATTACHED, now=0)
        self.largest = 0
        self.upgraded = transport is Transport.WEBSOCKET

    # -- the peer -----------------------------------------------------------------------------------------------------

    def get(self) -> None:
        was_closed = self.session.closed
        state = self.session.poll()
        assert (state is Poll.REFUSED) == (was_closed or self.upgraded)
        assert (state is Poll.CLASH) <= self.session.closed

    def answer(self) -> None:
        if self.session.poll_ready:
            body = self.session.poll_payload()
            assert body
            assert not self.session.poll_ready
            assert len(body) <= HOSTILE.max_payload or b"\x1e" not in body
            read_payload(body)

    def hang_up(self) -> None:
        self.session.poll_dropped()

    def post(self, body: bytes, *, begin: bool = True, end: bool = True) -> None:
        try:
            if begin:
                self.session.begin_post()
            self._hear(self.session.post(body))
        except ProtocolError:
            assert self.session.closed or self.upgraded
        if end:
            self.session.end_post()

    def open_websocket(self) -> None:
        free = not self.session.attached and not self.session.closed and not self.upgraded
        assert self.session.attach() == free

    def frame(self, data: Message) -> None:
        try:
            self._hear(self.session.frame(data))
        except ProtocolError:
            assert self.session.closed or not self.upgraded

    def write(self) -> None:
        self.session.next_frame()

    def lose_websocket(self) -> None:
        if self.session.attached:
            self.session.detach()
            assert self.session.closed or not self.upgraded

    # -- the server and the time --------------------------------------------------------------------------------------

    def send(self, data: Message) -> None:
        self.largest = max(self.largest, len(data) if isinstance(data, bytes) else len(data.encode()))
        self.session.send(data)

    def emit(self, argument: object) -> None:
        self.connection.emit("/", "event", argument)
        self._flush()

    def disconnect(self) -> None:
        self.connection.disconnect("/")
        self._flush()

    def finish(self) -> None:
        self.session.finish("finished")

    def close(self) -> None:
        self.session.close("closed")

    def tick(self, seconds: float) -> None:
        self.now += seconds
        self.session.tick(self.now)

    def ask(self, within_s: float) -> None:
        self.session.probe_alive(self.now, within_s)

    def _hear(self, messages: list[Message]) -> None:
        assert len(messages) <= HOSTILE.max_packets
        for message in messages:
            try:
                happenings = self.connection.receive(message)
            except ProtocolError as error:
                self.session.close(str(error))
                return
            for happening in happenings:
                if isinstance(happening, Connected):
                    if "no" in happening.auth:
                        self.connection.refuse(happening.namespace, "no")
                    else:
                        self.connection.accept(happening.namespace, "x")
                elif isinstance(happening, Received) and happening.ack is not None:
                    self.connection.acknowledge(happening.namespace, happening.ack, *happening.args)
            self._flush()

    def _flush(self) -> None:
        while self.connection.outgoing:
            self.send(self.connection.outgoing.popleft())

    # -- what must hold -----------------------------------------------------------------------------------------------

    def check(self) -> None:
        session, connection = self.session, self.connection
        self.upgraded = self.upgraded or session.transport is Transport.WEBSOCKET
        assert self.upgraded == (session.transport is Transport.WEBSOCKET), "nobody goes back to polling"
        assert (session.deadline is None) == session.closed
        assert session.waiting <= HOSTILE.max_queue + 3
        assert session.waiting_bytes <= max(HOSTILE.max_queue_bytes, self.largest)
        assert len(session._probe_queue) <= 1
        assert not connection.outgoing
        assert len(connection._buffers) <= 10
        assert sum(map(len, connection._buffers)) <= ATTACHED.max_attachment_bytes + HOSTILE.max_payload
        assert len(connection._asked) + len(connection.joined) <= 2
        if session.closed:
            assert session.reason
            assert session.next_frame() is None
            assert session.waiting == 0
