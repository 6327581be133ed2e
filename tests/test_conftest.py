"""The guards of conftest.py do their work."""

import asyncio
import contextlib
import os
import socket
import threading

import pytest
from hypothesis import settings

from tests.conftest import FOREIGN_SETTINGS, NetworkGuard

ELSEWHERE = "192.0.2.1"  # TEST-NET-1 of RFC 5737: nobody's


def take_attempts(guard: NetworkGuard) -> list[str]:
    attempts = guard.attempts[:]
    guard.attempts.clear()
    return attempts


@pytest.mark.parametrize("method", ["connect", "connect_ex"])
def test_no_connection_leaves(network_guard: NetworkGuard, method: str):
    with socket.socket() as sock, pytest.raises(OSError, match="stay on this machine"):
        getattr(sock, method)((ELSEWHERE, 80))
    assert take_attempts(network_guard) == [f"{method} {ELSEWHERE}"]


def test_no_datagram_leaves(network_guard: NetworkGuard):
    with socket.socket(type=socket.SOCK_DGRAM) as sock, pytest.raises(OSError, match="stay on this machine"):
        sock.sendto(b"?", (ELSEWHERE, 53))
    assert take_attempts(network_guard) == [f"sendto {ELSEWHERE}"]


@pytest.mark.parametrize("look_up", ["getaddrinfo", "gethostbyname"])
def test_no_name_is_looked_up(network_guard: NetworkGuard, look_up: str):
    arguments = ("example.com", 80) if look_up == "getaddrinfo" else ("example.com",)
    with pytest.raises(OSError, match="stay on this machine"):
        getattr(socket, look_up)(*arguments)
    assert take_attempts(network_guard) == [f"{look_up} example.com"]


async def test_asyncio_cannot_leave_either(network_guard: NetworkGuard):
    for host in ("example.com", ELSEWHERE):
        with pytest.raises(OSError, match="stay on this machine"):
            await asyncio.open_connection(host, 80)
    assert take_attempts(network_guard) == ["getaddrinfo example.com", f"connect {ELSEWHERE}"]


def test_a_swallowed_refusal_still_fails_the_test(network_guard: NetworkGuard):
    def careless() -> None:
        with contextlib.suppress(OSError), socket.socket() as sock:
            sock.connect_ex((ELSEWHERE, 80))

    thread = threading.Thread(target=careless)
    thread.start()
    thread.join()
    assert take_attempts(network_guard) == [f"connect_ex {ELSEWHERE}"]


def test_this_machine_can_be_reached():
    assert socket.getaddrinfo("10.0.0.1", 80)  # an address needs no look-up
    for host in ("127.0.0.1", "localhost"):
        with socket.create_server((host, 0)) as server, socket.create_connection(server.getsockname()[:2], timeout=5):
            pass


def test_no_setting_of_this_machine_is_seen():
    assert [name for name in os.environ if name.upper().startswith(FOREIGN_SETTINGS)] == []


def test_generated_examples_have_no_deadline():
    assert settings().deadline is None
