"""A coverage-guided fuzzer in plain Python, for machines that atheris has no wheel for.

It keeps an input that reached a new pair of lines (which line came after which) in the code under test, and mutates
what it has kept.
"""

import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import twinspeak.transports.socketio.wire as under_test

WATCHED = str(Path(under_test.__file__).parent)
LONGEST = 1_500
SLOWEST_S = 5.0
WORDS = (
    *(b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"40", b"41", b'42["a"]', b'421["a",1]', b"43", b"44{}"),
    *(b'451-["a",{"_placeholder":true,"num":0}]', b'{"_placeholder":true,"num":1}', b"2probe", b"3probe", b"probe"),
    *(b"/", b"/a,", b"/socket.io,", b"?", b"-", b",", b"\x1e", b"bAQI=", b"\n", b"[", b"]", b"{}", b'"', b"null"),
    *(b"\xe2\x82\xac", b"\xff", b"\\ud800", b"9007199254740993", b"1e999", b"\no\nf2probe\nf5", b"\ng\na", b"\nw"),
)


class Watch:
    """Says what one call reached."""

    def __init__(self, target: Callable[[bytes], None]) -> None:
        self._target = target
        self._pairs: set[object] = set()
        self._last: tuple[str, int] = ("", 0)

    def __call__(self, data: bytes) -> frozenset[object]:
        """Run the target. Raises what it raises."""
        self._pairs = set()
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            self._target(data)
        finally:
            sys.settrace(before)
        return frozenset(self._pairs)

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._line if frame.f_code.co_filename.startswith(WATCHED) else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        here = (frame.f_code.co_filename, frame.f_lineno)
        self._pairs.add((self._last, here))
        self._last = here
        return self._line


def fuzz(target: Callable[[bytes], None], seeds: list[bytes], seconds: float, seed: int) -> tuple[list[bytes], int]:
    """Fuzz for a while; return the inputs worth keeping and how many were run. Raises `Crash`."""
    chance = random.Random(seed)  # noqa: S311 - a run is to be repeatable, not unguessable
    watch = Watch(target)
    reached: set[object] = set()
    kept: list[bytes] = []
    until = time.monotonic() + seconds
    runs = 0
    queue = list(seeds) or [b""]
    while queue or time.monotonic() < until:
        data = queue.pop() if queue else mutated(chance, kept)
        found = _run(watch, data)
        runs += 1
        if not found <= reached or not kept:
            reached |= found
            kept.append(data)
    return kept, runs


class Crash(Exception):
    """An input that broke something; `__cause__` says what."""

    def __init__(self, data: bytes) -> None:
        super().__init__(repr(data))
        self.data = data


def _run(watch: Watch, data: bytes) -> frozenset[object]:
    began = time.monotonic()
    try:
        found = watch(data)
    except Exception as error:
        raise Crash(data) from error
    if time.monotonic() - began > SLOWEST_S:
        raise Crash(data) from TimeoutError(f"more than {SLOWEST_S} s")
    return found


def mutated(chance: random.Random, kept: list[bytes]) -> bytes:
    """Change one of the kept inputs in up to eight places."""
    data = chance.choice(kept)
    for _ in range(1 << chance.randrange(4)):
        data = chance.choice(MUTATIONS)(chance, data, chance.choice(kept))
    return data[:LONGEST]


def _cut(chance: random.Random, data: bytes, most: int = 16) -> tuple[int, int]:
    start = chance.randint(0, len(data))
    return start, min(len(data), start + chance.randint(0, most))


def _replace(chance: random.Random, data: bytes, _: bytes) -> bytes:
    start, end = _cut(chance, data, 2)
    return data[:start] + bytes([chance.randrange(256)]) + data[end:]


def _word(chance: random.Random, data: bytes, _: bytes) -> bytes:
    start, end = _cut(chance, data, 4)
    return data[:start] + chance.choice(WORDS) + data[end if chance.randrange(2) else start :]


def _drop(chance: random.Random, data: bytes, _: bytes) -> bytes:
    start, end = _cut(chance, data)
    return data[:start] + data[end:]


def _repeat(chance: random.Random, data: bytes, _: bytes) -> bytes:
    start, end = _cut(chance, data)
    return data[:end] + data[start:end] * chance.randint(1, 8) + data[end:]


def _splice(chance: random.Random, data: bytes, other: bytes) -> bytes:
    return data[: _cut(chance, data)[0]] + other[_cut(chance, other)[0] :]


def _lines(chance: random.Random, data: bytes, other: bytes) -> bytes:
    lines = data.split(b"\n")
    lines.insert(chance.randint(0, len(lines)), chance.choice(other.split(b"\n")))
    if chance.randrange(2):
        lines.pop(chance.randrange(len(lines)))
    return b"\n".join(lines)


MUTATIONS: tuple[Callable[[random.Random, bytes, bytes], bytes], ...] = (
    _replace,
    _word,
    _word,
    _drop,
    _repeat,
    _splice,
    _lines,
    _lines,
)
