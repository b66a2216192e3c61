"""Known vulnerabilities of the installed dependencies, by pip-audit. Part of `make lint`.

Exit code 1 when one is found. Without an answer from the service (no network, a mirror without that page, a slow
line) nothing can be said, so that it says so and exits with 0: a lint that fails offline is switched off before long.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping

SECONDS = 120
ACCEPTED: dict[str, str] = {}
"""Id of a vulnerability -> why it does not concern this program."""


def ask(seconds: int = SECONDS) -> str:
    """pip-audit's JSON of this interpreter's packages, or "" when it got no answer."""
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off"]
    command += ["--local", "--skip-editable", "--timeout", "10"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def judge(answer: str, accepted: Mapping[str, str] | None = None) -> tuple[int, list[str]]:
    """Exit code and lines for a person, of pip-audit's JSON.

    Args:
        answer: From `ask`.
        accepted: Instead of `ACCEPTED`. One without a reason is not accepted.
    """
    reasons = ACCEPTED if accepted is None else accepted
    try:
        rows = list(json.loads(answer)["dependencies"])
    except (ValueError, KeyError, TypeError):
        return 0, ["dependencies were not audited: the service gave no answer"]
    audited = [row for row in rows if "vulns" in row]
    found, passed = [], []
    for row in audited:
        for vulnerability in row["vulns"]:
            name = f"{row['name']} {row['version']}: {vulnerability['id']}"
            if reason := reasons.get(vulnerability["id"], "").strip():
                passed.append(f"accepted: {name}: {reason}")
            else:
                fixed = ", ".join(vulnerability.get("fix_versions") or ["no version yet"])
                found.append(f"{name}, fixed in {fixed}")
    if found:
        return 1, ["vulnerable dependencies:", *found, *passed]
    if not audited:
        return 0, [f"dependencies were not audited: the service knows none of {len(rows)}"]
    skipped = len(rows) - len(audited)
    rest = f", {skipped} unknown to the service" if skipped else ""
    other = " other" if passed else ""
    return 0, [f"no{other} known vulnerability in {len(audited)} dependencies{rest}", *passed]


def main() -> int:
    """Ask, tell, and return the exit code."""
    code, lines = judge(ask())
    sys.stdout.write("\n".join(lines) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
