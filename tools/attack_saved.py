"""Hostile SavedModels for tools/attack: operators that write, read or call when they are loaded or run."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from attack_case import Case, Place, model_commands


def savedmodel_cases(rng: random.Random) -> Iterator[Case]:
    """SavedModels that write, read or call when they are loaded or run."""
    for name in _OPERATORS:
        for when in ("initializer", "call"):
            yield Case("savedmodel", f"{name} in its {when}", partial(_put_saved, name, when))
    for k in range(10):
        yield Case("savedmodel", f"damaged {k}", partial(_put_saved_damage, rng.random(), rng.randrange(256)))


def _operators() -> dict[str, Callable[[Any, Place], Any]]:
    """Operators of TensorFlow that write, read or call: (tf, place) -> None when run."""
    return {
        "WriteFile": lambda tf, p: tf.io.write_file(p.canary, "x"),
        "ReadFile": lambda tf, p: tf.io.write_file(p.canary, tf.io.read_file(p.secret)),
        "MatchingFiles": lambda tf, p: tf.io.matching_files(f"{p.box}/*"),
        "PrintV2": lambda tf, p: tf.print("x", output_stream=f"file://{p.canary}"),
        "SaveV2": lambda tf, p: tf.raw_ops.SaveV2(
            prefix=p.canary, tensor_names=["a"], shape_and_slices=[""], tensors=[1.0]
        ),
        "PyFunc": lambda tf, p: tf.numpy_function(lambda: open(p.canary, "w").close(), [], []),
        "summary": lambda tf, p: tf.raw_ops.CreateSummaryFileWriter(
            writer=tf.raw_ops.SummaryWriter(), logdir=p.canary, max_queue=1, flush_millis=1, filename_suffix="x"
        ),
        "DebugIdentityV2": lambda tf, p: tf.raw_ops.DebugIdentityV2(input=[1.0], debug_urls=[f"file://{p.canary}"]),
        "table from file": lambda tf, p: tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(p.secret, tf.string, 0, tf.int64, 1), -1
        ),
        "endless loop": lambda tf, p: tf.while_loop(
            lambda i: i < 1 << 60, lambda i: (i + 1,), [tf.constant(0, tf.int64)]
        ),
        "huge tensor": lambda tf, p: tf.reduce_sum(tf.zeros([1 << 18, 1 << 18])),
    }


_OPERATORS = tuple(_operators())


def _save(name: str, when: str, place: Place) -> Path:
    import tensorflow as tf

    act = _operators()[name]

    class Init(tf.saved_model.experimental.TrackableResource):  # type: ignore[misc, name-defined]
        def _create_resource(self) -> Any:
            return tf.raw_ops.VarHandleOp(shape=[], dtype=tf.float32, shared_name="r")

        def _initialize(self) -> None:
            if when == "initializer":
                act(tf, place)

    class Model(tf.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            if name != "table from file":
                self.resource = Init()

        @tf.function(input_signature=[tf.TensorSpec([None, 4, 4, 3], tf.float32)])  # type: ignore[untyped-decorator]
        def __call__(self, x: Any) -> Any:
            if when == "call" and name != "table from file":
                act(tf, place)
            return x + 1.0

    model = Model()
    if name == "table from file":
        Path(place.box / "lines.txt").write_text("a\t1\n")
        model.table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(str(place.box / "lines.txt"), tf.string, 0, tf.int64, 1), -1
        )
    path = place.input / "saved"
    tf.saved_model.save(model, str(path))
    return path


def _put_saved(name: str, when: str, place: Place) -> list[list[str]]:
    path = _save(name, when, place)
    for trace in place.box.glob("canary*"):  # of making it
        shutil.rmtree(trace) if trace.is_dir() else trace.unlink()
    return model_commands(path, place, "0")


def _put_saved_damage(where: float, value: int, place: Place) -> list[list[str]]:
    path = _save("MatchingFiles", "call", place)
    content = bytearray((path / "saved_model.pb").read_bytes())
    content[int(where * len(content))] = value
    (path / "saved_model.pb").write_bytes(content)
    return model_commands(path, place, "0")[:2]


CASES: Sequence[Callable[[random.Random], Iterator[Case]]] = (savedmodel_cases,)
