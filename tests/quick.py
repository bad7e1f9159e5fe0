"""Which tests are quick: those of a file that doesn't say `pytestmark = pytest.mark.tensorflow`."""

from __future__ import annotations

from pathlib import Path

NAMED = "tensorflow"
QUICK = f"not {NAMED}"
HEAVY = frozenset({"tensorflow", "keras", "tf_keras", "tf2onnx", "tensorflow_model_optimization"})


def needs_tensorflow(path: Path) -> bool:
    """Whether a test file says that its tests load TensorFlow, in this process or in a child."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return any(line.startswith("pytestmark = ") and f"pytest.mark.{NAMED}" in line for line in lines)
