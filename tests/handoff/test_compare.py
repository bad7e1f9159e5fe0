"""Two builds compared: the one thing that differs is named, equal ones are equal, and limits are kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgecut.bench.runners import tflm
from edgecut.bench.runners.tflm import TflmArena
from edgecut.errors import RequestError, RunError
from edgecut.export.readback import read_artifact
from edgecut.handoff import compare as comparing
from edgecut.handoff.builds import Side
from edgecut.handoff.compare import compare
from edgecut.handoff.limits import judge_changes, parse_limits
from edgecut.handoff.stimuli import Fed, fed
from edgecut.records.artifact import Artifact
from edgecut.records.comparison import Change, Comparison, Difference
from edgecut.records.progress import SILENT
from edgecut.records.recipe import Data
from edgecut.render.comparison import comparison_markdown
from edgecut.render.junit import comparison_junit
from edgecut.runtime.files import FileRunner
from edgecut.score.intervals import mcnemar
from edgecut.tflite.flatbuffer import parse, read
from edgecut.tflite.patch import constants, patched
from tests.command_line import run
from tests.handoff.test_bundle import FIXTURES, arena, bundle, recipe_of
from tests.handoff.test_verify import adopt_all

FLOAT, INT8 = FIXTURES / "tiny.float32.tflite", FIXTURES / "tiny.int8.tflite"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle(tmp_path_factory.mktemp("compare") / "dist", ("int8.tflite",), arena(8816, "measured"))


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "other"))


@pytest.fixture(scope="module")
def arenas() -> dict[bytes, TflmArena]:
    return {}


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch: pytest.MonkeyPatch, arenas: dict[bytes, TflmArena]) -> None:
    """One round of latency; the interpreter says the arena of the same bytes once for all the tests."""
    measure = tflm.smallest_arena_bytes

    def once(path: Path) -> TflmArena:
        content = path.read_bytes()
        if content not in arenas:
            arenas[content] = measure(path)
        return arenas[content]

    monkeypatch.setattr(comparing, "ROUNDS", 1)
    monkeypatch.setattr(tflm, "smallest_arena_bytes", once)


def edit(path: Path, *keys: str, value: object) -> None:
    """Change a document of a bundle, which is sealed anew, as if it had been built so."""
    tables = json.loads(path.read_text())
    inner = tables
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path.write_text(json.dumps(tables))
    adopt_all(path.parent)


def test_equal_builds_are_equal_and_are_not_run(whole: Path, folder: Path) -> None:
    comparison = compare(whole, folder, limits=parse_limits("size>+0,arena>+0,accuracy<-0,latency>+0%,top1_changes>0"))
    assert comparison.equal
    assert comparison.differences == ()
    assert [verdict.state for verdict in comparison.verdicts] == ["meets"] * 5
    assert comparison.notes == ("tflite int8: the files are the same bytes",)


def test_no_limit_on_files_of_equal_bytes_is_unknown(tmp_path: Path) -> None:
    """An ONNX file has no arena, and one that is the same has none that grew."""
    onnx = FIXTURES / "tiny.float32.onnx"
    comparison = compare(onnx, Path(shutil.copy(onnx, tmp_path)), limits=parse_limits("arena>+0,flash>+0,latency>+0%"))
    assert [verdict.state for verdict in comparison.verdicts] == ["meets"] * 3
    assert comparison.equal


def test_a_changed_setting_is_the_one_difference(whole: Path, folder: Path) -> None:
    for document in ("report.json", "manifest.json"):
        edit(folder / document, "recipe", "data", "seed", value=7)
    comparison = compare(whole, folder)
    assert comparison.differences == (Difference(what="recipe", name="data.seed", a="0", b="7"),)
    assert not comparison.equal


def other_weights(content: bytes) -> bytes:
    """The same model with one weight of another sign: the same size and operators."""
    graph = parse(content, "model")
    tensor = max((t for t in graph.tensors if t.is_constant and t.dtype == "int8"), key=lambda t: t.elements)
    values = constants(content, graph)[tensor.index].copy()
    values.flat[0] = -int(values.flat[0]) - 1
    return patched(content, {tensor.index: values}, {})


def test_a_replaced_model_file_is_compared_as_it_is_and_told(whole: Path, folder: Path) -> None:
    path = folder / "models" / "bell.int8.tflite"
    path.write_bytes(other_weights(path.read_bytes()))
    for sides in ((whole, folder), (folder, whole)):
        comparison = compare(*sides)
        assert not comparison.equal
        assert [row.what for row in comparison.differences] == ["tensor"]
        assert {row.metric for row in comparison.changes} >= {"latency", "top1_changes"}
        assert comparison.notes == (
            f"{folder}: isn't as it was built (models/bell.int8.tflite: is not the file that the manifest lists "
            f"(its SHA-256 differs); `edgecut verify {folder}` names all); compared is what is there now",
        )


def test_a_model_file_of_another_precision_is_not_taken_for_the_one_that_was_there(whole: Path, folder: Path) -> None:
    path = folder / "models" / "bell.int8.tflite"
    path.write_bytes(FLOAT.read_bytes())
    comparison = compare(whole, folder)
    assert not comparison.equal
    assert (
        Difference(what="file", name="format and precision", a="tflite int8", b="tflite float32")
        in comparison.differences
    )
    sizes = [(row.a, row.b) for row in comparison.changes if row.metric == "size"]
    assert sizes == [(INT8.stat().st_size, FLOAT.stat().st_size)]


def test_a_bundle_is_not_equal_where_any_file_is_not_what_it_says(whole: Path, folder: Path) -> None:
    with (folder / "README.md").open("a") as file:
        file.write("more\n")
    comparison = compare(whole, folder)
    assert not comparison.equal
    assert comparison.notes[0].startswith(f"{folder}: isn't as it was built (README.md: has ")


def test_a_measured_arena_of_a_bundle_that_was_changed_is_measured_anew(whole: Path, folder: Path) -> None:
    text = (folder / "report.json").read_text()
    (folder / "report.json").write_text(text.replace("8816", "4408"))
    (arena,) = [row for row in compare(whole, folder).changes if row.metric == "arena"]
    assert arena.b != 4408


def test_a_model_file_that_is_gone_is_said(whole: Path, folder: Path) -> None:
    (folder / "models" / "bell.int8.tflite").unlink()
    with pytest.raises(RequestError) as caught:
        compare(whole, folder)
    assert str(caught.value) == f"{folder}: is a damaged bundle; `edgecut verify {folder}` says where"


def test_a_changed_version_is_the_one_difference(whole: Path, folder: Path) -> None:
    edit(folder / "report.json", "environment", "python", value="3.12")
    assert compare(whole, folder).differences == (Difference(what="toolchain", name="python", a="3.11", b="3.12"),)


def test_another_folder_of_the_model_is_no_difference(whole: Path, folder: Path) -> None:
    for document in ("report.json", "manifest.json"):
        edit(folder / document, "recipe", "source", "model", value="/elsewhere/m.keras")
    assert compare(whole, folder).equal


def test_another_device_is_the_one_difference(whole: Path, folder: Path) -> None:
    report = json.loads((folder / "report.json").read_text())
    edit(
        folder / "report.json", "profiles", value=[*report["profiles"], {"id": "esp32-s3", "memory": {"ram_bytes": 1}}]
    )
    assert compare(whole, folder).differences == (Difference(what="profile", name="esp32-s3", a=None, b="here"),)


def test_a_devices_changed_fact_is_the_one_difference(folder: Path, tmp_path: Path) -> None:
    first = Path(shutil.copytree(folder, tmp_path / "first"))
    for place, ram_bytes in ((first, 1), (folder, 2)):
        edit(place / "report.json", "profiles", value=[{"id": "board", "memory": {"ram_bytes": ram_bytes}}])
    comparison = compare(first, folder)
    assert comparison.differences == (Difference(what="profile", name="board memory.ram_bytes", a="1", b="2"),)


def test_another_label_is_the_one_difference(whole: Path, folder: Path) -> None:
    lines = (folder / "labels.txt").read_text().splitlines()
    (folder / "labels.txt").write_text("\n".join([*lines[:-1], "bird", "fish"]) + "\n")
    assert compare(whole, folder).differences == (
        Difference(what="label", name="labels.txt", a="3: other, 4: none", b="3: bird, 4: fish"),
    )


def test_other_images_under_the_same_name_are_the_one_difference(folder: Path, tmp_path: Path) -> None:
    first = Path(shutil.copytree(folder, tmp_path / "first"))
    for place, digest in ((first, "aa"), (folder, "bb")):
        (place / "recipe.lock.toml").write_text(f'[inputs]\n"data.train" = "{digest}"\n')
    comparison = compare(first, folder)
    assert comparison.differences == (Difference(what="input", name="data.train (SHA-256)", a="aa", b="bb"),)


def test_one_changed_weight_is_named(tmp_path: Path) -> None:
    content = INT8.read_bytes()
    graph = read(INT8)
    tensor = max((t for t in graph.tensors if t.is_constant and t.dtype == "int8"), key=lambda t: t.elements)
    values = constants(content, graph)[tensor.index].copy()
    before = int(values.flat[0])
    values.flat[0] = -before - 1
    (tmp_path / "other.int8.tflite").write_bytes(patched(content, {tensor.index: values}, {}))
    (comparison,) = compare(INT8, tmp_path / "other.int8.tflite").differences
    assert (comparison.what, comparison.name) == ("tensor", f"tflite int8 {tensor.name}")
    assert comparison.a == f"{before} at {[0] * len(tensor.shape)}"
    assert comparison.b == f"{-before - 1}; 1 of {tensor.elements} values differ"


def test_files_of_other_bytes_are_never_equal(tmp_path: Path) -> None:
    """Here they differ behind the model's end, where nothing has a name."""
    (tmp_path / "tiny.int8.tflite").write_bytes(INT8.read_bytes() + bytes(16))
    comparison = compare(INT8, tmp_path / "tiny.int8.tflite")
    assert [row.what for row in comparison.differences] == ["file"]
    assert not comparison.equal


def test_a_larger_arena_misses_its_limit(whole: Path, folder: Path) -> None:
    rows = json.loads((folder / "report.json").read_text())["measurements"]
    edit(folder / "report.json", "measurements", value=[{**rows[0], "value": 8832}, *rows[1:]])
    comparison = compare(whole, folder, limits=parse_limits("arena>+0,arena>+1%"))
    assert [(v.limit, v.state, v.found) for v in comparison.verdicts] == [
        ("arena>+0", "misses", "+16 bytes"), ("arena>+1%", "meets", "+0.18%"),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def of_two_precisions() -> Comparison:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparing, "ROUNDS", 1)
        return compare(FLOAT, INT8)


def test_precision_and_outputs_of_two_files_are_compared(of_two_precisions: Comparison) -> None:
    comparison = of_two_precisions
    assert comparison.differences == (
        Difference(what="file", name="format and precision", a="tflite float32", b="tflite int8"),
    )
    assert comparison.outputs[0].inputs == 64
    assert comparison.outputs[0].max_abs_error > 0
    assert not comparison.equal


def test_equal_outputs_are_said_to_be_equal(of_two_precisions: Comparison) -> None:
    equal = {"max_abs_error": 0.0, "top1_changes": 0, "histogram": {}}
    row = of_two_precisions.outputs[0].model_copy(update=equal)
    text = comparison_markdown(of_two_precisions.model_copy(update={"outputs": (row,)}))
    assert f"{row.file}: outputs on 64 inputs (seeded noise) are equal; 0 are decided otherwise" in text


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


def test_a_file_that_is_gone_leaves_its_limits_unknown(whole: Path, tmp_path: Path) -> None:
    both = bundle(tmp_path / "both", ("float32.tflite", "int8.tflite"), arena(8816, "measured"))
    comparison = compare(both, whole, limits=parse_limits("size>+0"))
    assert [(v.file, v.state) for v in comparison.verdicts] == [("tflite int8", "meets"), ("tflite float32", "unknown")]
    assert comparison.differences[0] == Difference(what="file", name="tflite float32", a="here", b=None)


def latency(change: float, low: float, high: float) -> Change:
    return Change(metric="latency", file="f", a=1.0, b=1 + change, unit="s", change=change, low=low, high=high)


@given(st.floats(0, 2), st.floats(0, 0.5), st.floats(0, 1))
def test_a_latency_within_the_noise_never_fails(change: float, below: float, above: float) -> None:
    """An interval that reaches down to the limit misses nothing."""
    row = latency(change, min(change, 0.05) - below, change + above)
    assert judge_changes(parse_limits("latency>+5%"), [row])[0].state == "meets"


def test_a_latency_beyond_the_noise_fails() -> None:
    verdicts = judge_changes(parse_limits("latency>+5%"), [latency(0.3, 0.2, 0.4)])
    assert (verdicts[0].state, verdicts[0].found) == ("misses", "+30.00%, 95 % between +20.00% and +40.00%")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sise>+2%", "--fail-on: 'sise' is no metric (closest: 'size'); size, flash, arena, accuracy, latency, "
         "top1_changes, tag_changes, pixel_changes are known"),
        ("size", "--fail-on: 'size' is no limit; one such as 'size>+2%' is expected"),
        ("size>2pp", "--fail-on: 'size>2pp': pp is for accuracy and changes; give % or a number"),
    ],
)  # fmt: skip
def test_a_limit_that_is_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(RequestError) as error:
        parse_limits(text)
    assert str(error.value) == message


def test_a_missed_limit_is_exit_code_1_a_failure_in_junit_and_a_row_in_markdown(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    junit, markdown = tmp_path / "gate.xml", tmp_path / "gate.md"
    answer = run(capsys, "compare", str(INT8), str(FLOAT), "--fail-on", "size>+2%", "--junit", str(junit),
                 "--markdown", str(markdown))  # fmt: skip
    assert (answer.code, answer.err) == (1, "")
    suite = ElementTree.parse(junit).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    assert suite[0][0].get("message") == "size>+2%: found +12.54%"
    assert "| size&gt;+2% |" not in markdown.read_text()
    assert "| size>+2% | tflite int8 / tflite float32 | misses | +12.54% |\n" in markdown.read_text()


def test_the_outputs_of_this_comparison_agree(whole: Path, folder: Path) -> None:
    comparison = compare(whole, folder, limits=parse_limits("size>+2%"))
    assert comparison_markdown(comparison).startswith(f"### A {whole}, B {folder}: equal\n")
    assert 'failures="0"' in comparison_junit(comparison)


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError) as error:
        compare(tmp_path, INT8)
    assert str(error.value) == f"{tmp_path}: is no bundle: it has no manifest.json"


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


def test_files_that_cannot_be_fed_are_compared_in_all_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(side: Side, artifact: Artifact, values: np.ndarray) -> np.ndarray:
        raise RunError(f"{artifact.path}: takes 2 inputs; a file with one input is expected")

    monkeypatch.setattr(comparing, "outputs_of", refuse)
    comparison = compare(FLOAT, INT8)
    reasons = {c.metric: c.reason for c in comparison.changes if c.a is None}
    assert reasons["top1_changes"] == f"{FLOAT}: takes 2 inputs; a file with one input is expected"
    assert next(c for c in comparison.changes if c.metric == "size").real


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


def test_a_place_where_nothing_is_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(RequestError) as error:
        compare(tmp_path / "nothing", FLOAT)
    assert str(error.value) == (
        f"{tmp_path / 'nothing'}: no such file or folder; a bundle, or a .tflite or .onnx file is expected"
    )


def test_a_score_is_compared_at_its_threshold_and_not_by_argmax_over_one_column(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = np.array([[0.9], [0.8], [0.2], [0.1]], "float32"), np.array([[0.9], [0.4], [0.2], [0.6]], "float32")
    given = Fed(np.zeros((4, 12, 12, 1), np.uint8), np.array([1, 1, 0, 0]))
    rows = iter(((ours,), (theirs,)))
    monkeypatch.setattr(comparing, "fed", lambda *request: ((given, given), "pictures"))
    monkeypatch.setattr(comparing, "outputs_of", lambda side, artifact, values: next(rows))
    monkeypatch.setattr("edgecut.handoff.answers.last_activation", lambda path, output: "sigmoid")
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
