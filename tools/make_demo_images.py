"""Write the gray images that `edgecut demo` learns from: 1,000 of Fashion-MNIST, licence and class names.

    python tools/make_demo_images.py FASHION_MNIST_FOLDER edgecut/demo_data

The folder holds the four .gz files of the dataset in IDX format. Each class gives its first 70 training and
first 30 test images, in the order of the dataset, so the same input gives the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import struct
from pathlib import Path

import numpy as np

PER_CLASS = {"train": 70, "test": 30}
FILES = {"train": "train", "test": "t10k"}
CLASSES = (
    "T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

LICENCE = """\
The images in fashion_mnist.npz are a part of Fashion-MNIST, under this licence:

The MIT License (MIT)

Copyright © 2017 Zalando SE, https://tech.zalando.com

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without
limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the
Software, and to permit persons to whom the Software is furnished to do so, subject to the following
conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions
of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED
TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL
THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF
CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER
DEALINGS IN THE SOFTWARE.
"""


def main() -> None:
    """Read the dataset, choose the images, write the three files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path, help="the folder with the four .gz files")
    parser.add_argument("out", type=Path, help="the folder to write into")
    arguments = parser.parse_args()
    arrays = {}
    for part, prefix in FILES.items():
        images = read_idx(arguments.dataset / f"{prefix}-images-idx3-ubyte.gz")
        labels = read_idx(arguments.dataset / f"{prefix}-labels-idx1-ubyte.gz")
        chosen = first_of_each_class(labels, PER_CLASS[part])
        arrays[f"x_{part}"], arrays[f"y_{part}"] = images[chosen], labels[chosen]
    arguments.out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(arguments.out / "fashion_mnist.npz", **arrays)
    (arguments.out / "FASHION_MNIST_LICENSE").write_text(LICENCE, encoding="utf-8")
    (arguments.out / "labels.txt").write_text("\n".join(CLASSES) + "\n", encoding="utf-8")


def first_of_each_class(labels: np.ndarray, count: int) -> np.ndarray:
    """The sorted indices of the first `count` images of every class."""
    return np.sort(np.concatenate([np.flatnonzero(labels == c)[:count] for c in range(len(CLASSES))]))


def read_idx(path: Path) -> np.ndarray:
    """The array in a gzipped IDX file of unsigned bytes (yann.lecun.com/exdb/mnist)."""
    content = gzip.decompress(path.read_bytes())
    zero, kind, axes = struct.unpack(">HBB", content[:4])
    if zero != 0 or kind != 0x08:
        raise SystemExit(f"{path}: is no IDX file of unsigned bytes")
    shape = struct.unpack(f">{axes}I", content[4 : 4 + 4 * axes])
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


if __name__ == "__main__":
    main()
