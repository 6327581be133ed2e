"""Any order of events: messages arrive once and in order, and nothing a peer does breaks or fills a session."""

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.transports.socketio.wire.oracle import write_payload
from tests.transports.socketio.wire.strategies import engine_messages, engine_packets, plain
from tests.transports.socketio.wire.worlds import STEPS, Honest, Hostile
from twinspeak.transports.socketio.wire import packets, parser
from twinspeak.transports.socketio.wire.engine import Message, Transport

transports = st.sampled_from(Transport)


class HonestOrders(RuleBasedStateMachine):
    """A client that keeps the rules, on a network that delays."""

    world: Honest

    @initialize(transport=transports)
    def begin(self, transport: Transport):
        self.world = Honest(transport)

    @rule(data=engine_messages)
    def server_sends(self, data: Message):
        self.world.server_sends(data)

    @rule(data=engine_messages)
    def client_says(self, data: Message):
        self.world.client_says(data)

    @rule(step=st.sampled_from(STEPS))
    def something_moves(self, step: Any):
        step(self.world)

    @rule(steps=st.lists(st.sampled_from(STEPS), min_size=3, max_size=12))
    def much_moves(self, steps: list[Any]):
        for step in steps:
            step(self.world)
            self.world.check()

    @rule()
    def client_loses_probe(self):
        self.world.client_loses_probe()

    @rule(seconds=st.sampled_from([0.1, 1.0, 8.0]))
    def time_passes(self, seconds: float):
        self.world.time_passes(seconds)

    @invariant()
    def holds(self):
        self.world.check()

    def teardown(self):
        if hasattr(self, "world"):
            self.world.settle()


def coded(packet: Any) -> Message:
    encoded = packets.encode(packet)
    return encoded if isinstance(encoded, bytes) else encoded.replace("\x1e", "")


sio_texts = plain.map(lambda packet: f"4{parser.encode(packet)[0]!s}")
packets_of_a_peer = engine_packets.map(coded) | sio_texts | st.sampled_from(["40", "40{}", "41", "2probe", "5", "3"])
payloads = st.lists(packets_of_a_peer, min_size=1, max_size=9).map(write_payload) | st.binary(max_size=120)
frames = packets_of_a_peer | st.text(max_size=110) | st.binary(max_size=110)


class HostileOrders(RuleBasedStateMachine):
    """Anything at all, in any order."""

    world: Hostile

    @initialize(transport=transports)
    def begin(self, transport: Transport):
        self.world = Hostile(transport)

    @rule(step=st.sampled_from([Hostile.get, Hostile.answer, Hostile.open_websocket, Hostile.write]))
    def something_moves(self, step: Any):
        step(self.world)

    @rule(body=payloads, parts=st.sampled_from([(True, True), (True, False), (False, True)]))
    def post(self, body: bytes, parts: tuple[bool, bool]):
        begin, end = parts
        self.world.post(body, begin=begin, end=end)

    @rule(data=frames)
    def frame(self, data: Message):
        self.world.frame(data)

    @rule(steps=st.lists(st.sampled_from(["2probe", "5"]), max_size=3))
    def upgrade(self, steps: list[str]):
        self.world.open_websocket()
        for frame in steps:
            self.world.frame(frame)

    @rule(times=st.integers(1, 10))
    def only_pongs(self, times: int):
        for _ in range(times):
            self.world.ask(4)
            self.world.frame("3")

    @rule(data=engine_messages | st.sampled_from(["a" * 120, b"a" * 120]))
    def send(self, data: Message):
        self.world.send(data)

    @rule(data=st.text(max_size=10) | st.binary(max_size=10))
    def emit(self, data: Message):
        self.world.emit(data)

    @rule(seconds=st.sampled_from([0.5, 3.0, 5.0]))
    def tick(self, seconds: float):
        self.world.tick(seconds)

    @rule(seconds=st.sampled_from([0.5, 4.0]))
    def ask(self, seconds: float):
        self.world.ask(seconds)

    @rule(
        end=st.sampled_from(
            [Hostile.finish, Hostile.close, Hostile.hang_up, Hostile.lose_websocket, Hostile.disconnect]
        )
    )
    def something_ends(self, end: Any):
        end(self.world)

    @invariant()
    def holds(self):
        if hasattr(self, "world"):
            self.world.check()


# `make verify` tries a thousand orders of fifty steps each.
@pytest.mark.timeout(600)
class TestHonestOrders(HonestOrders.TestCase):
    pass


@pytest.mark.timeout(600)
class TestHostileOrders(HostileOrders.TestCase):
    pass
