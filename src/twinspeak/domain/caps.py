"""Credit caps: how much of its twins' credits an account, or a twin, lets one person spend.

One evaluator for the gauge and for the block (product 4): `evaluate`. Everything is whole credits.
"""

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from twinspeak.domain.clock import iso
from twinspeak.domain.errors import CallerError

NO_CAP = -1
"""A cap that does not exist; 0 lets nothing be spent at all."""
WINDOW_MS = 86_400_000


class CapKind(StrEnum):
    """What a cap is about: any 24 hours, one twin for ever, all twins of the account for ever."""

    H24 = "h24"
    INSTITUTION = "institution"
    ACCOUNT = "account"


class UsageCapReached(CallerError):
    """`details`: `capType`, `source`, `used`, `cap`, `left` and `resetAt`, which is null when time does not help."""

    code = "usage_cap_reached"
    status = 402
    type = "insufficient_quota"
    default = "You have used what you may spend of this digital twin's credits."


class Charge(msgspec.Struct, frozen=True):
    """What was paid for one turn, and when."""

    at: int
    credits: int


class Cap(msgspec.Struct, frozen=True):
    """One cap with what counts against it: `spent` is paid, `held` what running turns may yet cost.

    `source` is the tier that set it, account or institution. `charges` are the paid ones of the last 24 hours, for
    `CapKind.H24`, oldest first.
    """

    kind: CapKind
    source: str
    limit: int
    spent: int
    held: int = 0
    charges: tuple[Charge, ...] = ()

    @property
    def used(self) -> int:
        """What counts against it."""
        return self.spent + self.held

    @property
    def left(self) -> int:
        """What may still be spent, never below 0."""
        return max(0, self.limit - self.used)

    @property
    def reset_at(self) -> int | None:
        """When something can be spent again, or more than now: epoch milliseconds; None when time does not help."""
        used = self.used
        for charge in self.charges:
            used -= charge.credits
            if used < self.limit:
                return charge.at + WINDOW_MS
        return None


class Standing(msgspec.Struct, frozen=True):
    """How somebody stands in a twin: all caps that hold there, none where nothing is capped."""

    caps: tuple[Cap, ...] = ()

    @property
    def blocking(self) -> Cap | None:
        """The cap that lets nothing more be spent. Of several, one that time does not lift."""
        reached = [cap for cap in self.caps if cap.left == 0]
        return min(reached, key=_lasting) if reached else None

    @property
    def left(self) -> int | None:
        """What may still be spent; None: as much as there is."""
        return min((cap.left for cap in self.caps), default=None)

    @property
    def source(self) -> str:
        """Which tier set what blocks, else what is the nearest to it: account, institution or none."""
        nearest = self.blocking or min(self.caps, key=lambda cap: cap.left, default=None)
        return "none" if nearest is None else nearest.source

    def gauge(self, kind: CapKind) -> Cap | None:
        """Return the tightest cap of a kind."""
        return min((cap for cap in self.caps if cap.kind is kind), key=lambda cap: cap.left, default=None)

    def room_for(self, wanted: int, *, least: int) -> int:
        """Return how much of `wanted` may be spent; what costs nothing is not held up.

        Raises UsageCapReached when that is less than `least`, or nothing.
        """
        left = self.left
        if left is None or wanted <= 0:
            return wanted
        if left < max(1, least):
            raise refusal(self.blocking or min(self.caps, key=lambda cap: cap.left))
        return min(wanted, left)


def refusal(cap: Cap) -> UsageCapReached:
    """Return what to tell somebody whom a cap stops."""
    return UsageCapReached(
        details={
            "capType": str(cap.kind),
            "source": cap.source,
            "used": cap.used,
            "cap": cap.limit,
            "left": cap.left,
            "resetAt": None if cap.reset_at is None else iso(cap.reset_at),
        }
    )


def _lasting(cap: Cap) -> tuple[int, int]:
    order: Sequence[CapKind] = (CapKind.ACCOUNT, CapKind.INSTITUTION, CapKind.H24)
    return (order.index(cap.kind), -(cap.reset_at or 0))
