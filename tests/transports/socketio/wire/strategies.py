"""Generated packets of both protocols."""

from typing import Any

from hypothesis import strategies as st

from twinspeak.transports.socketio.wire.packets import Packet
from twinspeak.transports.socketio.wire.parser import ACK, CONNECT, DISCONNECT, EVENT, SioPacket

texts = st.text(max_size=20)
keys = texts.filter(lambda key: key != "_placeholder")
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)


def _nested(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def deeper(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4)

    return st.recursive(leaves, deeper, max_leaves=8)


values = _nested(scalars)
values_with_bytes = _nested(scalars | st.binary(max_size=10))
namespaces = st.just("/") | st.text(st.characters(exclude_characters=",?\x1e", codec="utf-8"), max_size=20).map(
    lambda name: "/" + name
)
ids = st.none() | st.integers(0, 2**53 - 1)
names = texts | st.integers(0, 2**53)

connects = st.builds(SioPacket, st.just(CONNECT), namespaces, st.none() | st.dictionaries(keys, values, max_size=4))
disconnects = st.builds(SioPacket, st.just(DISCONNECT), namespaces)


def events(payload: st.SearchStrategy[Any]) -> st.SearchStrategy[SioPacket]:
    """Events that carry `payload`s."""
    data = st.builds(lambda name, args: [name, *args], names, st.lists(payload, max_size=4))
    return st.builds(SioPacket, st.just(EVENT), namespaces, data, ids)


def acks(payload: st.SearchStrategy[Any]) -> st.SearchStrategy[SioPacket]:
    """Acknowledgements that carry `payload`s."""
    return st.builds(SioPacket, st.just(ACK), namespaces, st.lists(payload, max_size=4), st.integers(0, 2**53 - 1))


plain = connects | disconnects | events(values) | acks(values)
with_bytes = events(values_with_bytes) | acks(values_with_bytes)

engine_texts = st.text(st.characters(exclude_characters="\x1e", codec="utf-8"), max_size=20)
engine_messages = engine_texts | st.binary(max_size=20)
engine_packets = st.builds(Packet, st.sampled_from("012356"), engine_texts) | st.builds(
    Packet, st.just("4"), engine_messages
)
