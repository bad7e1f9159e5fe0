"""What `edgecut search` and `edgecut head` refuse before anything starts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecut.cli.search import _exit_code
from edgecut.records.front import Front
from tests.command_line import run


def images(folder: Path, targets: np.ndarray) -> str:
    pixels = np.zeros((len(targets), 8, 8, 3), "uint8")
    np.savez(folder / "images.npz", x_train=pixels, y_train=targets)
    return str(folder / "images.npz")


def test_every_fault_of_a_search_is_said_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = images(tmp_path, np.arange(6) % 2)
    answer = run(
        capsys, "search", str(tmp_path / "m.keras"), "--data", data, "--profile", "esp32-s3", "--metric", "mse",
        "--budget", "accuracy_drop=0.02", "--budget", "latency_s=5 ms", "--workers", "2", "--dask", "tcp://there:1",
        "--set", "head.classes=2", "-o", str(tmp_path / "out"),
    )  # fmt: skip
    assert answer.code == 2
    assert answer.err.splitlines() == [
        "edgecut: error: search: --metric: mse doesn't answer for images with classes (data.target); accuracy or auc "
        "does",
        "edgecut: error: search: --workers: starts a cluster, and --dask names one; give one of the two",
    ]


def test_values_are_known_by_their_type(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = images(tmp_path, np.linspace(0, 1, 6))
    words = ["search", str(tmp_path / "m.keras"), "--data", data, "--metric", "map", "-o", str(tmp_path / "out")]
    assert run(capsys, *words).err == (
        "edgecut: error: search: --metric: map doesn't answer for images with values (data.target); mse does\n"
    )


def test_a_stem_that_no_build_would_take_is_refused_before_the_sweep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = images(tmp_path, np.arange(6) % 2)
    words = ["search", str(tmp_path / "m.keras"), "--preprocess", "tf", "--data", data, "-o", str(tmp_path / "out")]
    answer = run(capsys, *words, "--set", "stem.order=bgr", "--set", "compress.qat=true", "--precisions", "float32")
    assert (answer.code, answer.err.splitlines()) == (
        2,
        [
            "edgecut: error: search: compress.qat: is for int8 files; add 'int8' to export.precisions "
            "(--precision int8)",
            "edgecut: error: search: stem.pixels: bgr pixels are mixed as bytes, before source.preprocess; set "
            "stem.pixels = 'raw' (--pixels raw)",
        ],
    )


def test_a_gray_stem_is_refused_only_where_colour_is_not_looked_at_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = images(tmp_path, np.arange(6) % 2)
    words = ["search", "m.keras", "--preprocess", "torch", "--data", data, "--top", "0", "-o", str(tmp_path / "out")]
    top = "edgecut: error: search: --top: at least 1 choice is built for each device, found 0"
    assert run(capsys, *words, "--channels", "1,3").err.splitlines() == [top]
    assert run(capsys, *words, "--channels", "1").err.splitlines() == [
        "edgecut: error: search: stem.pixels: source.preprocess treats the channels differently, so one normalized "
        "gray value can't carry it; set stem.pixels = 'raw' (--pixels raw)",
        top,
    ]


def test_a_device_for_which_nothing_could_be_built_is_a_miss() -> None:
    assert _exit_code(Front.model_construct(profiles=("host",), recommendations=())) == 1


def test_a_head_without_a_number_of_outputs_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, "head", str(tmp_path / "m.keras"), "-o", str(tmp_path / "out.keras"))
    assert (answer.code, answer.err) == (
        2, "edgecut: error: head.classes: is missing; say how many outputs the head has (--classes N)\n"
    )  # fmt: skip


def test_fine_tuning_needs_the_layer_from_which_it_trains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(
        capsys,
        "head",
        str(tmp_path / "m.keras"),
        "--classes",
        "2",
        "--head",
        "finetune",
        "-o",
        str(tmp_path / "o.keras"),
    )
    assert answer.err == (
        "edgecut: error: command line: head: unfreeze is the layer from which finetune trains on; set both or none\n"
    )


def test_images_that_do_not_decode_are_named_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "ab":
        (tmp_path / "d" / name).mkdir(parents=True)
        for k in range(2):
            (tmp_path / "d" / name / f"{k}.png").write_bytes(b"")
    answer = run(capsys, "search", "m.keras", "--data", str(tmp_path / "d"), "-o", str(tmp_path / "out"))
    none = "is no image that can be decoded; replace or remove it"
    lines = [f"edgecut: error: search: data.train: {tmp_path}/d/{name}/{k}.png {none}" for name in "ab" for k in (0, 1)]
    assert (answer.code, sorted(answer.err.splitlines())) == (2, lines)
