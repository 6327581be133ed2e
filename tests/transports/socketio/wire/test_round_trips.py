"""Whatever is encoded is read back the same; whatever is mangled is refused, or read as something whole."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.transports.socketio.wire.oracle import read_packet, read_payload
from tests.transports.socketio.wire.strategies import engine_packets, plain, with_bytes
from twinspeak.transports.socketio.wire import packets, parser
from twinspeak.transports.socketio.wire.packets import Packet, ProtocolError
from twinspeak.transports.socketio.wire.parser import SioPacket


def whole(encoded: list[Any]) -> SioPacket:
    text, *buffers = encoded
    packet = parser.decode(text)
    assert packet.attachments == len(buffers)
    return parser.fill(packet, buffers) if buffers else packet


@given(st.lists(engine_packets, min_size=1, max_size=8))
def test_a_payload_is_read_back(sent: list[Packet]):
    body = packets.join_payload(packets.encode_polled(packet) for packet in sent)
    assert packets.decode_payload(body, most=8) == sent
    assert [packets.encode(packet) for packet in sent] == read_payload(body)


@given(engine_packets)
def test_a_frame_is_read_back(sent: Packet):
    frame = packets.encode(sent)
    assert frame == sent.data if isinstance(frame, bytes) else packets.decode_text(frame) == sent


@given(plain)
def test_a_packet_is_read_back(sent: SioPacket):
    assert whole(parser.encode(sent)) == sent


@given(with_bytes)
def test_a_packet_with_binary_is_read_back(sent: SioPacket):
    encoded = parser.encode(sent)
    if len(encoded) <= parser.MAX_ATTACHMENTS + 1:
        assert whole(encoded) == sent


@given(plain)
def test_a_packet_is_written_as_the_grammar_says(sent: SioPacket):
    assert read_packet(str(parser.encode(sent)[0])) == (sent.type, 0, sent.namespace, sent.id, sent.data)


@given(plain | with_bytes, st.data())
def test_a_mangled_packet_is_refused_or_read_as_a_whole_one(sent: SioPacket, data: st.DataObject):
    text = str(parser.encode(sent)[0])
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(start + 3, len(text))))
        text = text[:start] + data.draw(st.text(st.sampled_from('0123456-/,[]{}"?:\x1eé'), max_size=3)) + text[end:]
    try:
        packet = parser.decode(text)
        packet = parser.fill(packet, [b"x"] * packet.attachments) if packet.attachments else packet
    except ProtocolError:
        return
    assert len(packet.namespace) <= 200
    encoded = parser.encode(packet)
    if len(encoded) <= parser.MAX_ATTACHMENTS + 1:
        assert whole(encoded) == packet
