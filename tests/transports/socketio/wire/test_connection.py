"""Socket.IO 5, "Exchange protocol": every rule of docs/socket.io-protocol/v5-current.md that a connection decides."""

import pytest

from tests.transports.socketio.wire.kit import connection, heard, join, joined, sent
from twinspeak.transports.socketio.wire.connection import Acknowledged, Connected, Left, Received
from twinspeak.transports.socketio.wire.packets import ProtocolError

HOLE = '{"_placeholder":true,"num":0}'

# -- connection to a namespace ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "namespace", "auth"),
    [
        ("0", "/", {}),
        ('0{"token":"123"}', "/", {"token": "123"}),
        ("0/admin,", "/admin", {}),
        ("0/admin", "/admin", {}),
        ('0/admin,{"token":"123"}', "/admin", {"token": "123"}),
        ("0null", "/", {}),
    ],
)
def test_a_connect_packet_asks_for_a_namespace(text: str, namespace: str, auth: dict[str, str]):
    made = connection()
    assert made.receive(text) == [Connected(namespace, auth)]
    assert made.joined == {}
    assert sent(made) == [], "who may come in is not the machine's to say"


def test_the_server_must_respond_with_a_connect_packet_that_holds_the_session_id():
    made = connection()
    heard(made, "0", "0/admin,")
    assert made.accept("/", "wZX3oN0bSVIhsaknAAAI")
    assert made.accept("/admin", "oSO0OpakMV_3jnilAAAA")
    assert sent(made) == ['0{"sid":"wZX3oN0bSVIhsaknAAAI"}', '0/admin,{"sid":"oSO0OpakMV_3jnilAAAA"}']
    assert made.joined == {"/": "wZX3oN0bSVIhsaknAAAI", "/admin": "oSO0OpakMV_3jnilAAAA"}


def test_or_with_a_connect_error_packet():
    made = connection()
    made.receive("0")
    made.refuse("/", "Not authorized")
    assert sent(made) == ['4{"message":"Not authorized"}']
    assert made.joined == {}


def test_who_was_refused_may_ask_again():
    made = connection()
    made.receive("0")
    made.refuse("/", "Not authorized")
    sent(made)
    join(made, "/")
    assert "/" in made.joined


def test_an_unknown_namespace_is_refused():
    made = connection()
    assert made.receive("0/random") == []
    assert sent(made) == ['4/random,{"message":"Invalid namespace"}']


@pytest.mark.parametrize(
    "first",
    ["1", '2["foo"]', '212["foo"]', "312[]", f'51-["a",{HOLE}]', '2/admin,["foo"]', "abc", "", "4{}", b"\x01"],
)
def test_without_a_connect_packet_first_the_server_must_close(first: str | bytes):
    with pytest.raises(ProtocolError):
        connection().receive(first)


def test_a_connect_packet_that_got_nowhere_is_none():
    made = connection()
    made.receive("0/random")
    with pytest.raises(ProtocolError):
        made.receive('2["foo"]')
    made = connection()
    made.receive("0")
    made.refuse("/", "Not authorized")
    with pytest.raises(ProtocolError):
        made.receive('2["foo"]')


def test_a_client_may_be_connected_to_several_namespaces():
    made = joined("/", "/admin")
    assert heard(made, '2["a"]', '2/admin,["b"]') == [Received("/", "a", [], None), Received("/admin", "b", [], None)]


def test_every_connect_packet_is_answered_once_in_too():
    made = joined("/")
    assert made.receive("0") == []
    assert sent(made) == ['0{"sid":"sid of /"}']


def test_asking_twice_is_asking_once():
    made = connection()
    assert len(heard(made, "0", "0", "0")) == 1
    assert made.accept("/", "x")
    assert not made.accept("/", "y")
    assert len(sent(made)) == 1


def test_a_client_has_its_time_to_get_in():
    made = connection(now=100, connect_s=20)
    assert made.deadline == 120
    made.receive("0/random")
    made.receive("0")
    assert made.deadline == 120, "a refusal is still to come"
    made.refuse("/", "no")
    assert made.deadline == 120
    made.receive("0")
    made.accept("/", "x")
    assert made.deadline is None


def test_only_who_asked_can_be_let_in_or_turned_away():
    made = connection()
    assert not made.accept("/", "x")
    made.refuse("/", "no")
    assert sent(made) == []


def test_who_leaves_while_asking_is_not_let_in():
    made = connection()
    assert heard(made, "0", "1") == [Connected("/", {})]
    assert not made.accept("/", "x")
    assert made.joined == {}
    assert sent(made) == []


# -- sending and receiving data ---------------------------------------------------------------------------------------


def test_events_of_the_client():
    made = joined("/", "/admin")
    assert heard(made, '2["foo",1,"2",{"3":[true]}]', '2/admin,["bar"]', "2[7]") == [
        Received("/", "foo", [1, "2", {"3": [True]}], None),
        Received("/admin", "bar", [], None),
        Received("/", "7", [], None),
    ]


def test_events_of_the_server():
    made = joined("/", "/admin")
    made.emit("/", "bar")
    made.emit("/admin", "bar", {"a": None}, 2)
    assert sent(made) == ['2["bar"]', '2/admin,["bar",{"a":null},2]']


@pytest.mark.parametrize("text", ["2", "2[]", "2{}", '2"foo"', "2null", "2/admin,", "2/admin,[]"])
def test_a_payload_is_mandatory_and_must_be_a_non_empty_array_or_the_receiver_must_close(text: str):
    with pytest.raises(ProtocolError):
        joined("/", "/admin").receive(text)


def test_binary_events_of_the_client():
    made = joined("/", "/admin")
    assert made.receive('52-/admin,["baz",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]') == []
    assert made.receive(b"\x01\x02") == []
    assert made.receive(b"\x03\x04") == [Received("/admin", "baz", [b"\x01\x02", b"\x03\x04"], None)]
    assert made.receive('2["next"]') == [Received("/", "next", [], None)]


def test_binary_events_of_the_server():
    made = joined()
    made.emit("/", "baz", b"\x01\x02", [b"\x03"])
    assert sent(made) == [
        '52-["baz",{"_placeholder":true,"num":0},[{"_placeholder":true,"num":1}]]',
        b"\x01\x02",
        b"\x03",
    ]


@pytest.mark.parametrize("text", ['2["a"]', "1", "0", "", f'51-["b",{HOLE}]'])
def test_text_where_an_attachment_is_due_closes(text: str):
    made = joined()
    made.receive(f'51-["a",{HOLE}]')
    with pytest.raises(ProtocolError):
        made.receive(text)


def test_an_attachment_that_nothing_announced_closes():
    with pytest.raises(ProtocolError):
        joined().receive(b"\x01")


def test_nothing_is_sent_to_a_namespace_that_was_not_joined():
    made = connection()
    made.emit("/", "a")
    made.acknowledge("/", 1)
    made.disconnect("/")
    made.receive("0")
    made.emit("/", "a")
    assert sent(made) == []
    made = joined("/")
    made.emit("/admin", "a")
    assert sent(made) == []


def test_what_is_sent_to_a_namespace_not_joined_is_dropped():
    made = joined("/")
    assert heard(made, '2/admin,["a"]', "3/admin,1[]", "1/admin,", '2/random,["a"]') == []
    assert heard(made, f'51-/admin,["a",{HOLE}]', b"x", '2["still here"]') == [Received("/", "still here", [], None)]


# -- acknowledgement --------------------------------------------------------------------------------------------------


def test_the_sender_may_ask_for_an_acknowledgement():
    made = joined("/", "/admin")
    assert heard(made, '212["foo"]', '2/admin,0["foo"]') == [
        Received("/", "foo", [], 12),
        Received("/admin", "foo", [], 0),
    ]


def test_the_receiver_must_respond_with_the_same_id():
    made = joined("/", "/admin")
    made.acknowledge("/", 12)
    made.acknowledge("/admin", 13, "bar", 1)
    assert sent(made) == ["312[]", '3/admin,13["bar",1]']


def test_acknowledgements_with_binary():
    made = joined()
    made.receive(f'51-14["foo",{HOLE}]')
    assert made.receive(b"\x01") == [Received("/", "foo", [b"\x01"], 14)]
    made.acknowledge("/", 14, "bar")
    made.acknowledge("/", 15, b"\x02")
    assert sent(made) == ['314["bar"]', f"61-15[{HOLE}]", b"\x02"]


def test_acknowledgements_of_the_client():
    made = joined("/", "/admin")
    assert heard(made, "312[]", '3/admin,13["bar"]') == [
        Acknowledged("/", 12, []),
        Acknowledged("/admin", 13, ["bar"]),
    ]
    made.receive(f'61-15["bar",{HOLE}]')
    assert made.receive(b"\x01") == [Acknowledged("/", 15, ["bar", b"\x01"])]


@pytest.mark.parametrize("text", ["312", "312{}", '312"a"', "312null", "3[]", '3["a"]'])
def test_the_payload_of_an_acknowledgement_is_mandatory_and_must_be_an_array(text: str):
    with pytest.raises(ProtocolError):
        joined().receive(text)


# -- disconnection from a namespace -----------------------------------------------------------------------------------


def test_a_client_may_leave_and_no_response_is_expected():
    made = joined("/", "/admin")
    assert made.receive("1/admin") == [Left("/admin")]
    assert sent(made) == []
    assert made.joined == {"/": "sid of /"}
    assert made.receive('2["a"]') == [Received("/", "a", [], None)], "the connection is kept alive for the others"


def test_a_client_that_left_them_all_may_come_back():
    made = joined("/")
    assert made.receive("1") == [Left("/")]
    assert made.joined == {}
    assert made.receive('2["on its way"]') == []
    join(made, "/")


def test_the_server_may_put_a_client_out():
    made = joined("/", "/admin")
    made.disconnect("/admin")
    made.disconnect("/admin")
    made.disconnect("/")
    assert sent(made) == ["1/admin,", "1"]
    assert made.joined == {}
    assert made.receive('2["on its way"]') == []


# -- bounds -----------------------------------------------------------------------------------------------------------


def test_attachments_are_bounded_together():
    made = joined(max_attachment_bytes=10)
    made.receive('52-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]')
    made.receive(b"12345")
    with pytest.raises(ProtocolError):
        made.receive(b"678901")


def test_the_bound_is_for_one_event():
    made = joined(max_attachment_bytes=10)
    for _ in range(3):
        made.receive(f'51-["a",{HOLE}]')
        assert len(made.receive(b"1234567890")) == 1


def test_a_placeholder_that_names_nothing_closes():
    made = joined()
    made.receive('51-["a",{"_placeholder":true,"num":1}]')
    with pytest.raises(ProtocolError):
        made.receive(b"x")
