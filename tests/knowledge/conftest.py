"""A real database with two twins and two people, and turns that ask in them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert

from tests import databases
from twinspeak.domain.caller import Caller, Scope
from twinspeak.domain.conversation import CourseRef
from twinspeak.domain.credits import FREE
from twinspeak.domain.institution import Institution
from twinspeak.domain.models import ModelSpec
from twinspeak.domain.turn import Ask, Face, TurnPlan
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.tables import accounts, institutions, users

ACCOUNT = "a" * 24
TWINS = {"college": "1" * 24, "museum": "2" * 24}
PEOPLE = {"ann": "c" * 24, "bob": "d" * 24}

MODEL = ModelSpec("local", "local", "local", "Local", context_window=8000, max_output=1000, price=FREE)

MakePlan = Callable[..., TurnPlan]


def scope(person: str, twin: str | None = None) -> Scope:
    return Scope(user_id=PEOPLE[person], institution_id=TWINS[twin] if twin else None)


def _people(tx: Tx) -> None:
    tx.run(insert(accounts), {"id": ACCOUNT, "name": "Account", "created": 1})
    for name, twin in TWINS.items():
        tx.run(
            insert(institutions),
            {"id": twin, "public_id": name, "account_id": ACCOUNT, "name": name, "created": 1},
        )
    for name, person in PEOPLE.items():
        tx.run(
            insert(users),
            {"id": person, "email": f"{name}@example.org", "referral_id": name, "reset_code_id": name, "created": 1},
        )


@pytest.fixture
def db(tmp_path: Path, database: str) -> Iterator[Database]:
    opened = Database.open(databases.url_for(tmp_path))
    opened.write_sync(_people)
    yield opened
    opened.close()


@pytest.fixture
def plan() -> MakePlan:
    """Make the plan of a turn that `person` asks in `twin` (None: outside any twin)."""

    def make(person: str = "ann", twin: str | None = "college") -> TurnPlan:
        caller = Caller(user_id=PEOPLE[person], email=f"{person}@example.org", kind="user", session_id="e" * 24)
        institution = Institution(TWINS[twin], public_id=twin, name=twin, ai_name=twin) if twin else None
        return TurnPlan(
            ask=Ask(turn_id="f" * 24, caller=caller, face=Face.REST, question="?"),
            institution=institution,
            assistant=None,
            course=CourseRef(0),
            history=(),
            model=MODEL,
            output_limit=1000,
            effort="",
            search_vault=True,
            passages_only=False,
            show_thinking=False,
            payer_institution_id=None,
            tool_results_max_chars=4000,
            passages_limit=6,
        )

    return make


@pytest.fixture
def scope_of() -> Callable[..., Scope]:
    return scope
