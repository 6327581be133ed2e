"""An MCP server over standard input and output, run as a program; its first argument says how it behaves.

Needs nothing but the standard library, so that it starts at once.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Message = dict[str, Any]
ECHO = {
    "name": "echo",
    "title": "Echo",
    "description": "Says it again.",
    "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
}


def say(message: object) -> None:
    """Write a line."""
    sys.stdout.write((message if isinstance(message, str) else json.dumps(message)) + "\n")
    sys.stdout.flush()


def text_of(request: Message) -> str:
    return request["params"].get("arguments", {}).get("text", "")


def environment(_: Message) -> str:
    return json.dumps({**os.environ, "cwd": str(Path.cwd()), "argv": sys.argv[1:]})


def child(_: Message) -> str:
    waits = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
    return str(subprocess.Popen(waits, stdin=subprocess.PIPE).pid)


def dies(_: Message) -> str:
    sys.exit(3)


def floods(_: Message) -> str:
    while True:
        say({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "x" * 10_000}})


def long_line(_: Message) -> str:
    say("x" * 5_000_000)
    return ""


def nonsense(request: Message) -> str:
    say("listening on standard input\n[1, 2]\n{}\nnull\n\u2028")
    return text_of(request)


def asks(_: Message) -> str:
    for number in range(50):
        say({"jsonrpc": "2.0", "id": f"s{number}", "method": "sampling/createMessage", "params": {}})
    return ",".join(str(json.loads(sys.stdin.readline())["error"]["code"]) for _ in range(20))


def slow(request: Message) -> str:
    told = {"progressToken": request["params"].get("_meta", {}).get("progressToken")}
    told = {**told, "progress": 1, "total": 2, "message": "half"}
    say({"jsonrpc": "2.0", "method": "notifications/progress", "params": told})
    return text_of(request)


CALLS: dict[str, Callable[[Message], str | None]] = {
    "environment": environment,
    "pid": lambda _: str(os.getpid()),
    "child": child,
    "dies": dies,
    "hangs": lambda _: None,
    "floods": floods,
    "long line": long_line,
    "nonsense": nonsense,
    "asks": asks,
    "slow": slow,
}


def result_of(mode: str, request: Message) -> Message | None:
    """Return what a request gives; None for no answer."""
    if request["method"] == "initialize":
        version = "1999-01-01" if mode == "old" else "2025-06-18"
        info = {"name": "fake", "version": "1"}
        return {"result": {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}}
    if request["method"] == "tools/list":
        return {"result": {"tools": [ECHO]}}
    if mode == "error":
        return {"error": {"code": -32000, "message": "It cannot."}}
    text = None if text_of(request) == "hang" else CALLS.get(mode, text_of)(request)
    return None if text is None else {"result": {"content": [{"type": "text", "text": text}], "isError": False}}


def main(mode: str) -> None:
    """Answer until the input ends; `backwards` answers three calls at once, the last one first."""
    if mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if mode == "silent":
        time.sleep(600)
    held: list[Message] = []
    for line in sys.stdin:
        message: Message = json.loads(line)
        given = result_of(mode, message) if "id" in message and "method" in message else None
        if given is None:
            continue
        held.append({"jsonrpc": "2.0", "id": message["id"], **given})
        if mode != "backwards" or message["method"] != "tools/call" or len(held) == 3:
            for answer in reversed(held):
                say(answer)
            held.clear()
    if mode == "stubborn":
        time.sleep(600)


if __name__ == "__main__":
    main(sys.argv[1])
