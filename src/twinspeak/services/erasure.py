"""Erasing what people wrote who have deleted their account, or were deleted (product 6.3; GDPR article 17)."""

import structlog

from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import erasure

_log = structlog.get_logger(__name__)


class Erasure:
    """Does what deletions asked for, a batch at a time, so that nobody waits for it; goes on after a restart."""

    def __init__(self, db: Database) -> None:
        """Keep the database."""
        self._db = db

    async def once(self) -> int:
        """Erase all that is asked for; return how many dialogues that were. Raises Overloaded."""
        done = 0
        for user_id in await self._db.read(erasure.asked):

            def store(tx: Tx, user_id: str = user_id) -> int:
                return erasure.batch(tx, user_id)

            while more := await self._db.write(store):
                done += more
            _log.info("erased", user_id=user_id)
        return done
