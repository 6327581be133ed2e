"""POST /api/ai/estimate: what a question would cost, before it is asked."""

from typing import Literal

from fastapi import Request
from pydantic import BaseModel, Field

from twinspeak.domain.turn import Face
from twinspeak.engine.holds import bound_of, output_for
from twinspeak.services.rate_limits import Rule
from twinspeak.transports.http import rate
from twinspeak.transports.http.routes import FilesRoute, SignedIn, router, services_of
from twinspeak.transports.question import Question
from twinspeak.transports.rest.models import CreditRates, rates

ROUTER = router("Questions", failures=(401, 403, 404, 429, 503), kind=FilesRoute)


class Estimate(BaseModel):
    """A bound, not a price: the answer is usually shorter. Further rounds, after tools, come on top."""

    success: Literal[True] = True
    model: str = Field(examples=["local"], description="Who would answer.")
    prompt_tokens: int = Field(
        serialization_alias="promptTokens", description="Estimated on the safe side, with history and passages."
    )
    output_limit: int = Field(
        serialization_alias="outputLimit", description="Tokens that the answer may have, with what is available."
    )
    credits: int = Field(description="The most that the first round may cost: what would be held for it.")
    available: int = Field(description="What the payer has and no running turn holds.")
    payer: str = Field(examples=["institution"], description="Whose credits: the twin's, or your own.")
    enough: bool = Field(description="Whether the question would be taken.")
    credits_per_10k_tokens: CreditRates = Field(serialization_alias="creditsPer10kTokens")


@ROUTER.post("/api/ai/estimate", summary="Estimate what a question would cost")
async def estimate(request: Request, caller: SignedIn, question: Question) -> Estimate:
    """Resolve the question as `qanda` would; hold, ask and save nothing."""
    services = services_of(request)
    rate.take(request, caller.user_id, Rule("estimates_user", services.turn_rule.limit, services.turn_rule.window_s))
    seen = await services.preview(question.ask(request, caller, Face.REST))
    plan, bound = seen.plan, bound_of(seen.plan)
    return Estimate(
        model=plan.model.id,
        prompt_tokens=bound.prompt_tokens,
        output_limit=output_for(plan, seen.available),
        credits=bound.wanted,
        available=seen.available,
        payer=seen.payer,
        enough=seen.available >= bound.least,
        credits_per_10k_tokens=rates(plan.model.price),
    )
