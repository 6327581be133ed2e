"""Rate limits at the edge: the rules are in services, the headers are here.

`RateLimit-Limit`, `-Remaining` and `-Reset` (seconds) go on every answer of a limited route, `Retry-After` on a refused
one (contract section 3).
"""

from collections.abc import Generator
from contextlib import contextmanager

from starlette.requests import Request
from starlette.responses import Response

from twinspeak.domain.errors import CodedError, RateLimited
from twinspeak.services.rate_limits import Rule, Standing
from twinspeak.transports import wire_names as wire
from twinspeak.transports.services import services_of

_STATE_KEY = "rate_standing"


def take(request: Request, key: str, rule: Rule) -> None:
    """Count this request. Raises RateLimited."""
    limits = services_of(request).limits
    try:
        remember(request, limits.take(key, rule))
    except RateLimited as refusal:
        remember(request, Standing(limit=rule.limit, remaining=0, reset_s=refusal.retry_after_s or rule.window_s))
        raise


@contextmanager
def failures_only(request: Request, key: str, rule: Rule) -> Generator[None]:
    """Count what happens inside only if the caller is at fault: a classroom behind one address signs in at once.

    The count is taken first and given back, so that guesses sent in parallel cannot slip past it together. Raises
    RateLimited.
    """
    take(request, key, rule)
    try:
        yield
    except CodedError as error:
        if error.status >= 500:
            _give_back(request, key, rule)
        raise
    else:
        _give_back(request, key, rule)


def _give_back(request: Request, key: str, rule: Rule) -> None:
    remember(request, services_of(request).limits.refund(key, rule))


def remember(request: Request, standing: Standing) -> None:
    """Note where the caller stands, for `mark`. Of several limits the one nearest its end is told."""
    state = request.scope.setdefault("state", {})
    before: Standing | None = state.get(_STATE_KEY)
    if before is None or before.limit == standing.limit or standing.remaining <= before.remaining:
        state[_STATE_KEY] = standing


def mark(request: Request, response: Response) -> None:
    """Put the headers on an answer, when any limit applied to its request."""
    standing: Standing | None = request.scope.get("state", {}).get(_STATE_KEY)
    if standing is not None:
        response.headers[wire.RATE_LIMIT_LIMIT] = str(standing.limit)
        response.headers[wire.RATE_LIMIT_REMAINING] = str(standing.remaining)
        response.headers[wire.RATE_LIMIT_RESET] = str(standing.reset_s)
