"""People, twins and turns to play with, made through the public doors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import insert, select, update

from twinspeak.domain.ai_models import AiModel
from twinspeak.domain.assistant import Assistant
from twinspeak.domain.caller import Caller, Scope
from twinspeak.domain.conversation import CourseRef
from twinspeak.domain.credits import FREE, Usage
from twinspeak.domain.errors import ModelUnavailable
from twinspeak.domain.ids import new_id, new_uuid
from twinspeak.domain.institution import Institution
from twinspeak.domain.models import ModelSpec
from twinspeak.domain.people import Membership, User
from twinspeak.domain.turn import Ask, Face, Passage, ThinkingPart, TurnEnd, TurnPlan, TurnState
from twinspeak.identity.passwords import Cost, Passwords
from twinspeak.identity.tokens import Tokens
from twinspeak.persistence.db import Database
from twinspeak.persistence.files import LocalFiles
from twinspeak.persistence.repos import assistants, institutions, memberships, users
from twinspeak.persistence.scope import SYSTEM, ScopedStatement, scoped
from twinspeak.persistence.tables import institutions as institution_table
from twinspeak.persistence.tables import memberships as membership_table
from twinspeak.persistence.tables import turns
from twinspeak.providers.own import describe
from twinspeak.services.asking import Resolver
from twinspeak.services.auth import Auth, SignedIn
from twinspeak.services.rate_limits import RateLimits, Rule
from twinspeak.services.turn_store import TurnStore

PASSWORD = "a good password"
CHEAP = Cost(passes=1, memory_kib=64, lanes=1)


def model(model_id: str, *, max_output: int = 1_000) -> ModelSpec:
    return ModelSpec(
        id=model_id,
        provider="local",
        wire_name=model_id,
        label=model_id,
        context_window=100_000,
        max_output=max_output,
        price=FREE,
    )


class Models:
    """A catalogue of three."""

    default_id = "local"

    def spec(self, model_id: str) -> ModelSpec:
        found = [known for known in self.available() if known.id == model_id]
        if not found:
            raise ModelUnavailable
        return found[0]

    def describe(self, record: AiModel) -> ModelSpec:
        return describe(record)

    def available(self) -> Sequence[ModelSpec]:
        return [model("local"), model("big", max_output=8_000), model("small", max_output=100)]


class Stage:
    """Makes what a test needs; every address may sign in with `PASSWORD`."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.passwords = Passwords(CHEAP)
        self.tokens = Tokens("s" * 32, 3_600)
        self.auth = Auth(db, self.tokens, self.passwords)
        self.limits = RateLimits()
        self.turns = TurnStore(db, lease_s=30, owner="test")
        self._hash = self.passwords.hash_now(PASSWORD)

    def person(self, email: str = "ada@example.org", **columns: Any) -> User:
        new = users.NewUser(email=email, password_hash=self._hash, email_verified=True)
        user = self.db.write_sync(lambda tx: users.create(tx, new, credits=50))
        if columns:
            self.edit(user, **columns)
        return user

    def edit(self, user: User, **columns: Any) -> None:
        self.db.write_sync(lambda tx: users.edit(tx, user.id, columns))

    def twin(self, name: str = "Twin", **fields: Any) -> Institution:
        made = Institution(id=new_id(), public_id=new_uuid(), name=name, ai_name=name, **fields)

        def store(tx: Any) -> None:
            account = institutions.ensure_account(tx, "Account")
            institutions.create(tx, made, account_id=account, credits=50)

        self.db.write_sync(store)
        return made

    def join(
        self,
        user: User,
        twin: Institution,
        *,
        account_type: str = "user",
        active: bool = True,
        verbs: tuple[str, ...] = (),
    ) -> Membership:
        membership = self.db.write_sync(
            lambda tx: memberships.create(tx, user.id, twin.id, account_type=account_type, entitlements=verbs)
        )
        if active:
            self.edit(user, active_institution_id=twin.id)
        return membership

    def set_membership(self, membership: Membership, status: str) -> None:
        changed = update(membership_table).where(membership_table.c.id == membership.id).values(status=status)
        assert self.db.write_sync(lambda tx: tx.change(changed)) == 1

    def set_twin(self, twin: Institution, **columns: Any) -> None:
        changed = update(institution_table).where(institution_table.c.id == twin.id).values(**columns)
        assert self.db.write_sync(lambda tx: tx.change(changed)) == 1

    def assistant(self, name: str, *, of: User | None = None, twin: Institution | None = None, **fields: Any) -> str:
        """Make a person's assistant, a twin's (`of` is who made it), or with neither one for everybody."""
        made = Assistant(id=new_id(), name=name, **fields)
        scope, kind = SYSTEM, "system"
        if of is not None:
            scope = Scope(user_id=of.id, institution_id=twin.id if twin else None)
            kind = "institution" if twin else "personal"
        self.db.write_sync(lambda tx: assistants.create(tx, scope, kind, made))
        return made.id

    async def signed_in(self, email: str = "ada@example.org", password: str = PASSWORD) -> SignedIn:
        opened = await self.auth.sign_in(email, password)
        assert isinstance(opened, SignedIn)
        return opened

    async def caller(self, email: str = "ada@example.org") -> Caller:
        return await self.auth.authenticate((await self.signed_in(email)).token)

    def resolver(self, *, cors_origins: tuple[str, ...] = (), per_twin: int = 1_000) -> Resolver:
        rule = Rule("turns_twin", per_twin)
        files = LocalFiles(Path("none"))  # nothing is read of it before a question encloses a file
        return Resolver(self.db, Models(), self.limits, cors_origins=cors_origins, twin_rule=rule, files=files)

    async def plan(self, caller: Caller, question: str = "Why?", **fields: Any) -> TurnPlan:
        return await self.resolver().resolve(ask(caller, question, **fields))

    async def turn(self, caller: Caller, question: str = "Why?", answer: str = "Because.", **fields: Any) -> str:
        """Run a whole turn; return its id. `course_id` and `state` may be given."""
        state = fields.pop("state", TurnState.DONE)
        if "course_id" in fields:
            fields["course"] = CourseRef(course_id=fields.pop("course_id"))
        plan = await self.plan(caller, question, **fields)
        await self.turns.begin(plan, wanted=0, least=0)
        if state is not TurnState.RUNNING:
            await self.end(plan, answer, state=state)
        return plan.ask.turn_id

    async def end(self, plan: TurnPlan, answer: str, **fields: Any) -> None:
        """Finish a turn that was begun."""
        end = TurnEnd(
            turn_id=plan.ask.turn_id,
            state=TurnState.DONE,
            output=answer,
            usage=Usage(),
            charge=0,
            duration_ms=5,
            first_token_ms=1,
        )
        await self.turns.finish(msgspec.structs.replace(end, **fields))

    async def thoughtful_turn(self, caller: Caller) -> str:
        """Run a turn with reasoning and a source; return its id."""
        plan = await self.plan(caller)
        await self.turns.begin(plan, wanted=0, least=0)
        thought = ThinkingPart(round=0, text="Let me see", signature="s", model="m", duration_ms=12)
        leaves = Passage(number=1, chunk_id=new_id(), document_id=new_id(), document_name="Oaks", text="Leaves. " * 100)
        await self.end(plan, "Well [1].", thinking=(thought,), passages=(leaves,))
        return plan.ask.turn_id

    def row_of(self, turn_id: str) -> Any:
        """Return a turn's row."""
        return self.row(turns, turns.c.id == turn_id)

    def copies(self, row: dict[str, Any], count: int) -> None:
        """Add copies of a turn, one a second, as rows: nobody could ask so often in a test."""
        owners = Scope(user_id=row.pop("user_id"), institution_id=row.pop("institution_id"))
        rows = [
            {
                **row,
                "id": new_id(),
                "created": row["created"] + 1_000 * number,
                "words": None,
                "number": row["number"] + (1_000 * number << 20),
                "question": f"Question {number}?",
            }
            for number in range(1, count + 1)
        ]
        statement = ScopedStatement(insert(turns))

        def store(tx: Any) -> None:
            for one in rows:
                tx.scoped(owners, statement, one)

        self.db.write_sync(store)

    def leave(self, user_id: str, twin_id: str) -> None:
        """End a membership."""
        of_both = (membership_table.c.user_id == user_id, membership_table.c.institution_id == twin_id)
        changed = update(membership_table).where(*of_both).values(status="deleted")
        assert self.db.write_sync(lambda tx: tx.change(changed)) == 1

    def row(self, table: Any, *conditions: Any) -> Any:
        """Return the one row there is."""
        [row] = self.db.read_sync(lambda tx: tx.all(scoped(SYSTEM, select(table).where(*conditions))))
        return row

    def column(self, column: Any, *conditions: Any) -> list[Any]:
        return [
            row[0] for row in self.db.read_sync(lambda tx: tx.all(scoped(SYSTEM, select(column).where(*conditions))))
        ]


def ask(caller: Caller, question: str = "Why?", **fields: Any) -> Ask:
    return msgspec.structs.replace(Ask(turn_id=new_id(), caller=caller, face=Face.REST, question=question), **fields)


class Here:
    """Ada in a twin of hers; Bob in another."""

    def __init__(self, stage: Stage, **twin: Any) -> None:
        self.ada, self.bob = stage.person(fname="Ada", lname="Lovelace"), stage.person("bob@example.org")
        self.twin = stage.twin("Oak", **twin)
        self.other = stage.twin("Elm")
        self.membership = stage.join(self.ada, self.twin)
        stage.join(self.bob, self.other)
