"""Rate limits in memory (contract section 3): never more than `limit` in any window, wherever the window is laid.

Time is cut into slots of a tenth of the window and a count is kept per slot; what is counted is the running slot and
the ten before it. That is a little stricter than an exact log (somebody refused waits up to a tenth longer) and takes a
few numbers per key, however high the limit.
"""

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from twinspeak.domain import clock
from twinspeak.domain.errors import RateLimited

SLOTS = 10
MAX_KEYS = 50_000


class Rule(msgspec.Struct, frozen=True):
    """`limit` events per `window_s` seconds and key; `name` keeps rules apart."""

    name: str
    limit: int
    window_s: int = 60


SIGN_IN = Rule("sign_in", 10)
"""Per address; counts failures only, or a classroom behind one address would lock itself out."""
AUTH = Rule("auth", 100)
"""Per address, the other authentication routes."""
PASSWORD_CHANGE = Rule("password_change", 10)
"""Per user; counts failures only: a stolen token must not become a way to guess the password."""


MAIL = Rule("mail", 5, 3_600)
"""Per address that mail is asked for: nobody's mailbox is to be filled from here."""
CODES = Rule("codes", 20)
"""Per address; counts failures only."""


class Standing(msgspec.Struct, frozen=True):
    """Where a key stands: what the `RateLimit-*` headers tell. In `reset_s` seconds all of the limit is free again."""

    limit: int
    remaining: int
    reset_s: int


class RateLimits:
    """All counters of one server. For the event loop's thread only."""

    def __init__(self, *, max_keys: int = MAX_KEYS, now: Callable[[], float] = clock.monotonic) -> None:
        self._now = now
        self._max_keys = max_keys
        self._counters: OrderedDict[tuple[str, str], dict[int, int]] = OrderedDict()

    def take(self, key: str, rule: Rule) -> Standing:
        """Count one event of `key`.

        Raises RateLimited, counting nothing, when the limit is used up; its `retry_after_s` is when one is free again.
        """
        slot, counts = self._counts(key, rule)
        used = sum(counts.values())
        if used >= rule.limit:
            raise RateLimited(
                retry_after_s=self._free_in(min(counts), rule),
                details={"limit": rule.limit, "window": rule.window_s},
            )
        counts[slot] = counts.get(slot, 0) + 1
        self._counters[rule.name, key] = counts
        self._counters.move_to_end((rule.name, key))
        while len(self._counters) > self._max_keys:
            self._counters.popitem(last=False)
        return self._standing(counts, rule)

    def refund(self, key: str, rule: Rule) -> Standing:
        """Take back the latest event of `key`: it turned out not to count."""
        _, counts = self._counts(key, rule)
        if counts:
            latest = max(counts)
            counts[latest] -= 1
            if not counts[latest]:
                del counts[latest]
        if not counts:
            self._counters.pop((rule.name, key), None)
        return self._standing(counts, rule)

    def standing(self, key: str, rule: Rule) -> Standing:
        """Tell where `key` stands without counting."""
        return self._standing(self._counts(key, rule)[1], rule)

    def _counts(self, key: str, rule: Rule) -> tuple[int, dict[int, int]]:
        slot = int(self._now() * SLOTS / rule.window_s)
        counts = self._counters.get((rule.name, key), {})
        for old in [old for old in counts if old < slot - SLOTS]:
            del counts[old]
        return slot, counts

    def _standing(self, counts: dict[int, int], rule: Rule) -> Standing:
        reset_s = self._free_in(max(counts), rule) if counts else 0
        return Standing(limit=rule.limit, remaining=max(0, rule.limit - sum(counts.values())), reset_s=reset_s)

    def _free_in(self, slot: int, rule: Rule) -> int:
        """Return in how many whole seconds `slot` stops counting; at least 1."""
        ends = (slot + SLOTS + 1) * rule.window_s / SLOTS
        return max(1, math.ceil(ends - self._now()))


def address_key(address: str) -> str:
    """Return what an address counts as: an IPv6 one its /64, for whoever has one address there has all of them."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
