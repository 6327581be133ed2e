"""Fuzzing of one target with atheris, in a process of its own: libFuzzer ends the process it runs in.

atheris is no locked dependency: it has wheels for Linux on x86-64 only. Where it is installed it is used.
"""

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

from tests.fuzz import loop


def available() -> bool:
    """Say whether atheris can be imported."""
    return importlib.util.find_spec("atheris") is not None


def fuzz(target: str, seeds: list[bytes], seconds: float, workplace: Path) -> list[bytes]:
    """Fuzz for a while; return the inputs that libFuzzer kept. Raises `loop.Crash`."""
    found, crashes = workplace / "found", workplace / "crashes"
    found.mkdir(parents=True)
    crashes.mkdir()
    for number, data in enumerate(seeds):
        (found / f"seed-{number}").write_bytes(data)
    words = workplace / "words"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in loop.WORDS), encoding="ascii")
    options = [f"-max_total_time={max(1, round(seconds))}", f"-artifact_prefix={crashes}/", f"-dict={words}"]
    options += [f"-max_len={loop.LONGEST}", f"-timeout={loop.SLOWEST_S:.0f}", "-print_final_stats=1"]
    ended = subprocess.run([sys.executable, "-m", __name__, target, *options, str(found)], check=False)
    for crash in sorted(crashes.iterdir()):
        raise loop.Crash(crash.read_bytes()) from RuntimeError("see what libFuzzer printed")
    if ended.returncode != 0:
        raise RuntimeError(f"atheris ended with {ended.returncode}")
    return [path.read_bytes() for path in sorted(found.iterdir())]


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def main() -> None:
    """Run libFuzzer in this process."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["twinspeak.transports.socketio.wire"]):
        targets = importlib.import_module("tests.fuzz.targets").TARGETS
    target = targets[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
