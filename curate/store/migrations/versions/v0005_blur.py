"""Pictures that are blurred at ingest are known again by the digest of the clear ones."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table; frames that are there were stored as they came."""
    op.create_table(
        "frame_origins",
        sa.Column("clear_sha256", KEY, nullable=False),
        sa.Column("frame_id", KEY, nullable=False),
        sa.Column("blur", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name="fk_frame_origins_frame_id_frames"),
        sa.PrimaryKeyConstraint("clear_sha256", name="pk_frame_origins"),
    )
    op.create_index("ix_frame_origins_frame", "frame_origins", ["frame_id"], unique=False)
