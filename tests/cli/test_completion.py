"""What a shell completes: commands, options, files, profiles, and the words of the recipe's types."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from edgecut.cli.main import edgecut


def offered(*words: str) -> list[str]:
    """The values offered for the last word; a word in angle brackets where the shell itself looks for files."""
    found = ShellComplete(edgecut, {}, "edgecut", "_EDGECUT_COMPLETE").get_completions(list(words[:-1]), words[-1])
    return [item.value if item.type == "plain" else f"<{item.type}>" for item in found]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["be"], ["bench"]),
        (["cache", ""], ["clear", "ls", "verify"]),
        (["build", "x", "--pre"], ["--preprocess", "--precision"]),
        (["build", "rec"], ["<file>"]),
        (["inspect", ""], ["<file>"]),
        (["build", "x", "--data", ""], ["<file>"]),
        (["build", "x", "--precision", "f"], ["float32", "float16"]),
        (["build", "x", "--precision", "int8,f"], ["int8,float32", "int8,float16"]),
        (["stem", "x", "--preprocess", ""], ["tf", "torch", "caffe", "raw", "none"]),
        (["export", "x", "--format", ""], ["tflite", "onnx", "c"]),
        (["bench", "x", "--profile", "nucleo-l4r5zi-x"], ["nucleo-l4r5zi-xcubeai", "nucleo-l4r5zi-xcubeai-c"]),
        (["new", "x", "--profile", "nicla"], ["nicla-vision", "nicla-vision-c"]),
        (["profile", "show", "esp32-s3"], ["esp32-s3", "esp32-s3-c", "esp32-s3-reference", "esp32-s3-reference-c"]),
        (["profile", "show", "own/"], ["<file>"]),
    ],
    ids=" ".join,
)
def test_a_word_is_completed(
    words: list[str], found: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert offered(*words) == found
