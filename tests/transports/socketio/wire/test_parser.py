"""Socket.IO 5, "Packet encoding": every rule and example of docs/socket.io-protocol/v5-current.md."""

import json
from typing import Any

import pytest

from twinspeak.transports.socketio.wire import parser
from twinspeak.transports.socketio.wire.packets import ProtocolError
from twinspeak.transports.socketio.wire.parser import (
    ACK,
    BINARY_ACK,
    BINARY_EVENT,
    CONNECT,
    CONNECT_ERROR,
    DISCONNECT,
    EVENT,
    SioPacket,
)

TYPES = {
    "CONNECT": 0,
    "DISCONNECT": 1,
    "EVENT": 2,
    "ACK": 3,
    "CONNECT_ERROR": 4,
    "BINARY_EVENT": 5,
    "BINARY_ACK": 6,
}
HOLE = {"_placeholder": True, "num": 0}
HOLES = '{"_placeholder":true,"num":0}'

BOTH_WAYS = {
    "connect to main": ("0", SioPacket(CONNECT)),
    "connect to another": ('0/admin,{"token":"123"}', SioPacket(CONNECT, "/admin", {"token": "123"})),
    "event to main": ('2["foo"]', SioPacket(EVENT, "/", ["foo"])),
    "event to another": ('2/admin,["bar"]', SioPacket(EVENT, "/admin", ["bar"])),
    "event that wants an ack": ('212["foo"]', SioPacket(EVENT, "/", ["foo"], 12)),
    "event to another that wants an ack": ('2/admin,1["tellme"]', SioPacket(EVENT, "/admin", ["tellme"], 1)),
    "ack": ('3/admin,13["bar"]', SioPacket(ACK, "/admin", ["bar"], 13)),
    "empty ack": ("312[]", SioPacket(ACK, "/", [], 12)),
    "leave main": ("1", SioPacket(DISCONNECT)),
    "leave another": ("1/admin,", SioPacket(DISCONNECT, "/admin")),
}
WITH_BINARY = {
    "event to main": (
        [f'51-["baz",{HOLES}]', b"\x01\x02\x03\x04"],
        SioPacket(EVENT, "/", ["baz", b"\x01\x02\x03\x04"]),
    ),
    "event with two attachments": (
        [f'52-/admin,["baz",{HOLES},{HOLES.replace("0", "1")}]', b"\x01\x02", b"\x03\x04"],
        SioPacket(EVENT, "/admin", ["baz", b"\x01\x02", b"\x03\x04"]),
    ),
    "ack": ([f'61-15["bar",{HOLES}]', b"\x01\x02\x03\x04"], SioPacket(ACK, "/", ["bar", b"\x01\x02\x03\x04"], 15)),
    "ack in another": ([f"61-/admin,1[{HOLES}]", b"\x05"], SioPacket(ACK, "/admin", [b"\x05"], 1)),
    "deep inside": ([f'51-["a",{{"b":[{HOLES}]}}]', b""], SioPacket(EVENT, "/", ["a", {"b": [b""]}])),
}


def whole(encoded: list[Any]) -> SioPacket:
    """Decode a packet together with its attachments."""
    text, *buffers = encoded
    packet = parser.decode(text)
    assert packet.attachments == len(buffers)
    return parser.fill(packet, buffers) if buffers else packet


@pytest.mark.parametrize(("name", "number"), TYPES.items(), ids=TYPES)
def test_the_table_of_packet_types(name: str, number: int):
    assert getattr(parser, name) == number


@pytest.mark.parametrize(("text", "packet"), BOTH_WAYS.values(), ids=BOTH_WAYS)
def test_the_examples_both_ways(text: str, packet: SioPacket):
    assert parser.decode(text) == packet
    assert parser.encode(packet) == [text]


@pytest.mark.parametrize(("encoded", "packet"), WITH_BINARY.values(), ids=WITH_BINARY)
def test_the_examples_with_binary_both_ways(encoded: list[Any], packet: SioPacket):
    assert whole(encoded) == packet
    assert parser.encode(packet) == encoded


def test_the_server_s_side_of_a_connection():
    accepted = SioPacket(CONNECT, "/admin", {"sid": "oSO0OpakMV_3jnilAAAA"})
    assert parser.encode(accepted) == ['0/admin,{"sid":"oSO0OpakMV_3jnilAAAA"}']
    refused = SioPacket(CONNECT_ERROR, "/", {"message": "Not authorized"})
    assert parser.encode(refused) == ['4{"message":"Not authorized"}']


@pytest.mark.parametrize(
    ("text", "namespace"),
    [("0", "/"), ("0/,", "/"), ("0/", "/"), ("0/custom", "/custom"), ("0/custom,", "/custom"), ("1/a/b", "/a/b")],
)
def test_the_namespace_is_only_there_when_it_is_not_main(text: str, namespace: str):
    assert parser.decode(text).namespace == namespace


def test_a_namespace_ends_at_the_first_comma():
    assert parser.decode('2/a,["b,c"]') == SioPacket(EVENT, "/a", ["b,c"])
    with pytest.raises(ProtocolError):
        parser.decode('2/a,b,["c"]')


def test_a_namespace_must_not_contain_a_comma():
    with pytest.raises(ValueError, match="comma"):
        parser.encode(SioPacket(EVENT, "/a,b", ["c"]))


def test_the_query_of_a_namespace_is_not_its_name():
    assert parser.decode('0/admin?token=1&a=b,{"c":1}') == SioPacket(CONNECT, "/admin", {"c": 1})


def test_each_attachment_stands_where_its_placeholder_was():
    packet = parser.decode('52-["a",{"_placeholder":true,"num":1},[{"_placeholder":true,"num":0}]]')
    assert parser.fill(packet, [b"x", b"y"]) == SioPacket(EVENT, "/", ["a", b"y", [b"x"]])


@pytest.mark.parametrize("number", ["2", "-1", "0.0", "true", "null", '"0"', "[]", "1e1", str(2**70)])
def test_a_placeholder_must_name_an_attachment(number: str):
    packet = parser.decode(f'51-["a",{{"_placeholder":true,"num":{number}}}]')
    with pytest.raises(ProtocolError):
        parser.fill(packet, [b"x"])
    with pytest.raises(ProtocolError):
        parser.fill(parser.decode('51-["a",{"_placeholder":true}]'), [b"x"])


def test_a_placeholder_without_attachments_is_the_client_s_own_data():
    assert parser.decode(f'2["a",{HOLES}]').data == ["a", HOLE]


BAD = {
    "nothing": "",
    "unknown type": "abc",
    "type out of range": "7",
    "another alphabet's digit": '\u0662["a"]',
    "event without a payload": "2",
    "event of an object": "2{}",
    "event of a string": '2"a"',
    "event without a name": "2[]",
    "event named null": "2[null]",
    "event named true": "2[true]",
    "event named by an object": "2[{}]",
    "event named by a fraction": "2[1.5]",
    "half a payload": '2["a"',
    "two payloads": '2["a"]["b"]',
    "bad ack id": '2abc["a"]',
    "ack id too large": f'2{2**53}["a"]',
    "endless ack id": f'2{"9" * 5_000}["a"]',
    "negative ack id": '2-1["a"]',
    "ack without an id": '3["a"]',
    "ack without a payload": "312",
    "ack of an object": "312{}",
    "connect with a list": "0[]",
    "connect with a string": '0"token"',
    "connect with a number": "0/a,1.5",
    "disconnect with a payload": '1["a"]',
    "disconnect with null": "1null",
    "a server's packet": '4{"message":"x"}',
    "binary without a count": '5["a"]',
    "binary with no attachments": '50-["a"]',
    "binary with too many": '511-["a"]',
    "binary with an endless count": f'5{"1" * 5_000}-["a"]',
    "binary with a negative count": '5-1-["a"]',
    "count without its dash": f'51["a",{HOLES}]',
    "not JSON's number": '2["a",NaN]',
    "infinite": '2["a",1e999]',
    "half a character": '2["a","\\ud800"]',
    "bare control character": '2["a\n"]',
    "a separator in the namespace": '2/a\x1eb,["a"]',
    "an endless namespace": f'2/{"a" * 300},["a"]',
    "too deep": f'2["a",{"[" * 40}{"]" * 40}]',
    "much too deep": f'2["a",{"[" * 100_000}',
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_what_breaks_the_format_is_refused(text: str):
    with pytest.raises(ProtocolError):
        parser.decode(text)


def test_an_event_may_be_named_by_a_number():
    assert parser.decode("2[7]").data == [7]


@pytest.mark.parametrize("number", [2**53, 2**53 + 1, 2**63 - 1, -(2**63), 2**64 - 1])
def test_integers_travel_whole(number: int):
    encoded = parser.encode(SioPacket(EVENT, "/", ["a", number]))[0]
    assert isinstance(encoded, str)
    assert json.loads(encoded[1:]) == ["a", number]
    assert parser.decode(encoded).data == ["a", number]


def test_an_integer_too_large_for_anyone_becomes_the_nearest_float():
    assert parser.decode(f'2["a",{2**70}]').data == ["a", float(2**70)]


def test_the_record_separator_is_escaped_so_that_polling_can_carry_it():
    assert parser.encode(SioPacket(EVENT, "/", ["a\x1eb"])) == ['2["a\\u001eb"]']


def test_bytes_of_every_kind_become_attachments():
    packet = SioPacket(EVENT, "/", ("a", bytearray(b"x"), memoryview(b"y")))
    assert parser.encode(packet)[1:] == [b"x", b"y"]
    assert whole(parser.encode(packet)).data == ["a", b"x", b"y"]


def test_a_binary_type_without_bytes_is_sent_as_the_plain_one():
    assert parser.encode(SioPacket(BINARY_EVENT, "/", ["a"])) == ['2["a"]']
    assert parser.encode(SioPacket(BINARY_ACK, "/", [], 1)) == ["31[]"]
