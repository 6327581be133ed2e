"""Saving the end of a turn, however long the database takes (contract section 4, docs/decisions/021).

The answer does not wait for ever: when the store does not take it within `TurnLimits.save_patience_s`, readers get it
with the balances last known, and the turn waits as `finishing`. It is tried again until the store takes it.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from twinspeak.domain.clock import monotonic
from twinspeak.domain.errors import CodedError, NotFound
from twinspeak.domain.turn import Settlement, TurnEnd
from twinspeak.engine.ports import TurnStore

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 5.0
"""A database that is back is noticed within this, well before anybody else takes the turn for abandoned."""
GIVE_UP_S = 6 * 60 * 60
"""After this the turn is left to the reaper and its checkpoint: something else than an outage is the matter."""

_log = structlog.get_logger(__name__)


async def save(store: TurnStore, end: TurnEnd, *, after: Callable[[], Awaitable[None]]) -> Settlement | None:
    """Call `store.finish` until it answers; None when it never will. It settles once, however often it is called.

    `after` waits for a checkpoint that is being written: nothing of a turn may be written after its end.
    """
    await after()
    began, pause, tries = monotonic(), FIRST_PAUSE_S, 0
    while monotonic() - began < GIVE_UP_S:
        tries += 1
        try:
            settlement = await store.finish(end)
        except NotFound:
            _log.error("turn has no row to be saved in", turn_id=end.turn_id)
            return None
        except CodedError as error:
            _log.warning("turn not saved yet", turn_id=end.turn_id, tries=tries, code=error.code)
        except Exception:  # boundary: whatever the store raises, the turn waits; the row keeps its checkpoint
            tell = _log.exception if tries == 1 else _log.warning
            tell("turn not saved yet", turn_id=end.turn_id, tries=tries)
        else:
            if tries > 1:
                _log.info("turn saved at last", turn_id=end.turn_id, tries=tries)
            return settlement
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE_S, pause * 2)
    _log.error("turn left to the reaper", turn_id=end.turn_id)
    return None
