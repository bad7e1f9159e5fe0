"""What TensorFlow Lite Micro's interpreter makes of files of one operator, each asked once for all the tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from edgecut.bench.runners import tflm
from tools.operator_files import operator_file

Case = tuple[str, dict[str, str]]
Heads = Callable[[Sequence[Case]], list[int | str]]


@pytest.fixture(scope="session")
def heads_of(tmp_path_factory: pytest.TempPathFactory) -> Heads:
    """For each (operator, types of its tensors) the head of the arena, or why the file doesn't run."""
    folder, known = tmp_path_factory.mktemp("operators"), dict[bytes, int | str]()

    def heads(cases: Sequence[Case]) -> list[int | str]:
        contents = [operator_file(name, types) for name, types in cases]
        new = [content for content in dict.fromkeys(contents) if content not in known]
        paths = [folder / f"{len(known) + k}.tflite" for k in range(len(new))]
        for path, content in zip(paths, new, strict=True):
            path.write_bytes(content)
        known.update(zip(new, tflm.interpreter_heads(paths), strict=True))
        return [known[content] for content in contents]

    return heads
