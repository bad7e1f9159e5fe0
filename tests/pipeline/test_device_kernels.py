"""What an int8 file loses by the kernels of other runtimes. No TensorFlow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgecut.bench.judge import judge
from edgecut.bench.runners import tflm
from edgecut.export.readback import read_artifact
from edgecut.images.arrays import ArrayInput
from edgecut.images.feed import ArrayFeed
from edgecut.pipeline import device_kernels
from edgecut.pipeline.device_kernels import Judged, lost_on_devices, notes
from edgecut.pipeline.run_file import predict_file
from edgecut.pipeline.values import WrittenFile
from edgecut.records.measurement import Measurement, measured
from edgecut.records.profile_files import find_profile
from edgecut.records.progress import SILENT
from edgecut.records.recipe import make_recipe
from edgecut.runtime.files import FileRunner
from edgecut.score.answer import Answer
from tests.quantized import images

TINY = Path(__file__).parents[1] / "fixtures" / "tiny.int8.tflite"
PIXELS = images(40)
BOARDS = [find_profile("nucleo-l4r5zi"), find_profile("esp32-s3"), find_profile("raspberry-pi-4")]


def judged(outputs: np.ndarray | None = None) -> Judged:
    """The tiny file, every one of whose answers is right. outputs: LiteRT's, where others are to be pretended."""
    feed = ArrayFeed((ArrayInput("image", (12, 12, 1), "float32"),))
    own = predict_file(FileRunner(TINY), PIXELS, feed, title="", progress=SILENT)
    file = WrittenFile(TINY, read_artifact(TINY, name=TINY.name, precision="int8"))
    answer = Answer("classes", metric="accuracy")
    ours = own if outputs is None else outputs
    return Judged(file, PIXELS, feed, 0, ours, answer, own.argmax(axis=1), 0.0, own, answer)


def pretended(monkeypatch: pytest.MonkeyPatch, changed: int) -> tuple[Measurement, ...]:
    """The rows where other kernels answer so many images otherwise, to the bit as TFLM."""
    one = judged()
    other = one.outputs.copy()
    other[:changed] = np.eye(4)[(one.labels[:changed] + 1) % 4]
    monkeypatch.setattr(
        device_kernels, "_reference_outputs", lambda _: device_kernels._Other(np.arange(40), other, 40, 0)
    )
    return lost_on_devices(one, BOARDS)


@pytest.mark.skipif(not tflm.is_here(), reason="tflite-micro has wheels for Linux x86-64 only")
def test_the_tiny_file_is_tried_by_tflm() -> None:
    board, esp = lost_on_devices(judged(), BOARDS)
    assert (board.profile, esp.profile) == ("nucleo-l4r5zi", "esp32-s3")
    assert board.conditions["images"] == board.conditions["of_images"] == board.conditions["tried_images"] == 40
    assert board.conditions["stand_in_steps"] in {0, 1}
    assert board.kind == "measured"


@pytest.mark.skipif(not tflm.is_here(), reason="tflite-micro has wheels for Linux x86-64 only")
def test_where_tflm_takes_long_litert_stands_for_it_and_the_drop_is_an_estimate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device_kernels, "_TFLM_MACS", 1)
    board, _ = lost_on_devices(judged(), BOARDS)
    assert (board.conditions["images"], board.conditions["tried_images"], board.kind) == (40, 1, "estimated")


def test_answers_that_all_stay_leave_the_drop_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    board, esp = pretended(monkeypatch, 0)
    assert (board.value, board.kind) == (0, "measured")
    assert (esp.value, esp.kind) == (0, "estimated")  # nobody says that ESP-NN rounds as TFLM does
    assert not list(notes([board, esp]))


def test_no_change_on_forty_images_leaves_room_for_one_on_others(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = pretended(monkeypatch, 0)
    bands = [(row.conditions["low"], row.conditions["high"]) for row in rows]
    assert bands == [pytest.approx((-0.066, 0.066), abs=0.001)] * 2
    recipe = make_recipe({"source": {"model": "m.keras"}, "budget": {"accuracy_drop": 0.03}}, {}, where="test")
    host = measured("accuracy_drop", TINY.name, [0.0], where="host", method="LiteRT")
    checks = judge(recipe, BOARDS[:2], [judged().file.artifact], [host, *rows])
    told = {c.profile: (c.state, c.reason) for c in checks if c.metric == "accuracy_drop"}
    assert told == {
        None: ("meets", ""),
        "nucleo-l4r5zi": ("meets", ""),  # tried on every image that judges, as on this host
        "esp32-s3": (
            "unknown",
            "by TFLM's reference kernels on 40 of 40 images it is -0.066 to 0.066, with 95 %",
        ),
    }


def test_answers_that_change_are_lost_on_a_board_and_unknown_where_its_kernels_are_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    board, esp = pretended(monkeypatch, 10)
    assert board.value == pytest.approx(0.25)
    assert board.conditions["kernel_agreement"] == 0.75
    assert esp.value is None
    assert esp.reason == (
        "esp32-s3 runs esp-nn, which isn't on this host, and the answers hang on the kernels: by TFLM's reference "
        "kernels 75.0% of 40 images get LiteRT's answer"
    )
    steps = board.conditions["kernel_steps"]
    assert list(notes([board, esp])) == [
        "tiny.int8.tflite: its answers hang on how kernels round: by TFLM's reference kernels 25.0% of 40 images get "
        f"another one than by LiteRT's XNNPACK, which measures accuracy here, with outputs up to {steps} of 255 steps "
        "apart"
    ]


def tflm_is_off(monkeypatch: pytest.MonkeyPatch, one: Judged, steps: int) -> np.float32:
    """TFLM puts out so many steps more than LiteRT's kernels; by how much that is."""
    more = np.float32(steps * (one.file.artifact.outputs[0].scale or 1.0))

    def in_tflm(_judged: Judged, runner: FileRunner, rows: np.ndarray) -> np.ndarray:
        return predict_file(runner, rows, one.feed, title="", progress=SILENT) + more

    monkeypatch.setattr(device_kernels, "_in_tflm", in_tflm)
    return more


def test_an_interpreter_too_slow_for_what_nothing_stands_for_leaves_the_accuracy_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = judged()
    tflm_is_off(monkeypatch, one, 2)
    monkeypatch.setattr(device_kernels, "_TFLM_MACS", 3 * (one.file.artifact.macs or 1))
    board, _ = lost_on_devices(one, BOARDS)
    assert board.value is None
    assert board.reason == (
        "the accuracy on nucleo-l4r5zi isn't known by TFLM's reference kernels: LiteRT's kernels without XNNPACK, "
        "which would stand for them, are up to 2 steps from them on 3 images, and TFLM's interpreter is too slow for "
        "the 40 that are needed at least"
    )


def test_what_tflm_puts_out_is_judged_wherever_it_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    one = judged()
    more = tflm_is_off(monkeypatch, one, 1)
    plain = predict_file(FileRunner(TINY, kernels="plain"), PIXELS, one.feed, title="", progress=SILENT)
    other = device_kernels._reference_outputs(one)
    assert (other.tried, other.steps) == (40, 1)
    np.testing.assert_array_equal(other.outputs, plain + more)


def test_values_have_no_answers_and_their_distance_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    one = judged()
    answer = Answer("values", metric="r2")
    values = replace(one, answer=answer, by=answer, labels=one.outputs)
    other = device_kernels._Other(np.arange(40), one.outputs + np.float32(one.file.artifact.outputs[0].scale), 40, 0)
    monkeypatch.setattr(device_kernels, "_reference_outputs", lambda _: other)
    _, esp = lost_on_devices(values, BOARDS)
    assert esp.reason == (
        "esp32-s3 runs esp-nn, which isn't on this host, and the answers hang on the kernels: by TFLM's reference "
        "kernels outputs are up to 1 of 255 steps from LiteRT's"
    )


def test_without_the_interpreter_the_accuracy_on_a_board_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tflm, "is_here", lambda: False)
    board, _ = lost_on_devices(judged(), BOARDS)
    assert board.value is None
    assert board.reason.startswith("the accuracy on nucleo-l4r5zi isn't known by TFLM's reference kernels: ")
