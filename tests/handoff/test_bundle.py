"""A bundle: complete, described, and the same bytes for the same request."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecut.errors import RunError
from edgecut.export.readback import read_artifact
from edgecut.handoff.bundle import arena_of, byte_table, device_artifact, write_bundle
from edgecut.handoff.seal import VARIES, Release, manifest_of
from edgecut.handoff.vectors import Vectors, VectorSheet, golden_vectors, tried_in_tflm
from edgecut.images.device import model_input
from edgecut.records.artifact import Artifact
from edgecut.records.environment import Environment
from edgecut.records.measurement import Measurement, measured
from edgecut.records.operating import Decision
from edgecut.records.profile_files import find_profile
from edgecut.records.recipe import Recipe, make_recipe, read_recipe
from edgecut.records.report import Report, SourceFacts
from edgecut.runtime.files import FileRunner
from edgecut.tflite.flatbuffer import parse
from edgecut.tflite.patch import patched

FIXTURES = Path(__file__).parents[1] / "fixtures"
FILES = ("float32.tflite", "int8.tflite", "float32.onnx", "int8.onnx")
LABELS = ["cat", "dog", "none", "other"]


def recipe_of(tables: dict[str, Any] | None = None) -> Recipe:
    source = {"source": {"model": "/models/m.keras", "preprocess": "tf"}}
    return make_recipe({"name": "bell", **source, **(tables or {})}, {}, where="test")


def artifacts_in(folder: Path, files: tuple[str, ...] = FILES) -> tuple[Artifact, ...]:
    (folder / "models").mkdir(parents=True)
    found = []
    for name in files:
        path = folder / "models" / f"bell.{name}"
        shutil.copy(FIXTURES / f"tiny.{name}", path)
        precision = name.split(".")[0]
        found.append(read_artifact(path, name=path.name, precision=precision, expects="normalized", relative_to=folder))
    return tuple(found)


def report_of(artifacts: tuple[Artifact, ...], *measurements: Measurement) -> Report:
    source = SourceFacts(path="/models/m.keras", sha256="", layers=1, calls=1, params=1, macs=1)
    return Report(
        edgecut="0.1.0", status="meets", recipe=recipe_of().to_dict(), environment={"python": "3.11"},
        profiles=(find_profile("host").to_dict(),),
        source=source, steps=(), artifacts=artifacts, measurements=measurements, checks=(),
    )  # fmt: skip


def camera(count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 12, 12, 1), dtype=np.uint8)


def vectors_of(path: Path) -> Vectors:
    return golden_vectors(path, camera(), model_input(camera(), "tf", "normalized"))


def test_outputs_that_are_not_finite_are_no_golden_vectors(tmp_path: Path) -> None:
    content = (FIXTURES / "tiny.float32.tflite").read_bytes()
    graph = parse(content, "tiny")
    weights = next(op for op in graph.operators if op.name == "FULLY_CONNECTED").inputs[1]
    path = tmp_path / "a.tflite"
    path.write_bytes(patched(content, {weights: np.full(graph.tensors[weights].shape, np.nan, np.float32)}, {}))
    with pytest.raises(RunError) as caught:
        vectors_of(path)
    assert str(caught.value) == (
        f"a.tflite: output {FileRunner(path).outputs[0].name!r} holds nan or infinity for an input of the golden "
        "vectors, against which no device can be held; cut the model before the layer that puts it out"
    )


def bundle(
    folder: Path,
    files: tuple[str, ...] = FILES,
    *measurements: Measurement,
    labels: list[str] = LABELS,
    decisions: tuple[Decision, ...] = (),
) -> Path:
    artifacts = artifacts_in(folder, files)
    chosen = device_artifact(artifacts)
    assert chosen is not None
    write_bundle(
        folder,
        Release(report_of(artifacts, *measurements).model_copy(update={"decisions": decisions}), folder.parent),
        vectors=vectors_of(folder / chosen.path), labels=labels,
    )  # fmt: skip
    return folder


def varies_of(report: Report) -> dict[str, str]:
    reproducible = manifest_of(report, None, [], None).reproducible
    assert reproducible is not None
    return reproducible.varies


def test_a_bundle_holds_what_the_contract_lists(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "dist")
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    vectors = [f"vectors/{kind}_{k}.bin" for kind in ("camera", "expected", "input") for k in range(3)]
    assert found == sorted([
        "MODEL_CARD.md", "README.md", "c/Makefile", "c/bell_io.h", "c/bell_model.c", "c/bell_model.h", "c/bell_ops.h",
        "c/bell_test.c", "c/bell_tflm.cc", "labels.txt", "manifest.json", "manifest.sha256",
        *(f"models/bell.{name}" for name in FILES),
        "provenance.json", "recipe.toml",
        "report.html", "report.json", "sbom.cdx.json", *vectors, "vectors/vectors.json",
    ])  # fmt: skip


def test_the_manifest_lists_every_file_with_its_hash_and_size(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "dist")
    rows = json.loads((folder / "manifest.json").read_text())["files"]
    assert {row["path"]: (row["sha256"], row["size_bytes"]) for row in rows} == {
        path.relative_to(folder).as_posix(): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_size,
        )
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith("manifest.")
    }


def test_the_manifest_is_sealed_as_sha256sum_checks_it(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "dist")
    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    assert (folder / "manifest.sha256").read_text() == f"{digest}  manifest.json\n"


def test_the_same_request_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = bundle(tmp_path / "a" / "dist"), bundle(tmp_path / "b" / "dist")
    for path in first.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (second / path.relative_to(first)).read_bytes(), path.name


def test_the_recipe_in_the_bundle_reads_back_equal(tmp_path: Path) -> None:
    assert read_recipe(bundle(tmp_path / "dist") / "recipe.toml") == recipe_of()


def test_the_report_in_the_bundle_is_the_given_one(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "dist")
    report = Report.model_validate(json.loads((folder / "report.json").read_text()))
    assert report == report_of(report.artifacts)


def test_the_vectors_are_those_of_the_int8_file(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "dist")
    sheet = VectorSheet.model_validate(json.loads((folder / "vectors" / "vectors.json").read_text()))
    assert (sheet.artifact, sheet.input.expects) == ("models/bell.int8.tflite", "normalized")
    runner = FileRunner(folder / sheet.artifact)
    for k, row in enumerate(sheet.vectors):
        assert (folder / "vectors" / str(row.camera)).read_bytes() == camera()[k].tobytes()
        given = np.frombuffer((folder / "vectors" / row.input).read_bytes(), "int8").reshape(1, 12, 12, 1)
        wanted = (folder / "vectors" / row.expected).read_bytes()
        assert runner.predict_raw(given).tobytes() == wanted


def test_the_onnx_files_are_compared_with_the_tflite_files_of_their_precision(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "dist")
    sheet = VectorSheet.model_validate(json.loads((folder / "vectors" / "vectors.json").read_text()))
    rows = [(row.artifact, row.reference, row.agrees, row.tolerance.lsb) for row in sheet.agreements]
    assert rows == [
        ("models/bell.float32.onnx", "models/bell.float32.tflite", True, None),
        ("models/bell.int8.onnx", "models/bell.int8.tflite", True, 1),
    ]


def test_a_bundle_of_onnx_alone_has_vectors_and_no_c_source(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "dist", ("float32.onnx",))
    assert not (folder / "c").exists()
    sheet = VectorSheet.model_validate(json.loads((folder / "vectors" / "vectors.json").read_text()))
    assert (sheet.artifact, sheet.input.dtype) == ("models/bell.float32.onnx", "float32")
    tolerance = sheet.outputs[0].tolerance
    assert tolerance.absolute is not None
    assert "which ONNX Runtime with and without its graph optimizations differ on these vectors" in tolerance.reason


def test_a_bundle_without_images_has_no_vectors_and_no_labels(tmp_path: Path) -> None:
    folder = tmp_path / "dist"
    artifacts = artifacts_in(folder)
    write_bundle(folder, Release(report_of(artifacts), tmp_path), vectors=None, labels=[])
    assert not (folder / "vectors").exists()
    assert not (folder / "labels.txt").exists()
    assert "`vectors/" not in (folder / "README.md").read_text()
    assert (folder / "c" / "bell_model.c").is_file()


@pytest.mark.parametrize(
    ("precisions", "chosen"),
    [
        (("float32.tflite", "int8.tflite", "int8.onnx"), "bell.int8.tflite"),
        (("float32.tflite", "int16x8.tflite", "dynamic.tflite"), "bell.int16x8.tflite"),
        (("float32.tflite", "int8.onnx"), "bell.float32.tflite"),
        (("float32.onnx", "int8.onnx"), "bell.int8.onnx"),
    ],
)
def test_the_device_gets_the_smallest_precision(tmp_path: Path, precisions: tuple[str, ...], chosen: str) -> None:
    artifact = device_artifact(artifacts_in(tmp_path, precisions))
    assert artifact is not None
    assert artifact.name == chosen


def arena(value: float, kind: str, error: float | None = None, name: str = "bell.int8.tflite") -> Measurement:
    return Measurement(
        metric="arena", artifact=name, unit="bytes", value=value, kind=kind, where="x", method="y", error=error,
    )  # type: ignore[arg-type]  # fmt: skip


def test_the_arena_is_enough_by_every_row_with_its_band(tmp_path: Path) -> None:
    artifacts = artifacts_in(tmp_path, ("int8.tflite",))
    rows = arena(8816, "measured"), arena(8500, "estimated", 0.1), arena(99999, "measured", name="other")
    assert arena_of(report_of(artifacts, *rows), artifacts[0]) == 9360
    assert arena_of(report_of(artifacts), artifacts[0]) is None


def test_the_arena_stands_in_the_header_and_in_the_readme(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "dist", ("int8.tflite",), arena(8816, "measured"))
    assert "#define BELL_TFLM_ARENA_BYTES 8816 " in (folder / "c" / "bell_io.h").read_text()
    assert "| tensor arena (RAM) | 8816 bytes (8.61 KiB) |" in (folder / "README.md").read_text()


@pytest.mark.parametrize("preprocess", ["tf", "torch", "caffe"])
@pytest.mark.parametrize("expects", ["raw", "normalized"])
def test_the_byte_table_gives_what_the_vectors_have(tmp_path: Path, preprocess: Any, expects: Any) -> None:
    """Looking each colour byte up gives the quantized input of the whole picture."""
    artifact = artifacts_in(tmp_path, ("int8.tflite",))[0]
    colour = artifact.inputs[0].model_copy(update={"shape": (1, 2, 3, 3), "expects": expects, "scale": 0.9})
    recipe = recipe_of({"source": {"model": "/m.keras", "preprocess": preprocess}})
    table = byte_table(recipe, artifact.model_copy(update={"inputs": (colour,)}))
    assert table is not None
    pixels = np.random.default_rng(1).integers(0, 256, (1, 2, 3, 3), dtype=np.uint8)
    swapped = pixels[..., ::-1] if preprocess == "caffe" and expects == "normalized" else pixels
    looked_up = np.stack([table[channel % len(table)][swapped[..., channel]] for channel in range(3)], axis=-1)
    values = model_input(pixels, preprocess, expects)
    rounded = np.trunc(values / np.float32(0.9) + np.copysign(0.5, values)) + colour.zero_point
    assert (looked_up == np.clip(rounded, -128, 127)).all()


@pytest.mark.parametrize(("preprocess", "expects"), [("torch", "raw"), ("none", "normalized")])
def test_four_channels_have_a_byte_table_too(tmp_path: Path, preprocess: Any, expects: Any) -> None:
    artifact = artifacts_in(tmp_path, ("int8.tflite",))[0]
    rgba = artifact.inputs[0].model_copy(
        update={"shape": (1, 2, 3, 4), "expects": expects, "scale": 1.0, "zero_point": -128}
    )
    recipe = recipe_of({"source": {"model": "/m.keras", "preprocess": preprocess}})
    table = byte_table(recipe, artifact.model_copy(update={"inputs": (rgba,)}))
    assert table is not None
    assert table.tolist() == [list(range(-128, 128))]


def test_a_model_that_no_camera_feeds_has_no_byte_table(tmp_path: Path) -> None:
    artifact = artifacts_in(tmp_path, ("int8.tflite",))[0]
    features = artifact.inputs[0].model_copy(update={"expects": None})
    assert byte_table(recipe_of(), artifact.model_copy(update={"inputs": (features,)})) is None


def test_the_tolerance_covers_tflm_where_it_runs(tmp_path: Path) -> None:
    pytest.importorskip("tflite_micro", reason="tflite-micro is not here")
    path = tmp_path / artifacts_in(tmp_path, ("int8.tflite",))[0].path
    vectors = tried_in_tflm(vectors_of(path), 64 * 1024, 1000)
    assert vectors.tflm_lsb is not None
    assert vectors.outputs[0].tolerance.lsb == max(1, vectors.tflm_lsb)


def test_an_arena_that_is_too_small_leaves_the_vectors_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / artifacts_in(tmp_path, ("int8.tflite",))[0].path
    vectors = vectors_of(path)
    assert tried_in_tflm(vectors, 1024, 1000) is vectors


def test_a_manifest_names_the_onnx_files_whose_loops_have_names_by_chance(tmp_path: Path) -> None:
    artifacts = artifacts_in(tmp_path, ("float32.tflite", "float32.onnx"))
    loop = artifacts[1].model_copy(update={"operators": {"Loop": 1, "Gemm": 2}})
    report = report_of((artifacts[0].model_copy(update={"operators": {"WHILE": 1}}), loop))
    varies = varies_of(report)
    assert varies["*"] == (
        "the names inside the loops of models/bell.float32.onnx, which tf2onnx counts over the whole process"
    )


@pytest.mark.parametrize(("environment", "count"), [({}, None), ({"threads": 8}, None), ({"threads": 2}, 2)])
def test_a_manifest_names_the_threads_of_a_training_that_was_not_the_commands(
    environment: dict[str, Any], count: int | None, tmp_path: Path
) -> None:
    report = report_of(artifacts_in(tmp_path / "other")).model_copy(update={"environment": Environment(**environment)})
    varies = varies_of(report)
    assert varies.keys() - VARIES.keys() == ({"*"} if count else set())
    assert varies.get("*", f"TensorFlow trained with {count} threads").startswith(
        f"TensorFlow trained with {count} threads"
    )


def test_the_manifest_says_the_git_state_of_the_recipe(tmp_path: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not here")
    run = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@t"]
    subprocess.run([*run, "init", "-q"], check=True)
    (tmp_path / "recipe.toml").write_text("")
    subprocess.run([*run, "add", "."], check=True)
    subprocess.run([*run, "commit", "-q", "-m", "x"], check=True)
    commit = subprocess.run([*run, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    clean = bundle(tmp_path / "dist.partial", ("int8.tflite",))
    assert json.loads((clean / "manifest.json").read_text())["git"] == {"commit": commit, "dirty": False}
    (tmp_path / "recipe.toml").write_text("changed")
    dirty = bundle(tmp_path / "other", ("int8.tflite",))
    assert json.loads((dirty / "manifest.json").read_text())["git"] == {"commit": commit, "dirty": True}


def test_outside_git_the_manifest_has_no_git_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    folder = bundle(tmp_path / "dist", ("int8.tflite",))
    assert json.loads((folder / "manifest.json").read_text())["git"] is None


def test_a_measured_latency_stands_in_the_report_to_which_the_readme_points(tmp_path: Path) -> None:
    row = measured("latency", "bell.int8.tflite", [0.001, 0.002, 0.003], where="host", method="wall")
    folder = bundle(tmp_path / "dist", ("int8.tflite",), row)
    assert "2 ms" not in (folder / "README.md").read_text()
    assert (
        "- Times and memory that were measured, and the limits on them, are in `report.html`.\n"
        in (folder / "README.md").read_text()
    )


def test_an_estimated_latency_stands_in_the_readme_with_kind_and_place(tmp_path: Path) -> None:
    row = Measurement(metric="latency", artifact="bell.int8.tflite", unit="s", value=0.002, kind="estimated",
                      where="board", method="cycles")  # fmt: skip
    folder = bundle(tmp_path / "dist", ("int8.tflite",), row)
    assert "- bell.int8.tflite: latency 2 ms, estimated (board; cycles)\n" in (folder / "README.md").read_text()


def test_other_measured_times_change_the_report_and_the_seal_alone(tmp_path: Path) -> None:
    rows = [measured("latency", "bell.int8.tflite", [x], where="host", method="wall") for x in (0.001, 0.002)]
    one, other = (bundle(tmp_path / str(k) / "dist", ("int8.tflite",), row) for k, row in enumerate(rows))
    names = [path.relative_to(one).as_posix() for path in sorted(one.rglob("*")) if path.is_file()]
    differ = {name for name in names if (one / name).read_bytes() != (other / name).read_bytes()}
    assert differ <= set(VARIES)
    assert "report.json" in differ
