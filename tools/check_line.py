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

import keras
import numpy as np
from keras.tree import flatten as flat

import edgecut
from edgecut.cli.flags import FLAGS
from edgecut.errors import EdgecutError
from edgecut.graph.calls import calls
from edgecut.graph.cuts import cut_points
from edgecut.records.recipe import Cut, Data, Export, Head, Recipe, Source, Stem
from edgecut.runtime.session import Session
from edgecut.score.distance import sqnr
from edgecut.source.load import Loaded, read_source

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
    parse = next(flag.parse for flag in FLAGS if flag.key == "source.shape")
    source = Source(model=str(path), shape=parse(shape) if shape and parse else None, preprocess="tf")
    row: dict[str, str] = {}
    faults: list[str] = []
    try:
        loaded = read_source(source)
        row["error"] = f"{loaded.proof['relative_error']:.1e}"
        with tempfile.TemporaryDirectory() as folder:
            tflite, onnx = written(loaded, Path(folder))
            row |= {"tflite": f"{tflite:.0f}", "onnx": f"{onnx:.0f}"}
            faults += [f"tflite below {FLOAT_DB:.0f} dB"] if tflite < FLOAT_DB else []
            faults += [f"onnx below {ONNX_DB:.0f} dB"] if onnx < ONNX_DB else []
            if [len(tensor.shape) for tensor in loaded.model.inputs] == [4] and loaded.model.inputs[0].shape[3] in {
                1,
                3,
            }:
                row |= built(source, loaded.model, data, Path(folder))
    except EdgecutError as exc:
        faults.append(str(exc).splitlines()[0][:300])
    return {**row, "fault": "; ".join(faults)}


def written(loaded: Loaded, folder: Path) -> tuple[float, float]:
    """(SQNR of the float .tflite against the model, of the float .onnx against the original file), in dB.

    Of the first output.
    """
    from edgecut import export

    assert loaded.imported is not None
    random, model, imported = np.random.default_rng(1), loaded.model, loaded.imported
    fed = [random.normal(size=(IMAGES, *tensor.shape[1:])).astype("float32") for tensor in model.inputs]
    rows = [[array[k : k + 1] for array in fed] for k in range(IMAGES)]
    own = np.concatenate([np.asarray(flat(model(row if len(row) > 1 else row[0]))[0]) for row in rows])
    original = Session(imported.file.path, "onnx", str(imported.file.path))
    port = imported.outputs[0]
    feeds = [{p.name: p.to_onnx(x).astype(p.dtype) for p, x in zip(imported.inputs, row, strict=True)} for row in rows]
    expected = np.concatenate([port.to_keras(original.run(feed, [port.name])[0]) for feed in feeds])
    results = []
    for form, reference in (("tflite", own), ("onnx", expected)):
        path = folder / f"float.{form}"
        export(model, form, "float32", path=path)
        file = Session(path, form, str(path))
        got = [file.run(dict(zip(file.inputs, row, strict=True)), file.outputs[:1])[0] for row in rows]
        results.append(sqnr(reference, np.concatenate(got)))
    return results[0], results[1]


def built(source: Source, model: keras.Model, data: Path, folder: Path) -> dict[str, str]:
    """What a build of the model's first half says."""
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
