"""What is fuzzed. A target takes bytes, and raises only when something that must hold does not.

Targets that move a machine read a script: each line is a letter and its argument, so that an input can be read, and a
mutation is a small change of what happens.
"""

from collections.abc import Callable, Iterator

from tests.transports.socketio.wire.oracle import depth, filled, read_packet, read_payload
from tests.transports.socketio.wire.worlds import STEPS, Honest, Hostile
from twinspeak.transports.socketio.wire import packets, parser
from twinspeak.transports.socketio.wire.connection import Connected, ConnectionLimits, Left, Received, SioConnection
from twinspeak.transports.socketio.wire.engine import Transport
from twinspeak.transports.socketio.wire.packets import ProtocolError

_LONGEST_SCRIPT = 300


def fuzz_packets(data: bytes) -> None:
    """Decode a polling body and a frame; what was read is written back, and read the same by another reader."""
    try:
        read = packets.decode_payload(data, most=50)
    except ProtocolError:
        return
    assert 0 < len(read) <= 50
    body = packets.join_payload(packets.encode_polled(packet) for packet in read)
    assert packets.decode_payload(body, most=50) == read
    assert read_payload(data) == [packets.encode(packet) for packet in read]
    for packet in read:
        frame = packets.encode(packet)
        assert isinstance(frame, bytes) or packets.decode_text(frame) == packet


def fuzz_parser(data: bytes) -> None:
    """Decode a Socket.IO packet; another reader reads the same, and it survives being written and read again."""
    text = data.decode(errors="replace")
    try:
        packet = parser.decode(text)
    except ProtocolError:
        return
    assert read_packet(text) == (packet.type, packet.attachments, packet.namespace, packet.id, packet.data)
    assert depth(packet.data) <= 32
    if packet.attachments:
        buffers = [bytes([number]) for number in range(packet.attachments)]
        try:
            expected = filled(packet.data, buffers)
        except LookupError:
            expected = None
        try:
            packet = parser.fill(packet, buffers)
        except ProtocolError:
            assert expected is None
            return
        assert packet.data == expected
    _survives(packet)


def _survives(packet: parser.SioPacket) -> None:
    """Write and read a packet again."""
    first, *buffers = parser.encode(packet)
    assert isinstance(first, str)
    if len(buffers) > parser.MAX_ATTACHMENTS:
        return
    again = parser.decode(first)
    assert again.attachments == len(buffers)
    raw = [buffer for buffer in buffers if isinstance(buffer, bytes)]
    assert (parser.fill(again, raw) if raw else again) == packet


def fuzz_connection(data: bytes) -> None:
    """Feed messages to a connection; a small model says who is in, and what may be sent."""
    world = _Namespaces()
    try:
        for letter, argument in _script(data):
            if letter == "y":
                world.answer_late()
            else:
                world.feed(argument if letter == "b" else argument.decode(errors="replace"), letter)
            world.connection.emit("/a", "event", argument)
            world.check()
    except ProtocolError:
        return


class _Namespaces:
    def __init__(self) -> None:
        limits = ConnectionLimits(max_attachment_bytes=40)
        self.connection = SioConnection(frozenset({"/", "/a"}), limits, now=0)
        self.joined: set[str] = set()
        self.asked: set[str] = set()

    def feed(self, message: str | bytes, letter: str) -> None:
        for happening in self.connection.receive(message):
            if isinstance(happening, Connected):
                self._asks(happening.namespace, letter)
                continue
            assert happening.namespace in self.joined
            if isinstance(happening, Left):
                self.joined.discard(happening.namespace)
            elif isinstance(happening, Received) and happening.ack is not None:
                self.connection.acknowledge(happening.namespace, happening.ack, *happening.args)
        if isinstance(message, str):
            kind, _, namespace, _, _ = read_packet(message)
            if kind == parser.DISCONNECT:
                self.asked.discard(namespace)

    def _asks(self, namespace: str, letter: str) -> None:
        assert namespace in {"/", "/a"} - self.joined - self.asked
        if letter == "n":
            self.connection.refuse(namespace, "no")
        elif letter == "i":
            self.asked.add(namespace)
        else:
            assert self.connection.accept(namespace, "sid")
            self.joined.add(namespace)

    def answer_late(self) -> None:
        for namespace in ("/", "/a"):
            assert self.connection.accept(namespace, "sid") == (namespace in self.asked)
        self.joined |= self.asked
        self.asked.clear()

    def check(self) -> None:
        connection = self.connection
        assert connection.joined.keys() == self.joined
        assert sum(map(len, connection._buffers)) <= 40
        assert (connection.deadline is None) >= bool(self.joined)
        assert len(connection.outgoing) <= 24
        due = 0
        while connection.outgoing:
            message = connection.outgoing.popleft()
            assert isinstance(message, bytes) == (due > 0)
            if isinstance(message, str):
                kind, due, namespace, _, _ = read_packet(message)
                assert namespace in self.joined or kind == parser.CONNECT_ERROR
            else:
                due -= 1
        assert due == 0


def fuzz_engine(data: bytes) -> None:
    """Do anything to a session: see `Hostile`."""
    world = Hostile(Transport.WEBSOCKET if data[:1] == b"W" else Transport.POLLING)
    for letter, argument in _script(data):
        _hostile(world, letter, argument)
        world.check()


_PLAIN: dict[str, Callable[[Hostile], None]] = {
    "g": Hostile.get,
    "a": Hostile.answer,
    "h": Hostile.hang_up,
    "o": Hostile.open_websocket,
    "w": Hostile.write,
    "l": Hostile.lose_websocket,
    "d": Hostile.disconnect,
    "n": Hostile.finish,
    "c": Hostile.close,
}
_TAKING: dict[str, Callable[[Hostile, bytes], None]] = {
    "p": lambda world, body: world.post(body),
    "r": lambda world, body: world.post(body, end=False),
    "q": lambda world, body: world.post(body, begin=False),
    "f": lambda world, body: world.frame(body.decode(errors="replace")),
    "b": lambda world, body: world.frame(body),
    "s": lambda world, body: world.send(body.decode(errors="replace").replace("\x1e", "")),
    "x": lambda world, body: world.send(body),
    "e": lambda world, body: world.emit(body.decode(errors="replace")),
    "m": lambda world, body: world.emit([body, {"a": body}]),
    "t": lambda world, body: world.tick(len(body) / 2),
    "k": lambda world, body: world.ask(len(body) / 2),
}


def _hostile(world: Hostile, letter: str, argument: bytes) -> None:
    if letter in _PLAIN:
        _PLAIN[letter](world)
    elif letter in _TAKING:
        _TAKING[letter](world, argument)


def fuzz_orders(data: bytes) -> None:
    """Let a client keep the rules while the network delays: see `Honest`."""
    world = Honest(Transport.WEBSOCKET if data[:1] == b"W" else Transport.POLLING)
    for number, (letter, argument) in enumerate(_script(data)):
        if letter == "s":
            world.server_sends(argument if number % 3 == 0 else f"{number} €")
        elif letter == "c":
            world.client_says(argument[:100] if number % 3 == 0 else f"{number} €")
        elif letter == "t":
            world.time_passes(len(argument))
        elif letter == "l":
            world.client_loses_probe()
        elif "A" <= letter < chr(ord("A") + len(STEPS)):
            STEPS[ord(letter) - ord("A")](world)
        world.check()
    world.settle()


def _script(data: bytes) -> Iterator[tuple[str, bytes]]:
    for line in data.split(b"\n")[:_LONGEST_SCRIPT]:
        if line:
            yield chr(line[0]), line[1:]


TARGETS: dict[str, Callable[[bytes], None]] = {
    "packets": fuzz_packets,
    "parser": fuzz_parser,
    "connection": fuzz_connection,
    "engine": fuzz_engine,
    "orders": fuzz_orders,
}
