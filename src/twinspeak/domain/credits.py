"""The price of a turn, and what to hold for it before it runs (contract section 5). All amounts are whole credits."""

import msgspec

MICRO = 1_000_000
"""Micro-credits in a credit: rates are micro-credits per token, so prices need no fractions."""


class Dollars(msgspec.Struct, frozen=True):
    """What a vendor asks: micro-dollars per million tokens, so that 2.50 dollars a million are 2,500,000."""

    input: int
    cached: int
    completion: int


class Price(msgspec.Struct, frozen=True):
    """Micro-credits per token. The default is the contract's: 1 credit per 10,000 tokens, cached input at half.

    `dollars` is what the vendor asks of the operator, None where nobody knows; it is told beside credits.
    """

    input: int = 100
    cached: int = 50
    completion: int = 100
    dollars: Dollars | None = None

    @property
    def free(self) -> bool:
        """True when nothing is ever charged, not even the minimum."""
        return not (self.input or self.cached or self.completion)


OWN_KEY = Price(input=60, cached=30, completion=60)
"""Where a twin brings its own key, which pays the vendor: 40 % less (reference runtime-content 9.4)."""
FREE = Price(input=0, cached=0, completion=0)


class Usage(msgspec.Struct, frozen=True):
    """Tokens of a turn over all its rounds: `input` includes `cached`, `completion` includes thinking."""

    input: int = 0
    cached: int = 0
    completion: int = 0
    estimated: bool = False

    @property
    def total(self) -> int:
        """What replies call `usage`."""
        return self.input + self.completion

    def plus(self, other: "Usage") -> "Usage":
        """Add two rounds; an estimate taints the sum."""
        return Usage(
            input=self.input + other.input,
            cached=self.cached + other.cached,
            completion=self.completion + other.completion,
            estimated=self.estimated or other.estimated,
        )


def charge_for(usage: Usage, price: Price, *, produced: bool) -> int:
    """Return the credits of a turn that did not fail: at least 1 once a paid model has produced any output, else 0."""
    if not produced or price.free:
        return 0
    return max(1, _ceil(micro(usage, price)))


def bound_for(prompt_tokens: int, output_tokens: int, price: Price) -> int:
    """Return the credits that a round of at most these tokens can cost: what is held before it starts."""
    if price.free:
        return 0
    return max(1, _ceil(prompt_tokens * price.input + output_tokens * price.completion))


def output_within(micro_left: int, prompt_tokens: int, price: Price) -> int | None:
    """Return how many output tokens `micro_left` micro-credits pay for after the prompt; None = as many as wanted."""
    if price.completion == 0:
        return None
    return max(0, (micro_left - prompt_tokens * price.input) // price.completion)


def estimate_tokens(text: str) -> int:
    """Estimate the tokens of `text` where no vendor counted them: a token per 4 UTF-8 bytes, rounded up.

    Replies say `usageEstimated: true` when a charge rests on this.
    """
    return (len(text.encode("utf-8", "replace")) + 3) // 4


def micro(usage: Usage, price: Price) -> int:
    """Return the price of `usage` in micro-credits, before rounding and minimum."""
    plain = max(0, usage.input - usage.cached)
    return plain * price.input + usage.cached * price.cached + usage.completion * price.completion


def dollars(usage: Usage, price: Price) -> int:
    """Return what the vendor asks for `usage` in micro-dollars, rounded; 0 where that is not known."""
    if price.dollars is None:
        return 0
    rates, plain = price.dollars, max(0, usage.input - usage.cached)
    asked = plain * rates.input + usage.cached * rates.cached + usage.completion * rates.completion
    return (asked + MICRO // 2) // MICRO


def _ceil(amount: int) -> int:
    return -(-amount // MICRO)
