"""What every test gets: no network beyond this machine, no settings of this machine, bounded generated examples."""

import ipaddress
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests import databases

# Rich's tracebacks, the default, print every local variable: a minute for one.
structlog.configure(processors=[structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)])

# The same examples on every run, so that a red build is somebody's change; `make verify` looks for new ones.
settings.register_profile(
    "default", deadline=None, derandomize=True, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "thorough", deadline=None, max_examples=1000, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)

# Ours, every provider's, and what redirects an HTTP client.
FOREIGN_SETTINGS = (
    "ALL_PROXY",
    "ANTHROPIC_",
    "AWS_",
    "AZURE_",
    "GEMINI_",
    "GOOGLE_",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "MISTRAL_",
    "NO_PROXY",
    "OPENAI_",
    "PG",
    "TWINSPEAK_",
    "XAI_",
)


def pytest_configure() -> None:
    """Before anything is collected: fixtures of every scope, and the processes of tests, see a clean environment."""
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
    for name in list(os.environ):
        if name.upper().startswith(FOREIGN_SETTINGS):
            del os.environ[name]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before any fixture is made: only tests that run on both databases may touch one."""
    databases.note(asked="database" in getattr(item, "fixturenames", ()))


def pytest_sessionfinish() -> None:
    """Stop the database server, if this run had any."""
    databases.stop()


@pytest.fixture(scope="session", params=databases.KINDS)
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run what asks for it on every kind of database; return which it is."""
    with databases.using(request.param) as kind:
        yield kind


@pytest.fixture
def sqlite_file() -> Iterator[None]:
    """For what is about SQLite's file itself, such as a copy of it: run it on SQLite alone."""
    with databases.using(databases.SQLITE):
        databases.note(asked=True)
        yield


@pytest.fixture(autouse=True)
def drops_its_databases() -> Iterator[None]:
    """Keep none but those that tests share."""
    with databases.swept():
        yield


class NetworkGuard:
    """Refuses what would leave this machine, and remembers it, because the code under test may swallow the refusal."""

    def __init__(self) -> None:
        self.attempts: list[str] = []

    def refuse(self, attempt: str) -> None:
        """Note the attempt and raise what a machine without a network raises."""
        self.attempts.append(attempt)
        raise OSError(f"tests stay on this machine: {attempt}")

    def connecting(self, original: Callable[..., Any], address_at: int) -> Callable[..., Any]:
        """Wrap a method of socket that is given an address: a path (Unix) or a tuple that begins with the host."""

        def guarded(sock: socket.socket, *args: Any) -> Any:
            address = args[address_at]
            if isinstance(address, tuple) and not _is_loopback(str(address[0])):
                self.refuse(f"{original.__name__} {address[0]}")
            return original(sock, *args)

        return guarded

    def resolving(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a look-up: addresses are not looked up anywhere, names but localhost's would be."""

        def guarded(host: Any, *args: Any, **kwargs: Any) -> Any:
            name = host.decode() if isinstance(host, bytes) else host
            if name and not _is_loopback(name) and _address(name) is None:
                self.refuse(f"{original.__name__} {name}")
            return original(host, *args, **kwargs)

        return guarded


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


@pytest.fixture(scope="session")
def network_guard() -> Iterator[NetworkGuard]:
    """Put the guard in place for the whole run. uvloop goes round it, so tests use asyncio's own loop."""
    guard = NetworkGuard()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guard.connecting(socket.socket.connect, 0))
        patch.setattr(socket.socket, "connect_ex", guard.connecting(socket.socket.connect_ex, 0))
        patch.setattr(socket.socket, "sendto", guard.connecting(socket.socket.sendto, -1))
        for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
            patch.setattr(socket, name, guard.resolving(getattr(socket, name)))
        yield guard


@pytest.fixture(autouse=True)
def stays_on_this_machine(network_guard: NetworkGuard) -> Iterator[None]:
    """Fail the test that tried to leave, even when the code under test made something of the refusal."""
    network_guard.attempts.clear()
    yield
    assert network_guard.attempts == []
