"""What the vendors ask, in dollars per million tokens: input, cached input, output. Data only.

Standard rates of the vendors' price lists, read in November 2026 (developers.openai.com/api/docs/pricing,
platform.claude.com/docs/en/about-claude/pricing). Surcharges for very long prompts, cache writes, batch and priority
rates are not in it: what is told as cost is an estimate beside credits, and never what anybody is charged. Whatever is
not here has no known price, and costs 0 in every sum.
"""

from twinspeak.domain.credits import Dollars, Price

_MICRO = 1_000_000
_RATES: dict[str, tuple[float, float, float]] = {
    "gpt-6-luna": (0.10, 0.01, 0.50),
    "gpt-6-sol": (2, 0.20, 10),
    "gpt-6-astra": (10, 1, 50),
    "gpt-6.1-terra": (1, 0.05, 5),
    "gpt-5.6-luna": (0.20, 0.02, 1.20),
    "gpt-5.6-terra": (2, 0.20, 12),
    "gpt-5.4": (2.50, 0.25, 15),
    "gpt-5.4-mini": (0.75, 0.075, 4.50),
    "gpt-5.2": (1.75, 0.175, 14),
    "gpt-5-mini": (0.25, 0.025, 2),
    "gpt-4.1": (2, 0.50, 8),
    "gpt-4o": (2.50, 1.25, 10),
    "gpt-4o-mini": (0.15, 0.075, 0.60),
    "claude-haiku-5-5": (0.10, 0.01, 0.50),
    "claude-sonnet-5-5": (2, 0.10, 10),
    "claude-opus-5-5": (4, 0.20, 20),
    "claude-fable-5-1": (10, 0.25, 50),
    "claude-fable-5": (10, 1, 50),
    "claude-opus-5": (5, 0.50, 25),
    "claude-sonnet-5": (2, 0.20, 10),
    "claude-opus-4-8": (5, 0.50, 25),
    "claude-opus-4-7": (5, 0.50, 25),
    "claude-opus-4-6": (5, 0.50, 25),
    "claude-opus-4-5": (5, 0.50, 25),
    "claude-sonnet-4-6": (3, 0.30, 15),
    "claude-sonnet-4-5": (3, 0.30, 15),
    "claude-haiku-4-5": (1, 0.10, 5),
}


def price_of(name: str) -> Price:
    """Return the default price in credits of a model of a catalogue, with what its vendor asks where that is known."""
    rates = _RATES.get(name)
    if rates is None:
        return Price()
    plain, cached, completion = (round(rate * _MICRO) for rate in rates)
    return Price(dollars=Dollars(input=plain, cached=cached, completion=completion))
