"""Coverage-guided fuzzing with atheris: python tests/fuzz/run.py TARGET --seconds 120 [--corpus FOLDER].

Needs atheris (`pip install atheris`). The first crash is printed with its traceback and its input is kept in the
corpus folder; without one, the last line is a JSON object: target, seconds, runs, how many of them ended in a clear
error, and how many inputs with new coverage were kept.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent))

with atheris.instrument_imports(
    include=["curate.formats", "curate.review", "curate.config", "crossguard_app.presenters", "yaml"]
):
    from targets import TARGETS, seeds

from mutations import mutated


def main() -> None:
    """Fuzz one target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--corpus", type=Path, required=True, help="Folder of inputs; grows.")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(options.target)):
        (options.corpus / f"seed-{number}").write_bytes(seed)
    target, started, count = TARGETS[options.target], time.monotonic(), {"runs": 0, "refused": 0}

    def one_input(data: bytes) -> None:
        count["runs"] += 1
        count["refused"] += target(data) is not None
        if time.monotonic() - started > options.seconds:
            kept = sum(1 for _ in options.corpus.iterdir())
            print(
                json.dumps({"target": options.target, "seconds": options.seconds, **count, "corpus": kept}),
                flush=True,
            )
            os._exit(0)  # an exception would count as a crash

    def mutator(data: bytes, max_size: int, seed: int) -> bytes:
        # Half of the time the structure changes (a value of JSON, a word of a line), else bytes do.
        if seed % 2:
            return mutated(data, random.Random(seed))[:max_size]
        return bytes(atheris.Mutate(data, max_size))

    arguments = [
        sys.argv[0],
        str(options.corpus),
        f"-artifact_prefix={options.corpus}/",
        "-max_len=65536",
        "-timeout=60",
        "-rss_limit_mb=4096",
        f"-seed={options.seed}",
        "-verbosity=0",
        "-print_final_stats=0",
    ]
    atheris.Setup(arguments, one_input, custom_mutator=mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
