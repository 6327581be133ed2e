"""The kept inputs: a file for each target, an input on each line, escaped so that a diff can be read."""

from collections.abc import Callable, Iterable
from pathlib import Path

HOME = Path(__file__).with_name("corpus")


def load(folder: Path, target: str) -> list[bytes]:
    """Return the inputs of a target, shortest first."""
    path = folder / f"{target}.txt"
    lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    return [line.encode().decode("unicode_escape").encode("latin-1") for line in lines]


def save(folder: Path, target: str, inputs: Iterable[bytes]) -> None:
    """Write the inputs of a target, each once."""
    folder.mkdir(parents=True, exist_ok=True)
    ordered = sorted(set(inputs), key=lambda data: (len(data), data))
    lines = [data.decode("latin-1").encode("unicode_escape").decode() for data in ordered]
    (folder / f"{target}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="ascii")


def add(folder: Path, target: str, data: bytes) -> None:
    """Keep one more input."""
    save(folder, target, [*load(folder, target), data])


def grown(kept: Iterable[bytes], found: Iterable[bytes], reach: Callable[[bytes], frozenset[object]]) -> list[bytes]:
    """Return what was kept, and few and short inputs of those found that `reach` all that they do.

    What is kept stays: an input that broke something once may reach nothing that others do not.
    """
    grown = list(dict.fromkeys(kept))
    reached: set[object] = set().union(*map(reach, grown))
    for data in sorted(set(found), key=lambda data: (len(data), data)):
        new = reach(data)
        if not new <= reached:
            reached |= new
            grown.append(data)
    return grown
