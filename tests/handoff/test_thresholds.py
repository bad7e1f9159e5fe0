"""Thresholds and units are in a bundle's documents, follow from its report, and decide where its files are run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgecut.handoff.builds import read_side
from edgecut.handoff.figures import figure_faults
from edgecut.handoff.readme import readme
from edgecut.handoff.thresholds import answers_of, chosen_words
from edgecut.handoff.verify import verify
from edgecut.records.legend import Legend
from edgecut.records.operating import Decision, OperatingPoint
from tests.command_line import run
from tests.handoff.test_bundle import LABELS, artifacts_in, bundle, camera, recipe_of, report_of

OUTPUT = "StatefulPartitionedCall_1:0"
THRESHOLDS, CODES = (0.1, 0.2, 0.3, 0.9), (-102, -76, -51, 103)


def decision(**changes: object) -> Decision:
    """The four scores of the fixture's int8 file as tags."""
    points = tuple(
        OperatingPoint(
            label=label, threshold=t, code=code, positives=30, negatives=70, precision=0.75, recall=0.5, fpr=0.1,
            precision_interval=(0.5, 0.9), recall_interval=(0.3, 0.7), fpr_interval=(0.05, 0.2),
        )
        for label, t, code in zip(LABELS, THRESHOLDS, CODES, strict=True)
    )  # fmt: skip
    fields = {
        "artifact": "bell.int8.tflite", "output": OUTPUT, "rule": "fpr=0.1", "chosen_on": 101, "measured_on": 100,
        "points": points, **changes,
    }  # fmt: skip
    return Decision.model_validate(fields)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle(tmp_path_factory.mktemp("decides") / "dist", ("int8.tflite",), decisions=(decision(),))


def test_a_bundle_with_thresholds_is_whole_and_says_what_it_cannot_prove(folder: Path) -> None:
    result = verify(folder)
    assert result.faults == ()
    assert any("thresholds, precision, recall, false-positive rate" in text for text in result.not_verified)


@pytest.mark.parametrize("name", ["README.md", "MODEL_CARD.md", "c/bell_io.h", "report.html"])
def test_thresholds_are_in_every_document(folder: Path, name: str) -> None:
    text = (folder / name).read_text().replace("\n     ", " ").replace("&gt;", ">")
    if name != "report.html":
        assert f"above 0.1 (q >= -102) is {LABELS[0]}" in text
        assert "precision 0.750 (0.500 to 0.900), recall 0.500 (0.300 to 0.700)" in text
    assert "the highest recall within a false-positive rate of 0.1 on 101 held-out samples" in text
    assert "none of which it was chosen on" in text


def test_another_integer_than_the_thresholds_is_a_fault(folder: Path) -> None:
    report = read_side(folder, "none").report
    assert report is not None
    first, *others = report.decisions[0].points
    for changes, fault in (
        ({"points": (first.model_copy(update={"code": -90}), *others)},
         "report.json: the threshold 0.1 of bell.int8.tflite has the integer -90, and its scale gives -102"),
        ({"output": "other"}, "report.json: decides by the output 'other' of bell.int8.tflite, which has none"),
    ):  # fmt: skip
        told = report.model_copy(update={"decisions": (decision(**changes),)})
        assert list(figure_faults(folder, told)) == [fault]


def test_a_bundle_is_run_at_its_thresholds(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    Image.fromarray(camera()[0][..., 0]).save(tmp_path / "0.png")
    answer = run(capsys, "run", str(folder), str(tmp_path / "0.png"), "--json")
    document = json.loads(answer.out)
    (output,) = document["predictions"][0]["outputs"]
    assert (output["kind"], output["threshold"]) == ("tags", list(THRESHOLDS))
    assert all(score["value"] > THRESHOLDS[score["index"]] for score in output["scores"])
    words = f"{OUTPUT} is decided at 0.1 (q >= -102), 0.2 (q >= -76), 0.3 (q >= -51), ..., "
    words += "chosen by fpr=0.1 on 101 samples"
    assert chosen_words(decision()) == words
    assert words in document["notes"]


def test_thresholds_are_of_the_file_that_they_were_measured_on(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "dist", ("int8.tflite",), decisions=(decision(),))
    outputs = [np.zeros((1, 4), np.float32)]
    side = read_side(folder, "none")
    assert [answer.threshold for answer in answers_of(side, side.artifacts[0], outputs)] == [THRESHOLDS]
    other = side.artifacts[0].model_copy(update={"sha256": "0" * 64})
    assert [answer.threshold for answer in answers_of(side, other, outputs)] == [None]


def test_one_of_two_scores_is_held_against_the_threshold_of_its_class(tmp_path: Path) -> None:
    point = OperatingPoint(label="b", threshold=0.7, code=53)
    folder = bundle(tmp_path / "dist", ("int8.tflite",), decisions=(decision(column=0, otherwise="a", points=[point]),))
    side = read_side(folder, "none")
    outputs = [np.array([[0.8, 0.2], [0.6, 0.4]], np.float32)]
    (answer,) = answers_of(side, side.artifacts[0], outputs)
    assert (answer.kind, answer.column) == ("binary", 0)
    decided = answer.decisions(outputs[0])
    assert decided is not None
    assert decided.tolist() == [[0], [1]]


def test_the_readme_has_the_units_of_the_values(tmp_path: Path) -> None:
    artifact = artifacts_in(tmp_path, ("int8.tflite",))[0]
    recipe = recipe_of({"data": {"target": "values"}})
    name = artifact.outputs[0].name
    for units, sentence in (
        (("mm",), f"The values of {name} are in mm."),
        (("m", "s", "kg", "K"), f"The values of {name} are, in this order, in m, s, kg, K."),
    ):
        page = readme(report_of((artifact,)), recipe, artifact, None, None, Legend(("w", "x", "y", "z"), units))
        assert f"\n{sentence}\n" in page
        assert "The values are in this order: w, x, y, z.\n" in page


def test_the_largest_of_two_scores_is_not_said_to_decide_where_a_threshold_does(tmp_path: Path) -> None:
    artifact = artifacts_in(tmp_path, ("int8.tflite",))[0]
    scores = artifact.outputs[0].model_copy(update={"shape": (1, 2), "name": "scores"})
    artifact = artifact.model_copy(update={"outputs": (scores,)})
    point = OperatingPoint(label="b", threshold=0.75, code=65)
    legend = Legend(("a", "b"), (), (decision(output="scores", column=1, otherwise="a", points=[point]),))
    page = readme(report_of((artifact,)), recipe_of(), artifact, None, None, legend)
    assert "- value 1 of scores above 0.75 (q >= 65) is b, else a\n" in page
    assert "The values are in this order: a, b.\n" in page
    assert "largest" not in page
