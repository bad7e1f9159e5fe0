"""Precisions that a device's runtime doesn't take, or that are slower there than float32."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecut.bench.judge import slower_notes
from edgecut.pipeline.plan import plan
from edgecut.records.artifact import Artifact
from edgecut.records.measurement import Measurement, measured
from edgecut.records.profile import Profile
from edgecut.records.profile_files import find_profile
from edgecut.records.recipe import make_recipe

DEMO = Path(__file__).parents[2] / "edgecut" / "demo_data"


def artifact(precision: str, form: str = "tflite") -> Artifact:
    return Artifact.model_validate({
        "name": f"m.{precision}.{form}", "path": "m", "format": form, "precision": precision, "sha256": "",
        "size_bytes": 1, "inputs": (), "outputs": (), "operators": {}, "macs": None,
    })  # fmt: skip


def host_times(precision: str, *times: float) -> Measurement:
    return measured("latency", f"m.{precision}.tflite", times, where="host", method="LiteRT")


def estimate(precision: str, seconds: float) -> Measurement:
    return measured(
        "latency", f"m.{precision}.tflite", [seconds], where="raspberry-pi-4", method="facts", kind="estimated",
        profile="raspberry-pi-4",
    )  # fmt: skip


HOST, BOARD = find_profile("host"), find_profile("raspberry-pi-4")


@pytest.mark.parametrize(
    ("profile", "rows", "notes"),
    [
        (HOST, [host_times("float32", 0.0064, 0.0066, 0.0068), host_times("dynamic", 0.0125, 0.013, 0.0131)],
         ("m.dynamic.tflite is slower than float32 on this machine: 13 ms against 6.6 ms",)),
        (HOST, [host_times("float32", 0.0064, 0.0066, 0.0068), host_times("dynamic", 0.003, 0.004, 0.0041)], ()),
        (HOST, [host_times("float32", 0.0064, 0.0066, 0.0068), host_times("dynamic", 0.0065, 0.0067, 0.0067)], ()),
        (HOST, [host_times("dynamic", 0.0125, 0.013, 0.0131)], ()),
        (BOARD, [host_times("float32", 0.0064, 0.0066, 0.0068), host_times("dynamic", 0.0125, 0.013, 0.0131)], ()),
    ],
    ids=["slower", "faster", "within the noise", "nothing to compare with", "another machine's times"],
)  # fmt: skip
def test_a_file_is_told_where_it_is_slower_than_float32(
    profile: Profile, rows: list[Measurement], notes: tuple[str, ...]
) -> None:
    assert slower_notes([profile], [artifact("float32"), artifact("dynamic")], rows) == notes


def test_an_estimate_is_told_as_one() -> None:
    rows = [estimate("float32", 0.1), estimate("int8", 0.2), host_times("int8", 0.001)]
    found = slower_notes([BOARD], [artifact("float32"), artifact("int8")], rows)
    assert found == ("m.int8.tflite is slower than float32 on raspberry-pi-4 (estimated): 200 ms against 100 ms",)


def test_a_precision_that_no_runtime_takes_is_noted_before_anything_starts() -> None:
    tables = {
        "schema": "edgecut.recipe/1", "source": {"model": str(DEMO / "cifar10_backbone.keras"), "preprocess": "tf"},
        "data": {"train": str(DEMO / "fashion_mnist.npz")},
        "export": {"precisions": ["float32", "int8", "float16", "int16x8"]},
    }  # fmt: skip
    recipe = make_recipe(tables, {}, where="r")
    assert (
        "profile esp32-s3: its runtime takes int8, and no float16, int16x8"
        in plan(recipe, [find_profile("esp32-s3")]).notes
    )
