"""Where the TFLM interpreter has no wheel, nothing is lost but what it measures, and each command says that."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path

import pytest

from edgecut.records.measurement import measured
from tests.command_line import Answer
from tests.handoff.test_bundle import bundle
from tests.hidden import answers

INT8 = str(Path(__file__).parents[1] / "fixtures" / "tiny.int8.tflite")
DEMO = Path(__file__).parents[2] / "edgecut" / "demo_data"
COMMANDS = {
    "doctor": ["doctor", "--json"],
    "estimated": ["bench", INT8, "--profile", "nucleo-l4r5zi", "--profile", "esp32-s3", "--runs", "2", "--json"],
    "runner": ["bench", INT8, "--runner", "tflm", "--runs", "2"],
    "verify": ["verify", "dist", "--json"],
    "inspect": ["inspect", INT8, "--profile", "nucleo-l4r5zi", "--json"],
    "export": ["export", INT8, "--format", "c", "--package", "platformio", "-o", "c"],
    "plan": ["plan", str(DEMO / "recipe.toml"), "--profile", "nucleo-l4r5zi"],
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    folder = tmp_path_factory.mktemp("absent")
    arena = measured("arena", "bell.int8.tflite", [64 * 1024], where="TFLM interpreter on host", method="bisection")
    bundle(folder / "dist", ("int8.tflite",), arena)
    return dict(zip(COMMANDS, answers(folder, list(COMMANDS.values()), {"tflite_micro"}), strict=True))


def test_all_but_the_interpreter_itself_work(said: dict[str, Answer]) -> None:
    failed = {name: (row.code, row.err) for name, row in said.items() if row.code}
    assert failed.keys() == {"runner"}
    code, err = failed["runner"]
    assert code == 4
    if (sys.platform, platform.machine()) == ("linux", "x86_64"):
        assert err.endswith("edgecut: error: tflite-micro isn't here, and this needs it; reinstall edgecut with pip\n")


def test_doctor_does_without_it(said: dict[str, Answer]) -> None:
    rows = {row["name"]: row for row in json.loads(said["doctor"].out)["packages"]}
    assert (rows["tflite-micro"]["version"], rows["tflite-micro"]["required"]) == (None, False)


def test_an_arena_is_estimated_with_its_band(said: dict[str, Answer]) -> None:
    rows = [row for row in json.loads(said["estimated"].out)["measurements"] if row["metric"] == "arena"]
    assert [(row["profile"], row["kind"], row["where"]) for row in rows] == [
        ("nucleo-l4r5zi", "estimated", "nucleo-l4r5zi"),
        ("esp32-s3", "estimated", "esp32-s3"),
    ]
    assert all(row["value"] > 0 and row["error"] > 0 for row in rows)


def test_verify_says_that_the_arena_was_not_tried(said: dict[str, Answer]) -> None:
    told = json.loads(said["verify"].out)
    assert told["faults"] == []
    assert told["notes"] == ["the arena wasn't tried, since tflite-micro isn't here"]
