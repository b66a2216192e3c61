from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from curate.config import SiteConfig

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "module", ["curate", "curate.errors", "curate.annotations", "curate.config", "curate.issues"]
)
def test_light_modules_import_no_heavy_ones(module: str) -> None:
    heavy = ("torch", "streamlit", "faiss", "pandas")
    program = f"import sys, {module}; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def sources() -> list[Path]:
    return [*ROOT.glob("curate/**/*.py"), *ROOT.glob("app/**/*.py"), *ROOT.glob("app/**/*.js")]


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_stay_small(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) < 400


def test_every_public_name_exists() -> None:
    for path in ROOT.glob("curate/**/*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        defined = set()
        exported: list[str] = []
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
                defined.add(node.name)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                defined.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                flat = [item for target in targets for item in getattr(target, "elts", [target])]
                names = [target.id for target in flat if isinstance(target, ast.Name)]
                defined.update(names)
                if "__all__" in names and node.value is not None:
                    exported = ast.literal_eval(node.value)
        assert set(exported) <= defined, path


def test_the_declaration_is_documented_key_by_key() -> None:
    text = (ROOT / "docs" / "site-yaml.md").read_text("utf-8")
    for name, field in SiteConfig.model_fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        for key in [f"{name}.{part}" for part in inner] if inner else [name]:
            assert f"`{key}`" in text, key


def test_the_sample_declares_itself() -> None:
    data = yaml.safe_load((ROOT / "sample_data" / "site.yaml").read_text("utf-8"))
    assert SiteConfig.model_validate(data).classes == ["person", "car"]
