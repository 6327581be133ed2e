"""Row 11 of the targets: listing and searching history where a million records are, 10,000 of them one person's.

    python -m bench.history                     both databases, a million records: about a quarter of an hour
    python -m bench.history --records 50000     a quick look

Seeds a database of each kind, then asks the services that the routes ask, rendering included, one after the other.
"""

import argparse
import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bench.databases import fresh
from bench.seeding import Seeded, seed
from twinspeak.domain.caller import Caller
from twinspeak.domain.ids import new_id
from twinspeak.persistence.db import Database
from twinspeak.services.conversations import Conversations
from twinspeak.services.histories import Histories, HistoryFilter
from twinspeak.transports.rest import render

RECORDS = 1_000_000
OWN = 10_000
ROUNDS = 200
TARGETS = {"list": 20.0, "search": 50.0}
"""Milliseconds at the 95th percentile; what begins so is judged by it."""
RESULTS = Path(__file__).parent / "results" / "history.json"


def main() -> None:
    """Measure, print a table, leave the figures behind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--databases", default="sqlite,postgresql")
    options = parser.parse_args()
    figures: dict[str, Any] = {"records": options.records}
    for kind in options.databases.split(","):
        with fresh(kind) as url:
            began = time.monotonic()
            seeded = seed(url, records=options.records, own=min(OWN, options.records))
            print(f"{kind}: {options.records} records seeded in {time.monotonic() - began:.0f} s", flush=True)
            figures[kind] = asyncio.run(_measure(url, seeded))
            print_table(kind, figures[kind], TARGETS)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


async def _measure(url: str, seeded: Seeded) -> dict[str, dict[str, float]]:
    db = Database.open(url)
    try:
        caller = Caller(
            user_id=seeded.user_id, email="", kind="user", session_id=new_id(), institution_id=seeded.institution_id
        )
        histories, conversations = Histories(db), Conversations(db)
        draw = random.Random(7)  # noqa: S311 -- a benchmark

        async def shown(wanted: HistoryFilter) -> None:
            found = await histories.list(caller, wanted)
            for record in found:
                render.record(record, whole_texts=False, whole_tools=False).model_dump_json(by_alias=True)

        asked: dict[str, Callable[[], Awaitable[object]]] = {
            "list, the newest 20": lambda: shown(HistoryFilter(limit=20)),
            "list, the newest 100": lambda: shown(HistoryFilter(limit=100)),
            "list, 20 before a moment": lambda: shown(HistoryFilter(limit=20, before=draw.choice(seeded.moments))),
            "list, a conversation": lambda: shown(HistoryFilter(limit=100, course_id=draw.choice(seeded.courses))),
            "search, a common word": lambda: shown(HistoryFilter(limit=20, search=draw.choice(seeded.common))),
            "search, a rare word": lambda: shown(HistoryFilter(limit=20, search=draw.choice(seeded.rare))),
            "search, two words": lambda: shown(
                HistoryFilter(limit=20, search=f"{draw.choice(seeded.common)} {draw.choice(seeded.rare)}")
            ),
            "search, no such word": lambda: shown(HistoryFilter(limit=20, search="zzyzx")),
            "conversations": lambda: conversations.list(caller),
        }
        return {name: await timed(ask) for name, ask in asked.items()}
    finally:
        db.close()


async def timed(ask: Callable[[], Awaitable[object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Return milliseconds of doing something again and again, one after the other."""
    for _ in range(5):
        await ask()
    taken: list[float] = []
    for _ in range(rounds):
        began = time.perf_counter()
        await ask()
        taken.append((time.perf_counter() - began) * 1000)
    taken.sort()
    return {"p50": round(taken[len(taken) // 2], 2), "p95": round(taken[int(len(taken) * 0.95)], 2)}


def print_table(kind: str, figures: dict[str, dict[str, float]], targets: dict[str, float]) -> None:
    """Print a line for each thing that was timed; `targets` by how its name begins."""
    for name, times in figures.items():
        target = next((limit for word, limit in targets.items() if name.startswith(word)), None)
        verdict = "" if target is None else f"  <= {target:.0f} ms: {'met' if times['p95'] <= target else 'MISSED'}"
        print(f"{kind:11} {name:28} p50 {times['p50']:8.2f}  p95 {times['p95']:8.2f} ms{verdict}", flush=True)


if __name__ == "__main__":
    main()
