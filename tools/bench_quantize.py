#!/usr/bin/env python3
"""The int8 files of four quantizers of the same models on the same images, side by side.

    python tools/bench_quantize.py REAL [--case NAME ...] [--only gray|rgb] [--no-latency] [--keep DIR] [--json FILE]

REAL is the folder of real models and images (EDGECUT_REAL). Each case is a float Keras model, built by edgecut with
precision "auto"; then TFLiteConverter's default int8, ai-edge-quantizer's static_wi8_ai8 (`pip install
ai-edge-quantizer`; its rows are left out with the reason where it is absent) and onnxruntime's static int8
(quant_pre_process, a scale for each channel of the weights, uint8 activations) quantize the same float model, with the
same calibration images. Accuracy, SQNR and agreement with the float model are taken on the held-out images in each
file's own runtime with default options; differences of accuracy are paired, with 95 % intervals. Latency is edgecut's
file against each other one, timed in turn.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

TOOLS = ("TFLiteConverter", "ai-edge-quantizer", "onnxruntime", "edgecut auto")
SCHEMA = "edgecut.recipe/1"
UNIT = {"scale": 1 / 128, "offset": -1.0}
# Case -> the recipe's tables besides [data]; the images are CIFAR-10's.
CASES: dict[str, dict[str, Any]] = {
    "mobilenet_v1 conv_pw_5 96": {
        "source": {"model": "mobilenet_v1_imagenet.keras", "preprocess": "tf"}, "cut": {"to": "conv_pw_5_relu"},
        "stem": {"size": [96, 96]}, "head": {"classes": 10},
    },
    "mobilenet_v1 conv_pw_8 64": {
        "source": {"model": "mobilenet_v1_imagenet.keras", "preprocess": "tf"}, "cut": {"to": "conv_pw_8_relu"},
        "stem": {"size": [64, 64]}, "head": {"classes": 10},
    },
    "cifar10_resnet": {"source": {"model": "cifar10_resnet.h5", "preprocess": UNIT}},
    "visual_wake_words + head": {
        "source": {"model": "visual_wake_words.h5", "preprocess": "raw"}, "cut": {"to": "activation_26"},
        "head": {"classes": 10},
    },
    "visual_wake_words": {"source": {"model": "visual_wake_words.h5", "preprocess": "raw"}},
}  # fmt: skip
CHANNELS = {"rgb": 3, "gray": 1}


class Row(NamedTuple):
    """What one tool came to. scores: (n, classes); None with the reason where there is no file."""

    tool: str
    path: Path | None
    scores: np.ndarray | None
    reason: str = ""


def main() -> int:
    """Print a table for each case, and whether edgecut's accuracy is the highest or equal in each."""
    args = _arguments()
    documents, is_best = [], True
    with tempfile.TemporaryDirectory() as scratch:
        for name in args.case or CASES:
            for colour in [args.only] if args.only else CHANNELS:
                folder = Path(args.keep or scratch) / f"{name} {colour}".replace(" ", "_")
                rows, reference, labels = _rows(_recipe(args, CASES[name], CHANNELS[colour]), folder)
                table = list(_table(rows, reference, labels, latency=not args.no_latency))
                documents.append({"case": name, "colour": colour, "images": len(reference), "rows": table})
                is_best &= all(row.get("is_better", False) is False for row in table)
                _print(documents[-1])
    if args.json:
        Path(args.json).write_text(json.dumps(documents, indent=2) + "\n")
    print("edgecut is nowhere beaten beyond paired noise" if is_best else "edgecut is beaten: see the rows marked !")
    return 0 if is_best else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("real", type=Path)
    parser.add_argument("--case", action="append", choices=CASES)
    parser.add_argument("--only", choices=CHANNELS)
    parser.add_argument("--limit", default="2000,1000", help="CIFAR-10 images to train and calibrate on, and to judge")
    parser.add_argument("--no-latency", action="store_true")
    parser.add_argument("--keep", help="keep the files in this folder, and use those that are there")
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args()


def _recipe(args: argparse.Namespace, tables: Mapping[str, Any], channels: int) -> Any:
    from edgecut.records.recipe import make_recipe

    train, val = args.limit.split(",")
    source = {**tables["source"], "model": str(args.real / tables["source"]["model"])}
    stem = {**tables.get("stem", {}), **({"channels": 1} if channels == 1 else {})}
    more = {
        "data": {"train": str(args.real / "cifar10.npz"), "limit": [int(train), int(val)]}, "source": source,
        "stem": stem, "export": {"formats": ["tflite"], "precisions": ["float32", "auto"]},
        "bench": {"runs": 1, "warmup": 0},
    }  # fmt: skip
    return make_recipe({"schema": SCHEMA, "name": "m", **tables, **more}, {}, where="bench_quantize")


def _rows(recipe: Any, folder: Path) -> tuple[list[Row], np.ndarray, np.ndarray | None]:
    """The tools' rows, the float model's outputs on the held-out images, and the labels where they fit them."""
    import edgecut
    from edgecut.images.dataset import calibration_sample, read_data
    from edgecut.images.device import PictureForm, model_input
    from edgecut.runtime.files import FileRunner

    if not (folder / "out").exists():
        edgecut.build(recipe, out=folder / "out")
    models = folder / "out" / "models"
    height, width, channels = FileRunner(models / "m.float32.tflite").inputs[0].shape[1:]
    data = read_data(recipe.data, PictureForm(height, width, channels))

    def fed(pixels: np.ndarray) -> np.ndarray:
        return model_input(pixels, recipe.source.preprocess, recipe.stem.pixels)

    pixels = calibration_sample(data.train, recipe.data.calibration, recipe.data.seed).copy()
    pixels[0, 0, 0], pixels[0, -1, -1] = 0, 255  # as the build does
    calibration, inputs = fed(pixels), fed(data.val.pixels)
    reference = FileRunner(models / "m.float32.tflite").predict(inputs)
    makers: dict[str, Callable[[Path], Path]] = {
        "TFLiteConverter": lambda to: _tflite(models / "m.keras", calibration, to / "converter.tflite"),
        "ai-edge-quantizer": lambda to: _ai_edge(models / "m.float32.tflite", calibration, to / "ai_edge.tflite"),
        "onnxruntime": lambda to: _onnxruntime(models / "m.float32.tflite", calibration, to / "ort.onnx"),
        "edgecut auto": lambda to: models / "m.auto.tflite",
    }
    rows = []
    for tool in TOOLS:
        try:
            path = makers[tool](folder)
        except ImportError as exc:
            rows.append(Row(tool, None, None, f"not installed: {exc.name}"))
            continue
        rows.append(Row(tool, path, FileRunner(path).predict(inputs)))
    labels = data.val.labels
    fits = labels is not None and reference.ndim == 2 and int(labels.max()) < reference.shape[1]
    return rows, reference, labels if fits else None


def _tflite(model: Path, calibration: np.ndarray, target: Path) -> Path:
    if not target.exists():
        import edgecut

        edgecut.export(edgecut.load(model), "tflite", "int8", calibration, target)
    return target


def _ai_edge(float_file: Path, calibration: np.ndarray, target: Path) -> Path:
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe

    if not target.exists():
        from edgecut.streams import caught_output

        with caught_output():
            (signature, names), *_ = Interpreter(str(float_file)).get_signature_list().items()
            tool = quantizer.Quantizer(str(float_file), recipe.static_wi8_ai8())
            samples = [{names["inputs"][0]: image[None]} for image in calibration]
            ranges = tool.calibrate({signature: samples})
            tool.quantize(ranges, serialize_to_path=target, enable_progress_report=False)
    return target


def _onnxruntime(float_file: Path, calibration: np.ndarray, target: Path) -> Path:
    if not target.exists():
        from edgecut.export.artifacts import write_static

        write_static(float_file.read_bytes(), [calibration], target)
    return target


def _table(
    rows: Sequence[Row], reference: np.ndarray, labels: np.ndarray | None, *, latency: bool
) -> Iterator[dict[str, Any]]:
    from edgecut.bench.interleaved import interleave
    from edgecut.score.answer import answer_of
    from edgecut.score.distance import sqnr

    ours = next(row for row in rows if row.tool == TOOLS[-1])
    if ours.scores is None or ours.path is None:
        raise RuntimeError("edgecut's own file is missing")
    if labels is not None:
        yield {"tool": "float32", "accuracy": float(np.mean(reference.argmax(axis=1) == labels))}
    for row in rows:
        if row.scores is None or row.path is None:
            yield {"tool": row.tool, "reason": row.reason}
            continue
        found: dict[str, Any] = {"tool": row.tool, "size_bytes": row.path.stat().st_size}
        found["sqnr"] = sqnr(reference, row.scores)
        agreement = answer_of("classes", reference.shape[1:], "", labels).agreement(reference, row.scores)
        found |= {} if agreement is None else {"top1_agreement": agreement}
        # Without labels the float model's own classes stand for them.
        truth = reference.argmax(axis=1) if labels is None else labels
        hits = (row.scores.argmax(axis=1) == truth).astype(np.float64)
        if labels is not None:
            found["accuracy"] = float(hits.mean())
            found["drop"] = _interval((reference.argmax(axis=1) == truth) - hits)
        if row is not ours:
            found["behind_edgecut"] = _interval((ours.scores.argmax(axis=1) == truth) - hits)
            found["is_better"] = found["behind_edgecut"][2] < 0
            if latency:
                ratio = interleave(ours.path, row.path).wall
                found["latency_s"] = float(np.median(ratio.second))
                found["slower_than_edgecut"] = [ratio.value, ratio.low, ratio.high]
                found["edgecut_latency_s"] = float(np.median(ratio.first))
        yield found


def _interval(differences: np.ndarray) -> list[float]:
    """[mean, low, high] of paired differences, with the normal 95 % interval."""
    mean, half = float(differences.mean()), 1.96 * float(differences.std()) / len(differences) ** 0.5
    return [mean, mean - half, mean + half]


def _print(document: Mapping[str, Any]) -> None:
    print(f"\n{document['case']}, {document['colour']}, {document['images']} held-out images")
    print(f"{'':18}{'accuracy':>9}{'drop':>18}{'behind edgecut':>20}{'agree':>7}{'SQNR':>7}{'KiB':>7}  latency")
    for row in document["rows"]:
        if "reason" in row:
            print(f"{row['tool']:18}{row['reason']}")
            continue
        words = [
            f"{row['accuracy']:9.3f}" if "accuracy" in row else f"{'–':>9}",
            f"{_words(row.get('drop')):>18}", f"{_words(row.get('behind_edgecut')):>20}",
            f"{row['top1_agreement']:7.3f}" if "top1_agreement" in row else f"{'':7}",
            f"{row['sqnr']:7.1f}" if "sqnr" in row else f"{'':7}",
            f"{row['size_bytes'] / 1024:7.1f}" if "size_bytes" in row else f"{'':7}",
        ]  # fmt: skip
        if "slower_than_edgecut" in row:
            value, low, high = row["slower_than_edgecut"]
            words.append(f"  {row['latency_s'] * 1e3:.3f} ms, {value:.3f} ({low:.3f} to {high:.3f}) x edgecut's")
        print(f"{row['tool']:18}{''.join(words)}{' !' if row.get('is_better') else ''}")
    sys.stdout.flush()


def _words(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f"{interval[0]:+.3f} ± {(interval[2] - interval[1]) / 2:.3f}"


if __name__ == "__main__":
    sys.exit(main())
