"""`twinspeak models`."""

from pathlib import Path

from twinspeak.app.listing import reachable_models
from twinspeak.cli.config import load_settings
from twinspeak.cli.terminal import printable
from twinspeak.domain.models import ModelSpec

_HEAD = ("MODEL", "PROVIDER", "PROMPT", "ANSWER", "TOOLS", "THINKS", "READS")


def show(*, data_dir: Path | None) -> None:
    """Print a line for each model, limits in tokens; `*` marks the default. Raises OperatorError."""
    default, specs = reachable_models(load_settings(data_dir=data_dir))
    rows = [_HEAD, *(_row(spec, default) for spec in specs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print(printable("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()))


def _row(spec: ModelSpec, default: str) -> tuple[str, ...]:
    reads = ",".join(kind.rpartition("/")[2] for kind in spec.reads)
    return (
        f"{spec.id}{' *' if spec.id == default else ''}",
        spec.provider,
        f"{spec.context_window:,}",
        f"{spec.max_output:,}",
        "yes" if spec.takes_tools else "no",
        "yes" if spec.thinks else "no",
        reads or "-",
    )
