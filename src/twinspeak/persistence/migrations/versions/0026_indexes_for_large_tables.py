"""Indexes by which large tables are asked, and none that mislead (docs/decisions/047, 049)."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Let records of a model, an assistant or with a thumb be read newest first; passages go by their documents."""
    op.create_index(op.f("ix_turns_institution_id_model_number"), "turns", ["institution_id", "model", "number"])
    op.create_index(op.f("ix_turns_assistant_id_number"), "turns", ["assistant_id", "number"])
    op.drop_index(op.f("ix_turns_assistant_id"), table_name="turns")
    thumbed = sa.text("thumb <> ''")
    op.drop_index("ix_turns_thumbed", table_name="turns")
    op.create_index(
        "ix_turns_thumbed",
        "turns",
        ["institution_id", "number", "id", "state"],
        sqlite_where=thumbed,
        postgresql_where=thumbed,
    )
    for owner in ("institution_id", "user_id"):
        op.drop_index(op.f(f"ix_chunks_{owner}"), table_name="chunks")
