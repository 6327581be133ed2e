"""Two twins and three people: enough for everything that must not mix."""

from dataclasses import dataclass

from twinspeak.domain.caller import Caller, Scope
from twinspeak.domain.conversation import CourseRef
from twinspeak.domain.credits import Price
from twinspeak.domain.ids import new_id, new_uuid
from twinspeak.domain.institution import Institution
from twinspeak.domain.models import ModelSpec
from twinspeak.domain.turn import Ask, Face, TurnPlan
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import institutions, memberships, users

PRICE = Price()
MODEL = ModelSpec(
    id="gpt-x",
    provider="openai",
    wire_name="gpt-x",
    label="X",
    context_window=100_000,
    max_output=4_000,
    price=PRICE,
)


@dataclass(frozen=True)
class World:
    """`ada` and `bob` belong to `oak`, `eve` to `elm`."""

    db: Database
    oak: Institution
    elm: Institution
    ada: str
    bob: str
    eve: str

    def caller(self, user_id: str, institution: Institution | None = None) -> Caller:
        return Caller(
            user_id=user_id,
            email="x@example.org",
            kind="user",
            session_id=new_id(),
            institution_id=institution.id if institution else None,
        )

    def plan(
        self, user_id: str, institution: Institution | None = None, *, course_id: int = 7, question: str = "Why?"
    ) -> TurnPlan:
        ask = Ask(turn_id=new_id(), caller=self.caller(user_id, institution), face=Face.SSE, question=question)
        return TurnPlan(
            ask=ask,
            institution=institution,
            assistant=None,
            course=CourseRef(course_id=course_id, course_name="Talk"),
            history=(),
            model=MODEL,
            output_limit=1_000,
            effort="",
            search_vault=True,
            passages_only=False,
            show_thinking=True,
            payer_institution_id=institution.id if institution and institution.pool_credits else None,
            tool_results_max_chars=4_000,
            passages_limit=6,
        )


def own(user_id: str, institution: Institution | None = None) -> Scope:
    return Scope(user_id=user_id, institution_id=institution.id if institution else None)


def settle_in(db: Database, *, credits: int = 50) -> World:
    def fill(tx: Tx) -> World:
        account = institutions.ensure_account(tx, "Trees")
        twins: list[Institution] = []
        for name, pool in (("Oak", True), ("Elm", False)):
            twin = Institution(id=new_id(), public_id=new_uuid(), name=name, ai_name=name, pool_credits=pool)
            institutions.create(tx, twin, account_id=account, credits=credits)
            twins.append(twin)
        people = [
            users.create(tx, users.NewUser(email=f"{name}@example.org", fname=name), credits=credits).id
            for name in ("ada", "bob", "eve")
        ]
        for person, twin in zip(people, (twins[0], twins[0], twins[1]), strict=True):
            memberships.create(tx, person, twin.id)
        ada, bob, eve = people
        return World(db=db, oak=twins[0], elm=twins[1], ada=ada, bob=bob, eve=eve)

    return db.write_sync(fill)
