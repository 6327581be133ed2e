"""Rate limits: never more than the limit in any window, and nobody waits much longer than a window."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinspeak.domain.errors import RateLimited
from twinspeak.services.rate_limits import RateLimits, Rule, Standing, address_key


class Clock:
    def __init__(self, at: float = 1_000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


RULE = Rule("test", 3, 60)


def test_the_limit_holds_and_says_when_to_come_back():
    now = Clock()
    limits = RateLimits(now=now)
    assert limits.take("a", RULE).remaining == 2
    now.at += 30
    assert limits.take("a", RULE).remaining == 1
    assert limits.take("a", RULE).remaining == 0
    with pytest.raises(RateLimited) as caught:
        limits.take("a", RULE)
    wait = caught.value.retry_after_s
    assert wait is not None
    assert 30 <= wait <= 37
    now.at += wait
    assert limits.take("a", RULE).remaining == 0
    with pytest.raises(RateLimited):
        limits.take("a", RULE)


def test_keys_and_rules_do_not_meddle():
    limits = RateLimits(now=Clock())
    for _ in range(3):
        limits.take("a", RULE)
    assert limits.take("b", RULE).remaining == 2
    assert limits.take("a", Rule("other", 3)).remaining == 2


def test_being_refused_costs_nothing():
    now = Clock()
    limits = RateLimits(now=now)
    for _ in range(3):
        limits.take("a", RULE)
    for _ in range(100):
        now.at += 0.5
        with pytest.raises(RateLimited):
            limits.take("a", RULE)
    now.at += 16
    assert limits.take("a", RULE).remaining == 2


def test_a_refund_gives_the_place_back_and_never_more():
    limits = RateLimits(now=Clock())
    limits.take("a", RULE)
    assert limits.refund("a", RULE) == Standing(limit=3, remaining=3, reset_s=0)
    assert limits.refund("a", RULE).remaining == 3
    for _ in range(3):
        limits.take("a", RULE)
    with pytest.raises(RateLimited):
        limits.take("a", RULE)


def test_looking_does_not_count():
    limits = RateLimits(now=Clock())
    limits.take("a", RULE)
    for _ in range(5):
        assert limits.standing("a", RULE).remaining == 2
    assert limits.standing("b", RULE) == Standing(limit=3, remaining=3, reset_s=0)


def test_after_the_reset_everything_is_free():
    now = Clock()
    limits = RateLimits(now=now)
    limits.take("a", RULE)
    now.at += 7
    reset = limits.take("a", RULE).reset_s
    now.at += reset
    assert limits.standing("a", RULE).remaining == 3


def test_memory_is_bounded_and_those_seen_last_stay():
    limits = RateLimits(max_keys=10, now=Clock())
    limits.take("old", RULE)
    limits.take("busy", RULE)
    for number in range(100):
        limits.take(f"other {number}", RULE)
        limits.refund("nobody", RULE)
        limits.standing(f"looked at {number}", RULE)
        if number == 5:
            limits.take("busy", RULE)
        if number == 12:
            assert limits.standing("busy", RULE).remaining == 1
            assert limits.standing("old", RULE).remaining == 3
    assert len(limits._counters) == 10
    assert limits.standing("other 99", RULE).remaining == 2
    assert limits.standing("busy", RULE).remaining == 3


@given(st.lists(st.floats(min_value=0, max_value=40), max_size=80), st.integers(min_value=1, max_value=6))
def test_no_window_holds_more_than_the_limit(gaps: list[float], limit: int):
    now = Clock()
    limits = RateLimits(now=now)
    rule = Rule("any", limit, 60)
    taken: list[float] = []
    for gap in gaps:
        now.at += gap
        wait = refused_for(limits, rule)
        if wait is None:
            taken.append(now.at)
            assert 0 <= limits.standing("a", rule).remaining < limit
        else:
            assert 1 <= wait <= 67
            assert len([at for at in taken if at > now.at - 66]) >= limit
        assert len([at for at in taken if at > now.at - 60]) <= limit


def refused_for(limits: RateLimits, rule: Rule) -> int | None:
    try:
        limits.take("a", rule)
    except RateLimited as error:
        return error.retry_after_s
    return None


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_an_address_counts_as_its_network(address: str, key: str):
    assert address_key(address) == key
