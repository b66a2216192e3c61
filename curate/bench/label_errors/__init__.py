"""`curate bench label-errors`: seeded errors in reviewed labels, found by our finders and by the best known tools."""

from curate.bench.label_errors.run import LabelErrorsBench, bench_label_errors
from curate.bench.label_errors.settings import LabelErrorsSettings, parse_rates, parse_tools

__all__ = ["LabelErrorsBench", "LabelErrorsSettings", "bench_label_errors", "parse_rates", "parse_tools"]
