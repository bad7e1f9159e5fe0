"""Builds of the same inputs: the same bytes, and no step run twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

import edgecut
from edgecut.graph.custom import has_custom_classes
from edgecut.handoff.compare import compare
from edgecut.handoff.limits import parse_limits
from edgecut.handoff.seal import VARIES
from edgecut.handoff.verify import verify
from edgecut.pipeline import run as build_run
from edgecut.records.recipe import read_recipe
from edgecut.records.report import Report
from tests.command_line import run
from tests.graph import models
from tests.house.test_startup import BLOCKER, HEAVY

pytestmark = pytest.mark.tensorflow

RECIPE = """
schema = "edgecut.recipe/1"
name = "small"
[source]
model = "m.keras"
preprocess = "tf"
[cut]
to = "block0_relu"
[head]
classes = 6
[data]
train = "data.npz"
[export]
formats = ["tflite", "onnx"]
[bench]
runs = 2
warmup = 0
"""


def write_inputs(folder: Path) -> None:
    folder.mkdir(parents=True)
    models.residual().save(folder / "m.keras")
    random, y = np.random.default_rng(0), np.arange(60) % 6
    x = (random.integers(0, 60, (60, 8, 8, 3)) + 30 * y[:, None, None, None]).astype("uint8")
    np.savez(folder / "data.npz", x_train=x, y_train=y, x_test=x[:30], y_test=y[:30])
    (folder / "recipe.toml").write_text(RECIPE)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe that was built once, and the cache of that build."""
    folder = tmp_path_factory.mktemp("kept") / "work"
    write_inputs(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGECUT_CACHE", str(folder.parent / "cache"))
        patch.setattr(build_run, "_has_custom_classes", lambda: False)  # those of other tests
        edgecut.build(folder / "recipe.toml", out=folder / "dist")
    return folder


@pytest.fixture(autouse=True)
def _cache_of_work(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECUT_CACHE", str(work.parent / "cache"))
    monkeypatch.setattr(build_run, "_has_custom_classes", lambda: False)


def first_on_path(folder: Path) -> str:
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


def contents(bundle: Path) -> dict[str, bytes]:
    """The files that must not differ."""
    paths = {path.relative_to(bundle).as_posix(): path for path in bundle.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in paths.items() if name not in VARIES}


def steps(report: Report) -> dict[str, bool]:
    return {step.name: step.cached for step in report.steps}


def changed(work: Path, out: Path, **overrides: object) -> Report:
    recipe = read_recipe(work / "recipe.toml", {key.replace("__", "."): value for key, value in overrides.items()})
    return edgecut.build(recipe, out=out)


def test_a_bundles_own_recipe_and_lock_give_the_same_bytes_in_another_checkout(work: Path, tmp_path: Path) -> None:
    """Another folder, day, process, home, cache and number of threads; tools/rebuild makes the environment, too."""
    elsewhere = tmp_path / "moved" / "checkout"
    elsewhere.mkdir(parents=True)
    for place, names in ((work, ("m.keras", "data.npz")), (work / "dist", ("recipe.toml", "recipe.lock.toml"))):
        for name in names:
            (elsewhere / name).write_bytes((place / name).read_bytes())
    homes = {name: str(tmp_path / name) for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "EDGECUT_CACHE")}
    later = "import time\nreal = time.time\ntime.time = lambda: real() + 86_400 * 400\n"
    (tmp_path / "sitecustomize.py").write_text(later)
    threads = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, **homes, "PYTHONPATH": first_on_path(tmp_path), "PYTHONHASHSEED": "7"}
    words = ["build", "recipe.toml", "-o", "out/other", "--locked", "-q"]
    child = subprocess.run([sys.executable, "-m", "edgecut", *words], cwd=elsewhere, env=environment, check=False)
    assert child.returncode == 0
    one, other = contents(work / "dist"), contents(elsewhere / "out" / "other")
    assert sorted(one) == sorted(other)
    assert [name for name in one if one[name] != other[name]] == []
    manifests = [
        json.loads((folder / "manifest.json").read_text()) for folder in (work / "dist", elsewhere / "out/other")
    ]
    assert manifests[0]["reproducible"] == manifests[1]["reproducible"]
    compared = compare(work / "dist", elsewhere / "out" / "other", limits=parse_limits("size>+0,latency>+0%"))
    assert (compared.equal, compared.differences) == (True, ())
    assert {verdict.state for verdict in compared.verdicts} == {"meets"}
    assert set(manifests[0]["reproducible"]["varies"]) == {
        "provenance.json",
        "report.json",
        "report.html",
        "manifest.json",
        "manifest.sha256",
    }


def test_the_lock_lies_beside_the_recipe_and_in_the_bundle(work: Path) -> None:
    assert (work / "recipe.lock.toml").read_bytes() == (work / "dist" / "recipe.lock.toml").read_bytes()


def test_a_flag_for_one_build_leaves_the_lock_as_it_is_and_says_so(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(work)
    Path("once.toml").write_text(RECIPE)
    lock = Path("once.lock.toml")
    words = ("build", "once.toml", "--json", "--force", "-o", str(tmp_path / "out"))
    flagged = (*words, "--set", "budget.size_bytes=9_000_000")
    told = (
        "once.lock.toml: stays as it is, since flags changed the recipe's budget for this build alone; remove it "
        "before a build that is to lock them"
    )
    assert run(capsys, *words).code == 0
    before = lock.read_bytes()
    assert told in json.loads(run(capsys, *flagged).out)["notes"]
    assert lock.read_bytes() == before
    lock.unlink()
    assert told not in json.loads(run(capsys, *flagged).out)["notes"]
    assert (lock.read_bytes() != before, run(capsys, *flagged, "--locked").code) == (True, 0)


def test_a_lock_that_cannot_be_written_is_told_and_loses_nothing(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(work)
    Path("other.toml").write_text(RECIPE)
    Path("other.lock.toml").mkdir()
    answer = run(capsys, "build", "other.toml", "-o", str(tmp_path / "out"), "--json")
    assert (answer.code, verify(tmp_path / "out").faults) == (0, ())
    told = "other.lock.toml: the lock couldn't be written (is a directory), and --locked would need it there"
    assert told in json.loads(answer.out)["notes"]


def test_an_unchanged_build_runs_no_step_and_needs_no_tensorflow(work: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCKER.format(names=HEAVY))
    words = ["build", "recipe.toml", "-o", str(tmp_path / "again"), "--json"]
    child = subprocess.run(
        [sys.executable, "-m", "edgecut", *words], cwd=work, env={**os.environ, "PYTHONPATH": first_on_path(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert child.returncode == 0, child.stderr
    assert all(step["cached"] for step in json.loads(child.stdout)["steps"])
    assert contents(tmp_path / "again") == contents(work / "dist")
    assert verify(tmp_path / "again").faults == ()


def test_another_head_keeps_the_cut_and_gives_what_a_build_without_cache_gives(work: Path, tmp_path: Path) -> None:
    report = changed(work, tmp_path / "max", head__pool="max")
    found = steps(report)
    assert (found["load"], found["cut"], found["head"], found["export"]) == (True, True, False, False)
    recipe = read_recipe(work / "recipe.toml", {"head.pool": "max"})
    alone = edgecut.build(recipe, out=tmp_path / "alone", cache=False)
    assert not any(step.cached for step in alone.steps)
    one, other = contents(tmp_path / "max"), contents(tmp_path / "alone")
    assert [name for name in one if one[name] != other[name]] == []


def test_another_licence_runs_no_step_and_gives_what_a_build_without_cache_gives(work: Path, tmp_path: Path) -> None:
    report = changed(work, tmp_path / "kept", source__licence="MIT", data__licence="CC0-1.0")
    assert set(steps(report).values()) == {True}
    recipe = read_recipe(work / "recipe.toml", {"source.licence": "MIT", "data.licence": "CC0-1.0"})
    edgecut.build(recipe, out=tmp_path / "alone", cache=False)
    one, other = contents(tmp_path / "kept"), contents(tmp_path / "alone")
    assert [name for name in one if one[name] != other[name]] == []


def test_another_budget_runs_no_step_and_is_judged(work: Path, tmp_path: Path) -> None:
    report = changed(work, tmp_path / "dist", budget__size_bytes=100)
    assert set(steps(report).values()) == {True}
    assert report.status == "misses"


def test_changed_images_are_not_taken_for_the_old_ones(work: Path, tmp_path: Path) -> None:
    with np.load(work / "data.npz") as arrays:
        np.savez(tmp_path / "data.npz", **{**arrays, "x_train": arrays["x_train"][::-1]})
    found = steps(changed(work, tmp_path / "dist", data__train=str(tmp_path / "data.npz")))
    assert (found["cut"], found["data"], found["head"], found["bench"]) == (True, False, False, False)


def test_a_stem_is_made_anew_for_other_images_and_for_files_that_pad_otherwise(work: Path, tmp_path: Path) -> None:
    """Colour that gray loses is told on images, and how raw pixels are padded depends on the files."""
    asked: dict[str, object] = {"stem__channels": 1, "stem__pixels": "raw", "export__formats": ["tflite"]}
    with np.load(work / "data.npz") as arrays:
        np.savez(tmp_path / "data.npz", **{**arrays, "x_train": arrays["x_train"][::-1]})
    others: list[dict[str, object]] = [
        {"data__train": str(tmp_path / "data.npz")}, {"export__precisions": ["int16x8"]}, {"head__pool": "max"},
    ]  # fmt: skip
    changed(work, tmp_path / "first", **asked)
    reports = [changed(work, tmp_path / str(number), **asked, **other) for number, other in enumerate(others)]
    assert [steps(report)["stem"] for report in reports] == [False, False, True]


def test_a_damaged_entry_is_made_anew(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Path(os.environ["EDGECUT_CACHE"])
    blobs = [path for path in (cache / "files").iterdir() if path.stat().st_size > 1000]
    for path in blobs:
        content = bytearray(path.read_bytes())
        content[500] ^= 1
        path.write_bytes(content)
    report = edgecut.build(work / "recipe.toml", out=tmp_path / "dist")
    assert not steps(report)["export"]
    assert contents(tmp_path / "dist") == contents(work / "dist")


def test_classes_of_the_callers_own_are_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Their code is in no file that could tell whether it has changed."""
    monkeypatch.undo()
    with keras.saving.custom_object_scope({"Own": type("Own", (keras.layers.Layer,), {"__module__": "mine"})}):
        assert has_custom_classes()
        assert build_run._has_custom_classes()


def test_locked_refuses_what_drifted_and_names_it(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("m.keras", "data.npz", "recipe.toml"):
        (tmp_path / name).write_bytes((work / name).read_bytes())
    words = ["build", "recipe.toml", "-o", "out", "--locked"]
    answer = run(capsys, *words)
    assert (answer.code, answer.err) == (
        2,
        "edgecut: error: recipe.lock.toml: there is no such lock; build once without --locked, which writes it\n",
    )
    lock = (work / "recipe.lock.toml").read_text()
    (tmp_path / "recipe.lock.toml").write_text(lock.replace('keras = "3.15.1"', 'keras = "3.15.0"', 1))
    with open(tmp_path / "m.keras", "ab") as file:
        file.write(b"\0")
    answer = run(capsys, *words)
    assert answer.code == 2
    assert "keras is " in answer.err
    assert "and 3.15.0 is locked" in answer.err
    assert "source.model is SHA-256 " in answer.err
    assert "data.train" not in answer.err
    assert not (tmp_path / "out").exists()


def test_the_clock_is_not_in_the_names_of_the_cache(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 86_400)
    assert all(steps(edgecut.build(work / "recipe.toml", out=tmp_path / "dist")).values())


def test_rows_built_by_workers_are_a_builds_bytes_and_one_that_fails_loses_no_other(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(work)
    with np.load(work / "data.npz") as arrays:
        np.savez(work / "seven.npz", **{**arrays, "y_train": arrays["y_train"] + 1})
    words = ["build", "recipe.toml", "--matrix", "data=seven.npz,data.npz", "-o", str(tmp_path / "rows"), "--json",
             "--workers", "2"]  # fmt: skip
    answer = run(capsys, *words)
    assert answer.code == 3, answer.err
    bad, good = json.loads(answer.out)["rows"]
    assert (bad["status"], bad["code"], bad["bundle"]) == ("failed", 2, None)
    assert "data.train: seven.npz: y_train: labels are 1..6, and 6 classes allow 0..5; " in bad["error"]
    assert (good["status"], good["code"], len(good["files"])) == ("meets", 0, 4)
    assert verify(tmp_path / "rows" / good["bundle"]).faults == ()
    one, other = contents(tmp_path / "rows" / good["bundle"]), contents(work / "dist")
    assert sorted(one) == sorted(other)
    assert [name for name in one if one[name] != other[name]] == []
