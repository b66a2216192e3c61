from __future__ import annotations

import importlib.util
from pathlib import Path

# The store's fixtures serve here too.
_spec = importlib.util.spec_from_file_location(
    "crossguard_store_fixtures", Path(__file__).parents[1] / "store" / "conftest.py"
)
assert _spec
assert _spec.loader
_shared = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_shared)

url, empty, store = _shared.url, _shared.empty, _shared.store
make_frame, make_label, make_issue = _shared.make_frame, _shared.make_label, _shared.make_issue
