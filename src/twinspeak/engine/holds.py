"""A turn's credits while it runs: what is held, what has been used, what a further round may cost."""

import msgspec

from twinspeak.domain import credits
from twinspeak.domain.credits import Price, Usage
from twinspeak.domain.errors import InsufficientCredits
from twinspeak.domain.turn import TurnPlan
from twinspeak.engine import prompt
from twinspeak.engine.limits import TurnLimits
from twinspeak.engine.ports import TurnStore


class Bound(msgspec.Struct, frozen=True):
    """What a turn may cost: its prompt in tokens (estimated, on the safe side), and credits for its first round.

    `wanted` is for the whole output limit, `least` for the fewest tokens worth starting for.
    """

    prompt_tokens: int
    wanted: int
    least: int


def bound_of(plan: TurnPlan, *, least_output: int = TurnLimits().least_output) -> Bound:
    """Return the bound of a turn that is planned."""
    price, tokens = price_of(plan), prompt.tokens_before_search(plan)
    return Bound(
        prompt_tokens=tokens,
        wanted=credits.bound_for(tokens, plan.output_limit, price),
        least=credits.bound_for(tokens, min(least_output, plan.output_limit), price),
    )


def output_for(plan: TurnPlan, available: int) -> int:
    """Return the output tokens that a turn would get if its payer can hold `available` credits."""
    tokens, price = prompt.tokens_before_search(plan), price_of(plan)
    affordable = credits.output_within(available * credits.MICRO, tokens, price)
    return plan.output_limit if affordable is None else min(plan.output_limit, affordable)


def price_of(plan: TurnPlan) -> Price:
    """Return the rates of the turn's model; nothing is charged for a search without a model."""
    return credits.FREE if plan.passages_only else plan.model.price


class Purse:
    """The hold of one turn. Amounts are credits, limits are output tokens."""

    def __init__(self, plan: TurnPlan, store: TurnStore, *, least_output: int) -> None:
        """Nothing is held yet."""
        self._plan = plan
        self._store = store
        self._least_output = least_output
        self.held = 0

    @property
    def price(self) -> Price:
        """The rates of the turn's model; nothing is charged for a search without a model."""
        return price_of(self._plan)

    async def switch(self, plan: TurnPlan) -> None:
        """Go on with the model of `plan`, at its price; what is held for the one before is kept for it."""
        await self._store.switch(plan)
        self._plan = plan

    async def open(self) -> None:
        """Write the turn's row and hold a bound for its first round. Raises InsufficientCredits."""
        bound = bound_of(self._plan, least_output=self._least_output)
        self.held = await self._store.begin(self._plan, wanted=bound.wanted, least=bound.least)

    async def output_limit(self, used: Usage, prompt_tokens: int) -> int:
        """Return how many output tokens the next round may have, holding more for it where that is needed.

        Raises InsufficientCredits when the payer cannot hold enough for a round worth having.
        """
        limit = self._plan.output_limit
        if self.price.free:
            return limit
        after = used.plus(Usage(input=prompt_tokens, completion=limit))
        missing = credits.charge_for(after, self.price, produced=True) - self.held
        if missing > 0:
            self.held += await self._store.extend(self._plan.ask.turn_id, by=missing)
        left = self.held * credits.MICRO - credits.micro(used, self.price)
        affordable = credits.output_within(left, prompt_tokens, self.price)
        limit = limit if affordable is None else min(limit, affordable)
        if limit < min(self._least_output, self._plan.output_limit):
            raise InsufficientCredits
        return limit

    def charge(self, usage: Usage, *, produced: bool) -> int:
        """Return what the turn costs, at most what is held."""
        return min(self.held, credits.charge_for(usage, self.price, produced=produced))
