"""Finding label errors: arrays in, a ranked queue of issues out. No torch, no store, no pictures.

The way through: `FinderInputs` (tables and evidence) -> `gather` -> `score_evidence` -> `rank_issues`, or all at
once by `find_issues`. What is learned on the site comes from `inject` -> `injected_rows` and from
`decision_rows`, and goes through `fit_calibrators` into `Calibrators`.
"""

from curate.issues.calibrate import (
    Calibrators,
    TypeModel,
    fit_calibrators,
    learn_decisions,
    prior_calibrators,
)
from curate.issues.forecast import Forecast, Reliability, expected_errors, reliability
from curate.issues.hints import HintSource, HintTable
from curate.issues.inject import DEFAULT_RATES, Injected, InjectedError, inject, restore
from curate.issues.inputs import (
    DetectionEvidence,
    DetectionTable,
    FinderInputs,
    FrameHealth,
    FrameTable,
    LabelEvidence,
    LabelTable,
    PlaceEvidence,
)
from curate.issues.ledger import ledger_gaps
from curate.issues.places import cluster_boxes, recurring
from curate.issues.queue import find_issues, issue_id, issue_looks, rank_issues, review_gain
from curate.issues.rows import TrainingRows, decision_rows, injected_rows, verdict
from curate.issues.scoring import Evidenced, Scored, gather, score, score_evidence
from curate.issues.settings import STILL_CLASSES, FinderSettings
from curate.issues.spec import SPECS
from curate.issues.tracks import Gaps, Links, link_tracks, track_gaps
from curate.issues.variety import FramePool, Objects, Pick, choose_varied, committee_doubt

__all__ = [
    "DEFAULT_RATES",
    "SPECS",
    "STILL_CLASSES",
    "Calibrators",
    "DetectionEvidence",
    "DetectionTable",
    "Evidenced",
    "FinderInputs",
    "FinderSettings",
    "Forecast",
    "FrameHealth",
    "FramePool",
    "FrameTable",
    "Gaps",
    "HintSource",
    "HintTable",
    "Injected",
    "InjectedError",
    "LabelEvidence",
    "LabelTable",
    "Links",
    "Objects",
    "Pick",
    "PlaceEvidence",
    "Reliability",
    "Scored",
    "TrainingRows",
    "TypeModel",
    "choose_varied",
    "cluster_boxes",
    "committee_doubt",
    "decision_rows",
    "expected_errors",
    "find_issues",
    "fit_calibrators",
    "gather",
    "inject",
    "injected_rows",
    "issue_id",
    "issue_looks",
    "learn_decisions",
    "ledger_gaps",
    "link_tracks",
    "prior_calibrators",
    "rank_issues",
    "recurring",
    "reliability",
    "restore",
    "review_gain",
    "score",
    "score_evidence",
    "track_gaps",
    "verdict",
]
