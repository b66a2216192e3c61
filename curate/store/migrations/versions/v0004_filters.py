"""Issues know their recording; the queue's indexes hold all that its filters ask for; labels are found by track."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
RANK = (sa.text("severity DESC"), "id")


def upgrade() -> None:
    """Copy the recording of each issue's frame, make the indexes anew."""
    op.add_column("issues", sa.Column("clip", KEY, nullable=True))
    op.execute("UPDATE issues SET clip = (SELECT clip FROM frames WHERE frames.id = issues.frame_id)")
    for name in ("rank", "type", "label"):
        op.drop_index(f"ix_issues_{name}", table_name="issues")
    op.create_index("ix_issues_rank", "issues", ["state", *RANK, "type", "label", "probability"])
    op.create_index("ix_issues_clip", "issues", ["state", "clip", *RANK, "type", "label", "probability"])
    op.create_index("ix_issues_type", "issues", ["state", "type", *RANK, "label", "probability"])
    op.create_index("ix_issues_label", "issues", ["state", "label", *RANK, "type", "probability"])
    op.create_index(
        "ix_annotation_revisions_track",
        "annotation_revisions",
        ["track_id"],
        sqlite_where=sa.text("track_id IS NOT NULL"),
        postgresql_where=sa.text("track_id IS NOT NULL"),
    )
