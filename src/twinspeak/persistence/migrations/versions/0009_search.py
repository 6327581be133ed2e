"""An index of the words of history; what is there already is put into it."""

import sqlalchemy as sa
from alembic import op

from twinspeak.persistence import fulltext
from twinspeak.persistence.columns import CREATE_SEARCH, WORDS_TYPE
from twinspeak.persistence.db import Tx
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.persistence.tables import turns

revision = "0009"
down_revision = "0008"

_TOGETHER = 500


def upgrade() -> None:
    """Add the columns and the index, then go through all turns that have ended."""
    op.add_column("turns", sa.Column("number", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("turns", sa.Column("words", WORDS_TYPE, nullable=True))
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        connection.execute(CREATE_SEARCH)
    _fill(connection)
    op.create_index(op.f("ix_turns_number"), "turns", ["number"], unique=False)
    if connection.dialect.name != "sqlite":
        op.create_index("ix_turns_words", "turns", ["words"], unique=False, postgresql_using="gin")


def _fill(connection: sa.Connection) -> None:
    tx = Tx(connection)
    columns = [turns.c[name] for name in ("id", "created", "user_id", "state", "question", "output")]
    numbered = sa.update(turns).where(turns.c.id == sa.bindparam("turn"))
    numbered = scoped(SYSTEM, numbered.values(number=sa.bindparam("at"), words=sa.bindparam("of")))
    last = ""
    while rows := tx.all(
        scoped(SYSTEM, sa.select(*columns).where(turns.c.id > last).order_by(turns.c.id).limit(_TOGETHER))
    ):
        for row in rows:
            texts = (row.question, row.output)
            number = fulltext.number_of(row.created, row.id)
            ended = row.state not in ("running", "refused")
            words = fulltext.column_of(tx, row.user_id, *texts) if ended else None
            tx.run(numbered, {"turn": row.id, "at": number, "of": words})
            if ended:
                fulltext.index(tx, number, row.user_id, *texts)
        last = rows[-1].id
