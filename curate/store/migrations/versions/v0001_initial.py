"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Byte order on every database.
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "artifacts",
        sa.Column("stage", KEY, nullable=False),
        sa.Column("key", KEY, nullable=False),
        sa.Column("input_hash", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("stage", "key", name="pk_artifacts"),
    )
    op.create_table(
        "client_acks",
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("client_id", name="pk_client_acks"),
    )
    op.create_table(
        "decisions",
        sa.Column(
            "sequence",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("id", KEY, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reviewer", KEY, nullable=False),
        sa.Column("issue_id", KEY, nullable=True),
        sa.Column("annotation_id", KEY, nullable=True),
        sa.Column("undoes", KEY, nullable=True),
        sa.Column("undone_by", KEY, nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("effects", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["undoes"], ["decisions.id"], name="fk_decisions_undoes_decisions"),
        sa.ForeignKeyConstraint(["undone_by"], ["decisions.id"], name="fk_decisions_undone_by_decisions"),
        sa.PrimaryKeyConstraint("sequence", name="pk_decisions"),
        sa.UniqueConstraint("id", name="uq_decisions_id"),
    )
    op.create_index("ix_decisions_created_at", "decisions", ["created_at"], unique=False)
    op.create_index("ix_decisions_issue", "decisions", ["issue_id"], unique=False)
    op.create_index("ix_decisions_reviewer", "decisions", ["reviewer", "sequence"], unique=False)
    op.create_table(
        "frames",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("camera", sa.Text(), nullable=False),
        sa.Column("clip", KEY, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("captured_at", sa.Double(), nullable=False),
        sa.Column("wall_time", sa.Boolean(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("excluded", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_frames"),
        sa.UniqueConstraint("name", name="uq_frames_name"),
    )
    op.create_index("ix_frames_order", "frames", ["clip", "position", "id"], unique=False)
    op.create_table(
        "gold_sets",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_gold_sets"),
        sa.UniqueConstraint("name", "revision", name="uq_gold_sets_name_revision"),
    )
    op.create_table(
        "jobs",
        sa.Column("id", KEY, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("params", sa.Text(), nullable=False),
        sa.Column("state", KEY, nullable=False),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("eta", sa.Double(), nullable=True),
        sa.Column("heartbeat", sa.Double(), nullable=True),
        sa.Column("pid", sa.Integer(), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_state", "jobs", ["state", "created_at"], unique=False)
    op.create_table(
        "quarantine",
        sa.Column("source", KEY, nullable=False),
        sa.Column("item", KEY, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("source", "item", name="pk_quarantine"),
    )
    op.create_table(
        "settings",
        sa.Column("key", KEY, nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_settings"),
    )
    op.create_table(
        "versions",
        sa.Column("id", KEY, nullable=False),
        sa.Column("content_hash", KEY, nullable=False),
        sa.Column("parent", KEY, nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("labels", sa.Integer(), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["parent"], ["versions.id"], name="fk_versions_parent_versions"),
        sa.PrimaryKeyConstraint("id", name="pk_versions"),
        sa.UniqueConstraint("content_hash", name="uq_versions_content_hash"),
    )
    op.create_table(
        "annotation_revisions",
        sa.Column("annotation_id", KEY, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("parent", sa.Integer(), nullable=True),
        sa.Column("content_of", sa.Integer(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("frame_id", KEY, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("x1", sa.Double(), nullable=False),
        sa.Column("y1", sa.Double(), nullable=False),
        sa.Column("x2", sa.Double(), nullable=False),
        sa.Column("y2", sa.Double(), nullable=False),
        sa.Column("mask", sa.Text(), nullable=True),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("track_id", sa.Text(), nullable=True),
        sa.Column("iscrowd", sa.Boolean(), nullable=False),
        sa.Column("occluded", sa.Boolean(), nullable=False),
        sa.Column("difficult", sa.Boolean(), nullable=False),
        sa.Column("ignore", sa.Boolean(), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("decision_id", KEY, nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name="fk_annotation_revisions_decision_id_decisions"
        ),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name="fk_annotation_revisions_frame_id_frames"),
        sa.PrimaryKeyConstraint("annotation_id", "revision", name="pk_annotation_revisions"),
    )
    op.create_index("ix_annotation_revisions_decision", "annotation_revisions", ["decision_id"], unique=False)
    op.create_table(
        "frame_aliases",
        sa.Column("name", KEY, nullable=False),
        sa.Column("frame_id", KEY, nullable=False),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name="fk_frame_aliases_frame_id_frames"),
        sa.PrimaryKeyConstraint("name", name="pk_frame_aliases"),
    )
    op.create_table(
        "runs",
        sa.Column("id", KEY, nullable=False),
        sa.Column("version_id", KEY, nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name="fk_runs_version_id_versions"),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index("ix_runs_version", "runs", ["version_id"], unique=False)
    op.create_table(
        "annotations",
        sa.Column("id", KEY, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("content_of", sa.Integer(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("frame_id", KEY, nullable=False),
        sa.Column("source", KEY, nullable=False),
        sa.Column("label", KEY, nullable=False),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name="fk_annotations_frame_id_frames"),
        sa.ForeignKeyConstraint(
            ["id", "revision"],
            ["annotation_revisions.annotation_id", "annotation_revisions.revision"],
            name="fk_annotations_head",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_annotations"),
    )
    op.create_index("ix_annotations_frame", "annotations", ["frame_id", "deleted", "id"], unique=False)
    op.create_index(
        "ix_annotations_source", "annotations", ["source", "deleted", "frame_id", "id", "label"], unique=False
    )
    op.create_table(
        "evaluations",
        sa.Column("id", KEY, nullable=False),
        sa.Column("run_id", KEY, nullable=False),
        sa.Column("gold_id", KEY, nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("metrics", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["gold_id"], ["gold_sets.id"], name="fk_evaluations_gold_id_gold_sets"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_evaluations_run_id_runs"),
        sa.PrimaryKeyConstraint("id", name="pk_evaluations"),
    )
    op.create_index("ix_evaluations_gold", "evaluations", ["gold_id"], unique=False)
    op.create_index("ix_evaluations_run", "evaluations", ["run_id"], unique=False)
    op.create_table(
        "issues",
        sa.Column("id", KEY, nullable=False),
        sa.Column("type", KEY, nullable=False),
        sa.Column("state", KEY, nullable=False),
        sa.Column("frame_id", KEY, nullable=False),
        sa.Column("annotation_id", KEY, nullable=True),
        sa.Column("annotation_revision", sa.Integer(), nullable=True),
        sa.Column("group_id", KEY, nullable=True),
        sa.Column("label", KEY, nullable=True),
        sa.Column("severity", sa.Double(), nullable=False),
        sa.Column("probability", sa.Double(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("decision_id", KEY, nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["annotation_id"], ["annotations.id"], name="fk_issues_annotation_id_annotations"
        ),
        sa.ForeignKeyConstraint(["decision_id"], ["decisions.id"], name="fk_issues_decision_id_decisions"),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name="fk_issues_frame_id_frames"),
        sa.PrimaryKeyConstraint("id", name="pk_issues"),
    )
    op.create_index("ix_issues_annotation", "issues", ["annotation_id", "state"], unique=False)
    op.create_index("ix_issues_decision", "issues", ["decision_id"], unique=False)
    op.create_index(
        "ix_issues_frame",
        "issues",
        ["frame_id", "state", sa.literal_column("severity DESC"), "id"],
        unique=False,
    )
    op.create_index(
        "ix_issues_group",
        "issues",
        ["group_id", "state", sa.literal_column("severity DESC"), "id"],
        unique=False,
    )
    op.create_index(
        "ix_issues_label",
        "issues",
        ["state", "label", sa.literal_column("severity DESC"), "id"],
        unique=False,
    )
    op.create_index(
        "ix_issues_rank", "issues", ["state", sa.literal_column("severity DESC"), "id"], unique=False
    )
    op.create_index(
        "ix_issues_type",
        "issues",
        ["state", "type", sa.literal_column("severity DESC"), "id", "probability"],
        unique=False,
    )
