"""The store: frames, label revisions, issues, decisions, versions, runs and jobs in SQLite or PostgreSQL."""

from curate.store.audit import AuditEntry
from curate.store.backup import BACKUP_FILE, backup_rows, read_backup_head
from curate.store.check import Finding
from curate.store.decisions import DecisionTally
from curate.store.issue_ranks import IssueRow, WaitingIssue
from curate.store.leases import DoubleJudgement, Lease, Opinion
from curate.store.purge import Erased
from curate.store.records import (
    Artifact,
    DecisionEffects,
    DecisionRecord,
    EvaluationRecord,
    FrameEffect,
    FrameOrigin,
    GoldSet,
    GoldState,
    IssueCount,
    IssueEffect,
    IssuePage,
    IssueStatus,
    IssueSync,
    Job,
    JobState,
    LabelEffect,
    LabelHead,
    QuarantinedItem,
    Revision,
    RunRecord,
    SiteSettings,
    SourceCount,
    VersionRecord,
)
from curate.store.results import pack_text
from curate.store.store import Store
from curate.store.users import Role, User

__all__ = [
    "BACKUP_FILE",
    "Artifact",
    "AuditEntry",
    "DecisionEffects",
    "DecisionRecord",
    "DecisionTally",
    "DoubleJudgement",
    "Erased",
    "EvaluationRecord",
    "Finding",
    "FrameEffect",
    "FrameOrigin",
    "GoldSet",
    "GoldState",
    "IssueCount",
    "IssueEffect",
    "IssuePage",
    "IssueRow",
    "IssueStatus",
    "IssueSync",
    "Job",
    "JobState",
    "LabelEffect",
    "LabelHead",
    "Lease",
    "Opinion",
    "QuarantinedItem",
    "Revision",
    "Role",
    "RunRecord",
    "SiteSettings",
    "SourceCount",
    "Store",
    "User",
    "VersionRecord",
    "WaitingIssue",
    "backup_rows",
    "pack_text",
    "read_backup_head",
]
