"""The recipe's [compress]: its faults, its plan, and what is said of its result, without TensorFlow."""

from __future__ import annotations

import pytest

from edgecut.bench.interleaved import Ratio
from edgecut.errors import DocumentError
from edgecut.pipeline.figures import FileFigures, comparison
from edgecut.pipeline.plan import plan
from edgecut.records.recipe import Compress, make_recipe
from edgecut.records.toml_text import toml_text
from tests.house.test_startup import DEMO


def recipe(compress, **overrides):
    tables = {
        "source": {"model": str(DEMO / "cifar10_backbone.keras"), "preprocess": "tf"}, "cut": {"to": "block_2_relu"},
        "head": {"classes": 10}, "data": {"train": str(DEMO / "fashion_mnist.npz")}, "compress": compress,
    }  # fmt: skip
    return make_recipe(tables, overrides, where="recipe.toml")


def faults(action) -> tuple[str, ...]:
    with pytest.raises(DocumentError) as caught:
        action()
    return caught.value.faults


def test_nothing_is_trained_unless_it_is_asked_for():
    assert not Compress().is_asked
    assert "compress" not in dict(plan(recipe({})).steps)


@pytest.mark.parametrize(
    ("compress", "words"),
    [
        ({"prune": {}}, "pruned to 50%; up to 6 epochs each"),
        ({"prune": {"pattern": "2:4"}, "qat": True, "epochs": 2},
         "pruned to 50% in 2:4, then trained quantization-aware; up to 2 epochs each"),
        ({"prune": {"sparsity": 0.75, "pattern": "block"}, "cluster": {}},
         "pruned to 75% in blocks of 4x1, then clustered to 16 values; up to 6 epochs each"),
    ],
)  # fmt: skip
def test_the_plan_says_what_is_trained_in_which_order(compress, words):
    assert dict(plan(recipe(compress)).steps)["compress"] == words


def test_with_precision_auto_the_plan_says_that_training_waits_for_the_other_cures():
    asked = recipe({"qat": True}, **{"export.precisions": ["auto"]})
    assert dict(plan(asked).steps)["compress"] == (
        "trained quantization-aware if no other cure does; up to 6 epochs each"
    )


@pytest.mark.parametrize(
    ("compress", "fault"),
    [
        ({"prune": {"sparsity": 0.7, "pattern": "2:4"}},
         "recipe.toml: compress.prune: 2:4 makes half of the weights zero; leave sparsity out, found 0.7"),
        ({"prune": {"block": [1, 1]}}, "recipe.toml: compress.prune: a block has more than one weight, found [1, 1]"),
        ({"prune": {"sparsty": 0.7}}, "recipe.toml: compress.prune.sparsty: unknown key (closest: 'sparsity')"),
        ({"cluster": {"clusters": 2}},
         "recipe.toml: compress.cluster.clusters: expected a whole number of at least 3, found 2"),
        ({"qat": "yes"}, "recipe.toml: compress.qat: expected true or false, found 'yes'"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_path(compress, fault):
    assert faults(lambda: recipe(compress)) == (fault,)


def test_training_needs_labelled_images_and_int8_for_quantization_aware_training():
    asked = recipe({"qat": True}, **{"export.precisions": ["float32"], "data.train": None, "head.train": "none"})
    assert faults(lambda: plan(asked)) == (
        "model: compress: trains on labelled images; set data.train (--data)",
        "model: compress.qat: is for int8 files; add 'int8' to export.precisions (--precision int8)",
    )


def test_the_recipe_of_a_bundle_reads_back_the_same():
    import tomllib

    asked = recipe({"prune": {"pattern": "block", "block": [8, 1]}, "skip": ["head_dense"], "learning_rate": 1e-5})
    text = toml_text(asked.to_dict())
    assert make_recipe(tomllib.loads(text), {}, where="test") == asked


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (Ratio((1e-3,), (1e-3,), 1.0, 0.98, 1.01), "it isn't faster: 1.00 times the time, 95 % between 0.98 and 1.01"),
        (Ratio((1e-3,), (5e-4,), 0.5, 0.4, 1.2), "it isn't faster: 0.50 times the time, 95 % between 0.40 and 1.20"),
        (Ratio((1e-3,), (5e-4,), 0.5, 0.4, 0.6), "it is faster: 0.50 times the time, 95 % between 0.40 and 0.60"),
        (Ratio((1e-3,), (2e-3,), 2.0, 1.9, 2.1),
         "it isn't faster but slower: 2.00 times the time, 95 % between 1.90 and 2.10"),
    ],
)  # fmt: skip
def test_a_verdict_says_in_words_whether_it_is_faster(ratio, words):
    before = FileFigures(size_bytes=70_000, gzip_bytes=64_000, accuracy=0.8)
    after = FileFigures(size_bytes=70_000, gzip_bytes=32_000, accuracy=0.79)
    assert comparison("tflite int8", before, after, ratio) == (
        "tflite int8, compressed against uncompressed: gzip 31.2 KiB against 62.5 KiB, the runtime loads 68.4 KiB "
        f"against 68.4 KiB, accuracy 0.790 against 0.800; {words}, measured in turn on this host"
    )
