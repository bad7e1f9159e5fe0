"""A small CNN as torch exports it goes the whole line: cut, gray raw stem, head, int8, bundle, verified."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgecut.pipeline.cached import facts_of
from edgecut.pipeline.lock import input_hashes
from edgecut.pipeline.plan import plan
from edgecut.records.profile_files import find_profile
from edgecut.records.recipe import Recipe, read_recipe
from edgecut.search.request import Request
from edgecut.search.tasks import facts_of as search_facts
from tests.command_line import run
from tests.source.onnx.torch_cnn import torch_cnn

pytestmark = pytest.mark.tensorflow

RECIPE = """
schema = "edgecut.recipe/1"
name = "gray"
source = {model = "cnn.onnx", preprocess = "torch"}
cut = {to = "block.add"}
stem = {channels = 1, pixels = "raw"}
head = {classes = 2}
data = {train = "pictures.npz", calibration = 16}
export = {precisions = ["int8"]}
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """A recipe in the current folder, whose model keeps its weights in weights.bin."""
    monkeypatch.chdir(tmp_path)
    model = onnx.load(torch_cnn(Path("inside.onnx")))
    Path("inside.onnx").unlink()
    onnx.save(model, "cnn.onnx", save_as_external_data=True, location="weights.bin", size_threshold=64)
    random, labels = np.random.default_rng(0), np.arange(60) % 2
    pixels = random.integers(0, 120, (60, 32, 32)) + 120 * labels[:, None, None]
    np.savez("pictures.npz", x_train=pixels.astype(np.uint8), y_train=labels)
    Path("recipe.toml").write_text(RECIPE)
    return read_recipe(Path("recipe.toml"))


def test_a_file_goes_the_whole_line(recipe: Recipe, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, "build", "recipe.toml", "--profile", "nucleo-l4r5zi", "-o", "dist")
    assert answer.code == 0, answer.err
    report = json.loads(Path("dist/report.json").read_text())
    load = report["steps"][0]
    assert (load["name"], load["proof"]["images"], load["before"]["inputs"]) == ("load", 8, {"input": [1, 3, 32, 32]})
    assert load["proof"]["relative_error"] < 1e-5
    assert report["source"]["nodes"]["block.add"] == ["/block/Add"]
    hashes = input_hashes(recipe)
    assert report["source"]["files"] == {"weights.bin": hashes["source.model:weights.bin"]}
    components = {c["bom-ref"]: c for c in json.loads(Path("dist/sbom.cdx.json").read_text())["components"]}
    assert components["source"]["hashes"][0]["content"] == hashes["source.model"]
    assert components["source:weights.bin"]["hashes"][0]["content"] == hashes["source.model:weights.bin"]
    said = "imported: its largest difference from ONNX Runtime on 4 seeded inputs and 8 of the images is "
    for name in ("README.md", "MODEL_CARD.md"):
        assert said in Path("dist", name).read_text()
    assert "ONNX Runtime" in Path("dist/report.html").read_text()
    assert run(capsys, "verify", "dist").code == 0


def test_another_weight_file_is_another_input_of_every_stage(recipe: Recipe) -> None:
    before = input_hashes(recipe)
    content = bytearray(Path("weights.bin").read_bytes())
    content[0] ^= 1
    Path("weights.bin").write_bytes(content)
    after = input_hashes(recipe)
    assert {key for key in before if before[key] != after[key]} == {"source.model:weights.bin"}
    planned = plan(recipe)
    assert facts_of(planned, before, "edited")["inputs"] != facts_of(planned, after, "edited")["inputs"]
    request = Request(recipe, (find_profile("host"),), ((32, 32),), (1,), ("int8",), Path("search"))
    assert search_facts(request)["weights"] == {"weights.bin": after["source.model:weights.bin"]}


def test_the_stage_of_an_imported_model_reads_the_images_of_its_proof(recipe: Recipe) -> None:
    assert "data.train" in facts_of(plan(recipe), input_hashes(recipe), "edited")["inputs"]


def test_a_model_that_arrays_feed_is_proven_on_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    frames = np.random.default_rng(0).normal(size=(12, 32, 32, 3)).astype(np.float32)
    np.savez("frames.npz", x_train=frames, y_train=np.arange(12) % 2)
    torch_cnn(Path("cnn.onnx"))
    answer = run(capsys, "import", "cnn.onnx", "--data", "frames.npz", "-o", "cnn.keras", "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["proof"]["images"] == 8
