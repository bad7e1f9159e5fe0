"""Labels, class folders and numbers are as many as the outputs of a model that keeps its own, or are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from edgecut.errors import DocumentError
from edgecut.images.classes import own_output_faults
from edgecut.pipeline.plan import Plan, plan
from edgecut.records.recipe import Data, make_recipe
from tests.saved_models import classifier, saved

GIVE = "name the outputs in their order, one to a line, in a file (data.labels, --labels)"
CALIBRATE = ", or set data.target = 'features' if they only calibrate"


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "net.keras", classifier(classes=3))
    for count in (2, 3):
        names = [f"c{k}" for k in range(count)]
        for name in names:
            (tmp_path / f"f{count}" / name).mkdir(parents=True)
            for k in range(2):
                Image.new("L", (8, 8), k).save(tmp_path / f"f{count}" / name / f"{k}.png")
        (tmp_path / f"l{count}.txt").write_text("".join(f"{name}\n" for name in reversed(names)))
        numbers = np.arange(4) % count
        np.savez(tmp_path / f"n{count}.npz", x_train=np.zeros((4, 8, 8), np.uint8), y_train=numbers.astype(np.uint8))
    return tmp_path


def planned(data: dict[str, Any], **tables: Any) -> Plan:
    whole = {"source": {"model": "net.keras", "preprocess": "tf"}, "data": data, **tables}
    return plan(make_recipe(whole, {}, where="test"))


def faults(data: dict[str, Any], **tables: Any) -> tuple[str, ...]:
    with pytest.raises(DocumentError) as caught:
        planned(data, **tables)
    return caught.value.faults


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ({"labels": "l2.txt"}, "data.labels: l2.txt names 2 classes ('c1', 'c0'), and the model has 3 outputs; "
                               "name each output, in their order"),
        ({"train": "f3", "labels": "l2.txt"}, "data.train: f3 has the class folder 'c2', which is none of the "
                                              "classes ('c1', 'c0'); rename it, or name the outputs otherwise "
                                              "(data.labels, --labels)"),
        ({"train": "f2"}, f"data.train: f2 has 2 classes ('c0', 'c1'), and the model has 3 outputs; {GIVE}{CALIBRATE}"),
        ({"train": "n2.npz"}, "data.train: n2.npz: labels go up to 1, and the model has 3 outputs; "
                              f"{GIVE}{CALIBRATE}"),
        ({"train": "n3.npz", "labels": "l2.txt"}, "data.train: n3.npz: y_train: labels are 0..2, and 2 classes allow "
                                                  "0..1; name 3 classes in data.labels or leave those images out"),
    ],
)  # fmt: skip
def test_another_count_than_the_models_outputs_is_refused(data: dict[str, Any], fault: str) -> None:
    assert faults(data, export={"precisions": ["float32"]}) == (f"model: {fault}",)


@pytest.mark.usefixtures("work")
def test_images_of_some_classes_will_do_where_labels_name_every_output() -> None:
    assert planned({"train": "n2.npz", "labels": "l3.txt"}).notes == ()
    assert planned(
        {
            "train": "f2",
            "labels": [
                "c2",
                "c1",
                "c0",
            ],
        }
    ).notes == ("f2 has no folder for 1 of the 3 classes ('c2'), so that nothing is measured of them",)


@pytest.mark.usefixtures("work")
def test_outputs_that_nothing_names_are_a_note() -> None:
    note = f"the model's 3 outputs have no names; {GIVE}"
    assert planned({}, export={"precisions": ["float32"]}).notes == (note,)
    assert planned({"train": "n3.npz"}).notes == (note,)
    assert planned({}, cut={"to": "pool"}, export={"precisions": ["float32"]}).notes == ()


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize(
    ("labels", "fault"),
    [
        (["a", "a", "b"], "the class 'a' is named twice"),
        (["a", " ", "b"], "a class has a name of one line, found ' '"),
        (["a", "b\nc"], "a class has a name of one line, found 'b\\nc'"),
    ],
)
def test_names_in_the_recipe_are_those_of_a_file(labels: list[str], fault: str) -> None:
    with pytest.raises(DocumentError) as caught:
        planned({"labels": labels})
    assert caught.value.faults == (f"test: data.labels: {fault}",)


@pytest.mark.usefixtures("work")
def test_a_new_head_counts_itself() -> None:
    assert planned({"train": "f2"}, head={"classes": 2}).notes == ()
    absent = "model: data.train: f2 has no folder for the class 'c2' of data.labels"
    assert faults({"train": "f2", "labels": "l3.txt"}, head={"classes": 3}) == (absent,)


@pytest.mark.usefixtures("work")
def test_the_order_of_class_folders_is_said_to_be_assumed() -> None:
    assert planned({"train": "f3"}).notes == (
        "the model's outputs are assumed to be the class folders of f3 in alphabetical order ('c0', 'c1', 'c2'); "
        f"where they have another order, {GIVE}",
    )
    assert planned({"train": "f3", "labels": "l3.txt"}).notes == ()


@pytest.mark.parametrize(
    ("outputs", "count"),
    [
        ([(None, 2)], 0), ([(None, 1)], 0), ([(None, 3)], 1), ([(None, 4), (None, 2)], 0), ([(None, None)], 0),
        ([(None, 4), None], 0), ([(None, 6, 6, 5)], 0), ([], 0),
    ],
)  # fmt: skip
def test_what_is_not_known_and_outputs_that_are_no_classes_are_no_fault(work: Path, outputs: Any, count: int) -> None:
    assert len(own_output_faults(Data(train=str(work / "f2")), outputs)) == count


def onnx_classifier(path: Path, classes: int, **metadata: str) -> None:
    """Pictures of 8 x 8, channels first, to scores; metadata as exporters write it."""
    weights = onnx.numpy_helper.from_array(np.zeros((classes, 3, 1, 1), np.float32), "w")
    nodes = [
        onnx.helper.make_node("Conv", ["x", "w"], ["maps"]),
        onnx.helper.make_node("GlobalAveragePool", ["maps"], ["pooled"]),
        onnx.helper.make_node("Flatten", ["pooled"], ["y"]),
    ]
    shapes = {"x": [1, 3, 8, 8], "y": [1, classes]}
    sides = [onnx.helper.make_tensor_value_info(name, 1, shape) for name, shape in shapes.items()]
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", sides[:1], sides[1:], [weights]))
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, path)


def planned_onnx(data: dict[str, Any]) -> Plan:
    whole = {"source": {"model": "net.onnx", "preprocess": "tf"}, "data": data, "export": {"precisions": ["float32"]}}
    return plan(make_recipe(whole, {}, where="test"))


@pytest.mark.usefixtures("work")
def test_names_that_the_source_holds_are_those_of_its_outputs() -> None:
    onnx_classifier(Path("net.onnx"), 3, names="{0: 'c1', 1: 'c0', 2: 'c2'}")
    note = "the outputs have the names that net.onnx holds ('c1', 'c0', 'c2')"
    made = planned_onnx({"train": "f3"})
    assert (made.recipe.data.labels, made.notes) == (("c1", "c0", "c2"), (note,))
    assert planned_onnx({}).notes == (note,)
    made = planned_onnx({"train": "f3", "labels": "l3.txt"})
    assert (made.recipe.data.labels, made.notes) == ("l3.txt", ())


@pytest.mark.usefixtures("work")
def test_folders_that_the_sources_names_do_not_have_are_refused() -> None:
    onnx_classifier(Path("net.onnx"), 3, names='["a", "b", "c"]')
    with pytest.raises(DocumentError) as caught:
        planned_onnx({"train": "f3"})
    assert caught.value.faults == (
        "model: data.train: f3 has the class folder 'c0', which is none of the classes ('a', 'b', 'c'); rename it, or "
        "name the outputs otherwise (data.labels, --labels)",
    )


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize("metadata", [{}, {"names": '["a", "b"]'}, {"names": "a"}])
def test_names_of_another_count_are_none(metadata: dict[str, str]) -> None:
    onnx_classifier(Path("net.onnx"), 3, **metadata)
    assert planned_onnx({}).notes == (f"the model's 3 outputs have no names; {GIVE}",)


@pytest.mark.usefixtures("work")
def test_one_value_lies_between_two_names() -> None:
    onnx_classifier(Path("net.onnx"), 1, names='["no", "yes"]')
    assert planned_onnx({}).recipe.data.labels == ("no", "yes")
