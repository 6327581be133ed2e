"""Structured logs: one record a line on standard error, JSON for machines or aligned text for people.

Everything goes one way: structlog and the standard library's loggers (uvicorn, asyncio, SQLAlchemy) share one
formatter, so a library's record is redacted and carries the ids of the request like our own (decision 012).
"""

import json
import logging
import sys
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TextIO

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from twinspeak.telemetry.redact import one_line, redact_text, redact_value

NOISY = ("uvicorn.access", "aiohttp.access")
"""Loggers that are silenced: our own access log says more, without tokens."""

_FIRST = ("timestamp", "level", "message", "logger")
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure(log_format: str = "auto", level: str = "info", stream: TextIO | None = None) -> None:
    """Send every log of this process to `stream` (standard error). May be called again; the last call holds.

    `log_format` is json, console or auto (console on a terminal, else json); `level` is debug, info, warning or error.
    Libraries speak from `warning` up, uvicorn from `level` up, unless `level` is debug.
    """
    out = stream or sys.stderr
    console = log_format == "console" or (log_format == "auto" and out.isatty())
    threshold = _LEVELS[level]
    handler = logging.StreamHandler(out)
    rendering: list[Processor] = [
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
        *_renderer(console=console, colours=console and out.isatty()),
    ]
    ids_and_names: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
    ]
    structlog.configure(
        processors=[*ids_and_names, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=partial(_Lines, handler),
        cache_logger_on_first_use=False,
    )
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*ids_and_names, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(min(threshold, logging.WARNING) if level == "debug" else logging.WARNING)
    _route_libraries(threshold)
    logging.captureWarnings(capture=True)


def _route_libraries(threshold: int) -> None:
    for name in ("twinspeak", "uvicorn", "uvicorn.error", "uvicorn.asgi"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(threshold)
    for name in NOISY:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = False
        logger.setLevel(logging.CRITICAL)


class _Lines:
    """Where our own records go: straight to the stream, as a record of the standard library's costs twice as much.

    Shares the lock and the habits of the standard library's handler: a stream that is gone takes nobody's request down.
    """

    def __init__(self, handler: logging.StreamHandler[TextIO], name: str = "twinspeak") -> None:
        self.name = name
        self._handler = handler

    def msg(self, line: str) -> None:
        """Write one rendered record."""
        handler = self._handler
        with handler.lock or nullcontext():
            try:
                handler.stream.write(f"{line}\n")
                handler.flush()
            except (OSError, ValueError):  # full, or closed
                return

    debug = info = warning = error = critical = msg


def _renderer(*, console: bool, colours: bool) -> list[Processor]:
    if not console:
        return [_in_order, structlog.processors.JSONRenderer(serializer=_to_json)]
    plain = structlog.dev.plain_traceback  # the other renderers print local variables, where secrets live
    return [_flatten, structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=plain)]


def _to_json(value: object, **_: object) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # an integer beyond 64 bits
        return json.dumps(value, ensure_ascii=True, default=str)


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Clean a record just before it is rendered: its message, its traceback and every field."""
    clean: EventDict = {}
    for name, value in event.items():
        clean[name] = redact_text(str(value)) if name in {"event", "exception", "stack"} else redact_value(name, value)
    clean.pop("color_message", None)  # uvicorn's second copy of its message, with escape codes
    return clean


def _in_order(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Name the event `message`, as collectors expect, and put what people look for first."""
    event["message"] = event.pop("event", "")
    return {name: event[name] for name in (*_FIRST, *event) if name in event}


def _flatten(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for name, value in event.items():
        if isinstance(value, str) and name not in {"exception", "stack"}:
            event[name] = one_line(value.replace("\n", "\\n").replace("\t", "\\t"))
    return event


def get(name: str) -> FilteringBoundLogger:
    """Return a structlog logger called `twinspeak.<name>`; cheap, so make one at import."""
    return structlog.get_logger(f"twinspeak.{name}")


def bind(**ids: str | None) -> None:
    """Add ids to every later record of this task and of those it starts; None takes one away.

    The names are request_id, turn_id, institution_id and user_id.
    """
    structlog.contextvars.unbind_contextvars(*(name for name, value in ids.items() if value is None))
    structlog.contextvars.bind_contextvars(**{name: value for name, value in ids.items() if value is not None})


@contextmanager
def context(**ids: str | None) -> Generator[None]:
    """Add ids (as `bind`) to the records written inside the block, and restore what was there."""
    present = {name: value for name, value in ids.items() if value is not None}
    with structlog.contextvars.bound_contextvars(**present):
        yield
