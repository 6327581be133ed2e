"""A turn for tools to run in."""

from collections.abc import Callable

import msgspec
import pytest

from twinspeak.domain.caller import Caller
from twinspeak.domain.conversation import CourseRef
from twinspeak.domain.credits import FREE
from twinspeak.domain.events import DisplayInfo
from twinspeak.domain.models import ModelSpec
from twinspeak.domain.tools import Material
from twinspeak.domain.turn import Ask, Face, TurnPlan
from twinspeak.engine.material import of_plan

CALLER = Caller(user_id="c" * 24, email="ann@example.org", kind="user", session_id="e" * 24)
MODEL = ModelSpec("m", "p", "m", "M", context_window=8000, max_output=1000, price=FREE)


class Context:
    """What a tool sees of its turn; remembers the progress that was told."""

    def __init__(self, plan: TurnPlan) -> None:
        self.plan = plan
        self.told: list[tuple[str, float | None]] = []
        self.held: list[Material] = []
        self.calls = 1

    def material(self) -> list[Material]:
        return [*of_plan(self.plan), *self.held]

    def begun(self, name: str) -> int:
        return self.calls

    def progress(self, call_id: str, display: DisplayInfo, fraction: float | None) -> None:
        self.told.append((call_id, fraction))


@pytest.fixture
def make_context() -> Callable[..., Context]:
    """Make the context of a turn; keywords change its plan, `takes_tools` its model."""

    def make(*, takes_tools: bool = True, search_vault: bool = True, question: str = "?") -> Context:
        plan = TurnPlan(
            ask=Ask(turn_id="f" * 24, caller=CALLER, face=Face.REST, question=question),
            institution=None,
            assistant=None,
            course=CourseRef(0),
            history=(),
            model=msgspec.structs.replace(MODEL, takes_tools=takes_tools),
            output_limit=1000,
            effort="",
            search_vault=search_vault,
            passages_only=False,
            show_thinking=False,
            payer_institution_id=None,
            tool_results_max_chars=4000,
            passages_limit=6,
        )
        return Context(plan)

    return make
