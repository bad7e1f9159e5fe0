"""The model card and the bill of materials say what the report says, and the figures carry their intervals."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt  # rich needs it

from edgecut.bench.interleaved import ratio_interval
from edgecut.handoff.model_card import model_card
from edgecut.handoff.readme import readme
from edgecut.handoff.sbom import sbom
from edgecut.handoff.vectors import write_vectors
from edgecut.records.artifact import Artifact
from edgecut.records.legend import Legend
from edgecut.records.measurement import Measurement, measured
from edgecut.records.report import Check, Report, Step
from edgecut.score.intervals import mcnemar, wilson
from tests.handoff.test_bundle import artifacts_in, bundle, recipe_of, report_of, vectors_of


def accuracy(images: int = 100, value: float = 0.8, name: str = "bell.int8.tflite"):
    return measured("accuracy", name, [value], where="host", method="LiteRT", conditions={"images": images})


def cyclonedx_fault(text: str) -> object:
    """What CycloneDX's schema says against a document; None if nothing."""
    # Loading the schema's formats takes longer than collecting all the other tests of this folder.
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)


def test_the_bill_of_materials_is_valid_cyclonedx(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "dist", ("float32.tflite", "int8.tflite"), accuracy())
    assert cyclonedx_fault((folder / "sbom.cdx.json").read_text()) is None


def test_the_bill_of_materials_tells_data_licences_scores_and_limits_as_a_model_card(tmp_path: Path) -> None:
    source = {"model": "/m.keras", "licence": "Apache-2.0", "preprocess": "tf"}
    data = {"train": "/a/train.npz", "val": "/a/val.npz", "licence": "MIT"}
    sqnr = measured("sqnr", "bell.int8.tflite", [28.9], where="host", method="LiteRT")
    latency = measured("latency", "bell.int8.tflite", [0.001], where="host", method="wall time", profile="host")
    report = report_of(artifacts_in(tmp_path, ("int8.tflite",)), accuracy(), sqnr, latency)
    report = report.model_copy(update={"notes": ("mind the gap",)})
    document = sbom(report, recipe_of({"source": source, "data": data}), {"data.train": "ab" * 32})
    assert cyclonedx_fault(json.dumps(document)) is None
    parts = {row["bom-ref"]: row for row in document["components"]}
    card = parts["file:models/bell.int8.tflite"]["modelCard"]
    assert card["modelParameters"]["datasets"] == [{"ref": "data:train"}, {"ref": "data:val"}]
    assert card["quantitativeAnalysis"]["performanceMetrics"] == [
        {
            "type": "accuracy",
            "value": "0.8",
            "confidenceInterval": {"lowerBound": "0.711171", "upperBound": "0.866633"},
        },
        {"type": "sqnr", "value": "28.9"},
    ]
    assert card["considerations"] == {"technicalLimitations": ["mind the gap"]}
    assert parts["source"]["licenses"] == [{"license": {"name": "Apache-2.0"}}]
    assert parts["data:train"]["licenses"] == parts["data:val"]["licenses"] == [{"license": {"name": "MIT"}}]
    assert "hashes" not in parts["data:val"]


def test_the_bill_of_materials_has_the_hashes_of_the_models_and_of_the_data(tmp_path: Path) -> None:
    artifacts = artifacts_in(tmp_path, ("int8.tflite",))
    recipe = recipe_of({"data": {"train": str(tmp_path / "train.npz")}})
    document = sbom(report_of(artifacts), recipe, {"data.train": "ab" * 32})
    found = {row["name"]: row.get("hashes", [{}])[0].get("content") for row in document["components"]}
    assert found == {
        "models/bell.int8.tflite": artifacts[0].sha256, "m.keras": None,
        "train.npz": "ab" * 32,
    }  # fmt: skip
    assert cyclonedx_fault(json.dumps(document)) is None


def test_the_model_card_gives_the_accuracy_with_its_interval(tmp_path: Path) -> None:
    artifacts = artifacts_in(tmp_path, ("int8.tflite",))
    card = model_card(report_of(artifacts, accuracy()), recipe_of(), ["cat", "dog"])
    assert "| bell.int8.tflite | 0.8000 | 0.7112 to 0.8666 | 100 | LiteRT |\n" in card
    assert "| licence | not stated; whoever releases the model sets `licence` in the recipe |\n" in card


def test_a_model_card_without_images_says_that_nothing_was_judged(tmp_path: Path) -> None:
    card = model_card(report_of(artifacts_in(tmp_path, ("int8.tflite",))), recipe_of(), [])
    assert "Not measured: there were no labelled images.\n" in card
    assert "| images | none were given: no head was fitted and no accuracy measured |\n" in card


def test_the_model_card_says_on_which_device_a_figure_is_not_known(tmp_path: Path) -> None:
    where = {"unit": "s", "kind": "estimated", "where": "board-c", "method": "none"}
    row = Measurement(
        metric="latency", artifact="bell.int8.tflite", profile="board-c", value=None, reason="no facts", **where
    )
    here = row.model_copy(update={"profile": None, "where": "host", "reason": "no clock"})
    card = model_card(report_of(artifacts_in(tmp_path, ("int8.tflite",)), row, here), recipe_of(), [])
    assert "- bell.int8.tflite on board-c: latency isn't known: no facts\n" in card
    assert "- bell.int8.tflite: latency isn't known: no clock\n" in card


def test_the_interval_is_wilsons() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_an_interval_holds_its_fraction_and_stays_a_fraction(hits: int, misses: int) -> None:
    """0 <= low <= hits / trials <= high <= 1."""
    low, high = wilson(hits, hits + misses)
    assert 0 <= low <= hits / max(1, hits + misses) <= high <= 1


def test_mcnemars_test_is_the_binomial_one() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 5) == 1.0
    assert mcnemar(0, 5) == pytest.approx(2 / 32)
    assert mcnemar(1, 9) == pytest.approx(2 * 11 / 1024)
    assert mcnemar(20_000, 20_000) == 1.0


@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=30))
def test_equal_times_have_a_ratio_of_one(times: list[float]) -> None:
    """ratio_interval(x, x) == (1, 1, 1)."""
    assert ratio_interval(times, times) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (("cat", "dog"), ""),  # the output has more values than that
        (tuple("abc"), "The position of the largest value is the class: a, b, c.\n"),
    ],
)
def test_the_readme_names_classes_where_the_output_has_one_value_for_each(
    labels: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    artifact = artifacts_in(tmp_path, ("int8.tflite",))[0]
    output = artifact.outputs[0].model_copy(update={"shape": (1, 3)})
    artifact = artifact.model_copy(update={"outputs": (output,)})
    page = readme(report_of((artifact,)), recipe_of(), artifact, None, None, Legend(labels))
    assert (sentence or "\n\n") in page
    assert ("is the class" in page) == bool(sentence)


def test_the_readme_says_which_of_two_classes_a_single_value_is_for(tmp_path: Path) -> None:
    artifact = artifacts_in(tmp_path, ("int8.tflite",))[0]
    artifact = artifact.model_copy(update={"outputs": (artifact.outputs[0].model_copy(update={"shape": (1, 1)}),)})
    page = readme(report_of((artifact,)), recipe_of(), artifact, None, None, Legend(("cat", "dog")))
    assert "\n\nThe higher the value, the more is it dog rather than cat.\n" in page


def test_the_readme_says_that_a_model_takes_blue_first(tmp_path: Path) -> None:
    artifact = artifacts_in(tmp_path, ("int8.tflite",))[0]
    colour = artifact.inputs[0].model_copy(update={"shape": (1, 2, 3, 3)})
    artifact = artifact.model_copy(update={"inputs": (colour,)})
    alike = {"scale": 0.5, "offset": -1.0, "order": "bgr"}
    recipe = recipe_of({"source": {"model": "/m.keras", "preprocess": alike}})
    page = readme(report_of((artifact,)), recipe, artifact, None, None, Legend([]))
    assert "   r = byte * 0.5 - 1\n   The model takes the channels in the order B, G, R.\n" in page


def test_the_readme_finds_the_scores_among_several_outputs(tmp_path: Path) -> None:
    artifact = artifacts_in(tmp_path, ("int8.tflite",))[0]
    shapes = {"map": (1, 5, 5, 2), "scores": (1, 3)}
    outputs = tuple(artifact.outputs[0].model_copy(update={"name": n, "shape": s}) for n, s in shapes.items())
    inputs = (artifact.inputs[0].model_copy(update={"expects": None, "shape": (1, 7)}),)
    artifact = artifact.model_copy(update={"outputs": outputs, "inputs": inputs})
    page = readme(report_of((artifact,)), recipe_of(), artifact, None, None, Legend(["a", "b", "c"]))
    assert "The position of the largest value of `scores` is the class: a, b, c.\n" in page
    assert "## The input\n" in page
    assert "camera" not in page


def test_the_readme_says_why_there_are_no_vectors_and_what_to_compare_with(tmp_path: Path) -> None:
    artifact = artifacts_in(tmp_path, ("int8.tflite",))[0]
    artifact = artifact.model_copy(update={"inputs": artifact.inputs * 2})
    page = readme(report_of((artifact,)), recipe_of(), artifact, None, None, Legend([]))
    sentence = "There are no golden vectors here, since the model takes 2 inputs. Compare the port's outputs with those"
    assert f"## Checking the port\n\n{sentence} that LiteRT gives for `{artifact.path}` on the same values.\n" in page


def test_the_readme_says_that_vectors_which_let_other_answers_pass_prove_little(tmp_path: Path) -> None:
    artifact = artifacts_in(tmp_path, ("int8.tflite",))[0]
    sheet = write_vectors(vectors_of(tmp_path / artifact.path), tmp_path / "vectors", artifact.path, [])
    (output,) = sheet.outputs
    wide = output.model_copy(update={"tolerance": output.tolerance.model_copy(update={"lsb": 13})})
    for golden, told in ((output, False), (wide, True)):
        own = sheet.model_copy(update={"outputs": (golden,)})
        page = readme(report_of((artifact,)), recipe_of(), artifact, None, own, Legend([]))
        assert ("13 steps, which counts as what the vectors expect: runtimes' kernels differ that much" in page) is told
        assert ("Passing the vectors proves little then" in page) is told


def test_a_thousand_classes_are_left_to_their_file(tmp_path: Path) -> None:
    artifact = artifacts_in(tmp_path, ("int8.tflite",))[0]
    output = artifact.outputs[0].model_copy(update={"shape": (1, 1000)})
    artifact = artifact.model_copy(update={"outputs": (output,)})
    page = readme(
        report_of((artifact,)), recipe_of(), artifact, None, None, Legend([f"class {k}" for k in range(1000)])
    )
    assert "The position of the largest value is the class: `labels.txt` has their names, one a line.\n" in page


ODD = "<script>x</script> \x1b[2J\x00\u202e a|b `c` [d](javascript:e)\n# f"


def odd_report(artifacts: tuple[Artifact, ...]) -> Report:
    """A report whose every text from files is odd."""
    report = report_of(artifacts, accuracy(name=ODD), measured("latency", ODD, [1.0], where=ODD, method=ODD))
    source = report.source.model_copy(update={"path": ODD})
    check = Check(artifact=ODD, profile=ODD, metric="latency", limit=1.0, unit="s", value=2.0, state="misses",
                  basis="measured", reason=ODD)  # fmt: skip
    step = Step(name="cut", changed=True, notes=(ODD,), losses=(ODD,))
    return report.model_copy(update={"source": source, "notes": (ODD,), "checks": (check,), "steps": (step,)})


def shown(page: str) -> list[tuple[str, str]]:
    """(kind, content) of the blocks and of the pieces of text that a renderer of Markdown finds."""
    tokens = MarkdownIt("commonmark").enable("table").parse(page)
    pieces = [child for token in tokens for child in token.children or ()]
    return [(token.type, token.content) for token in (*tokens, *pieces)]


def test_texts_of_files_are_texts_in_the_readme_and_in_the_model_card(tmp_path: Path) -> None:
    artifacts = artifacts_in(tmp_path, ("int8.tflite",))
    odd = {"name": ODD, "shape": (1, 3)}
    outputs = (artifacts[0].outputs[0].model_copy(update=odd),) * 2
    artifact = artifacts[0].model_copy(update={"outputs": outputs, "operators": {ODD: 1}})
    data = {"train": ODD, "val": ODD, "licence": ODD}
    source = {"model": "/m.keras", "licence": ODD, "preprocess": "tf"}
    recipe, labels = recipe_of({"source": source, "data": data}), [f"{k} {ODD}" for k in range(3)]
    report = odd_report((artifact,))
    vectors = vectors_of(tmp_path / artifacts[0].path)
    vectors = replace(vectors, outputs=(vectors.outputs[0].model_copy(update={"spec": outputs[0]}),))
    sheet = write_vectors(vectors, tmp_path / "vectors", artifact.path, ())
    for page in (
        readme(report, recipe, artifact, 10, sheet, Legend(labels)),
        model_card(report, recipe, labels),
    ):
        assert page.replace("\n", "").isprintable()
        found = shown(page)
        kinds = {"html_inline", "html_block", "link_open", "image", "fence", "code_block"}
        assert not {kind for kind, _ in found} & kinds
        assert ("inline", "f") not in found
        rows = [line for line in page.splitlines() if line.startswith("| ")]
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows} <= {3, 5, 6}


def test_file_names_in_code_spans_are_unchanged(tmp_path: Path) -> None:
    artifact = artifacts_in(tmp_path, ("int8.tflite",))[0]
    page = readme(report_of((artifact,)), recipe_of({"name": "_bell_"}), artifact, None, None, Legend([]))
    assert page.startswith("# \\_bell\\_\n\nMade by edgecut 0.1.0 from `/models/m.keras`. Budgets: **meets**.\n")
    assert "add `c/_bell__model.c` to the firmware's sources.\n" in page
