#!/usr/bin/env python3
"""What edgecut costs over a straight script that does the same, side by side in one run.

    python tools/bench_build.py [MODEL.keras IMAGES.npz] [--to conv_pw_11_relu] [--rounds 3] [--only-build]
                                [--history FILE]

MODEL is a MobileNetV1 that takes `tf` pixels (x / 127.5 - 1); IMAGES holds x_train, y_train, x_test, y_test. Without
them a net of seeded weights and 2,000 and 1,000 seeded pictures are made. Each round runs the script and
`edgecut build` in turn, each in a process of its own, and prints CPU seconds, wall seconds and peak memory; then their
medians and the build's steps; then the light commands, and fitting a head against a single forward pass of the same
images, which --only-build leaves out. --history: a file of one JSON object a line, to which the medians are added; the
last ten are printed.
"""

from __future__ import annotations

import argparse
import compileall
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

SCRIPT = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy as np, tensorflow as tf
from PIL import Image
from ai_edge_litert.interpreter import Interpreter
model_path, images_path, to = sys.argv[1:4]
data = np.load(images_path)
def pictures(x):
    return np.stack([np.asarray(Image.fromarray(i).resize((96, 96), Image.Resampling.BILINEAR)) for i in x])
train, test = pictures(data["x_train"]), pictures(data["x_test"])
y_train, y_test = data["y_train"].ravel(), data["y_test"].ravel()
norm = lambda x: x.astype("float32") / 127.5 - 1
source = keras.models.load_model(model_path, compile=False)
small = keras.applications.MobileNet(input_shape=(96, 96, 3), weights=None, include_top=False)
for layer in small.layers:
    layer.set_weights(source.get_layer(layer.name).get_weights() if layer.weights else [])
body = keras.Model(small.input, keras.layers.GlobalAveragePooling2D()(small.get_layer(to).output))
def ridge(f, y, penalty=200.0):
    mean, std = f.mean(0), f.std(0) + 1e-5
    z, t = (f - mean) / std, np.eye(10)[y]
    w = np.linalg.solve(z.T @ z + penalty * np.eye(z.shape[1]), z.T @ (t - t.mean(0)))
    return w / std[:, None] * 20, (t.mean(0) - (mean / std) @ w) * 20
def with_head(f):
    dense = keras.layers.Dense(10, activation="softmax")
    whole = keras.Model(body.input, dense(body.output))
    kernel, bias = ridge(f, y_train)
    dense.set_weights([kernel.astype("float32"), bias.astype("float32")])
    return whole
def convert(model, int8):
    with tempfile.TemporaryDirectory() as folder:
        archive = keras.export.ExportArchive()
        archive.track(model)
        spec = [tf.TensorSpec((1, 96, 96, 3), tf.float32)]
        archive.add_endpoint("serve", tf.function(lambda x: model(x, training=False), input_signature=spec))
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if int8:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([norm(x[None])] for x in train[:200])
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = tf.int8
        return converter.convert()
def run(content, images):
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    i, o = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    rows = []
    for image in images:
        x = norm(image[None])
        if i["dtype"] == np.int8:
            x = np.clip(np.round(x / i["quantization"][0]) + i["quantization"][1], -128, 127).astype("int8")
        interpreter.set_tensor(i["index"], x)
        interpreter.invoke()
        y = interpreter.get_tensor(o["index"])[0].astype("float32")
        rows.append((y - o["quantization"][1]) * (o["quantization"][0] or 1))
    return np.stack(rows)
import tempfile
features = body.predict(norm(train), batch_size=32, verbose=0)
floats = with_head(features)
print("float", np.mean(floats.predict(norm(test), batch_size=32, verbose=0).argmax(1) == y_test))
print("float file", np.mean(run(convert(floats, False), test).argmax(1) == y_test))
refitted = with_head(run(convert(body, True), train))
print("int8 file", np.mean(run(convert(refitted, True), test).argmax(1) == y_test))
"""

HEAD = """
import resource, sys, time
from edgecut.graph.quiet import import_keras_quietly
import_keras_quietly()
import numpy as np, edgecut
from edgecut.graph.predict import predict
from edgecut.head.attach import attach_pool
from edgecut.head.probe import fit_ridge
from edgecut.images.device import model_input, to_device_batch
data = np.load(sys.argv[2])
pixels = to_device_batch(data["x_train"][:2000], 96, 96, 3)
labels = data["y_train"][:2000].ravel()
body = attach_pool(edgecut.stem(edgecut.cut(edgecut.load(sys.argv[1]), to=sys.argv[3]), size=(96, 96)).model)
to_input = lambda x: model_input(x, "tf", "normalized")
predict(body, pixels[:64], to_input)
for _ in range(int(sys.argv[4])):
    a = time.process_time(); features = predict(body, pixels, to_input)
    b = time.process_time(); fit_ridge(features, labels, 10)
    c = time.process_time()
    print(f"head: pass {b - a:.2f} s, fit {c - b:.2f} s cpu, (pass + fit) / pass = {(c - a) / (b - a):.3f}", flush=True)
print(f"head: peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")
"""


SEEDED = """
import sys, keras, numpy as np
random = np.random.default_rng(0)
keras.utils.set_random_seed(0)
keras.applications.MobileNet(weights=None).save(sys.argv[1])
parts = {"train": 2000, "test": 1000}
pictures = {f"x_{name}": random.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8) for name, count in parts.items()}
labels = {f"y_{name}": random.integers(0, 10, count).astype(np.uint8) for name, count in parts.items()}
np.savez(sys.argv[2], **pictures, **labels)
"""

SHOWN = 10  # runs of a history


class Usage(NamedTuple):
    """CPU seconds, wall seconds and peak GiB of a command, children included."""

    cpu_s: float
    wall_s: float
    peak_gib: float

    def __str__(self) -> str:
        return f"{self.cpu_s:.1f} s cpu {self.wall_s:.1f} s wall {self.peak_gib:.2f} GiB"


def measured(command: list[str]) -> Usage:
    """What a command takes; its last lines are printed if it fails. The peak is that of its largest process."""
    begin = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output = child.stdout.read() if child.stdout else ""
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{command[:3]} failed:\n{output[-2000:]}")
    return Usage(usage.ru_utime + usage.ru_stime, time.perf_counter() - begin, usage.ru_maxrss / 2**20)


def middle(usages: Sequence[Usage]) -> Usage:
    """The median of each column."""
    return Usage(*(statistics.median(column) for column in zip(*usages, strict=True)))


def rounds(script: list[str], build: list[str], count: int) -> dict[str, float]:
    """Both run in turn, printed, and the medians of the ratios, build over script, and of the columns."""
    runs: list[tuple[Usage, Usage]] = []
    for _ in range(count):
        runs.append((measured(script), measured(build)))
        a, b = runs[-1]
        print(f"script {a} | build {b} | ratio cpu {b.cpu_s / a.cpu_s:.3f} wall {b.wall_s / a.wall_s:.3f}", flush=True)
    a, b = (middle(side) for side in zip(*runs, strict=True))
    cpu, wall = (statistics.median(own[k] / other[k] for other, own in runs) for k in (0, 1))
    print(f"medians of {count}: script {a} | build {b} | ratio cpu {cpu:.3f} wall {wall:.3f}", flush=True)
    return {"cpu_ratio": round(cpu, 3), "wall_ratio": round(wall, 3), "build_cpu_s": b.cpu_s, "build_gib": b.peak_gib}


def show_steps(report: Path) -> None:
    """The wall seconds of the last build's steps, as its report has them."""
    steps = json.loads(report.read_text("utf-8"))["steps"]
    print("steps of the last build: " + ", ".join(f"{step['name']} {step['seconds']:.1f} s" for step in steps))


def compile_package() -> None:
    """Bytecode of edgecut, as pip leaves it: in a checkout it may be that Python writes none."""
    spec = importlib.util.find_spec("edgecut")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        compileall.compile_dir(folder, quiet=1)


def keep(history: Path, figures: dict[str, float]) -> None:
    """Add a run to a history, and print the last ones, oldest first."""
    lines = history.read_text("utf-8").splitlines() if history.is_file() else []
    lines = [*lines, json.dumps({"day": time.strftime("%Y-%m-%d"), **figures})]
    history.write_text("\n".join(lines) + "\n", "utf-8")
    for row in map(json.loads, lines[-SHOWN:]):
        print(f"{row['day']}: build / script cpu {row['cpu_ratio']:.3f} wall {row['wall_ratio']:.3f}")


def show_light(arguments: list[str]) -> None:
    """The light commands, and fitting a head; arguments: model, images, cut and rounds."""
    for words in (["--help"], ["profile", "list"], ["plan", arguments[0], "--precision", "float32"]):
        times = [measured([sys.executable, "-m", "edgecut", *words]).wall_s for _ in range(5)]
        print(f"edgecut {words[0]}: median {statistics.median(times):.2f} s wall of 5")
    print(subprocess.run([sys.executable, "-c", HEAD, *arguments], check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Run the rounds and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("images", nargs="?")
    parser.add_argument("--to", default="conv_pw_11_relu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only-build", action="store_true")
    parser.add_argument("--history", type=Path)
    options = parser.parse_args()
    if options.model is not None and options.images is None:
        parser.error("IMAGES is missing; give both, or neither for seeded ones")
    compile_package()
    with tempfile.TemporaryDirectory() as folder:
        model, images = options.model or f"{folder}/mobilenet.keras", options.images or f"{folder}/images.npz"
        if options.model is None:
            subprocess.run([sys.executable, "-c", SEEDED, model, images], check=True, capture_output=True)
        build = [
            *(sys.executable, "-m", "edgecut", "build", model, "--to", options.to, "--size", "96x96"),
            *("--preprocess", "tf", "--classes", "10", "--data", images, "--precision", "float32,int8"),
            *("-o", f"{folder}/out", "--force", "--no-cache", "-q"),
        ]
        figures = rounds([sys.executable, "-c", SCRIPT, model, images, options.to], build, options.rounds)
        show_steps(Path(folder) / "out" / "report.json")
        if options.history is not None:
            keep(options.history, figures)
        if not options.only_build:
            show_light([model, images, options.to, str(options.rounds)])


if __name__ == "__main__":
    main()
