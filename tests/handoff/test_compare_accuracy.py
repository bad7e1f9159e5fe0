"""Accuracy of two files on the same pictures, in pairs, and what each of them is fed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgecut.export.readback import read_artifact
from edgecut.handoff import compare as comparing
from edgecut.handoff.builds import Side
from edgecut.handoff.compare import compare
from edgecut.handoff.limits import judge_changes, parse_limits
from edgecut.handoff.stimuli import Fed, fed
from edgecut.records.artifact import Artifact
from edgecut.records.comparison import Change
from edgecut.records.progress import SILENT
from edgecut.records.recipe import Data
from edgecut.runtime.files import FileRunner
from edgecut.score.intervals import mcnemar
from tests.command_line import run
from tests.handoff.test_bundle import FIXTURES, bundle, recipe_of

pytestmark = pytest.mark.usefixtures("few_rounds")
FLOAT, INT8 = FIXTURES / "tiny.float32.tflite", FIXTURES / "tiny.int8.tflite"


def test_accuracy_is_tested_in_pairs(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (60, 12, 12, 1), dtype=np.uint8), np.arange(60) % 4
    np.savez(tmp_path / "d.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    row = next(
        c for c in compare(FLOAT, INT8, data=str(tmp_path / "d.npz"), preprocess="tf").changes if c.metric == "accuracy"
    )
    assert row.a is not None
    assert row.b is not None
    assert row.p is not None
    assert row.change == pytest.approx(row.b - row.a)


def accuracy_of(data: Path, *words: str, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], list[str]]:
    answer = run(capsys, "compare", str(FLOAT), str(INT8), "--data", str(data), "--preprocess", "tf", *words, "--json")
    found = json.loads(answer.out)
    return next(row for row in found["changes"] if row["metric"] == "accuracy"), found["notes"]


def class_folders(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).mkdir(parents=True)
        for k in range(5):
            Image.new("L", (12, 12), 40 * k).save(root / name / f"{k}.png")
    return root


def test_images_of_another_count_of_classes_than_the_outputs_give_no_accuracy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row, notes = accuracy_of(class_folders(tmp_path, "a", "b", "c"), capsys=capsys)
    assert (row["a"], row["reason"]) == (None, "the images have 3 classes, and the files have 4 outputs")
    assert notes == []


def test_the_order_of_the_outputs_is_assumed_until_labels_are_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders, names = class_folders(tmp_path / "d", *"abcd"), tmp_path / "labels.txt"
    names.write_text("d\nc\nb\na\n")
    row, notes = accuracy_of(folders, capsys=capsys)
    assert notes == [
        f"tflite float32 / tflite int8: the model's outputs are assumed to be the class folders of {folders} in "
        "alphabetical order ('a', 'b', 'c', ...); where they have another order, name the outputs in their order, one "
        "to a line, in a file (data.labels, --labels)"
    ]
    other, notes = accuracy_of(folders, "--labels", str(names), capsys=capsys)
    assert notes == []
    assert (row["a"] is not None, other["a"] is not None) == (True, True)


def test_a_limit_on_accuracy_without_images_is_unknown_and_counts_if_strict(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("compare", str(FLOAT), str(INT8), "--fail-on", "accuracy<-0.5pp", "--json")
    answer = run(capsys, *words)
    assert json.loads(answer.out)["verdicts"] == [
        {"limit": "accuracy<-0.5pp", "file": "tflite float32 / tflite int8", "state": "unknown",
         "found": "no labelled data; pass --data"}
    ]  # fmt: skip
    assert (answer.code, run(capsys, *words, "--strict").code) == (0, 1)


def test_accuracy_counts_the_classes_by_the_names_of_each_side(tmp_path: Path) -> None:
    names = ["cat", "dog", "none", "other"]
    random = np.random.default_rng(1)
    for k, name in enumerate(names):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(5):
            shades = random.integers(0, 256, (12, 12), dtype=np.uint8)
            Image.fromarray(shades).save(tmp_path / "photos" / name / f"{k}{number}.png")
    one = bundle(tmp_path / "one", ("float32.tflite",), labels=names)
    other = bundle(tmp_path / "other", ("int8.tflite",), labels=names[::-1])
    data = Data(train=str(tmp_path / "photos"), val=str(tmp_path / "photos"))
    row = next(c for c in compare(one, other, data=data).changes if c.metric == "accuracy")
    shown = [np.asarray(Image.open(path))[None, ..., None] for path in sorted((tmp_path / "photos").glob("*/*.png"))]
    pictures, truth = np.concatenate(shown) / np.float32(127.5) - 1, np.repeat(np.arange(4), 5)
    first = FileRunner(FLOAT).predict(pictures.astype("float32")).argmax(1) == truth
    second = FileRunner(INT8).predict(pictures.astype("float32")).argmax(1) == 3 - truth
    assert (row.a, row.b) == (first.mean(), second.mean())
    assert row.p == pytest.approx(mcnemar(int((first & ~second).sum()), int((second & ~first).sum())))


def side_of(order: str | None, shape: tuple[int, ...]) -> tuple[Side, Artifact]:
    artifact = read_artifact(INT8, name="x", precision="int8", expects="raw")
    spec = artifact.inputs[0].model_copy(update={"shape": shape})
    recipe = recipe_of({"stem": {"order": order}}) if order else recipe_of()
    return Side(Path(), Path(), (), "none", recipe), artifact.model_copy(update={"inputs": (spec,)})


def test_each_side_gets_the_same_pictures_in_its_own_format(tmp_path: Path) -> None:
    grays = np.arange(8, dtype=np.uint8).repeat(8 * 8 * 3).reshape(8, 8, 8, 3)
    np.savez(tmp_path / "d.npz", x_train=grays, y_train=np.arange(8) % 2, x_test=grays, y_test=np.arange(8) % 2)
    (yuv, first), (rgba, second) = side_of("yuv", (1, 4, 4, 3)), side_of(None, (1, 6, 6, 4))
    given = fed((yuv, rgba), (first, second), str(tmp_path / "d.npz"), SILENT)
    assert given is not None
    assert [x.values.shape for x in given[0]] == [(8, 4, 4, 3), (8, 6, 6, 4)]
    assert given[0][0].values[:, 1, 1].tolist() == [[k, 128, 128] for k in range(8)]
    assert given[0][1].values[:, 1, 1].tolist() == [[k, k, k, 255] for k in range(8)]
    assert fed((yuv, rgba), (first, second), None, SILENT) is None


def test_numbers_of_a_vocabulary_are_fed_where_no_camera_feeds() -> None:
    _, words = side_of(None, (1, 9))
    spec = words.inputs[0].model_copy(update={"dtype": "int32", "scale": None, "zero_point": None, "expects": None})
    words = words.model_copy(update={"inputs": (spec,)})
    given = fed((side_of(None, (1, 9))[0],) * 2, (words, words), None, SILENT)
    assert given is not None
    assert set(given[0][0].values.ravel()) == {0.0, 1.0}


def test_a_per_cent_of_changed_classes_is_of_the_images() -> None:
    change = Change(metric="top1_changes", file="f", a=0.0, b=0.01, unit="fraction", change=0.01, real=True)
    limits = parse_limits("top1_changes>2%,top1_changes>0.5%,top1_changes>0.5pp")
    verdicts = judge_changes(limits, [change])
    assert [verdict.state for verdict in verdicts] == ["meets", "misses", "misses"]
    assert [verdict.found for verdict in verdicts] == ["+1.00 pp", "+1.00 pp", "+1.00 pp"]


def test_a_change_of_accuracy_is_in_points_or_in_per_cent_of_as_own() -> None:
    change = Change(metric="accuracy", file="f", a=0.8, b=0.9, unit="fraction", change=0.1, p=0.01, real=True)
    verdicts = judge_changes(parse_limits("accuracy<-0.5pp,accuracy<-1%"), [change])
    assert [verdict.found for verdict in verdicts] == ["+10.00 pp", "+12.50% of A's"]


def test_a_score_is_compared_at_its_threshold_and_not_by_argmax_over_one_column(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = np.array([[0.9], [0.8], [0.2], [0.1]], "float32"), np.array([[0.9], [0.4], [0.2], [0.6]], "float32")
    given = Fed(np.zeros((4, 12, 12, 1), np.uint8), np.array([1, 1, 0, 0]))
    rows = iter(((ours,), (theirs,)))
    monkeypatch.setattr(comparing, "fed", lambda *request: ((given, given), "pictures"))
    monkeypatch.setattr(comparing, "outputs_of", lambda side, artifact, values: next(rows))
    monkeypatch.setattr("edgecut.handoff.thresholds.last_activation", lambda path, output: "sigmoid")
    changes = {c.metric: c for c in compare(FLOAT, INT8).changes}
    assert (changes["accuracy"].a, changes["accuracy"].b, changes["top1_changes"].b) == (1.0, 0.5, 0.5)


def test_pictures_for_a_file_that_cant_hold_their_bytes_need_a_scaling(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = run(capsys, "compare", str(FLOAT), str(INT8), "--data", str(class_folders(tmp_path, "a", "b")))
    assert (answer.code, answer.out, answer.err) == (
        2,
        "",
        f"edgecut: error: {INT8}: takes values from -0.995 to 1, and a picture has bytes 0 to 255; say how they are "
        "scaled: --preprocess tf\n",
    )
