"""An SVG chart: each figure as a part of its target, so that all rows share one scale and one line to stay behind."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from bench.rows.line import Line

_LABEL, _BAR, _ROW, _RIGHT = 470, 420, 22, 250
_MOST = 2.0
"""Longer bars are cut here, with a mark; their figure is written beside them."""
_MET, _MISSED, _INK, _PALE = "#2f7d4f", "#b3402e", "#222222", "#d7d7d7"


def svg(lines: Sequence[Line], title: str) -> str:
    """Return the chart of all lines that have a target."""
    judged = sorted((line for line in lines if line.limit is not None), key=lambda line: int(line.row))
    height = _ROW * len(judged) + 70
    width = _LABEL + _BAR + _RIGHT
    at_target = _LABEL + _BAR / _MOST
    body = "\n".join(_bar(line, 50 + _ROW * number) for number, line in enumerate(judged))
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"
 font-family="system-ui, sans-serif" font-size="12" fill="{_INK}" role="img">
<title>Figures beside their targets</title>
<rect width="{width}" height="{height}" fill="#ffffff"/>
<text x="12" y="22" font-size="14" font-weight="600">Figures as a part of their targets (shorter is better)</text>
<text x="12" y="40" fill="#666666">{escape(title)}</text>
{body}
<line x1="{at_target}" y1="46" x2="{at_target}" y2="{height - 14}" stroke="{_INK}" stroke-dasharray="4 3"/>
<text x="{at_target}" y="{height - 2}" text-anchor="middle" font-size="11">target</text>
</svg>
"""


def _bar(line: Line, top: float) -> str:
    """Return one row: name, bar, figure and target."""
    limit = line.limit or 0
    part = line.figure / limit if limit else (0.0 if line.figure <= 0 else _MOST)
    length = max(1.0, min(part, _MOST) / _MOST * _BAR)
    colour = _MET if line.met else _MISSED
    cut = " »" if part > _MOST else ""
    text = f"{line.figure:.3g} {line.unit} (target {limit:g}){cut}"
    middle = top + _ROW / 2 + 4
    return (
        f'<text x="{_LABEL - 8}" y="{middle}" text-anchor="end">{escape(f"{line.row}. {line.what}")}</text>'
        f'<rect x="{_LABEL}" y="{top + 4}" width="{_BAR}" height="{_ROW - 8}" fill="{_PALE}" opacity="0.35"/>'
        f'<rect x="{_LABEL}" y="{top + 4}" width="{length:.1f}" height="{_ROW - 8}" fill="{colour}"/>'
        f'<text x="{_LABEL + _BAR + 8}" y="{middle}">{escape(text)}</text>'
    )
