"""What a peer can make a session hold, and where it is closed instead."""

import pytest

from tests.transports.socketio.wire.kit import frames, get, greeted, probing, wait, websocket
from twinspeak.transports.socketio.wire.engine import EngineSession
from twinspeak.transports.socketio.wire.packets import ProtocolError


def test_a_post_over_the_payload_limit_closes():
    session = greeted(max_payload=10)
    assert session.post(b"4123456789") == ["123456789"]
    with pytest.raises(ProtocolError):
        session.post(b"41234567890")
    assert session.closed


def test_a_post_of_too_many_packets_closes():
    session = greeted(max_packets=3)
    assert session.post(b"4\x1e4\x1e4") == ["", "", ""]
    with pytest.raises(ProtocolError):
        session.post(b"4\x1e4\x1e4\x1e4")
    assert session.closed


@pytest.mark.parametrize("frame", ["4" * 11, b"4" * 11, "4€€€€"])
def test_a_frame_over_the_payload_limit_closes_and_bytes_are_what_counts(frame: str | bytes):
    session = websocket(max_payload=10)
    session.frame("4" * 10)
    session.frame("4€€€")
    with pytest.raises(ProtocolError):
        session.frame(frame)
    assert session.closed


def test_a_body_holds_what_fits_and_the_rest_comes_next():
    session = greeted(max_payload=10)
    for data in ("1234", "1234", "1234"):
        session.send(data)
    assert get(session) == b"41234"
    session.send("€€€")
    assert get(session) == b"41234"
    assert get(session) == b"41234"
    assert get(session) == "4€€€".encode()
    wait(session)


def test_small_packets_share_a_body_up_to_the_limit():
    session = greeted(max_payload=12)
    for data in ("1234", "1234", "1234"):
        session.send(data)
    assert get(session) == b"41234\x1e41234"


def test_one_packet_over_the_payload_limit_still_goes_out_alone():
    session = greeted(max_payload=10)
    session.send("a" * 50)
    session.send("b")
    assert get(session) == b"4" + b"a" * 50
    assert get(session) == b"4b"


def test_a_peer_that_does_not_read_is_closed_on_by_count():
    session = websocket(max_queue=3)
    for _ in range(3):
        session.send("a")
    assert (session.closed, session.waiting) == (False, 3)
    session.send("a")
    assert (session.closed, session.reason) == (True, "too much unread")
    assert (session.waiting, session.waiting_bytes) == (0, 0)


def test_a_peer_that_does_not_read_is_closed_on_by_bytes():
    session = websocket(max_queue_bytes=10)
    session.send("€€")
    session.send(b"1234")
    assert (session.closed, session.waiting_bytes) == (False, 10)
    session.send("1")
    assert session.closed


def test_one_message_larger_than_the_queue_may_wait_alone():
    session = websocket(max_queue_bytes=10)
    session.send("a" * 100)
    assert frames(session) == ["4" + "a" * 100]
    assert session.waiting_bytes == 0
    session.send("a" * 100)
    session.send("")
    session.send("b")
    assert session.closed


def test_a_flood_of_probes_waits_nowhere():
    session = probing()
    for _ in range(1_000):
        session.frame("2probe")
    assert frames(session) == ["3probe"]


def test_a_flood_of_pongs_and_noops_changes_nothing():
    session = websocket()
    before = session.deadline
    for _ in range(1_000):
        session.frame("3")
        session.frame("6")
    assert (session.deadline, session.waiting) == (before, 0)


def test_a_peer_that_only_answers_pings_gathers_none():
    session = websocket(ping_interval_s=1, ping_timeout_s=5)
    for now in range(1, 100):
        session.tick(now)
        session.frame("3")
        session.probe_alive(now, 1)
        session.frame("3")
    assert session.waiting <= 1
    assert session.closed


@pytest.mark.parametrize("session", [greeted(), websocket()], ids=["polling", "websocket"])
def test_text_that_polling_cannot_carry_is_a_mistake_of_ours(session: EngineSession):
    with pytest.raises(ValueError, match=r"U\+001E"):
        session.send("a\x1eb")
