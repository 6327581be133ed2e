"""What the tests of `services.turn_store` share: a world, a store over it, and ends of turns."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests import databases
from tests.persistence.world import World, settle_in
from twinspeak.domain.credits import Usage
from twinspeak.domain.turn import Failure, TurnEnd, TurnPlan, TurnState
from twinspeak.persistence.db import Database
from twinspeak.persistence.repos import wallets

USED = Usage(input=10_000, cached=0, completion=20_000)


@contextmanager
def opened(folder: Path, *, credits: int = 50) -> Generator[World]:
    """Open a new database with people in it; at the end its books must be right."""
    db = Database.open(databases.url_for(folder))
    yield settle_in(db, credits=credits)
    assert db.read_sync(wallets.discrepancies) == []
    db.close()


def url_of(world: World) -> str:
    return world.db._engines[0].url.render_as_string(hide_password=False)


def end_of(plan: TurnPlan, state: TurnState = TurnState.DONE, *, charge: int = 3, output: str = "Because.") -> TurnEnd:
    return TurnEnd(
        turn_id=plan.ask.turn_id,
        state=state,
        output=output,
        usage=USED,
        charge=charge,
        duration_ms=1_200,
        first_token_ms=300,
        failure=Failure(code="provider_failed", status=502, type="api_error", message="Sorry.")
        if state is TurnState.FAILED
        else None,
    )


def wallet_of(world: World, kind: str, owner: str) -> wallets.Wallet:
    return world.db.write_sync(lambda tx: wallets.ensure(tx, kind, owner))
