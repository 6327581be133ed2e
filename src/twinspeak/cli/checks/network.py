"""Checks of the port to listen on and of the model provider."""

import errno
import socket
from urllib.parse import urlsplit

import aiohttp

from twinspeak.cli.checks import Finding, Verdict
from twinspeak.settings import Settings

LIMIT_S = 5
OPENAI_URL = "https://api.openai.com/v1"
"""Where OPENAI_API_KEY belongs when OPENAI_BASE_URL says nothing."""


async def port(host: str, number: int) -> Finding:
    """Check that a server can listen on `host:number`, or that one of ours does."""
    shown = f"{host}:{number}"
    try:
        family, _, _, _, address = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror:
        return Finding("port", Verdict.PROBLEM, f"{host} is no address of this machine", "Correct TWINSPEAK_HOST.")
    except OSError as problem:
        return await _taken(host, number, problem)
    return Finding("port", Verdict.GOOD, f"{shown} is free")


async def _taken(host: str, number: int, problem: OSError) -> Finding:
    shown = f"{host}:{number}"
    if problem.errno == errno.EACCES:
        remedy = "Use a port from 1024 up, or put a proxy in front."
        return Finding("port", Verdict.PROBLEM, f"{shown} is not for this user", remedy)
    if problem.errno != errno.EADDRINUSE:
        detail = f"cannot listen on {shown} ({problem.strerror})"
        return Finding("port", Verdict.PROBLEM, detail, "Correct TWINSPEAK_HOST and TWINSPEAK_PORT.")
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    if await _is_ours(f"http://{reachable}:{number}"):
        return Finding("port", Verdict.GOOD, f"a Twinspeak server runs on {shown}")
    return Finding("port", Verdict.PROBLEM, f"another program uses {shown}", "Choose another --port.")


async def _is_ours(url: str) -> bool:
    """Tell whether a server of ours answers: its health has a key that no other has."""
    try:
        async with _session() as session, session.get(f"{url}/api/test/health", allow_redirects=False) as reply:
            body = await reply.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return False
    return isinstance(body, dict) and "eventLoopLag" in body


async def provider(settings: Settings) -> Finding:
    """Check that a model provider is set, can be reached, and takes the key."""
    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else ""
    base_url = settings.openai_base_url
    if not key and not base_url:
        remedy = "Set OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own, to use another model."
        return Finding("model", Verdict.GOOD, "the built-in local one", remedy)
    url = (base_url or OPENAI_URL).rstrip("/")
    shown = _without_secrets(url)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        async with _session() as session, session.get(f"{url}/models", headers=headers, allow_redirects=False) as reply:
            return _judge(reply.status, shown)
    except aiohttp.InvalidURL:
        return Finding("model", Verdict.PROBLEM, f"{shown} is no address", "Correct OPENAI_BASE_URL.")
    except (aiohttp.ClientError, TimeoutError, OSError) as problem:
        detail = f"{shown} cannot be reached ({type(problem).__name__})"
        return Finding("model", Verdict.PROBLEM, detail, "Check the address, the network and the firewall.")


def _judge(status: int, shown: str) -> Finding:
    if status in {401, 403}:
        return Finding("model", Verdict.PROBLEM, f"{shown} refuses the key ({status})", "Correct OPENAI_API_KEY.")
    if status >= 500:
        return Finding("model", Verdict.WARNING, f"{shown} answers {status}", "The provider has trouble; try later.")
    if status in {404, 405}:
        return Finding("model", Verdict.WARNING, f"{shown} has no list of models", "Does OPENAI_BASE_URL end in /v1?")
    if 300 <= status < 400:
        return Finding("model", Verdict.WARNING, f"{shown} sends us elsewhere", "Give the address where it really is.")
    return Finding("model", Verdict.GOOD, f"{shown} answers{'' if status == 200 else f' {status}'}")


def _without_secrets(url: str) -> str:
    """Return `url` without user, password, query and fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _session() -> aiohttp.ClientSession:  # noqa: TID251 - the command line asks, not the server
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=LIMIT_S))  # noqa: TID251 - as above
