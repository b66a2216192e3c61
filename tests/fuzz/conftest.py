from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

# Test folders are no packages: the modules that the suite and run.py share are found by their place.
for _name in ("mutations", "targets"):
    if f"crossguard_fuzz_{_name}" not in sys.modules:
        _spec = importlib.util.spec_from_file_location(
            f"crossguard_fuzz_{_name}", Path(__file__).with_name(f"{_name}.py")
        )
        assert _spec
        assert _spec.loader
        _module = importlib.util.module_from_spec(_spec)
        sys.modules[_spec.name] = _module
        _spec.loader.exec_module(_module)
