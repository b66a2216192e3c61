"""Names and sentences for issues and decisions."""

from __future__ import annotations

from curate.annotations import DecisionKind, Issue, IssueType, Proposal, ProposalKind

__all__ = ["TITLES", "VERDICTS", "answer_words", "number_text", "proposal_sentence"]

TITLES: dict[IssueType, str] = {
    IssueType.MISSING: "Missing label",
    IssueType.SPURIOUS: "Nothing there",
    IssueType.WRONG_CLASS: "Wrong class",
    IssueType.BAD_LOCATION: "Box does not fit",
    IssueType.INACCURATE_MASK: "Mask does not fit",
    IssueType.DUPLICATE: "Labelled twice",
    IssueType.INCONSISTENT_TRACK: "Flickers over time",
    IssueType.OUTLIER: "Unlike its class",
    IssueType.BAD_FRAME: "Bad frame",
}
VERDICTS: dict[DecisionKind, str] = {
    DecisionKind.APPLY: "proposal applied",
    DecisionKind.KEEP: "kept as it is",
    DecisionKind.EDIT: "edited by hand",
    DecisionKind.RELABEL: "class changed",
    DecisionKind.ADD: "drawn by hand",
    DecisionKind.DELETE_LABEL: "label deleted",
    DecisionKind.EXCLUDE_FRAME: "frame excluded",
    DecisionKind.SKIP: "skipped",
    DecisionKind.UNDO: "undone",
}


def proposal_sentence(issue: Issue) -> str:
    """What `apply` does, for a person; empty when there is nothing to apply."""
    proposal: Proposal = issue.proposal
    sentences = {
        ProposalKind.EDIT: "use the dashed green shape instead",
        ProposalKind.RELABEL: f"call it {proposal.label}",
        ProposalKind.DELETE_LABEL: "delete this label",
        ProposalKind.ADD: f"add a {proposal.label or issue.label or 'label'} here (dashed green)",
        ProposalKind.EXCLUDE_FRAME: "leave this frame out of training",
        ProposalKind.NONE: "",
    }
    return sentences[proposal.kind]


def answer_words(issue: Issue) -> dict[str, str]:
    """What the two main answers to an issue say on their buttons: "apply" and "keep"."""
    proposal = issue.proposal
    apply = {
        ProposalKind.EDIT: "Use the new shape",
        ProposalKind.RELABEL: f"Call it {proposal.label}",
        ProposalKind.DELETE_LABEL: "Delete the label",
        ProposalKind.ADD: "Add the label",
        ProposalKind.EXCLUDE_FRAME: "Leave the frame out",
        ProposalKind.NONE: "No proposal",
    }
    keep = {IssueType.MISSING: "Nothing is missing", IssueType.BAD_FRAME: "The frame is fine"}
    return {"apply": apply[proposal.kind], "keep": keep.get(issue.type, "The label is right")}


def number_text(value: float) -> str:
    """A number of the evidence: short, but not rounded to nothing."""
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.3g}"
