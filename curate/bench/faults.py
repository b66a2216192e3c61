"""`curate bench faults`: break a project hundreds of times, at random points with a seed, and look what is lost."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from curate.bench.faults_disk import fill_disk, keep, room, small_disk
from curate.bench.faults_import import halves_of, labels_of, source_of
from curate.bench.faults_report import FaultBench, compare_decisions, summary
from curate.bench.faults_steps import (
    STEPS,
    Ended,
    Fault,
    answer,
    corrupt,
    cut_connections,
    in_child,
    review_until_told,
    sent_by,
    spawned,
    step_command,
    told_by,
)
from curate.errors import DataError
from curate.store.serialize import decision_to_dict
from curate.synth import SceneConfig, render_scene
from curate.workflows.backup import backup, restore
from curate.workflows.coverage import mark_covered
from curate.workflows.database import check
from curate.workflows.gold import create_gold, freeze_gold
from curate.workflows.ingest import ingest
from curate.workflows.progress import Reporter
from curate.workflows.project import Project
from curate.workflows.snapshot import snapshot

__all__ = ["FaultBench", "bench_faults"]

_SITE = """\
classes: [person, car]
frames: {every_n: 1}
split: {block_seconds: 4, gap_seconds: 0.5, folds: 2, gold_share: 0.34}
model: {input_size: 160}
train: {steps: 3, fold_steps: 2, batch_size: 2, device: cpu}
evaluation: {resamples: 100}
"""
_WEIGHTS = {"ingest": 5, "import": 4, "review": 8, "version": 4, "scan": 2, "training": 2}
_DECISIONS = 40
_DISK_MB = 512
_DISK_MB_A_ROUND = 4  # Each training leaves 15 MB.
_ROUNDS = "rounds.txt"
_DAYS = 86_400.0


def bench_faults(
    folder: Path,
    *,
    faults: int,
    seed: int,
    reporter: Reporter,
    postgres: str | None = None,
    command: Callable[[Sequence[str]], int] | None = None,
    steps: tuple[str, ...] = STEPS,
    ends: Callable[[], bool] = lambda: False,
) -> FaultBench:
    """Run rounds until the ledger has so many; what is in it already is not done again.

    A round starts a step as a process, lets a fault strike, and then, as after a restart: checks the project, looks
    for every acknowledged decision, and gives the same command again.

    Args:
        folder: Holds ledger, acknowledgements and the project between runs.
        faults: Rounds in all.
        seed: Decides steps, faults and their moments; the moments also depend on how fast the machine is.
        reporter: Told how far it is.
        postgres: URL of an empty database to use instead of a SQLite file; it has to outlive the ledger.
        command: Runs the command line in a forked process, which spares the loading of modules, and gives its exit
            code; None: an interpreter is started for each command.
        steps: Only these.
        ends: Asked before each round whether to stop; the next run goes on.

    Raises:
        DataError: The project cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rounds = _Rounds(folder, seed, postgres, command)
    with ExitStack() as stack:
        rounds.has_disk = stack.enter_context(small_disk(rounds.disk, _DISK_MB + _DISK_MB_A_ROUND * faults))
        rounds.load()
        while len(rounds.ledger) < faults and not ends():
            number = len(rounds.ledger)
            reporter.update(number / faults, f"{number} of {faults}")
            rounds.note(rounds.run(number, steps))
        rounds.save()
    reporter.update(1.0, f"{len(rounds.ledger)} faults")
    return summary(rounds.ledger)


class _Rounds:
    """The project on its small disk, and what happened to it so far."""

    def __init__(
        self, folder: Path, seed: int, postgres: str | None, command: Callable[[Sequence[str]], int] | None
    ) -> None:
        self.folder = folder
        self.seed = seed
        self.postgres = postgres
        self.disk = folder / "disk"
        self.root = self.disk / "site"
        self.has_disk = False
        self._command = command
        self._file = folder / "ledger.jsonl"
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        self.ledger: list[dict[str, Any]] = [json.loads(line) for line in lines]
        self.desk = folder / "reviewers"

    def load(self) -> None:
        """Bring the project of the last run back, or make a new one."""
        if self.postgres:
            os.environ["CROSSGUARD_DB"] = self.postgres
        kept = self.folder / "kept"
        if kept.exists() and not self.root.exists():
            shutil.copytree(kept / "site", self.root)
            self._forget_after(int((kept / "site" / _ROUNDS).read_text()))
        if not self.root.exists():
            self._child(self._make)

    def _forget_after(self, rounds: int) -> None:
        """Rounds that the small disk took with it, when the suite itself was killed."""
        if rounds == len(self.ledger):
            return
        if self.postgres:
            raise DataError(
                "the suite was killed, and the database went on without the files",
                file=self.folder,
                hint="begin again with an empty folder and an empty database",
            )
        self.ledger = self.ledger[:rounds]
        self._file.write_text("".join(json.dumps(entry) + "\n" for entry in self.ledger))
        for path in self.desk.glob("*.*"):
            if int(path.stem) >= rounds:
                path.unlink()

    def save(self) -> None:
        """Keep the project beside the small disk, which is gone afterwards."""
        if self.has_disk:
            (self.root / _ROUNDS).write_text(str(len(self.ledger)))
            keep(self.disk, self.folder / "kept")

    def note(self, entry: dict[str, Any]) -> None:
        """Add a round to the ledger."""
        self.ledger.append(entry)
        with self._file.open("a") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())
        if len(self.ledger) % 20 == 0:
            self.save()

    def _make(self) -> int:
        self.root.mkdir(parents=True)
        (self.root / "site.yaml").write_text(_SITE)
        project = Project.open(self.root)
        scene = render_scene(SceneConfig(seed=3, frames=24, fps=1.0, persons=3, cars=1, standers=1))
        ingest(project, [scene.write_video(self.folder / "synth.avi")])
        gold = set(create_gold(project).manifest["frames"])
        for frame in project.store.frames():
            source = "gold" if frame.id in gold else "cheap"
            labels = [
                replace(label, source=source, id=f"{source}:{label.id}")
                for label in scene.annotations_of(frame.index, frame.id)
            ]
            project.store.add_annotations(labels, actor=source)
            mark_covered(project, source, [frame.id])
        freeze_gold(project)
        snapshot(project, note="first", created_by="bench")
        project.store.close()
        return 0

    def _child(self, work: Callable[[], int]) -> Ended:
        ended = in_child(work, self.folder / "output.txt")
        if ended.code:
            raise DataError(f"a step of the suite itself failed: {ended.output[-1500:]}", file=self.folder)
        return ended

    def run(self, number: int, steps: tuple[str, ...]) -> dict[str, Any]:
        """One round."""
        chance = random.Random(f"{self.seed}/{number}")
        step = chance.choices(steps, [_WEIGHTS[name] for name in steps])[0]
        kinds = ["kill", "kill", "kill", "file_limit", "clock"]
        kinds += ["disk_full", "disk_full"] if self.has_disk else ["file_limit"]
        kinds += ["cut", "cut"] if self.postgres else []
        kinds += ["corrupt"] if step in ("ingest", "version", "scan", "training") else []
        kind = chance.choice(kinds)
        entry: dict[str, Any] = {"number": number, "step": step, "fault": kind}
        if kind == "corrupt":
            entry |= self._corrupt(step, number, chance)
        else:
            ended, struck = self._strike(step, kind, number, chance)
            entry |= {"code": ended.code, "clear": ended.clear, "struck": struck, "seconds": ended.seconds}
            if not ended.clear:
                entry["output"] = ended.output[-1500:]
        ended_well = {source_of(number)} if step == "import" and entry["code"] == 0 else set()
        entry |= self._state(ended_well | self._imported())
        again = in_child(self._work(step, number, 5), self.folder / "output.txt")
        entry["again"] = again.code
        if again.code:
            entry["output"] = again.output[-1500:]
        return entry

    def _work(self, step: str, number: int, seed: int) -> Callable[[], int]:
        if step == "review":
            return review_until_told(self.root, self.desk, number, seed, _DECISIONS)
        arguments: list[str] = []

        def prepare() -> int:
            return answer(step_command(step, self.root, self.folder / "sources", number))

        arguments = json.loads(self._child(prepare).output)
        run = self._command
        return spawned(arguments) if run is None else lambda: run(arguments)

    def _strike(self, step: str, kind: str, number: int, chance: random.Random) -> tuple[Ended, bool]:
        usual = self._usual(step)
        after = chance.uniform(0, 1.1 * usual)
        work = self._work(step, number, chance.randrange(2**30))
        output = self.folder / "output.txt"
        if kind == "disk_full":
            with fill_disk(self.disk, room(chance)):
                ended = in_child(work, output)
            return ended, ended.code != 0
        if kind == "file_limit":
            database = self.root / ".crossguard" / "crossguard.db"
            size = database.stat().st_size if database.exists() else 0
            limit = chance.choice((4096, 65_536, size, size + 8192, size + 200_000))
            # What it says has to fit, too.
            ended = in_child(work, output, Fault(kind, 0, max(4096, limit)))
            return ended, ended.code != 0
        if kind == "cut":
            ended = in_child(work, output, Fault(kind, after), lambda: cut_connections(str(self.postgres)))
            return ended, ended.code != 0
        amount = chance.choice((-400, -1, 1, 400)) * _DAYS * chance.random() if kind == "clock" else 0.0
        ended = in_child(work, output, Fault(kind, after, amount))
        return ended, ended.code < 0 if kind == "kill" else ended.seconds > after

    def _usual(self, step: str) -> float:
        """Seconds that the step takes when nothing happens to it, from the rounds so far."""
        done = [entry for entry in self.ledger if entry["step"] == step and entry.get("code") == 0]
        seconds = sorted(entry["seconds"] for entry in done[-20:])
        return float(seconds[len(seconds) // 2]) if seconds else 1.0

    def _corrupt(self, step: str, number: int, chance: random.Random) -> dict[str, Any]:
        """Damage a file that the project needs; the check has to name it, and a way back has to work."""
        state = self.root / ".crossguard"
        what = {"ingest": "frames", "version": "versions", "scan": "cache", "training": "database"}[step]
        if what == "database" and self.postgres:
            what = "frames"
        if what == "database":
            return self._corrupt_database(chance)
        # Hidden are locks, and halves of files that a kill left, which nothing ever reads.
        files = sorted(path for path in (state / what).rglob("*") if path.is_file() and path.name[0] != ".")
        if not files:
            return {"code": 0, "clear": True, "struck": False, "seconds": 0.0, "what": what}
        path = chance.choice(files)
        good = path.read_bytes()
        how = corrupt(path, chance)
        changed = path.read_bytes() != good
        entry: dict[str, Any] = {"what": what, "how": how, "struck": changed, "file": path.suffix}
        if what == "cache":
            ended = in_child(self._work("scan", number, 0), self.folder / "output.txt")
            entry |= {"code": ended.code, "clear": ended.clear, "seconds": ended.seconds}
            if not ended.clear:
                entry["output"] = ended.output[-1500:]
            if ended.code:
                path.write_bytes(good)
            return entry
        found = self._findings()
        name = path.stem
        frames = json.loads(self._child(lambda: answer(self._names())).output)
        wanted = frames.get(name, f"version {name}")
        entry["noticed"] = not changed or any(wanted in item for item in found)
        path.write_bytes(good)
        return entry | {"code": 0, "clear": True, "seconds": 0.0}

    def _names(self) -> dict[str, str]:
        with Project.open(self.root).store as store:
            return {Path(frame.path).stem: frame.name for frame in store.frames()}

    def _corrupt_database(self, chance: random.Random) -> dict[str, Any]:
        """Lose a page of the database, after a backup; then bring the backup back into a new file."""
        file = self.root / ".crossguard" / "crossguard.db"
        saved = self.folder / "before.zip"
        saved.unlink(missing_ok=True)

        def save() -> int:
            project = Project.open(self.root)
            backup(project, saved)
            with project.store.begin() as connection:
                connection.exec_driver_sql("SELECT 1")
            project.store.close()
            return 0

        def bring_back() -> int:
            for path in file.parent.glob("crossguard.db*"):
                path.unlink()
            project = Project.open(self.root)
            restore(project, saved)
            project.store.forget_backup(str(saved))
            project.store.close()
            return 0

        self._child(save)
        pages = file.stat().st_size // 4096
        page = chance.randrange(1, pages)
        with file.open("r+b") as stream:
            stream.seek(page * 4096)
            content = stream.read(4096)
            stream.seek(page * 4096)
            stream.write(bytes(4096))
        noticed = bool(self._findings()) or not any(content)
        if not noticed:
            # A page that holds nothing any more (SQLite's free list) may be lost without a loss.
            noticed = self._same_as(saved)
        self._child(bring_back)
        return {
            "what": "database",
            "how": "page",
            "struck": any(content),
            "noticed": noticed,
            "code": 0,
            "clear": True,
            "seconds": 0.0,
        }

    def _same_as(self, saved: Path) -> bool:
        def compare() -> int:
            import zipfile

            other = self.folder / "after.zip"
            other.unlink(missing_ok=True)
            backup(Project.open(self.root), other)
            with zipfile.ZipFile(saved) as one, zipfile.ZipFile(other) as two:
                names = [name for name in one.namelist() if "backups" not in name and "audit" not in name]
                same = all(one.read(name) == two.read(name) for name in names if name.startswith("tables/"))
            return answer(same)

        ended = in_child(compare, self.folder / "output.txt")
        return ended.code == 0 and ended.output == "true"

    def _findings(self) -> list[str]:
        """Items of what `curate db check` finds; the error itself where the database cannot even be read."""

        def look() -> int:
            project = Project.open(self.root)
            report = check(project)
            project.store.close()
            serious = [finding for finding in report.findings if not finding.harmless]
            return answer([f"{finding.item}: {finding.message}" for finding in serious])

        ended = in_child(look, self.folder / "output.txt")
        return list(json.loads(ended.output)) if ended.code == 0 else [ended.output[-500:]]

    def _imported(self) -> set[str]:
        """Label sources whose import ended well in the rounds so far."""
        return {
            source_of(entry["number"])
            for entry in self.ledger
            if entry["step"] == "import" and entry["again"] == 0
        }

    def _state(self, imported: set[str]) -> dict[str, Any]:
        """As after a restart: is the project sound, is every acknowledged decision and import there, once and whole?"""
        found = self._findings()
        told = set(told_by(self.desk))
        sent = {decision.id: decision_to_dict(decision) for decision in sent_by(self.desk)}

        def look() -> int:
            with Project.open(self.root).store as store:
                halves = halves_of(store, labels_of(self.folder / "sources"), imported)
                return answer({**compare_decisions(store, told, sent), "halves": halves})

        state = json.loads(self._child(look).output)
        return {"findings": found, "acknowledged": len(told), **state}
