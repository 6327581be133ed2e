"""A turn's credits while it runs: what is held, what has been used, what a further round may cost."""

from twinspeak.domain import credits
from twinspeak.domain.credits import Price, Usage
from twinspeak.domain.errors import InsufficientCredits
from twinspeak.domain.turn import TurnPlan
from twinspeak.engine.ports import TurnStore


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
        return credits.FREE if self._plan.passages_only else self._plan.model.price

    async def open(self, prompt_tokens: int) -> None:
        """Write the turn's row and hold a bound for its first round. Raises InsufficientCredits."""
        wanted = credits.bound_for(prompt_tokens, self._plan.output_limit, self.price)
        least = credits.bound_for(prompt_tokens, min(self._least_output, self._plan.output_limit), self.price)
        self.held = await self._store.begin(self._plan, wanted=wanted, least=least)

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
