"""Engine.IO 4 over HTTP long-polling: every rule of docs/engine.io-protocol/v4-current.md that a session decides.

Query parameters, unknown sessions, headers and `ok` are the binding's, and tested through a socket.
"""

import pytest

from tests.transports.socketio.wire.kit import SID, get, greeted, handshake, polling, upgraded, wait
from twinspeak.transports.socketio.wire.engine import Poll
from twinspeak.transports.socketio.wire.packets import ProtocolError

# -- handshake --------------------------------------------------------------------------------------------------------


def test_the_server_must_respond_with_an_open_packet():
    opened = handshake(get(polling()))
    assert opened.keys() == {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}


@pytest.mark.parametrize(
    ("key", "value"),
    [("sid", SID), ("upgrades", ["websocket"]), ("pingInterval", 300), ("pingTimeout", 250), ("maxPayload", 1_000)],
)
def test_the_table_of_the_handshake(key: str, value: object):
    session = polling(ping_interval_s=0.3, ping_timeout_s=0.25, max_payload=1_000)
    assert handshake(get(session))[key] == value


def test_nothing_comes_before_the_handshake():
    session = polling()
    session.send("early")
    body = get(session)
    assert body.startswith(b"0{")
    assert body.endswith(b"}\x1e4early")


# -- receiving data ---------------------------------------------------------------------------------------------------


def test_the_server_may_not_respond_while_nothing_is_buffered():
    session = greeted()
    wait(session)
    session.send("hello")
    assert session.poll_ready
    assert session.poll_payload() == b"4hello"


def test_the_server_should_encode_what_is_buffered_into_one_body():
    session = greeted()
    for data in ("a", b"\x01\x02\x03\x04", "b"):
        session.send(data)
    assert get(session) == b"4a\x1ebAQIDBA==\x1e4b"
    wait(session)


def test_a_second_get_must_get_400_and_close_the_session():
    session = greeted()
    wait(session)
    assert session.poll() is Poll.CLASH
    assert session.closed
    assert session.poll_ready
    assert session.poll_payload() == b"1"
    assert session.poll() is Poll.REFUSED


def test_a_hung_up_get_closes_the_session():
    session = greeted()
    wait(session)
    session.poll_dropped()
    assert session.closed
    assert session.poll() is Poll.REFUSED


def test_a_get_that_has_been_answered_is_not_hung_up():
    session = greeted()
    session.send("a")
    get(session)
    session.poll_dropped()
    assert not session.closed


def test_a_hung_up_get_after_the_upgrade_closes_nothing():
    session = greeted()
    wait(session)
    assert session.attach()
    session.frame("2probe")
    session.frame("5")
    session.poll_dropped()
    assert not session.closed


# -- sending data -----------------------------------------------------------------------------------------------------


def test_a_post_carries_packets_in_order():
    session = greeted()
    session.begin_post()
    assert session.post("4a\x1ebAQIDBA==\x1e4€".encode()) == ["a", b"\x01\x02\x03\x04", "€"]
    session.end_post()
    session.begin_post()
    assert session.post(b"4") == [""]


def test_a_second_post_must_get_400_and_close_the_session():
    session = greeted()
    wait(session)
    session.begin_post()
    with pytest.raises(ProtocolError):
        session.begin_post()
    assert session.closed
    assert session.poll_payload() == b"1"
    with pytest.raises(ProtocolError):
        session.post(b"4late")


def test_posts_one_after_the_other_are_no_clash():
    session = greeted()
    for _ in range(3):
        session.begin_post()
        session.post(b"4a")
        session.end_post()
    assert not session.closed


@pytest.mark.parametrize("body", [b"abc", b"", b"4a\x1eabc", b"\xff", b"0{}", b"2", b"2probe", b"5", b"4a\x1e5\x1e4b"])
def test_a_bad_packet_gets_400_and_closes_the_session(body: bytes):
    session = greeted()
    session.begin_post()
    with pytest.raises(ProtocolError):
        session.post(body)
    assert session.closed
    assert session.poll() is Poll.REFUSED


def test_a_closed_session_takes_no_posts():
    session = greeted()
    session.close("enough")
    with pytest.raises(ProtocolError):
        session.begin_post()
    with pytest.raises(ProtocolError):
        session.post(b"4a")
    assert session.reason == "enough"


def test_an_upgraded_session_ignores_http_requests():
    session = upgraded()
    assert session.poll() is Poll.REFUSED
    with pytest.raises(ProtocolError):
        session.begin_post()
    with pytest.raises(ProtocolError):
        session.post(b"4a")
    assert not session.closed
    assert session.frame("4hello") == ["hello"]


# -- heartbeat --------------------------------------------------------------------------------------------------------


def test_a_ping_at_each_interval_and_a_pong_from_the_client():
    session = greeted(ping_interval_s=0.3, ping_timeout_s=0.2)
    for round_ in range(1, 4):
        wait(session)
        assert session.deadline == pytest.approx(0.3 * round_)
        session.tick(0.3 * round_)
        assert session.poll_payload() == b"2"
        assert session.unanswered
        assert session.post(b"3") == []
        assert not session.unanswered


def test_no_ping_before_its_time():
    session = greeted(ping_interval_s=0.3)
    wait(session)
    session.tick(0.299)
    assert not session.poll_ready


def test_without_a_pong_the_server_should_consider_the_connection_closed():
    session = greeted(ping_interval_s=0.3, ping_timeout_s=0.2)
    session.tick(0.3)
    assert session.deadline == pytest.approx(0.5)
    session.tick(0.499)
    assert not session.closed
    session.tick(0.5)
    assert session.closed
    assert session.deadline is None
    assert session.poll() is Poll.REFUSED


def test_a_waiting_get_is_told_of_a_ping_timeout():
    session = greeted(ping_interval_s=0.3, ping_timeout_s=0.2)
    session.tick(0.3)
    assert get(session) == b"2"
    wait(session)
    session.tick(0.5)
    assert session.poll_payload() == b"1"


def test_a_pong_that_nobody_asked_for_changes_nothing():
    session = greeted(ping_interval_s=0.3)
    session.post(b"3\x1e3")
    assert session.deadline == pytest.approx(0.3)


def test_a_pong_for_a_ping_not_yet_sent_is_no_sign_of_life():
    session = greeted(ping_interval_s=0.3, ping_timeout_s=0.2)
    session.tick(0.3)
    session.post(b"3")
    assert session.unanswered
    session.tick(0.5)
    assert session.closed


def test_a_peer_can_be_asked_at_once_whether_it_is_there():
    session = greeted()
    wait(session)
    session.probe_alive(3, within_s=2)
    assert session.poll_payload() == b"2"
    assert session.deadline == pytest.approx(5)
    session.post(b"3")
    assert session.deadline == pytest.approx(28)


def test_asking_again_only_shortens_the_time():
    session = greeted()
    session.tick(25)
    session.probe_alive(26, within_s=2)
    session.probe_alive(27, within_s=60)
    assert session.deadline == pytest.approx(28)
    assert session.waiting == 1
    session.tick(28)
    assert session.closed


# -- close ------------------------------------------------------------------------------------------------------------


def test_a_close_packet_closes_the_session_and_a_waiting_get_gets_a_noop():
    session = greeted()
    wait(session)
    assert session.post(b"1") == []
    assert session.closed
    assert session.poll_payload() == b"6"
    assert session.poll() is Poll.REFUSED


def test_what_comes_after_a_close_packet_is_not_read():
    session = greeted()
    assert session.post(b"4a\x1e1\x1e4b") == ["a"]


def test_closing_tells_a_waiting_get():
    session = greeted()
    wait(session)
    session.close("signed out")
    assert session.poll_ready
    assert session.poll_payload() == b"1"
    session.send("late")
    assert session.waiting == 0


def test_finishing_lets_out_what_is_queued_first():
    session = greeted()
    session.send("41")
    session.finish("signed out")
    session.finish("again")
    session.send("late")
    assert session.post(b"4late") == []
    assert not session.closed
    assert get(session) == b"441\x1e1"
    assert (session.closed, session.reason) == (True, "signed out")


def test_finishing_ends_at_the_heartbeat_when_nobody_fetches():
    session = greeted(ping_interval_s=25, ping_timeout_s=20)
    session.finish("signed out")
    session.tick(25)
    session.tick(45)
    assert session.closed


def test_a_noop_of_the_client_is_nothing():
    session = greeted()
    assert session.post(b"6") == []
    assert not session.closed
