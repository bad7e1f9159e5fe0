"""edgecut-lite tried in an environment that is made anew: its commands, its refusals, and how large it is."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import distributions
from pathlib import Path

from PIL import Image

from edgecut.records.packages import LIGHT
from tools.distributions import ROOT, build

MOST_BYTES = 200_000_000
"""Of all files below the environment's folder, bytecode included, pip left out."""
RECIPE = "edgecut/demo_data/recipe.toml"
BACKBONE = "edgecut/demo_data/cifar10_backbone.keras"
NO_TENSORFLOW = "edgecut: error: TensorFlow isn't here, and this needs it; it comes with: pip install edgecut"
NO_ONNX = "edgecut: error: onnx isn't here, and this needs it; it comes with: pip install 'edgecut-lite[onnx]'"


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a line for each check; 1 if any fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, help="a bundle with an int8 file; by default the demo's, built here")
    options = parser.parse_args(arguments)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        demo = None if options.bundle else _demo(scratch)  # while the environment is made
        python = installed(scratch)
        faults = [*_contents(scratch / "venv", python)]
        if demo is not None and demo.wait() != 0:
            faults.append(f"edgecut demo: exit code {demo.returncode}")
        else:
            faults += _commands(python, options.bundle or scratch / "demo", scratch)
    for fault in faults:
        print(f"tools/light: {fault}", file=sys.stderr)
    print(f"tools/light: {'no fault' if not faults else len(faults)}, {time.monotonic() - start:.0f} s")
    return 1 if faults else 0


def installed(scratch: Path) -> Path:
    """The Python of a new environment that has edgecut-lite and what requirements/light.txt locks, and no pip."""
    [wheel] = build(LIGHT, scratch / "dist", wheel_alone=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(scratch / "venv")], check=True)
    python = scratch / "venv/bin/python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", str(ROOT / "requirements/light.txt")], check=True)
    subprocess.run([*pip, "--no-deps", "--no-index", str(wheel)], check=True)
    return python


def _contents(environment: Path, python: Path) -> Iterator[str]:
    """What is wrong with the environment itself."""
    size = sum(path.lstat().st_size for path in environment.rglob("*") if path.is_file())
    rows = sorted(_sizes(python).items(), key=lambda row: -row[1])
    for name, own in [*rows, ("all", size)]:
        print(f"{own / 1e6:8.1f} MB  {name}")
    if size >= MOST_BYTES:
        yield f"{size:,} bytes are installed, and less than {MOST_BYTES:,} are expected"
    child = subprocess.run([python, "-c", "import tensorflow"], capture_output=True, text=True, check=False)
    if "No module named 'tensorflow'" not in child.stderr:
        yield "tensorflow can be imported"


def _sizes(python: Path) -> dict[str, int]:
    """{package: bytes of the files that its wheel and its bytecode put there}."""
    [site] = python.parents[1].glob("lib/python3*/site-packages")
    return {
        found.metadata["Name"]: sum(
            path.lstat().st_size for path in map(Path, map(found.locate_file, found.files or ())) if path.is_file()
        )
        for found in distributions(path=[str(site)])
    }


def _demo(scratch: Path) -> subprocess.Popen[bytes]:
    """What makes the demo's bundle, by the edgecut of the checkout."""
    command = [sys.executable, "-m", "edgecut", "demo", "-q", "-o", str(scratch / "demo")]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)


def _commands(python: Path, bundle: Path, scratch: Path) -> Iterator[str]:
    """What is wrong with the commands' exit codes and with what they say."""
    picture, [file] = scratch / "picture.png", (bundle / "models").glob("*.int8.tflite")
    Image.new("L", (48, 64), 90).save(picture)
    tried: tuple[tuple[int, str, list[str]], ...] = (
        (0, "", ["doctor"]),
        (0, "", ["verify", str(bundle), "--run-c"]),
        (0, "", ["run", str(bundle), str(picture)]),
        (0, "", ["bench", str(file), "--profile", "nucleo-l4r5zi", "--profile", "host", "--operators"]),
        (0, "", ["compare", str(bundle), str(bundle)]),
        (0, "", ["inspect", str(file), "--profile", "nucleo-l4r5zi"]),
        (0, "", ["export", str(file), "--format", "c", "--package", "arduino", "-o", str(scratch / "c")]),
        (0, "", ["profile", "list"]),
        (0, "", ["plan", RECIPE]),
        (4, NO_TENSORFLOW, ["build", RECIPE, "-o", str(scratch / "built")]),
        (4, NO_TENSORFLOW, ["stem", BACKBONE, "--gray", "-o", str(scratch / "gray.keras")]),
        (4, NO_ONNX, ["inspect", "tests/fixtures/tiny.int8.onnx"]),
    )
    for code, sentence, words in tried:
        began = time.monotonic()
        child = subprocess.run(
            [python.with_name("edgecut"), *words],
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", "HOME": str(scratch), "COLUMNS": "100"},
            capture_output=True,
            text=True,
            check=False,
        )
        print(f"{words[0]}: exit code {child.returncode}, {time.monotonic() - began:.1f} s")
        if child.returncode != code or sentence not in child.stderr:
            yield f"{' '.join(words)}: {child.returncode}, {child.stderr.strip()!r}; expected {code}, {sentence!r}"


if __name__ == "__main__":
    sys.exit(main())
