"""Several reviewers at one queue: nobody is given what somebody else is looking at."""

from __future__ import annotations

from collections.abc import Sequence

from curate.annotations import Issue, IssueState, IssueType
from curate.store import IssuePage, Role, Store

__all__ = ["LEASE_SECONDS", "claim_issues", "release_issues"]

LEASE_SECONDS = 300.0
"""How long an issue stays with the one who was given it last; every new page prolongs it."""
_PAGE = 100


def claim_issues(
    store: Store,
    reviewer: str,
    *,
    limit: int = 16,
    states: Sequence[IssueState] = (IssueState.OPEN,),
    types: Sequence[IssueType] | None = None,
    labels: Sequence[str] | None = None,
    seconds: float = LEASE_SECONDS,
) -> IssuePage:
    """The first issues of the queue that nobody else has, taken for this reviewer.

    It stands in for `Store.issues` where people decide: call it for every page shown. Two reviewers never hold the
    same issue at one time, and `decide` refuses an issue that somebody else holds. A lease ends with a decision,
    with `release_issues`, or by itself after `seconds`.

    Args:
        store: The store.
        reviewer: Who will decide.
        limit: At most so many.
        states: Any of these.
        types: Any of these; None for all.
        labels: Any of these classes; None for all.
        seconds: For how long.

    Returns:
        The page; `next` is None when the queue ended with it. The page after it is found by asking again, when
        these are decided.

    Raises:
        AccessError: The project has users, and the reviewer is none of them or only a viewer.
    """
    taken: list[Issue] = []
    after: str | None = None
    with store.begin():
        store.expect_role(reviewer, Role.REVIEWER)
        while len(taken) < limit:
            page = store.issues(states, types, labels, limit=max(limit, _PAGE), after=after)
            wanted = [issue.id for issue in page.issues]
            others = {lease.issue_id for lease in store.leases_of(wanted) if lease.reviewer != reviewer}
            free = [issue for issue in page.issues if issue.id not in others]
            taken += free[: limit - len(taken)]
            after = page.next
            if after is None:
                break
        store.take_leases(reviewer, [issue.id for issue in taken], seconds)
    return IssuePage(tuple(taken), after)


def release_issues(store: Store, reviewer: str, issue_ids: Sequence[str] | None = None) -> int:
    """Give issues back (None: all that the reviewer holds); how many there were."""
    return store.release_leases(reviewer, issue_ids)
