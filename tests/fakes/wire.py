"""What tests need of a vendor's wire to run whole turns over it: how to point the server there, answers, a judge.

The upstream is `tests.fakes.upstream.Upstream`; a wire brings its bytes and its documented schema.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.upstream import Exchange, Reply, Step

KEY = "key-test-1234567890"
THOUGHT = "The vault may know. "
ANSWER = "Grüße, it is a model [1] of a person 👋."
QUERY = {"query": "digital twin", "limit": 3}


@dataclass(frozen=True)
class Counted:
    """Tokens of the two rounds, added up as contract section 4 says."""

    input: int
    cached: int
    completion: int


@dataclass(frozen=True)
class Wire:
    """A vendor's wire.

    `settings(port)` are the server's, in the environment's names. `asks` answers with thinking (`THOUGHT`) and a call
    of `search_uploads` with `QUERY`; `answers` with `ANSWER`. `opening` is the beginning of an answer, "Half", that
    does not end. `check` raises when a request is not as the vendor documents it; `check_second` when the second one
    does not carry back what the first answer had to be carried back. `refusals`: error answers by what they are.
    `shows_thinking`: the contract lets its reasoning be seen.
    """

    name: str
    model: str
    settings: Callable[[int], dict[str, Any]]
    asks: Callable[[], Reply]
    answers: Callable[[], Reply]
    opening: Callable[[], list[Step]]
    check: Callable[[Exchange], None]
    check_second: Callable[[Exchange], None]
    counted: Counted
    refusals: Mapping[str, Reply] = field(default_factory=dict)
    shows_thinking: bool = True


def only_json(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Reply:
    """An answer that is no stream."""
    return Reply([body], status, {"Content-Type": "application/json", **(headers or {})})
