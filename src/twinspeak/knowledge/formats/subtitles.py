"""Subtitles and transcripts, WebVTT and SubRip: what was said, and when."""

import re
from collections.abc import Iterator

from twinspeak.domain.locator import Locator
from twinspeak.knowledge.document import Block
from twinspeak.knowledge.formats.reading import Reading
from twinspeak.knowledge.formats.words import clean, one_line

_TIMES = re.compile(r"[ \t]*(?:(\d{1,3}):)?(\d{1,2}):(\d{2})[.,]\d{1,3}[ \t]+-->")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?[ \t]+([^>]+)>")
_TAG = re.compile(r"</?[A-Za-z0-9][^<>]*>|\{\\[^{}]*\}")
_BLOCK_CHARS = 400
_PAUSE_S = 20


def read(reading: Reading) -> Iterator[Block]:
    """Yield what was said, several cues a block; a block begins anew after a pause and with a new voice."""
    said: list[str] = []
    began = last = 0
    voice = ""
    for at, text in _cues(clean(reading.text())):
        spoken = _VOICE.search(text)
        who = one_line(spoken[1]) if spoken else ""
        words = one_line(_TAG.sub("", _VOICE.sub("", text)))
        if not words or (said and said[-1].endswith(words)):
            continue  # captions that roll show each line twice
        if said and (sum(map(len, said)) >= _BLOCK_CHARS or at - last > _PAUSE_S or (who and who != voice)):
            yield Block(" ".join(said), (), Locator(point="t", at=began))
            said = []
        if not said:
            began = at
        said.append(f"{who}: {words}" if who and (who != voice or not said) else words)
        voice, last = who or voice, at
    if said:
        yield Block(" ".join(said), (), Locator(point="t", at=began))


def _cues(text: str) -> Iterator[tuple[int, str]]:
    """Yield (second it begins, text) of each cue. Notes, styles and numbers are not said."""
    at: int | None = None
    lines: list[str] = []
    for line in [*text.split("\n"), ""]:
        times = _TIMES.match(line)
        if times:
            at, lines = int(times[1] or 0) * 3_600 + int(times[2]) * 60 + int(times[3]), []
        elif line.strip():
            lines.append(line)
        elif at is not None:
            yield at, " ".join(lines)
            at, lines = None, []
