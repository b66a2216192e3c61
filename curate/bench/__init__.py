"""Measurements behind docs/benchmarks.md; `curate bench` runs them."""
