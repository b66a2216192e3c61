#!/usr/bin/env bash
# Everything behind the tables of label errors and scoring speed in docs/benchmarks.md.
# Usage: benchmarks/label_errors.sh [CACHE] [PEERS] [OUT]; run it again to go on where it was stopped.
# BLACKFRIARS=FOLDER adds that CVAT data set; SEEDS="0 1 2" and STEPS=80 can be changed.
set -euo pipefail
cache=${1:-bench-cache}
peers=${2:-.peers}
out=${3:-bench-out}
steps=${STEPS:-80}
read -r -a seeds <<<"${SEEDS:-0 1 2}"
mkdir -p "$out"
curate="${PYTHON:-python3} -m curate.cli.main"
given=(--cache "$cache" --peers "$peers" --steps "$steps")
for seed in "${seeds[@]}"; do given+=(--seed "$seed"); done

measure() { # NAME ARGUMENTS...
  local name=$1
  shift
  echo "== $name" >&2
  $curate bench "$@" --json "$out/$name.json" >"$out/$name.md"
}

measure sample label-errors --data sample "${given[@]}" --ablate --natural
measure synth label-errors --data synth "${given[@]}" --ablate
if [ -n "${BLACKFRIARS:-}" ]; then
  measure blackfriars label-errors --data "$BLACKFRIARS" "${given[@]}" --ablate
fi
measure scoring scoring --peers "$peers"
echo "tables: $out/*.md" >&2
