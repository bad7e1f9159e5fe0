"""Files cut on disk, with their proof."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecut.bench import cutproof
from edgecut.bench.cutproof import cut_file
from edgecut.errors import GraphError, RequestError, RunError, SourceError
from edgecut.runtime.specs import read_graph
from edgecut.tflite.cut import cut_tflite

FIXTURES = Path(__file__).parents[1] / "fixtures"
TFLITE, ONNX = FIXTURES / "tiny.int8.tflite", FIXTURES / "tiny.float32.onnx"


def test_the_proof_of_a_tflite_part_says_what_was_kept_and_that_it_is_exact(tmp_path: Path) -> None:
    step = cut_file(TFLITE, 3, None, tmp_path / "part.tflite")
    assert (step.name, step.changed, step.notes) == ("cut", True, ())
    assert step.proof == {
        "inputs": 8, "max_abs_error": 0.0, "exact": True, "where": "LiteRT, built-in kernels without a delegate",
    }  # fmt: skip
    assert (step.before.operators, step.after.operators) == (6, 4)
    assert list(step.after.outputs.values()) == [(1, 1, 1, 144)]
    assert step.after.size_bytes == (tmp_path / "part.tflite").stat().st_size
    assert step.after.macs == step.before.macs - 144 * 4


def test_a_tflite_part_from_inside_is_proven_on_what_the_whole_file_computes_there(tmp_path: Path) -> None:
    step = cut_file(TFLITE, None, 2, tmp_path / "tail.tflite")
    assert step.proof.exact is True
    assert list(step.after.inputs.values()) == [(1, 6, 6, 144)]


def test_the_proof_of_an_onnx_part_names_the_layout_of_its_new_tensors(tmp_path: Path) -> None:
    name = "tiny_1/stem_1/Relu"
    step = cut_file(ONNX, [name], [], tmp_path / "part.onnx")
    assert step.proof == {
        "inputs": 8, "max_abs_error": 0.0, "exact": True, "where": "ONNX Runtime without fusions",
        "max_abs_error_with_fusions": 0.0,
    }  # fmt: skip
    assert list(step.notes) == [
        f"{name!r} is the value before its activation, which is 'Relu__5:0' in this file; end there to keep it",
        f"{name!r} is inside the ONNX graph, where images are (batch, channels, height, width): 1x8x6x6",
    ]
    assert step.after.outputs == {name: (1, 8, 6, 6)}


def test_a_part_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutproof.tflite_cut, "cut_tflite", lambda content, to, start: cut_tflite(content, [1], start))
    out = tmp_path / "part.tflite"
    with pytest.raises(RunError) as caught:
        cut_file(TFLITE, 0, None, out)
    assert str(caught.value).startswith(f"{out}: differs from {TFLITE} by up to ")
    assert str(caught.value).endswith(" on 8 inputs, and should be equal; nothing was written")
    assert list(tmp_path.iterdir()) == []


def test_a_refused_cut_leaves_an_older_file_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "part.tflite"
    out.write_bytes(b"older")
    with pytest.raises(GraphError):
        cut_file(TFLITE, "nowhere", None, out)
    assert out.read_bytes() == b"older"
    assert [path.name for path in tmp_path.iterdir()] == ["part.tflite"]


def test_a_part_keeps_the_format_of_its_file(tmp_path: Path) -> None:
    with pytest.raises(RequestError) as caught:
        cut_file(TFLITE, 0, None, tmp_path / "part.onnx")
    assert str(caught.value) == f"{tmp_path / 'part.onnx'}: the part of a tflite file is one, too; name it *.tflite"


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    damaged = tmp_path / "m.tflite"
    damaged.write_bytes(TFLITE.read_bytes()[:4000])
    with pytest.raises(SourceError) as caught:
        cut_file(damaged, 0, None, tmp_path / "part.tflite")
    assert str(caught.value) == (
        f"{damaged}: is a damaged .tflite file (cut short or overwritten; 4,000 bytes are here); get it again"
    )


@pytest.mark.real
@pytest.mark.parametrize("name", ["cifar10_resnet", "visual_wake_words", "rock_paper_scissors"])
def test_a_real_file_is_cut_in_the_middle(real: Path, tmp_path: Path, name: str) -> None:
    source = real / f"{name}.tflite"
    middle = len(read_graph(source).operators) // 2
    step = cut_file(source, middle, None, tmp_path / "part.tflite")
    assert step.proof.exact is True
    assert step.after.operators < step.before.operators
