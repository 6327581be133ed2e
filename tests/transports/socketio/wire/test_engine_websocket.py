"""Engine.IO 4 over WebSocket and the upgrade to it: docs/engine.io-protocol/v4-current.md."""

import pytest

from tests.transports.socketio.wire.kit import (
    SID,
    frames,
    get,
    greeted,
    handshake,
    polling,
    probing,
    upgraded,
    wait,
    websocket,
)
from twinspeak.transports.socketio.wire.engine import EngineLimits, EngineSession, Poll, Transport
from twinspeak.transports.socketio.wire.packets import ProtocolError

# -- WebSocket --------------------------------------------------------------------------------------------------------


def test_the_first_frame_must_be_an_open_packet_that_offers_no_upgrade():
    limits = EngineLimits(ping_interval_s=0.3, ping_timeout_s=0.2)
    session = EngineSession(SID, limits, now=0, transport=Transport.WEBSOCKET)
    session.send("early")
    first, second = frames(session)
    assert handshake(first) == {
        "sid": SID,
        "upgrades": [],
        "pingInterval": 300,
        "pingTimeout": 200,
        "maxPayload": 1_000_000,
    }
    assert second == "4early"


def test_each_packet_is_sent_in_its_own_frame():
    session = websocket()
    for data in ("a", "b", b"\x01\x02", "€"):
        session.send(data)
    assert frames(session) == ["4a", "4b", b"\x01\x02", "4€"]


def test_each_frame_is_one_packet_and_binary_comes_as_it_is():
    session = websocket()
    assert session.frame("4hello") == ["hello"]
    assert session.frame("4a\x1e4b") == ["a\x1e4b"], "the separator means something to polling only"
    assert session.frame(b"4\x00\xff") == [b"4\x00\xff"]
    assert session.frame(b"") == [b""]


@pytest.mark.parametrize("frame", ["abc", "", "7", "0{}", "2", "2probe", "5", "bAQID"])
def test_a_bad_frame_closes_the_session(frame: str):
    session = websocket()
    with pytest.raises(ProtocolError):
        session.frame(frame)
    assert session.closed
    assert session.frame("4late") == []
    assert session.next_frame() is None


def test_a_session_that_has_a_websocket_must_refuse_another():
    for session in (websocket(), upgraded(), probing()):
        assert not session.attach()
        assert not session.closed


def test_a_websocket_session_takes_no_polls():
    session = websocket()
    assert session.poll() is Poll.REFUSED
    assert not session.closed


def test_ping_and_pong_over_websocket():
    session = websocket(ping_interval_s=0.3, ping_timeout_s=0.2)
    for round_ in range(1, 4):
        session.tick(0.3 * round_)
        assert frames(session) == ["2"]
        assert session.frame("3") == []
    session.tick(1.2)
    session.tick(1.4)
    assert (session.closed, session.reason) == (True, "ping timeout")


def test_a_close_packet_closes_the_session():
    session = websocket()
    assert session.frame("1") == []
    assert session.closed


def test_a_lost_websocket_ends_the_session_that_lived_on_it():
    for session in (websocket(), upgraded()):
        session.detach()
        assert session.closed
        assert not session.abandoned


def test_finishing_sends_what_is_queued_and_a_close_packet():
    session = websocket()
    session.send("41")
    session.finish("signed out")
    assert session.next_frame() == "441"
    assert not session.closed
    assert session.next_frame() == "1"
    assert (session.closed, session.reason) == (True, "signed out")


# -- upgrade ----------------------------------------------------------------------------------------------------------


def test_the_server_must_answer_the_probe():
    session = greeted()
    assert session.attach()
    assert session.frame("2probe") == []
    assert frames(session) == ["3probe"]


def test_the_server_must_send_a_noop_to_a_pending_get():
    session = greeted()
    wait(session)
    assert session.attach()
    assert not session.poll_ready
    session.frame("2probe")
    assert session.poll_ready
    assert session.poll_payload() == b"6"


def test_a_get_that_comes_while_probing_gets_a_noop_at_once():
    assert get(probing()) == b"6"


def test_what_is_queued_goes_out_instead_of_the_noop():
    session = probing()
    session.send("a")
    assert frames(session) == [], "the client does not listen there yet"
    assert get(session) == b"4a"


def test_the_upgrade_packet_completes_the_upgrade():
    session = probing()
    session.send("a")
    assert session.frame("5") == []
    assert session.transport is Transport.WEBSOCKET
    assert frames(session) == ["4a"]
    assert session.frame("4hello") == ["hello"]
    session.send("b")
    assert frames(session) == ["4b"]


def test_an_upgrade_before_its_pong_was_sent_still_gets_the_pong_first():
    session = greeted()
    assert session.attach()
    session.frame("2probe")
    session.frame("5")
    session.send("a")
    assert frames(session) == ["3probe", "4a"]


def test_a_get_still_waiting_at_the_upgrade_gets_a_noop():
    session = greeted()
    assert session.attach()
    session.frame("2probe")
    assert session.poll() is Poll.READY
    session.send("a")
    session.frame("5")
    assert session.poll_ready
    assert session.poll_payload() == b"6"
    assert frames(session) == ["3probe", "4a"]


def test_a_session_still_posts_and_polls_while_it_probes():
    session = probing()
    session.begin_post()
    assert session.post(b"4a") == ["a"]
    session.end_post()
    session.send("b")
    assert get(session) == b"4b"


def test_a_heartbeat_goes_on_through_an_upgrade():
    session = probing(ping_interval_s=2, ping_timeout_s=1)
    session.tick(2)
    session.frame("5")
    assert frames(session) == ["2"]
    session.frame("3")
    assert not session.unanswered


@pytest.mark.parametrize("frame", ["5", "4hello", "2", "2other", "1", "3probe", "6", "abc", "", b"", b"x", "4" * 2_000])
def test_a_bad_probe_costs_the_websocket_and_not_the_session(frame: str | bytes):
    session = greeted(max_payload=1_000)
    wait(session)
    assert session.attach()
    with pytest.raises(ProtocolError):
        session.frame(frame)
    assert session.abandoned
    assert not session.closed
    with pytest.raises(ProtocolError):
        session.frame("2probe")
    assert session.next_frame() is None
    session.send("a")
    assert session.poll_payload() == b"4a"


@pytest.mark.parametrize("frame", ["4hello", "1", "abc", b"x"])
def test_a_bad_frame_after_the_probe_costs_the_websocket_and_not_the_session(frame: str | bytes):
    session = probing()
    with pytest.raises(ProtocolError):
        session.frame(frame)
    with pytest.raises(ProtocolError):
        session.frame("5")
    wait(session)
    assert session.transport is Transport.POLLING


def test_an_abandoned_websocket_is_closed_before_another_is_taken():
    session = greeted()
    assert session.attach()
    with pytest.raises(ProtocolError):
        session.frame("abc")
    assert not session.attach()
    session.detach()
    assert not session.abandoned
    assert session.attach()
    session.frame("2probe")
    session.frame("5")
    assert session.transport is Transport.WEBSOCKET


def test_an_upgrade_has_its_time():
    session = greeted(upgrade_timeout_s=10)
    session.tick(20)
    assert session.attach()
    assert session.deadline == 20, "the next tick is asked for at once, to begin its time"
    session.tick(24)
    session.frame("2probe")
    session.tick(25)
    get(session)
    session.post(b"3")
    assert session.deadline == 34
    session.tick(33.9)
    assert not session.abandoned
    session.tick(34)
    assert session.abandoned
    assert not session.closed
    wait(session)


def test_an_upgrade_in_time_is_not_given_up_later():
    session = greeted(upgrade_timeout_s=1)
    assert session.attach()
    session.frame("2probe")
    session.frame("5")
    session.tick(0)
    session.tick(2)
    assert not session.abandoned
    assert session.attached


def test_a_lost_websocket_that_only_probed_costs_nothing():
    session = probing()
    session.detach()
    assert not session.closed
    assert not session.attached
    wait(session)
    session.send("a")
    assert session.poll_payload() == b"4a"
    with pytest.raises(ProtocolError):
        session.frame("5")


def test_a_closed_session_takes_no_websocket():
    session = greeted()
    session.close("enough")
    assert not session.attach()


def test_an_upgrade_raced_with_a_close_leaves_nothing_to_send():
    session = probing()
    session.send("a")
    session.close("enough")
    assert session.frame("5") == []
    assert session.next_frame() is None
    assert session.transport is Transport.POLLING


def test_a_session_may_upgrade_while_it_finishes():
    session = probing()
    session.send("a")
    session.finish("signed out")
    session.frame("5")
    assert frames(session) == ["4a", "1"]
    assert session.closed


def test_the_handshake_is_never_left_behind_by_an_upgrade():
    session = polling()
    assert session.attach()
    session.frame("2probe")
    session.frame("5")
    assert [str(frame)[0] for frame in frames(session)] == ["3", "0"]
