"""What becomes of .onnx files along the whole line: `python -m tools.check_line FILE.onnx... [--data NPZ]`.

Each file is one child process. It is imported, and its Keras model written as float .tflite and .onnx: the first is
held against the Keras model, the second against the original file (SQNR on seeded inputs). A file that takes one
picture is then built: cut at the legal start nearest to half of its MACs, with a gray stem of raw bytes and a head of
ten classes, in int8, for a microcontroller and this host. Exit code 1 where one of them fell short.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

FLOAT_DB, ONNX_DB = 100.0, 80.0
PROFILES = ("nucleo-l4r5zi", "host")
IMAGES = 4
TIMEOUT_S = 1800.0
DATA = Path(__file__).parents[1] / "edgecut" / "demo_data" / "fashion_mnist.npz"
ROW = "{file:28} {error:>9} {tflite:>8} {onnx:>8}  {cut:28} {status:8} {int8:>8} {seconds:>6}  {fault}"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, default=DATA, help="labelled images")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--shape", default="", help="of the files' input, where they leave sizes open")
    options = parser.parse_args()
    if options.child is not None:
        options.child.write_text(json.dumps(facts_of(options.files[0], options.data, options.shape)))
        return 0
    titles = {"error": "relative", "tflite": "tflite", "onnx": "onnx dB", "cut": "cut", "status": "build"}
    say({**titles, "file": "file", "int8": "int8 dB", "seconds": "s", "fault": ""})
    rows = [row_of(path, options.data, options.shape) for path in options.files]
    return 1 if any(row["fault"] for row in rows) else 0


def row_of(path: Path, data: Path, shape: str) -> dict[str, str]:
    """The file's row, printed."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        words = [str(path), "--data", str(data), "--child", str(answer), *(["--shape", shape] if shape else [])]
        command = [sys.executable, "-m", "tools.check_line", *words]
        child = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        last = (child.stderr.strip().splitlines() or ["nothing was said"])[-1]
        found = json.loads(answer.read_text()) if answer.exists() else {"fault": last[:300]}
    row = {key: "" for key in ("error", "tflite", "onnx", "cut", "status", "int8", "fault")} | found
    row |= {"file": path.name, "seconds": f"{time.perf_counter() - began:.0f}"}
    say(row)
    return row


def say(row: dict[str, str]) -> None:
    """One line of the table, at once."""
    sys.stdout.write(ROW.format(**row).rstrip() + "\n")
    sys.stdout.flush()


def facts_of(path: Path, data: Path, shape: str) -> dict[str, str]:
    """What came of a file, as the row's texts."""
    from edgecut.cli.flags import FLAGS
    from edgecut.errors import EdgecutError
    from edgecut.graph.quiet import import_keras_quietly

    import_keras_quietly()
    from edgecut.records.recipe import Source
    from edgecut.source.load import read_source

    parse = next(flag.parse for flag in FLAGS if flag.key == "source.shape")
    source = Source(model=str(path), shape=parse(shape) if shape and parse else None, preprocess="tf")
    row: dict[str, str] = {}
    faults: list[str] = []
    try:
        loaded = read_source(source)
        row["error"] = f"{loaded.proof['relative_error']:.1e}"
        with tempfile.TemporaryDirectory() as folder:
            tflite, onnx = written(path, loaded.model, Path(folder))
            row |= {"tflite": f"{tflite:.0f}", "onnx": f"{onnx:.0f}"}
            faults += [f"tflite below {FLOAT_DB:.0f} dB"] if tflite < FLOAT_DB else []
            faults += [f"onnx below {ONNX_DB:.0f} dB"] if onnx < ONNX_DB else []
            if [len(tensor.shape) for tensor in loaded.model.inputs] == [4] and loaded.model.inputs[0].shape[3] == 3:
                row |= built(source, loaded.model, data, Path(folder))
    except EdgecutError as exc:
        faults.append(str(exc).splitlines()[0][:300])
    return {**row, "fault": "; ".join(faults)}


def written(path: Path, model: object, folder: Path) -> tuple[float, float]:
    """(SQNR of the float .tflite against the model, of the float .onnx against the original file), in dB."""
    import keras
    from edgecut.source.onnx.proving import originals

    from edgecut import export
    from edgecut.runtime.files import FileRunner
    from edgecut.score.distance import sqnr

    assert isinstance(model, keras.Model)
    random = np.random.default_rng(1)
    fed = [random.normal(size=(IMAGES, *tensor.shape[1:])).astype("float32") for tensor in model.inputs]
    expected = [np.asarray(model([x[k : k + 1] for x in fed])) for k in range(IMAGES)]
    original = originals(path, fed)
    results = []
    for form, reference in (("tflite", np.concatenate(expected)), ("onnx", original)):
        export(model, form, "float32", path=folder / f"float.{form}")
        results.append(sqnr(reference, FileRunner(folder / f"float.{form}").predict(*fed)))
    return results[0], results[1]


def built(source: object, model: object, data: Path, folder: Path) -> dict[str, str]:
    """What a build of the model's first half says."""
    import edgecut
    from edgecut.graph.calls import calls
    from edgecut.graph.cuts import cut_points
    from edgecut.records.recipe import Cut, Data, Export, Head, Recipe, Source, Stem

    assert isinstance(source, Source)
    points = [point for point in cut_points(calls(model)) if point.legal_start and len(point.shape) == 4 and point.macs]
    half = max(point.macs or 0 for point in points) / 2
    cut = min(points, key=lambda point: abs((point.macs or 0) - half))
    recipe = Recipe(
        name="line",
        source=source,
        cut=Cut(to=cut.name),
        stem=Stem(channels=1, pixels="raw"),
        head=Head(classes=10),
        data=Data(train=str(data), limit=(40, 20), calibration=16),
        export=Export(precisions=("int8",)),
    )
    report = edgecut.build(recipe, PROFILES, folder / "bundle", cache=False)
    rows = {row.metric: row.value for row in report.measurements if row.value is not None}
    return {"cut": cut.name, "status": report.status, "int8": f"{rows.get('sqnr', float('nan')):.1f}"}


if __name__ == "__main__":
    sys.exit(main())
