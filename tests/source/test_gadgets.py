"""Keras 3 files that name what runs, imports or reads something: refused, and nothing of it done."""

from __future__ import annotations

import base64
import json
import marshal
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import pytest

from edgecut import load
from edgecut.errors import SourceError

pytestmark = pytest.mark.tensorflow

CODE = base64.b64encode(marshal.dumps(compile("open('ran', 'w')", "x", "exec"))).decode()
OLD_LAMBDA = {"class_name": "__lambda__", "config": {"value": [CODE, None, None]}}
LAMBDA = {
    "module": "builtins",
    "class_name": "__lambda__",
    "config": {"value": CODE, "defaults": None, "closure": None},
    "registered_name": None,
}


def layer(kind: str, module: str = "keras.layers", registered: str | None = None, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "module": module, "registered_name": registered, "config": {"name": "fc", **config}}


def function(name: str, module: str) -> dict[str, str]:
    return {"class_name": "function", "module": module, "config": name, "registered_name": name}


GADGETS = {
    "lambda layer within another": layer(
        "TimeDistributed", layer=layer("Lambda", function=LAMBDA, output_shape=None, mask=None, arguments={})
    ),
    "lambda as an activation": layer("Dense", units=3, activation=LAMBDA),
    "old lambda as an activation": layer("Dense", units=3, activation=OLD_LAMBDA),
    "lambda as an initializer": layer("Dense", units=3, kernel_initializer=LAMBDA),
    "saved model": layer("TFSMLayer", filepath="secret", call_endpoint="serve"),
    "pickled module": layer("TorchModuleWrapper", module=CODE),
    "function of JAX": layer("JaxLayer", call_fn=OLD_LAMBDA),
    "strings of a file": layer("StringLookup", vocabulary="secret"),
    "numbers of a file": layer("IntegerLookup", vocabulary="secret"),
    "words of a file": layer(
        "TextVectorization", vocabulary="secret", standardize="lower", split="whitespace", output_mode="int"
    ),
    "download": layer("Dense", units=3, activation=function("get_file", "keras.utils")),
    "other model": layer("Dense", units=3, activation=function("load_model", "keras.saving")),
    "function of the system": layer("Dense", units=3, activation=function("system", "os")),
    "class of another module": layer("Popen", "subprocess", args=["touch", "ran"]),
    "registered name of another module": layer("Dense", "os", "os>system", units=3),
    "module that isn't there": layer("X", "keras_hub.evil"),
    "module without layers": layer("X", "keras.src.utils.numerical_utils"),
    "callback that writes": layer(
        "Dense", units=3, kernel_regularizer=layer("CSVLogger", "keras.callbacks", filename="ran")
    ),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    x = keras.Input((4,), name="x")
    model = keras.Model(x, keras.layers.Dense(3, name="fc")(x))
    model.save(folder / "m.keras")
    model.save(folder / "m.h5")
    return folder


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("gadget", GADGETS)
def test_nothing_of_a_file_is_run_or_read(
    gadget: str, ending: str, sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_text("a\nb\n")
    path = tmp_path / f"m.{ending}"
    if ending == "h5":
        path.write_bytes((sound / "m.h5").read_bytes())
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = edited(file.attrs["model_config"], GADGETS[gadget])
    else:
        with zipfile.ZipFile(sound / "m.keras") as source, zipfile.ZipFile(path, "w") as target:
            for name in source.namelist():
                content = source.read(name)
                target.writestr(name, edited(content, GADGETS[gadget]) if name == "config.json" else content)
    with pytest.raises(SourceError) as refusal:
        load(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert sorted(each.name for each in tmp_path.iterdir()) == [f"m.{ending}", "secret"]


def edited(text: str | bytes, gadget: dict[str, Any]) -> str:
    config = json.loads(text)
    config["config"]["layers"][1].update(gadget)
    return json.dumps(config)
