"""Two builds compared: the one thing that differs is named, equal ones are equal, and limits are kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecut.errors import RequestError, RunError
from edgecut.handoff import compare as comparing
from edgecut.handoff.builds import Side
from edgecut.handoff.compare import compare
from edgecut.handoff.limits import judge_changes, parse_limits
from edgecut.records.artifact import Artifact
from edgecut.records.comparison import Change, Comparison, Difference
from edgecut.render.comparison import comparison_markdown
from edgecut.render.junit import comparison_junit
from edgecut.tflite.flatbuffer import parse, read
from edgecut.tflite.patch import constants, patched
from tests.command_line import run
from tests.handoff.test_bundle import FIXTURES, arena, bundle
from tests.handoff.test_verify import adopt_all

pytestmark = pytest.mark.usefixtures("few_rounds")
FLOAT, INT8 = FIXTURES / "tiny.float32.tflite", FIXTURES / "tiny.int8.tflite"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle(tmp_path_factory.mktemp("compare") / "dist", ("int8.tflite",), arena(8816, "measured"))


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "other"))


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


def test_files_that_cannot_be_fed_are_compared_in_all_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(side: Side, artifact: Artifact, values: np.ndarray) -> np.ndarray:
        raise RunError(f"{artifact.path}: takes 2 inputs; a file with one input is expected")

    monkeypatch.setattr(comparing, "outputs_of", refuse)
    comparison = compare(FLOAT, INT8)
    reasons = {c.metric: c.reason for c in comparison.changes if c.a is None}
    assert reasons["top1_changes"] == f"{FLOAT}: takes 2 inputs; a file with one input is expected"
    assert next(c for c in comparison.changes if c.metric == "size").real


def test_a_place_where_nothing_is_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(RequestError) as error:
        compare(tmp_path / "nothing", FLOAT)
    assert str(error.value) == (
        f"{tmp_path / 'nothing'}: no such file or folder; a bundle, or a .tflite or .onnx file is expected"
    )
