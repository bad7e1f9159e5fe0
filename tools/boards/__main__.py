"""Published measurements and the nets behind them, written from the tables of facts and from public definitions.

    python -m tools.boards                    writes data/measurements.csv and data/nets.jsonl
    python -m tools.boards net NAME -o FILE   writes one net as an int8 .tflite file with seeded weights

A net's name is as in data/measurements.csv: "mobilenet 96x96x3 5 alpha=0.25 top=no"; see families.py.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from edgecut.graph.quiet import import_keras_quietly
from tools.boards.families import built, parsed
from tools.boards.graphs import DATA, NETS, stored
from tools.boards.lowered import lowered
from tools.boards.table import measurements, write

FACTS = Path(__file__).parents[1] / "facts"


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the data files, or one net."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", nargs="?", choices=["net"])
    parser.add_argument("name", nargs="?")
    parser.add_argument("-o", "--out", type=Path, default=DATA)
    parser.add_argument("--facts", type=Path, default=FACTS)
    options = parser.parse_args(arguments)
    import_keras_quietly()
    if options.command == "net":
        write_net(options.name, options.out)
        return
    rows = measurements(options.facts)
    options.out.mkdir(parents=True, exist_ok=True)
    write(rows, options.out / "measurements.csv")
    write_nets(rows, options.out / NETS.name)


def write_nets(rows: Sequence[dict[str, str]], path: Path) -> None:
    """A line for each net and type that a row is about: its graph as edgecut foresees the converted file."""
    keys = sorted({row["graph"] for row in rows if row["graph"]})
    with open(path, "w", encoding="utf-8") as file:
        for key in keys:
            line = {"net": key, "graph": stored(lowered(key))}
            file.write(json.dumps(line, separators=(",", ":")) + "\n")


def write_net(name: str, path: Path) -> None:
    """The net as an int8 file, its normalizations drawn so that activations spread."""
    import keras
    import numpy as np

    from edgecut.export.artifacts import export

    keras.utils.set_random_seed(0)
    model, rng = built(parsed(name)), np.random.default_rng(0)
    for weights in model.trainable_variables:
        # A converter leaves out a shift that is zero and a factor that is one, which no trained net has.
        if len(weights.shape) == 1:
            weights.assign(weights + rng.normal(0, 0.2, weights.shape))
    images = rng.uniform(-1, 1, (8, *model.input_shape[1:])).astype(np.float32)
    export(model, precision="int8", calibration=images, path=path)


if __name__ == "__main__":
    main()
