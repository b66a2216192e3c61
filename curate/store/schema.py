"""The tables. Text keys compare byte by byte on every database, so that order and pages are the same.

`annotation_revisions` is append-only: nothing in it is ever changed or taken away. `annotations`
(here `heads`) holds one row a label, the head of its revisions, written in the same transaction.
"""

from __future__ import annotations

import sqlalchemy as sa

__all__ = ["metadata"]

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# PostgreSQL sorts text by language unless told otherwise; SQLite by bytes.
Key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Sequence = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _key(
    name: str, *args: sa.ForeignKey, primary_key: bool = False, nullable: bool = False
) -> sa.Column[str]:
    return sa.Column(name, Key, *args, primary_key=primary_key, nullable=nullable)


def _json(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=nullable)


settings = sa.Table("settings", metadata, _key("key", primary_key=True), _json("value"))

frames = sa.Table(
    "frames",
    metadata,
    _key("id", primary_key=True),
    sa.Column("name", Key, nullable=False, unique=True),
    sa.Column("camera", sa.Text, nullable=False),
    _key("clip"),
    sa.Column("position", sa.Integer, nullable=False),
    _time("captured_at"),
    sa.Column("wall_time", sa.Boolean, nullable=False),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("excluded", sa.Boolean, nullable=False),
    sa.Index("ix_frames_order", "clip", "position", "id"),
    sa.Index("ix_frames_excluded", "excluded"),
)

frame_aliases = sa.Table(
    "frame_aliases",
    metadata,
    _key("name", primary_key=True),
    _key("frame_id", sa.ForeignKey("frames.id")),
)

# Pictures that were blurred before they were stored: the digest of the clear one, by which it is known again.
frame_origins = sa.Table(
    "frame_origins",
    metadata,
    _key("clear_sha256", primary_key=True),
    _key("frame_id", sa.ForeignKey("frames.id")),
    _json("blur"),
    sa.Index("ix_frame_origins_frame", "frame_id"),
)

quarantine = sa.Table(
    "quarantine",
    metadata,
    _key("source", primary_key=True),
    _key("item", primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
    _time("created_at"),
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("sequence", Sequence, primary_key=True, autoincrement=True),
    sa.Column("id", Key, nullable=False, unique=True),
    sa.Column("kind", sa.Text, nullable=False),
    _key("reviewer"),
    _key("issue_id", nullable=True),
    _key("annotation_id", nullable=True),
    _key("undoes", sa.ForeignKey("decisions.id"), nullable=True),
    _key("undone_by", sa.ForeignKey("decisions.id"), nullable=True),
    _time("created_at"),
    _json("payload"),
    _json("effects"),
    sa.Index("ix_decisions_reviewer", "reviewer", "sequence"),
    sa.Index("ix_decisions_issue", "issue_id"),
    sa.Index("ix_decisions_created_at", "created_at"),
)

annotation_revisions = sa.Table(
    "annotation_revisions",
    metadata,
    _key("annotation_id", primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),
    sa.Column("parent", sa.Integer),
    # The first revision with this content: itself, or what an undo brought back.
    sa.Column("content_of", sa.Integer, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False),
    _key("frame_id", sa.ForeignKey("frames.id")),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    *(sa.Column(side, sa.Double, nullable=False) for side in ("x1", "y1", "x2", "y2")),
    _json("mask", nullable=True),
    sa.Column("score", sa.Double),
    sa.Column("track_id", sa.Text),
    *(sa.Column(flag, sa.Boolean, nullable=False) for flag in ("iscrowd", "occluded", "difficult", "ignore")),
    _json("attributes"),
    sa.Column("actor", sa.Text, nullable=False),
    _key("decision_id", sa.ForeignKey("decisions.id"), nullable=True),
    _time("created_at"),
    sa.Index("ix_annotation_revisions_decision", "decision_id"),
)
_tracked = annotation_revisions.c.track_id.is_not(None)
sa.Index(
    "ix_annotation_revisions_track",
    annotation_revisions.c.track_id,
    sqlite_where=_tracked,
    postgresql_where=_tracked,
)

heads = sa.Table(
    "annotations",
    metadata,
    _key("id", primary_key=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("content_of", sa.Integer, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False),
    _key("frame_id", sa.ForeignKey("frames.id")),
    _key("source"),
    _key("label"),
    sa.ForeignKeyConstraint(
        ["id", "revision"],
        ["annotation_revisions.annotation_id", "annotation_revisions.revision"],
        name="fk_annotations_head",
    ),
    sa.Index("ix_annotations_source", "source", "deleted", "frame_id", "id", "label"),
    sa.Index("ix_annotations_frame", "frame_id", "deleted", "id"),
)

issues = sa.Table(
    "issues",
    metadata,
    _key("id", primary_key=True),
    _key("type"),
    _key("state"),
    _key("frame_id", sa.ForeignKey("frames.id")),
    # The frame's recording, once more: pages of one recording are a walk along an index of it.
    _key("clip", nullable=True),
    _key("annotation_id", sa.ForeignKey("annotations.id"), nullable=True),
    # The label's revision that the scan saw.
    sa.Column("annotation_revision", sa.Integer),
    _key("group_id", nullable=True),
    _key("label", nullable=True),
    sa.Column("severity", sa.Double, nullable=False),
    sa.Column("probability", sa.Double, nullable=False),
    _json("payload"),
    # The decision that put the issue into its state; NULL when a scan did.
    _key("decision_id", sa.ForeignKey("decisions.id"), nullable=True),
    _time("created_at"),
    sa.Index("ix_issues_annotation", "annotation_id", "state"),
    sa.Index("ix_issues_decision", "decision_id"),
)
_severity = issues.c.severity.desc()
_ranked = (_severity, issues.c.id)
# Each holds all that the queue's filters ask for: a page behind a rare filter walks a million entries of one index,
# which takes a tenth of a second, and not a million rows.
_type, _label, _probability = issues.c.type, issues.c.label, issues.c.probability
sa.Index("ix_issues_rank", issues.c.state, *_ranked, _type, _label, _probability)
sa.Index("ix_issues_clip", issues.c.state, issues.c.clip, *_ranked, _type, _label, _probability)
sa.Index("ix_issues_type", issues.c.state, _type, *_ranked, _label, _probability)
sa.Index("ix_issues_label", issues.c.state, _label, *_ranked, _type, _probability)
sa.Index("ix_issues_frame", issues.c.frame_id, issues.c.state, *_ranked)
sa.Index("ix_issues_group", issues.c.group_id, issues.c.state, *_ranked)

# How many issues there are of each kind, kept in the same transaction as the issues: counting a million of them
# takes longer than a page may. `verdict` is the kind of the decision behind the state, "" when a scan is.
issue_tallies = sa.Table(
    "issue_tallies",
    metadata,
    _key("type", primary_key=True),
    _key("state", primary_key=True),
    _key("verdict", primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("expected", sa.Double, nullable=False),
)

# The same for current labels and the frames that they are on.
source_tallies = sa.Table(
    "source_tallies",
    metadata,
    _key("source", primary_key=True),
    sa.Column("labels", sa.BigInteger, nullable=False),
    sa.Column("frames", sa.BigInteger, nullable=False),
)

# Backup files that this database was written to: what is purged is purged from them too.
backups = sa.Table(
    "backups",
    metadata,
    _key("path", primary_key=True),
    sa.Column("sha256", sa.Text, nullable=False),
    _time("created_at"),
)

client_acks = sa.Table(
    "client_acks",
    metadata,
    _key("client_id", primary_key=True),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    _time("updated_at"),
)

artifacts = sa.Table(
    "artifacts",
    metadata,
    _key("stage", primary_key=True),
    _key("key", primary_key=True),
    sa.Column("input_hash", sa.Text, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    _time("created_at"),
)

gold_sets = sa.Table(
    "gold_sets",
    metadata,
    _key("id", primary_key=True),
    _key("name"),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("content_hash", sa.Text, nullable=False),
    _json("manifest"),
    _time("created_at"),
    sa.UniqueConstraint("name", "revision"),
)

versions = sa.Table(
    "versions",
    metadata,
    _key("id", primary_key=True),
    sa.Column("content_hash", Key, nullable=False, unique=True),
    _key("parent", sa.ForeignKey("versions.id"), nullable=True),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("frames", sa.Integer, nullable=False),
    sa.Column("labels", sa.Integer, nullable=False),
    _time("created_at"),
)

# The manifest's JSON in pieces of a MiB, each compressed: with ten million labels it has half a gigabyte.
version_parts = sa.Table(
    "version_parts",
    metadata,
    _key("version_id", sa.ForeignKey("versions.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("content", sa.LargeBinary, nullable=False),
)

runs = sa.Table(
    "runs",
    metadata,
    _key("id", primary_key=True),
    _key("version_id", sa.ForeignKey("versions.id"), nullable=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    _json("config"),
    _json("result"),
    sa.Column("error", sa.Text, nullable=False),
    _time("created_at"),
    _time("finished_at", nullable=True),
    sa.Index("ix_runs_version", "version_id"),
)

evaluations = sa.Table(
    "evaluations",
    metadata,
    _key("id", primary_key=True),
    _key("run_id", sa.ForeignKey("runs.id")),
    _key("gold_id", sa.ForeignKey("gold_sets.id")),
    sa.Column("path", sa.Text, nullable=False),
    _json("metrics"),
    _time("created_at"),
    sa.Index("ix_evaluations_run", "run_id"),
    sa.Index("ix_evaluations_gold", "gold_id"),
)

jobs = sa.Table(
    "jobs",
    metadata,
    _key("id", primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    _json("params"),
    _key("state"),
    sa.Column("progress", sa.Double, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    _time("eta", nullable=True),
    _time("heartbeat", nullable=True),
    sa.Column("pid", sa.Integer),
    sa.Column("cancel_requested", sa.Boolean, nullable=False),
    _json("result", nullable=True),
    sa.Column("error", sa.Text, nullable=False),
    _time("created_at"),
    _time("started_at", nullable=True),
    _time("finished_at", nullable=True),
    sa.Index("ix_jobs_state", "state", "created_at"),
)

users = sa.Table(
    "users",
    metadata,
    _key("name", primary_key=True),
    sa.Column("role", sa.Text, nullable=False),
    # An argon2 hash; NULL for somebody who signs in elsewhere (OIDC).
    sa.Column("password", sa.Text),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    _time("created_at"),
)

leases = sa.Table(
    "leases",
    metadata,
    _key("issue_id", sa.ForeignKey("issues.id"), primary_key=True),
    _key("reviewer"),
    _time("expires_at"),
    sa.Index("ix_leases_reviewer", "reviewer"),
    sa.Index("ix_leases_expires_at", "expires_at"),
)

opinions = sa.Table(
    "opinions",
    metadata,
    _key("issue_id", sa.ForeignKey("issues.id"), primary_key=True),
    _key("reviewer", primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("label", sa.Text),
    _time("created_at"),
)

# Append-only, each row with a digest over itself and the row before.
audit = sa.Table(
    "audit",
    metadata,
    sa.Column("sequence", Sequence, primary_key=True, autoincrement=True),
    _time("at"),
    _key("actor"),
    _key("action"),
    _key("item"),
    _json("detail"),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Index("ix_audit_actor", "actor", "sequence"),
    sa.Index("ix_audit_item", "item", "sequence"),
)

# What was erased for good: kind "frame" or "label", or "clear" for what a blurred frame was made from. The versions
# that held it keep its id.
tombstones = sa.Table(
    "tombstones",
    metadata,
    _key("kind", primary_key=True),
    _key("id", primary_key=True),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    _json("versions"),
    _time("created_at"),
)
