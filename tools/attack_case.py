"""One hostile input of tools/attack: what is written where, and the commands that read it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # for the bundle that the tests write
    sys.path.append(str(ROOT))
DEMO = ROOT / "edgecut" / "demo_data"
FIXTURES = ROOT / "tests" / "fixtures"
SECRET = b"edgecut-attack-secret-6f1c"
"""What the file beside each input holds: a result that has it was read from outside of what was named."""


@dataclass(frozen=True)
class Place:
    """Where a case lies. box: its folder, the current one of its commands; nothing may change in it but out."""

    box: Path

    @property
    def canary(self) -> str:
        """The file that code out of an input would write."""
        return str(self.box / "canary")

    @property
    def secret(self) -> str:
        """A file that no input has a right to."""
        return str(self.box / "secret.bin")

    @property
    def input(self) -> Path:
        """The folder of the input."""
        return self.box / "in"

    @property
    def out(self) -> Path:
        """The folder that commands may write to."""
        return self.box / "out"


@dataclass(frozen=True)
class Case:
    """put: writes the input, and says the command lines."""

    kind: str
    name: str
    put: Callable[[Place], Sequence[Sequence[str]]]


def model_commands(path: Path, place: Place, layer: str = "stem_relu") -> list[list[str]]:
    """Every command that loads a Keras model, an .onnx or a SavedModel."""
    name, out = str(path), place.out
    return [
        ["inspect", name, "--json"],
        ["plan", name, "--precision", "float32"],
        ["cut", name, "--to", layer, "-o", str(out / "part.keras")],
        ["export", name, "--precision", "float32", "-o", str(out / "m.tflite")],
    ]


def file_commands(path: Path, place: Place) -> list[list[str]]:
    """Every command that reads a .tflite or .onnx file; some cost a child process."""
    name, out = str(path), place.out
    return [
        ["inspect", name, "--json"],
        ["cut", name, "--to", "0", "-o", str(out / f"part{path.suffix}")],
        ["export", name, "--format", "c", "-o", str(out / "c")],
        ["bench", name, "--runs", "1", "--warmup", "0", "--profile", "nucleo-l4r5zi"],
    ]
