"""Engine.IO 4, "Packet encoding": every rule and example of docs/engine.io-protocol/v4-current.md."""

import pytest

from twinspeak.transports.socketio.wire import packets
from twinspeak.transports.socketio.wire.packets import Packet, ProtocolError

TYPES = {"open": "0", "close": "1", "ping": "2", "pong": "3", "message": "4", "upgrade": "5", "noop": "6"}


def payload(*sent: Packet) -> bytes:
    return packets.join_payload(packets.encode_polled(packet) for packet in sent)


@pytest.mark.parametrize(("name", "number"), TYPES.items(), ids=TYPES)
def test_the_table_of_packet_types(name: str, number: str):
    assert getattr(packets, name.upper()) == number
    assert packets.decode_text(number) == Packet(number)
    assert packets.encode(Packet(number)) == number


@pytest.mark.parametrize("text", ["", "7", "9x", "abc", "-1", "b", "bAQIDBA==", " 4", "\u0664", "٤hello"])
def test_text_of_no_known_type_is_refused(text: str):
    with pytest.raises(ProtocolError):
        packets.decode_text(text)


def test_a_packet_is_its_type_and_an_optional_payload():
    assert packets.decode_text("4hello") == Packet("4", "hello")
    assert packets.decode_text("4") == Packet("4", "")
    assert packets.encode(Packet("4", "hello")) == "4hello"


def test_polling_packets_are_parted_by_the_record_separator():
    body = b"4hello\x1e2\x1e4world"
    parts = [Packet("4", "hello"), Packet("2"), Packet("4", "world")]
    assert packets.decode_payload(body, most=3) == parts
    assert payload(*parts) == body


def test_polling_binary_must_be_base64_after_a_b():
    body = b"4hello\x1ebAQIDBA=="
    parts = [Packet("4", "hello"), Packet("4", b"\x01\x02\x03\x04")]
    assert packets.decode_payload(body, most=2) == parts
    assert payload(*parts) == body


def test_empty_binary_is_a_message_too():
    assert packets.decode_payload(b"b", most=1) == [Packet("4", b"")]
    assert payload(Packet("4", b"")) == b"b"


def test_the_character_encoding_is_utf_8():
    body = "4€ and 😀".encode()
    assert packets.decode_payload(body, most=1) == [Packet("4", "€ and 😀")]
    assert payload(Packet("4", "€ and 😀")) == body


def test_websocket_binary_is_sent_as_it_is():
    assert packets.encode(Packet("4", b"\x00\xff4")) == b"\x00\xff4"


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"\x1e", b"4a\x1e", b"\x1e4a", b"abc", b"4a\x1e9"),
        *(b"\xff4a", b"4\xed\xa0\x80", "bÄÖ".encode(), b"b\x80"),
        *(
            b"bA",
            b"bAQ",
            b"bAQI*",
            b"b AQIDBA==",
            b"bAQIDBA==\n",
            b"bAQ==ID==",
            b"bAQIDAQID===",
            b"b====",
            b"b=",
            b"bA===",
        ),
    ],
)
def test_a_payload_that_breaks_the_format_is_refused(body: bytes):
    with pytest.raises(ProtocolError):
        packets.decode_payload(body, most=10)


def test_a_payload_of_too_many_packets_is_refused():
    assert len(packets.decode_payload(b"\x1e".join([b"4"] * 10), most=10)) == 10
    with pytest.raises(ProtocolError):
        packets.decode_payload(b"\x1e".join([b"4"] * 11), most=10)


@pytest.mark.parametrize(("data", "size"), [("", 0), ("abc", 3), ("€", 3), ("😀", 4), (b"\xff\x00", 2), ("\ud800", 3)])
def test_size_is_what_the_wire_carries(data: str | bytes, size: int):
    assert packets.size(data) == size
