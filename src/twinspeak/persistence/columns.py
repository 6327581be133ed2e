"""The columns, checks and tables that `tables.py` is made of."""

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    event,
)
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.schema import SchemaItem

from twinspeak.persistence.text import Words

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

BIG_ID = BigInteger().with_variant(Integer, "sqlite")
"""A counting key: only INTEGER counts by itself on SQLite."""


WORDS_TYPE = Text().with_variant(TSVECTOR(), "postgresql")
"""Of `turns.words`, which PostgreSQL alone fills: see `fulltext.py`."""
CREATE_SEARCH = DDL(
    "CREATE VIRTUAL TABLE turn_search USING fts5(words, content='', detail=none, columnsize=0, tokenize='ascii')"
)
"""SQLite's index of the same, by `turns.number`. It keeps no texts."""
event.listen(metadata, "after_create", CREATE_SEARCH.execute_if(dialect="sqlite"))


def id_(name: str = "id") -> Column[str]:
    """An id that is the key."""
    return Column(name, Words(24), primary_key=True)


def ref(name: str, target: str, *, null: bool = False) -> Column[str]:
    """The id of a row of another table."""
    return Column(name, Words(24), ForeignKey(f"{target}.id"), nullable=null)


def text_(name: str, default: str = "") -> Column[str]:
    """Text of any length."""
    return Column(name, Words(), nullable=False, default=default, server_default=default)


def word(name: str, default: str | None = None, *, null: bool = False) -> Column[str]:
    """A short word."""
    return Column(name, Words(100), nullable=null, default=default, server_default=default)


def int_(name: str, default: int = 0) -> Column[int]:
    """A whole number."""
    return Column(name, BigInteger, nullable=False, default=default, server_default=str(default))


def time_(name: str, *, null: bool = False) -> Column[int]:
    """Epoch milliseconds."""
    return Column(name, BigInteger, nullable=null)


def flag(name: str, *, default: bool = False) -> Column[bool]:
    """A switch."""
    return Column(name, Boolean, nullable=False, default=default, server_default="1" if default else "0")


def maybe(name: str) -> Column[bool]:
    """A switch that may say nothing."""
    return Column(name, Boolean, nullable=True)


def one_of(column: str, *words: str) -> CheckConstraint:
    """Refuse all but these words."""
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def table(name: str, *parts: SchemaItem, tenant: str | None = None) -> Table:
    """Make a table; `tenant` is the kind of ownership, see `scope.py`."""
    return Table(name, metadata, *parts, info={"tenant": tenant} if tenant else {})
