"""Fuzz what reads a peer's bytes. Ends with 1 when something broke; the input that did it is kept in the corpus."""

import argparse
import random
import sys
import tempfile
import traceback
from pathlib import Path

from tests.fuzz import corpus, guided, loop
from tests.fuzz.targets import TARGETS


def say(line: str) -> None:
    """Write a line at once, so that a log can be followed."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def parsed() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(TARGETS)}; all when none is named")
    parser.add_argument("--seconds", type=float, default=60, help="for all targets together (%(default)s)")
    parser.add_argument("--by", choices=["atheris", "own"], help="the fuzzer (atheris where it is installed)")
    parser.add_argument("--seed", type=int, help="repeat a run of our own fuzzer")
    parser.add_argument("--corpus", type=Path, default=corpus.HOME, help="where inputs are read and kept")
    parser.add_argument("--keep", action="store_true", help="keep new inputs that reach something new")
    chosen = parser.parse_args()
    if unknown := set(chosen.targets) - TARGETS.keys():
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    chosen.targets = chosen.targets or list(TARGETS)
    chosen.by = chosen.by or ("atheris" if guided.available() else "own")
    chosen.seed = random.randrange(2**32) if chosen.seed is None else chosen.seed  # noqa: S311 - printed for all to see
    return chosen


def fuzz(target: str, seconds: float, chosen: argparse.Namespace) -> str:
    """Fuzz one target; say what came of it. Raises `loop.Crash`."""
    seeds = [*corpus.load(corpus.HOME, target), *corpus.load(chosen.corpus, target)]
    if chosen.by == "atheris":
        with tempfile.TemporaryDirectory() as folder:
            kept, runs = guided.fuzz(target, seeds, seconds, Path(folder) / target), None
    else:
        kept, runs = loop.fuzz(TARGETS[target], seeds, seconds, chosen.seed)
    if chosen.keep:
        kept = corpus.grown(seeds, kept, loop.Watch(TARGETS[target]))
        corpus.save(chosen.corpus, target, kept)
    said = "" if runs is None else f"{runs} inputs, "
    return f"{target}: nothing broke; {said}{len(kept)} worth keeping"


def main() -> int:
    """Fuzz the chosen targets, one after the other."""
    chosen = parsed()
    say(f"fuzzing with {chosen.by}, seed {chosen.seed}")
    broken = 0
    for target in chosen.targets:
        try:
            said = fuzz(target, chosen.seconds / len(chosen.targets), chosen)
        except loop.Crash as crash:
            broken += 1
            traceback.print_exception(crash.__cause__)
            corpus.add(chosen.corpus, target, crash.data)
            said = f"{target}: BROKEN by {crash.data!r}, kept in {chosen.corpus}"
        say(said)
    say(f"finished: {broken} of {len(chosen.targets)} targets broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
