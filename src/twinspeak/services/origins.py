"""The pages that some twin lets in."""

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
