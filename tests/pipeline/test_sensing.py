"""The sensor of a profile against the input of a file."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgecut
from edgecut.bench.judge import judge
from edgecut.cli.new import _profile_keys as profile_keys
from edgecut.lowering.saved_shapes import picture_shape
from edgecut.pipeline.plan import plan
from edgecut.records.artifact import Artifact, TensorSpec
from edgecut.records.document import parse
from edgecut.records.profile import Profile
from edgecut.records.recipe import make_recipe
from tests.saved_models import classifier, saved


def layer(kind: str = "InputLayer", **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": "first", **config}}


def profile(**sensor: Any) -> Profile:
    facts = {"height": 96, "width": 96, "channels": 1, **sensor}
    runtime = {"name": "tflm", "precisions": ["float32", "int8", "int16x8"]}
    return parse(
        Profile, {"id": "board", "title": "B", "class": "microcontroller", "runtime": runtime, "sensor": facts}, "board"
    )


def artifact(shape: tuple[int, ...] = (1, 96, 96, 1), dtype: str = "int8", **spec: Any) -> Artifact:
    facts = {"scale": 1.0, "zero_point": -128, "expects": "raw"} if dtype == "int8" else {"expects": "raw"}
    precision: Any = "int16x8" if dtype == "int16" else dtype
    taken = TensorSpec(name="input", shape=shape, dtype=dtype, **{**facts, **spec})
    return Artifact(
        name="m.tflite", path="m.tflite", format="tflite", precision=precision, sha256="", size_bytes=1,
        inputs=(taken,), outputs=(), operators={},
    )  # fmt: skip


def check(device: Profile, file: Artifact, **stem: Any) -> Any:
    recipe = make_recipe({}, {"source.model": "m.keras", "source.preprocess": "tf", "stem": stem}, where="r")
    (checked,) = [c for c in judge(recipe, [device], [file], []) if c.metric == "sensor"]
    return checked


def test_what_the_sensor_feeds_meets() -> None:
    checked = check(profile(), artifact())
    assert (checked.state, checked.reason, checked.profile, checked.basis) == ("meets", "", "board", "read back")
    assert (checked.limit, checked.value) == ("96x96x1 gray uint8 0..255", "96x96x1 gray int8 0..255")


def test_a_float_file_of_raw_pixels_takes_cast_bytes() -> None:
    assert check(profile(), artifact(dtype="float32")).state == "meets"


@pytest.mark.parametrize(
    ("file", "remedy"),
    [
        (artifact((1, 64, 96, 1)), "set stem.size = [96, 96]"),
        (artifact((1, 96, 96, 3)), "set stem.channels = 1"),
        (artifact(expects="normalized", scale=0.0078, zero_point=-1), "set stem.pixels = 'raw'"),
        (artifact(dtype="float32", expects="normalized"), "set stem.pixels = 'raw'"),
        (artifact(scale=0.97), "set stem.pixels = 'raw'"),
        (
            artifact((1, 224, 224, 3), "float32", expects="normalized"),
            "set stem.size = [96, 96], set stem.channels = 1, set stem.pixels = 'raw'",
        ),
    ],
)
def test_a_mismatch_is_a_missed_check_with_the_line_that_mends_it(file: Artifact, remedy: str) -> None:
    checked = check(profile(), file)
    assert checked.state == "misses"
    assert checked.reason == f"the file takes {checked.value}, and the sensor feeds {checked.limit}; {remedy}"


def test_a_file_without_inputs_takes_no_picture() -> None:
    recipe = make_recipe({}, {"source.model": "m.keras"}, where="r")
    assert judge(recipe, [profile()], [artifact().model_copy(update={"inputs": ()})], []) == ()


def test_the_order_of_the_channels_counts() -> None:
    checked = check(profile(channels=3, order="bgr"), artifact((1, 96, 96, 3)))
    assert checked.reason == (
        "the file takes 96x96x3 rgb int8 0..255, and the sensor feeds 96x96x3 bgr uint8 0..255; set stem.order = 'bgr'"
    )
    assert check(profile(channels=3, order="bgr"), artifact((1, 96, 96, 3)), order="bgr").state == "meets"


def test_a_sensor_of_floats_is_judged_by_its_range() -> None:
    file = artifact(dtype="float32", expects="normalized")
    assert check(profile(dtype="float32", range=[-1.0, 1.0]), file).state == "meets"
    assert check(profile(dtype="float32", range=[0.0, 255.0]), file).reason.endswith("set stem.pixels = 'raw'")
    assert check(profile(dtype="float32"), artifact()).reason.endswith("set export.precisions = ['float32']")


def test_a_new_recipe_has_the_stem_that_the_sensor_needs(files: dict[str, Any]) -> None:
    recipe = make_recipe({}, {**files, "source.preprocess": "tf"}, where="r")
    keys = {k: v for k, v in profile_keys(profile(channels=3, order="yuv"), recipe).items() if k.startswith("stem.")}
    assert keys == {
        "stem.size": [96, 96], "stem.channels": 3, "stem.order": "yuv", "stem.pixels": "raw",
    }  # fmt: skip
    stem = {key.removeprefix("stem."): value for key, value in keys.items()}
    assert check(profile(channels=3, order="yuv"), artifact((1, 96, 96, 3)), **stem).state == "meets"


SENSORS = [
    {"channels": channels, "order": order, "dtype": dtype, **({"range": tuple(ends)} if ends else {})}
    for channels, order in [(1, None), (3, None), (3, "bgr"), (3, "yuv"), (4, None)]
    for dtype, ends in [
        ("uint8", None), ("int8", None), ("uint8", [16.0, 235.0]), ("float32", None), ("float32", [0.0, 1.0]),
        ("float32", [-1.0, 1.0]), ("float32", [0.0, 255.0]),
    ]
]  # fmt: skip
DEVICES = [profile(**sensor).model_copy(update={"id": f"board-{k}"}) for k, sensor in enumerate(SENSORS)]
PREPROCESSES = ["tf", "torch", "caffe", {"scale": 1 / 255, "offset": 0.0, "order": "bgr"}]
STEMS = [{}, {"pixels": "raw"}, {"order": "bgr", "pixels": "raw"}, {"size": [40, 32], "channels": 3}]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The keys of a recipe that name a model of 32x32x3 and images, both small: a plan reads them, many times here."""
    folder = tmp_path_factory.mktemp("files")
    labels = np.arange(14) % 7
    pixels = np.zeros((14, 32, 32, 3), np.uint8)
    np.savez(folder / "images.npz", x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
    model = saved(folder / "m.keras", classifier(32))
    return {"source.model": str(model), "data.train": str(folder / "images.npz")}


@pytest.mark.parametrize("precision", ["float32", "int8", "int16x8"])
@pytest.mark.parametrize("preprocess", PREPROCESSES, ids=str)
def test_the_lines_of_a_mismatch_mend_it(files: dict[str, Any], preprocess: Any, precision: str) -> None:
    """Pasted, they leave nothing to be said but what no recipe can do, and the recipe is one that a plan takes."""
    for stem in STEMS:
        own = {**files, "source.preprocess": preprocess, **_dotted(stem), "export.precisions": [precision]}
        mended: dict[str, tuple[dict[str, Any], list[Profile]]] = {}
        for device, said in zip(DEVICES, _sensed(own, DEVICES), strict=True):
            pasted = re.findall(r"set ([a-z.]+) = (\[[^]]*\]|[^],; ]+)", " ".join(said))
            lines = {key: tomllib.loads(f"x = {value}")["x"] for key, value in pasted}
            mended.setdefault(repr(lines), ({**own, **lines}, []))[1].append(device)
        for overrides, devices in mended.values():
            for device, left in zip(devices, _sensed(overrides, devices), strict=True):
                assert all("set " not in note and "feed 0..255" in note for note in left), (device.sensor, stem, left)
                assert not left or SENSORS[DEVICES.index(device)].get("range") not in {None, (0.0, 255.0)}


@pytest.mark.parametrize("preprocess", PREPROCESSES, ids=str)
def test_a_new_recipe_leaves_no_line_to_be_set(files: dict[str, Any], preprocess: Any) -> None:
    own = {**files, "source.preprocess": preprocess}
    recipe = make_recipe({}, own, where="r")
    for sensor in SENSORS:
        device = profile(**sensor)
        (checked,) = _sensed({**own, **profile_keys(device, recipe)}, [device])
        assert not [note for note in checked if "set " in note], sensor


def test_an_int16_file_and_a_float_file_do_not_take_every_byte() -> None:
    wide = artifact(dtype="int16", scale=255 / 32767, zero_point=0).model_copy(update={"precision": "int16x8"})
    assert check(profile(), wide).reason.endswith("0..255; set export.precisions = ['int8']")
    signed = check(profile(dtype="int8"), artifact(dtype="float32"))
    assert signed.reason.endswith("0..255; set export.precisions = ['int8']")


def test_a_file_of_normalized_pixels_takes_them_in_the_order_of_its_source() -> None:
    recipe = make_recipe({}, {"source.model": "m.keras", "source.preprocess": "caffe"}, where="r")
    device = profile(channels=3, dtype="float32", range=[-123.68, 151.061])
    file = artifact((1, 96, 96, 3), "float32", expects="normalized")
    (checked,) = judge(recipe, [device], [file], [])
    assert (checked.state, checked.value) == ("misses", "96x96x3 bgr float32 -124..151")


def test_without_a_sensor_or_a_picture_nothing_is_judged() -> None:
    recipe = make_recipe({}, {"source.model": "m.keras"}, where="r")
    bare = profile().model_copy(update={"sensor": None})
    assert judge(recipe, [bare], [artifact()], []) == ()
    assert judge(recipe, [profile()], [artifact((1, 10))], []) == ()


BACKBONE = str(Path(edgecut.__file__).parent / "demo_data" / "cifar10_backbone.keras")


def _dotted(stem: dict[str, Any]) -> dict[str, Any]:
    return {f"stem.{key}": value for key, value in stem.items()}


def _sensed(overrides: dict[str, Any], devices: list[Profile]) -> list[list[str]]:
    """What one plan for all the devices says of the sensor of each."""
    said = [note for note in plan(make_recipe({}, overrides, where="r"), devices).notes if "sensor" in note]
    own = [[note for note in said if note.startswith(f"profile {device.id}: ")] for device in devices]
    assert sum(map(len, own)) == len(said)
    return own


def notes(**stem: Any) -> tuple[str, ...]:
    overrides = {"source.model": BACKBONE, "source.preprocess": "tf", "stem": stem, "export.precisions": ["float32"]}
    planned = plan(make_recipe({}, overrides, where="r"), [profile()])
    return tuple(note for note in planned.notes if "sensor" in note)


def test_a_plan_says_what_the_sensor_will_not_feed() -> None:
    assert notes() == (
        "profile board: the float32 file will take 32x32x3 rgb float32 -1..1, and the sensor feeds 96x96x1 gray uint8 "
        "0..255; set stem.size = [96, 96], set stem.channels = 1, set stem.pixels = 'raw'",
    )
    assert notes(order="gray", size=[96, 96], pixels="raw") == ()


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        ({"class_name": "Functional", "config": {"layers": [layer(batch_shape=[None, 8, 6, 3])]}}, (8, 6, 3)),
        ({"class_name": "Model", "config": {"layers": [layer(batch_input_shape=[None, None, 6, 1])]}}, (None, 6, 1)),
        (
            {"class_name": "Sequential", "config": {"layers": [layer("Conv2D", batch_input_shape=[None, 8, 6, 3])]}},
            (8, 6, 3),
        ),
        (
            {
                "class_name": "Functional",
                "config": {"layers": [layer(name=name, batch_shape=[None, 8, 6, 3]) for name in ("left", "right")]},
            },
            None,
        ),
        ({"class_name": "Functional", "config": {"layers": [layer(batch_shape=[None, 8])]}}, None),
        ({"class_name": "Functional", "config": {"layers": [layer(batch_shape=[None, 8, 6, "3"])]}}, None),
        ({"class_name": "Functional", "config": {"layers": 3}}, None),
        ({"class_name": "Sequential", "config": {"layers": []}}, None),
        ({}, None),
    ],
)
def test_the_picture_of_a_saved_model_is_read_from_its_configuration(config: Any, shape: Any) -> None:
    assert picture_shape(config) == shape
