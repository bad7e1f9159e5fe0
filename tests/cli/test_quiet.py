"""With -q a command prints its answer and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.command_line import run
from tests.handoff.test_bundle import bundle

FIXTURES = Path(__file__).parents[1] / "fixtures"
MODEL = str(Path(__file__).parents[2] / "edgecut" / "demo_data" / "cifar10_backbone.keras")
INT8 = str(FIXTURES / "tiny.int8.tflite")


@pytest.mark.parametrize(
    ("words", "remark"),
    [
        (("profile", "list", "h743"), "each microcontroller is also ID-c"),
        (("bench", INT8, "--measured", "nucleo-l4r5zi=231ms"), "to keep for"),
        (
            ("new", MODEL, "-o", "a recipe.toml"),
            "wrote a recipe.toml; edit it, then: edgecut build 'a recipe.toml' -o dist",
        ),
        (("run", INT8, "photo.png", "--preprocess", "tf"), " takes "),
        (("verify", "dist"), "not verified"),
    ],
)
def test_the_answer_is_alone(
    words: tuple[str, ...],
    remark: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    if words[0] == "run":
        Image.new("L", (12, 12)).save("photo.png")
    elif words[0] == "verify":
        bundle(tmp_path / "dist")
    loud = run(capsys, *words)
    if "-o" in words:
        Path(words[-1]).unlink()
    quiet = run(capsys, *words, "-q")
    assert (loud.code, quiet.code, remark in loud.out, remark in quiet.out, quiet.err) == (0, 0, True, False, "")
    answers = [line for line in quiet.out.splitlines() if line.strip()]
    assert bool(answers) == (words[0] != "new")
