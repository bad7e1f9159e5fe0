#!/usr/bin/env python3
"""What edgecut costs over a straight script that does the same, side by side in one run.

    python tools/bench_build.py MODEL.keras IMAGES.npz [--to conv_pw_11_relu] [--rounds 3]

MODEL takes `tf` pixels (x / 127.5 - 1); IMAGES holds x_train, y_train, x_test, y_test. Each round runs the script and
`edgecut build` in turn, each in a process of its own, and prints CPU seconds, wall seconds and peak memory; then the
light commands; then fitting a head against a single forward pass of the same images.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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


def measured(command: list[str]) -> tuple[float, float, float]:
    """(CPU seconds, wall seconds, peak GiB) of a command, children included; its last lines are printed if it fails."""
    begin = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output = child.stdout.read() if child.stdout else ""
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{command[:3]} failed:\n{output[-2000:]}")
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - begin, usage.ru_maxrss / 2**20


def main() -> None:
    """Run the rounds and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("images")
    parser.add_argument("--to", default="conv_pw_11_relu")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        build = [
            sys.executable, "-m", "edgecut", "build", options.model, "--to", options.to, "--size", "96x96",
            "--preprocess", "tf", "--classes", "10", "--data", options.images, "--precision", "float32,int8",
            "-o", str(Path(folder) / "out"), "--force", "--no-cache", "-q",
        ]  # fmt: skip
        script = [sys.executable, "-c", SCRIPT, options.model, options.images, options.to]
        ratios = []
        for _ in range(options.rounds):
            (a, wall_a, peak_a), (b, wall_b, peak_b) = measured(script), measured(build)
            ratios.append(b / a)
            print(
                f"script {a:.1f} s cpu {wall_a:.1f} s wall {peak_a:.2f} GiB | build {b:.1f} s cpu {wall_b:.1f} s wall "
                f"{peak_b:.2f} GiB | ratio cpu {b / a:.3f} wall {wall_b / wall_a:.3f}",
                flush=True,
            )
        print(f"build / script, cpu: median {statistics.median(ratios):.3f} of {len(ratios)} rounds")
    for words in (["--help"], ["profile", "list"], ["plan", options.model, "--precision", "float32"]):
        times = [measured([sys.executable, "-m", "edgecut", *words])[1] for _ in range(5)]
        print(f"edgecut {words[0]}: median {statistics.median(times):.2f} s wall of 5")
    arguments = [options.model, options.images, options.to, str(options.rounds)]
    print(subprocess.run([sys.executable, "-c", HEAD, *arguments], check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main()
