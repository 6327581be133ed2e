"""The pages that some twin lets in."""

from twinspeak.domain import origins
from twinspeak.domain.ids import parse_uuid
from twinspeak.persistence.db import Database
from twinspeak.persistence.repos import institutions


class Origins:
    """Reads the twins' `publicAuthorizedUrls`; who asks often remembers the answer."""

    def __init__(self, db: Database) -> None:
        """Keep the database."""
        self._db = db

    async def allowed(self) -> tuple[str, ...]:
        """Return the union over all active twins, as they were written. Raises Overloaded."""
        return await self._db.read(institutions.authorized_urls)

    async def framers(self, public_id: str) -> tuple[str, ...]:
        """Return the pages that may show a twin in a frame, as a policy names them; none for a twin that is not there.

        Raises Overloaded.
        """
        wanted = parse_uuid(public_id)
        if wanted is None:
            return ()
        twin = await self._db.read(lambda tx: institutions.by_public_id(tx, wanted))
        return origins.sources(twin.public_authorized_urls) if twin is not None else ()
