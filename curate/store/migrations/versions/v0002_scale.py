"""Manifests in compressed parts, counts kept beside what they count, backups that purge must know."""

from __future__ import annotations

import zlib

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
PART = 1 << 20


def upgrade() -> None:
    """Move the manifests, count what is there."""
    op.create_table(
        "version_parts",
        sa.Column("version_id", KEY, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name="fk_version_parts_version_id_versions"),
        sa.PrimaryKeyConstraint("version_id", "number", name="pk_version_parts"),
    )
    op.create_table(
        "issue_tallies",
        sa.Column("type", KEY, nullable=False),
        sa.Column("state", KEY, nullable=False),
        sa.Column("verdict", KEY, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("expected", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("type", "state", "verdict", name="pk_issue_tallies"),
    )
    op.create_table(
        "source_tallies",
        sa.Column("source", KEY, nullable=False),
        sa.Column("labels", sa.BigInteger(), nullable=False),
        sa.Column("frames", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", name="pk_source_tallies"),
    )
    op.create_table(
        "backups",
        sa.Column("path", KEY, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("path", name="pk_backups"),
    )
    op.create_index("ix_frames_excluded", "frames", ["excluded"], unique=False)
    _move_manifests(op.get_bind())
    op.drop_column("versions", "manifest")
    _count(op.get_bind())


def _move_manifests(connection: sa.Connection) -> None:
    for version_id in connection.execute(sa.text("SELECT id FROM versions")).scalars().all():
        query = sa.text("SELECT manifest FROM versions WHERE id = :id")
        content = str(connection.execute(query, {"id": version_id}).scalar_one()).encode()
        rows = [
            {"id": version_id, "number": number, "content": zlib.compress(content[at : at + PART], 6)}
            for number, at in enumerate(range(0, len(content), PART))
        ]
        insert = "INSERT INTO version_parts (version_id, number, content) VALUES (:id, :number, :content)"
        connection.execute(sa.text(insert), rows)


def _count(connection: sa.Connection) -> None:
    connection.execute(
        sa.text(
            "INSERT INTO issue_tallies (type, state, verdict, count, expected) "
            "SELECT i.type, i.state, COALESCE(d.kind, ''), COUNT(*), SUM(i.probability) "
            "FROM issues i LEFT JOIN decisions d ON d.id = i.decision_id "
            "GROUP BY i.type, i.state, COALESCE(d.kind, '')"
        )
    )
    connection.execute(
        sa.text(
            "INSERT INTO source_tallies (source, labels, frames) "
            "SELECT source, COUNT(*), COUNT(DISTINCT frame_id) FROM annotations "
            "WHERE NOT deleted GROUP BY source"
        )
    )
