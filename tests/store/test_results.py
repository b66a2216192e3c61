import pytest

from curate.annotations import replace
from curate.errors import ConflictError, DataError, NotFoundError
from curate.store import Artifact, EvaluationRecord, GoldSet, GoldState, RunRecord, VersionRecord


def test_artifacts(empty):
    first = Artifact("embed", "f1", "hash 1", "embeddings/1.npy", 5.0)
    empty.put_artifacts([first, replace(first, key="f2"), replace(first, stage="scene")])
    assert empty.artifact("embed", "f1") == first
    assert empty.artifact("embed", "f3") is None
    empty.put_artifacts([replace(first, input_hash="old"), replace(first, input_hash="hash 2")])
    assert {key: found.input_hash for key, found in empty.artifacts("embed").items()} == {
        "f1": "hash 2",
        "f2": "hash 1",
    }
    assert empty.delete_artifacts("embed", ["f1", "f9"]) == 1
    assert empty.delete_artifacts("scene") == 1
    assert list(empty.artifacts("embed")) == ["f2"]


def test_a_draft_changes_and_a_frozen_gold_set_does_not(empty):
    draft = empty.put_gold_set(GoldSet("g1", "gold", manifest={"frames": ["f1"]}))
    assert draft.created_at > 0
    frozen = replace(draft, state=GoldState.FROZEN, content_hash="abc", manifest={"frames": ["f1", "f2"]})
    assert empty.put_gold_set(replace(frozen, created_at=0.0)) == frozen
    assert empty.put_gold_set(frozen) == frozen
    with pytest.raises(ConflictError, match="frozen"):
        empty.put_gold_set(replace(frozen, manifest={}))
    with pytest.raises(ConflictError, match="revision 1"):
        empty.put_gold_set(GoldSet("g2", "gold"))
    second = empty.put_gold_set(GoldSet("g2", "gold", revision=2))
    assert empty.gold_set("gold") == second
    assert empty.gold_set("g1") == frozen
    assert empty.gold_sets() == [frozen, second]
    with pytest.raises(NotFoundError):
        empty.gold_set("silver")


def test_versions(empty):
    first = VersionRecord("aa11", "aa1122", None, "ann", "", 3, 7, 5.0)
    assert empty.add_version(first, '{"x":1}') == first
    assert empty.add_version(replace(first, note="again", created_at=9.0), '{"x":2}') == first
    second = empty.add_version(replace(first, id="aa22", content_hash="aa2233", parent="aa11"), "{}")
    assert empty.versions() == [first, second]
    assert empty.version("aa1") == first
    assert empty.version_manifest("aa11") == '{"x":1}'
    for wrong in ("aa", "b", ""):
        with pytest.raises(NotFoundError):
            empty.version(wrong)
    with pytest.raises(NotFoundError):
        empty.version_manifest("aa")


def test_runs_and_evaluations(empty):
    empty.add_version(VersionRecord("v", "v1", None, "ann", "", 3, 7), "{}")
    empty.put_gold_set(GoldSet("g1", "gold"))
    run = empty.put_run(RunRecord("r1", "v", "train", "running", 3, "runs/r1", {"steps": 10}))
    done = replace(run, state="done", result={"loss": 0.5}, finished_at=12.0)
    assert empty.put_run(replace(done, created_at=0.0)) == done
    generic = empty.put_run(RunRecord("r2", None, "generic", "done", 0, ""))
    assert empty.run("r1") == done
    assert empty.runs() == [done, generic]
    assert empty.runs(version_id="v") == empty.runs(kind="train") == [done]
    judged = empty.put_evaluation(EvaluationRecord("e1", "r1", "g1", {"ap": 0.5}, created_at=1.0))
    judged = empty.put_evaluation(replace(judged, metrics={"ap": 0.6}))
    other = empty.put_evaluation(EvaluationRecord("e2", "r2", "g1", {}, created_at=2.0))
    assert empty.evaluations() == empty.evaluations(gold_id="g1") == [judged, other]
    assert empty.evaluations(run_id="r1") == [judged]


def test_records_must_point_at_something(empty):
    with pytest.raises(NotFoundError, match="run"):
        empty.run("nowhere")
    with pytest.raises(NotFoundError, match="version"):
        empty.put_run(RunRecord("r1", "nowhere", "train", "running", 3, ""))
    with pytest.raises(NotFoundError, match="run"):
        empty.put_evaluation(EvaluationRecord("e1", "nowhere", "g1", {}))
    with pytest.raises(DataError, match="config"):
        empty.put_run(RunRecord("r1", None, "train", "running", 3, "", {"x": float("nan")}))
