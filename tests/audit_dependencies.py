"""Known vulnerabilities of the installed dependencies, by pip-audit. Part of `make lint`.

Exit code 1 when one is found. Without an answer from the service (no network, a mirror without that page, a slow
line) nothing can be said, so that it says so and exits with 0: a lint that fails offline is switched off before long.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

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


def judge(answer: str, accepted: Sequence[str] = tuple(ACCEPTED)) -> tuple[int, list[str]]:
    """Exit code and lines for a person, of pip-audit's JSON."""
    try:
        rows = list(json.loads(answer)["dependencies"])
    except (ValueError, KeyError, TypeError):
        return 0, ["dependencies were not audited: the service gave no answer"]
    audited = [row for row in rows if "vulns" in row]
    found = [
        f"{row['name']} {row['version']}: {vulnerability['id']}, "
        f"fixed in {', '.join(vulnerability.get('fix_versions') or ['no version yet'])}"
        for row in audited
        for vulnerability in row["vulns"]
        if vulnerability["id"] not in accepted
    ]
    if found:
        return 1, ["vulnerable dependencies:", *found]
    if not audited:
        return 0, [f"dependencies were not audited: the service knows none of {len(rows)}"]
    skipped = len(rows) - len(audited)
    rest = f", {skipped} unknown to the service" if skipped else ""
    return 0, [f"no known vulnerability in {len(audited)} dependencies{rest}"]


def main() -> int:
    """Ask, tell, and return the exit code."""
    code, lines = judge(ask())
    sys.stdout.write("\n".join(lines) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
