"""`twinspeak models`."""

from collections.abc import Sequence
from pathlib import Path

from twinspeak.app.listing import TwinsModel, reachable_models, twins_models
from twinspeak.cli.config import load_settings
from twinspeak.cli.terminal import printable
from twinspeak.domain.models import ModelSpec

_WHAT = ("PROVIDER", "PROMPT", "ANSWER", "TOOLS", "THINKS", "READS")


def show(*, data_dir: Path | None) -> None:
    """Print a line for each model, limits in tokens; `*` marks the default. Raises OperatorError."""
    settings = load_settings(data_dir=data_dir)
    default, specs = reachable_models(settings)
    own = twins_models(settings)
    _table([("MODEL", *_WHAT), *((f"{spec.id}{' *' if spec.id == default else ''}", *_what(spec)) for spec in specs)])
    if own:
        print("\nModels that twins bring themselves:")
        _table([("TWIN", "MODEL", *_WHAT), *map(_own, own)])


def _table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print(printable("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()))


def _own(model: TwinsModel) -> tuple[str, ...]:
    return (model.twin, f"{model.spec.label}{'' if model.active else ' (off)'}", *_what(model.spec))


def _what(spec: ModelSpec) -> tuple[str, ...]:
    reads = ",".join(kind.rpartition("/")[2] for kind in spec.reads)
    return (
        spec.provider,
        f"{spec.context_window:,}",
        f"{spec.max_output:,}",
        "yes" if spec.takes_tools else "no",
        "yes" if spec.thinks else "no",
        reads or "-",
    )
