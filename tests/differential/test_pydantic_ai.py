"""What our decoders make of recordings is what pydantic-ai makes of them, but for what docs/differences.md explains.

`make differential` installs pydantic-ai, locked, into an environment of its own; `make verify` runs this too.
"""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.laws.decode import ROOT, SHARED, name_of
from twinspeak.domain.errors import ProviderFailed
from twinspeak.domain.events import (
    ModelEvent,
    ModelSignature,
    ModelStop,
    ModelText,
    ModelThinking,
    ModelToolDelta,
    ModelUsage,
)
from twinspeak.providers.anthropic import AnthropicDecoder
from twinspeak.providers.bedrock import BedrockDecoder
from twinspeak.providers.gemini import GeminiDecoder
from twinspeak.providers.openai_chat import OpenAIChatDecoder
from twinspeak.providers.openai_responses import ResponsesDecoder
from twinspeak.providers.relay import Decoder

PYTHON = ROOT / ".venv" / "judge" / "bin" / "python"
JUDGE = Path(__file__).with_name("judge.py")
RECORDINGS = sorted([*SHARED.glob("*/*.sse"), *SHARED.glob("*/*.bin")])
ROW = re.compile(r"^\| `([\w/-]+)` \| (\w+) \| [^|]+ \| [^|]+ \| [^|]{20,} \|$", re.MULTILINE)
STOPS = {"end": "stop", "tools": "tool_call", "length": "length", "refused": "content_filter"}
DECODERS: dict[str, Callable[[str], Decoder]] = {
    "anthropic": AnthropicDecoder,
    "bedrock": BedrockDecoder,
    "gemini": GeminiDecoder,
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason="pydantic-ai is not here: `make differential` installs it"),
    pytest.mark.skipif(not RECORDINGS, reason=f"no {SHARED} beside this checkout"),
]


def decoder_for(path: Path) -> Decoder:
    other = ResponsesDecoder if path.name.startswith("responses-") else OpenAIChatDecoder
    return DECODERS.get(path.parent.name, other)("fake")


def ours(path: Path) -> dict[str, Any]:
    """What the judge tells, of our decoder."""
    decoder = decoder_for(path)
    events: list[ModelEvent] = []
    try:
        events = decoder.feed(path.read_bytes())
        events += decoder.close()
    except ProviderFailed:
        return {"fails": True}
    usage = [[event.input, event.cached, event.completion] for event in events if isinstance(event, ModelUsage)]
    stops = [STOPS[event.reason] for event in events if isinstance(event, ModelStop)]
    return {
        "fails": False,
        "text": "".join(event.text for event in events if isinstance(event, ModelText)),
        "thinking": "".join(event.text for event in events if isinstance(event, ModelThinking)),
        "signatures": [event.signature for event in events if isinstance(event, ModelSignature)],
        "tools": called(events),
        "usage": usage[-1] if usage else None,
        "stop": stops[-1] if stops else None,
    }


def called(events: list[ModelEvent]) -> list[list[Any]]:
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    for event in events:
        if isinstance(event, ModelToolDelta):
            names[event.index] = names.get(event.index) or event.name or ""
            arguments[event.index] = arguments.get(event.index, "") + event.arguments
    return [[names[index], json.loads(arguments[index] or "{}")] for index in sorted(names)]


@pytest.fixture(scope="module")
def theirs() -> dict[str, dict[str, Any]]:
    ran = subprocess.run([PYTHON, JUDGE, *RECORDINGS], capture_output=True, text=True, timeout=50, check=False)
    assert ran.returncode == 0, ran.stderr
    return {name_of(Path(name)): {"fails": False, **said} for name, said in json.loads(ran.stdout).items()}


def explained() -> dict[str, set[str]]:
    rows = ROW.findall((ROOT / "docs" / "differences.md").read_text(encoding="utf-8"))
    return {name: {what for other, what in rows if other == name} for name, _ in rows}


@pytest.mark.parametrize("path", RECORDINGS, ids=name_of)
def test_parts_and_usage_are_theirs(path: Path, theirs: dict[str, dict[str, Any]]):
    mine, other = ours(path), theirs[name_of(path)]
    other["fails"] = bool(other["fails"])
    # The signatures of other vendors are state that stays on the server; they are held to the bytes by other laws.
    compared = set(mine) - (set() if path.parent.name in {"anthropic", "bedrock"} else {"signatures"})
    different = {what for what in compared if mine[what] != other.get(what)} if not mine["fails"] else {"fails"}
    if mine["fails"] == other["fails"] is True:
        different = set()
    told = explained().get(name_of(path), set())
    assert different == told, {what: (mine.get(what), other.get(what)) for what in different ^ told}


def test_every_difference_is_of_a_recording():
    assert set(explained()) <= {name_of(path) for path in RECORDINGS}
