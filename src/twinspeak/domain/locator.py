"""Where in a document a passage stands, so that an answer can cite it: page, slide, sheet and row, chapter, time.

One string goes into the database and into links: a URL fragment as PDF (RFC 8118), CSV (RFC 7111) and media fragments
write it, `page=2`, `sheet=Budget&row=12`, `t=63`.
"""

from typing import Final
from urllib.parse import parse_qsl, urlencode

import msgspec

_UNITS: Final = ("page", "slide", "sheet", "chapter", "cell")
_POINTS: Final = ("row", "line", "t")


class Locator(msgspec.Struct, frozen=True, gc=False):
    """`unit` is what readers turn to (page, slide, sheet, chapter, cell) and `name` which one; "" where there is none.

    `point` says more exactly where it begins: row, line (both from 1) or t (seconds), and `at` which.
    """

    unit: str = ""
    name: str = ""
    point: str = ""
    at: int = 0

    @property
    def fragment(self) -> str:
        """Return it as it is stored; "" for nowhere in particular."""
        parts = [(self.unit, self.name)] if self.unit else []
        if self.point:
            parts.append((self.point, str(self.at)))
        return urlencode(parts)

    @property
    def label(self) -> str:
        """Return it for people: `page 2`, `sheet Budget, row 12`, `1:01:03`."""
        words = [f"{self.unit} {self.name}"] if self.unit else []
        if self.point == "t":
            words.append(_clock(self.at))
        elif self.point:
            words.append(f"{self.point} {self.at}")
        return ", ".join(words)

    def shares_unit(self, other: "Locator") -> bool:
        """Whether both are on the same page, slide, sheet, chapter or cell."""
        return (self.unit, self.name) == (other.unit, other.name)


NOWHERE: Final = Locator()


def parse_locator(fragment: str) -> Locator:
    """Read what `fragment` wrote; anything else is nowhere in particular. Never raises."""
    unit = name = point = ""
    at = 0
    for key, value in parse_qsl(fragment[:2_000]):
        if key in _UNITS:
            unit, name = key, value
        elif key in _POINTS and value.isascii() and value.isdigit() and len(value) < 10:
            point, at = key, int(value)
    return Locator(unit, name, point, at)


def _clock(seconds: int) -> str:
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"
