"""Logs as an operator reads them: one record a line, with ids, without secrets."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from twinspeak.telemetry import logs

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJfaWQiOiIxIn0.c2lnbmF0dXJl"


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    """Put the process's logging back as it was."""
    root = logging.getLogger()
    handlers, level, ours = list(root.handlers), root.level, structlog.get_config()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.configure(**ours)
    structlog.contextvars.clear_contextvars()


def written(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def to_json(level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    logs.configure("json", level, stream)
    return stream


def test_a_record_has_message_level_time_logger_and_ids():
    stream = to_json()
    with logs.context(request_id="r1", turn_id="t1", institution_id=None, user_id="u1"):
        logs.get("engine").info("turn ended", duration_ms=12)
    logs.get("engine").info("outside")
    first, second = written(stream)
    assert first["message"] == "turn ended"
    assert (first["level"], first["logger"], first["duration_ms"]) == ("info", "twinspeak.engine", 12)
    assert (first["request_id"], first["turn_id"], first["user_id"]) == ("r1", "t1", "u1")
    assert first["timestamp"].endswith("Z")
    assert "institution_id" not in first
    assert "request_id" not in second


async def test_ids_do_not_leak_between_requests():
    stream = to_json()

    async def request(name: str) -> None:
        logs.bind(request_id=name)
        await asyncio.sleep(0)
        logs.get("http").info("answered", name=name)

    async with asyncio.TaskGroup() as group:
        for name in ("a", "b"):
            group.create_task(request(name))
    assert all(record["request_id"] == record["name"] for record in written(stream))


def test_the_libraries_loggers_take_the_same_way():
    stream = to_json()
    logs.bind(request_id="r2")
    logging.getLogger("uvicorn.error").info("Started with token=%s", "abcdefgh")
    logging.getLogger("uvicorn.access").warning("GET /?token=abcdefgh")
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("some.library").warning("trouble", extra={"password": "hunter2"})
    first, second = written(stream)
    assert first["message"] == "Started with token=[hidden]"
    assert first["request_id"] == "r2"
    assert (second["message"], second["password"]) == ("trouble", "[hidden]")


def refuse(what: str) -> None:
    hint = what.upper()
    raise ValueError(f"refused {JWT} after {len(hint)}")


def test_a_traceback_is_in_the_record_without_secrets_and_without_locals():
    stream = to_json()
    try:
        refuse("local value")
    except ValueError:
        logs.get("http").exception("failed")
    (record,) = written(stream)
    assert "ValueError: refused [hidden] after 11" in record["exception"]
    assert JWT not in stream.getvalue()
    assert "LOCAL VALUE" not in stream.getvalue()


def test_people_s_words_are_not_logged():
    stream = to_json("debug")
    logs.get("engine").debug("prompt built", prompt="My secret diary", inputs=["Dear"], question="Why?")
    assert "diary" not in stream.getvalue()
    assert written(stream)[0]["prompt"] == "[15 characters]"


def test_the_level_is_obeyed():
    stream = to_json("warning")
    logs.get("engine").info("quiet")
    logging.getLogger("uvicorn.error").info("quiet")
    logs.get("engine").warning("loud")
    assert [record["message"] for record in written(stream)] == ["loud"]


def test_console_lines_stay_lines():
    stream = io.StringIO()
    logs.configure("console", "info", stream)
    logs.get("http").info("went\nwrong", agent="evil\r\n2026 [info] all is well\x1b[2J", key=f"x {JWT}")
    text = stream.getvalue()
    assert len(text.splitlines()) == 1
    assert "\x1b" not in text
    assert JWT not in text


def test_auto_is_json_when_nobody_looks():
    stream = io.StringIO()
    logs.configure("auto", "info", stream)
    logs.get("http").info("hello", number=1 << 70, half="\ud83d")
    assert written(stream)[0]["number"] == 1 << 70


def test_a_stream_that_is_gone_takes_nobody_down():
    stream = to_json()
    stream.close()
    logs.get("http").info("said into the void")
