"""Indexes by which large tables are asked, and none that mislead (docs/decisions/047, 049)."""

from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Let a model's and an assistant's records be read newest first; passages go by their documents."""
    op.create_index(op.f("ix_turns_institution_id_model_number"), "turns", ["institution_id", "model", "number"])
    op.create_index(op.f("ix_turns_assistant_id_number"), "turns", ["assistant_id", "number"])
    op.drop_index(op.f("ix_turns_assistant_id"), table_name="turns")
    for owner in ("institution_id", "user_id"):
        op.drop_index(op.f(f"ix_chunks_{owner}"), table_name="chunks")
