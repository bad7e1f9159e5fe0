"""Proof that an imported model computes what its file computes, against ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import tree

from edgecut.errors import StepError
from edgecut.records.proof import Proof
from edgecut.runtime.session import Session
from edgecut.score.distance import sqnr
from edgecut.source.onnx.conversion import Imported, Port

INPUTS = 4
TOLERANCE = 1e-4


# Spacing of the numbers that a file computes in, where it is coarser than float32's; roundings add up over layers.
_SPACING = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
_ROUNDINGS = 64
# A quantized file rounds by itself; less than this says that an activation was lost.
LEAST_SQNR_DB = 10.0


@dataclass(frozen=True)
class ImportProof:
    """How near a model comes to its file. relative_error: of the largest value of each output, the worst one.

    outputs: by the file's name. inputs: how many were fed. own: how many of them were the user's.
    tolerance: of the error. sqnr_db: of a quantized file, whose rounding no model in floats has, the lowest one.
    """

    relative_error: float
    outputs: Mapping[str, float]
    inputs: int
    own: int = 0
    tolerance: float = TOLERANCE
    sqnr_db: float | None = None

    @property
    def record(self) -> Proof:
        """As a step's record has it."""
        quantized = self.sqnr_db is not None
        held: dict[str, object] = {
            "inputs": self.inputs - self.own,
            "relative_error": self.relative_error,
            "exact": self.relative_error == 0,
            **({"sqnr": self.sqnr_db} if quantized else {"tolerance": self.tolerance}),
            "reason": "the file rounds to integers" if quantized else "ONNX Runtime rounds in another order",
            "where": "ONNX Runtime",
            **({"images": self.own} if self.own else {}),
        }
        return Proof.model_validate(held)


def prove(
    imported: Imported, path: str | Path, inputs: Sequence[np.ndarray] | Mapping[str, np.ndarray] | None = None
) -> ImportProof:
    """The relative error of an imported model on seeded inputs, and on the user's.

    inputs: arrays (n, ...) as the Keras model takes them, in its order or by the file's names of its inputs.
    Compared are the outputs, and of one that ends in a sigmoid or a softmax what goes into it, since a saturated value
    hides an error. Raises StepError if the error is over 1e-4 (of a file in 16 bits, over its own rounding; of a
    quantized one, if the SQNR is under 10 dB), RunError if ONNX Runtime dies of the file.
    """
    sets = [_seeded(imported), *([_own(imported, inputs)] if inputs is not None else [])]
    ports = [*imported.outputs, *imported.before]
    probe = keras.Model(imported.model.inputs, [port.tensor for port in ports])
    session = Session(imported.file.path, "onnx", str(path), expose=_exposed(imported, [port.name for port in ports]))
    errors, ratios, numbers = {port.name: 0.0 for port in ports}, [np.inf], set[str]()
    for arrays in sets:
        expected = _in_runtime(session, imported.inputs, arrays, ports, imported.batch)
        got = tree.flatten(probe([keras.ops.convert_to_tensor(a) for a in arrays], training=False))
        for port, tensor, own in zip(ports, got, expected, strict=True):
            a, b = keras.ops.convert_to_numpy(tensor), port.to_keras(own)
            errors[port.name] = max(errors[port.name], relative_error(a, b))
            numbers.update({port.name} if np.isfinite(b).any() else ())
            if imported.dequantized:
                ratios.append(sqnr(b, a) if a.shape == b.shape else -np.inf)
    proof = ImportProof(
        max(errors.values(), default=0.0),
        errors,
        sum(len(s[0]) for s in sets),
        sum(len(s[0]) for s in sets[1:]),
        _ROUNDINGS * _SPACING[imported.floats] if imported.floats in _SPACING else TOLERANCE,
        float(min(ratios)) if imported.dequantized else None,
    )
    _check(proof, path, [port.name for port in imported.outputs if port.name not in numbers])
    return proof


def _check(proof: ImportProof, path: str | Path, without_numbers: Sequence[str]) -> None:
    if without_numbers:
        names = ", ".join(map(repr, without_numbers))
        raise StepError(
            f"{path}: ONNX Runtime puts out no finite number as {names} on any of {proof.inputs} inputs, so nothing is "
            "proven; give inputs that it was made for with --data, or, where its weights are damaged, another file"
        )
    worst = max(proof.outputs, key=lambda name: np.nan_to_num(proof.outputs[name], nan=np.inf))
    if proof.sqnr_db is not None:
        if not proof.sqnr_db >= LEAST_SQNR_DB:
            raise StepError(
                f"{path}: in floats its {worst!r} has an SQNR of {proof.sqnr_db:.1f} dB against the quantized file, "
                f"and {LEAST_SQNR_DB:g} dB is expected; give the float file that it was made of"
            )
    elif not proof.relative_error <= proof.tolerance:
        raise StepError(
            f"{path}: the imported model's {worst!r} differs from ONNX Runtime's by {proof.relative_error:.3g} of its "
            f"largest value, and {proof.tolerance:g} is let pass for rounding; nothing is written"
        )


def _own(imported: Imported, inputs: Sequence[np.ndarray] | Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The user's inputs in the model's order; a file that takes several at once gets the last ones again."""
    own = [inputs[port.name] for port in imported.inputs] if isinstance(inputs, Mapping) else list(inputs)
    rows = [min(k, len(own[0]) - 1) for k in range(-(-len(own[0]) // imported.batch) * imported.batch)]
    return [np.asarray(array)[rows] for array in own]


def relative_error(got: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference over the largest expected value; infinite where the shapes or what is finite differ."""
    if got.shape != expected.shape:
        return float("inf")
    a, b = got.astype(np.float64), expected.astype(np.float64)
    differ = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    if not differ.any():
        return 0.0
    scale = float(np.abs(b[np.isfinite(b)]).max(initial=0.0))
    with np.errstate(invalid="ignore"):  # an infinite value less another of its sign
        return float(np.nan_to_num(np.abs(a - b)[differ], nan=np.inf).max() / max(scale, 1e-6))


def _seeded(imported: Imported) -> list[np.ndarray]:
    """Floats in -1..1, integers 0 or 1, as graph/proof.py has them."""
    random = np.random.default_rng(0)
    arrays = []
    for port, tensor in zip(imported.inputs, imported.model.inputs, strict=True):
        shape = (-(-INPUTS // imported.batch) * imported.batch, *tensor.shape[1:])
        floats = "float" in port.dtype
        values = random.uniform(-1, 1, shape) if floats else random.integers(0, 2, shape)
        arrays.append(np.asarray(values).astype("float32" if floats else port.dtype))
    return arrays


def _exposed(imported: Imported, names: Sequence[str]) -> list[str]:
    """The tensors that are compared and that the file doesn't put out by itself."""
    own = {value.name for value in imported.file.model.graph.output}
    return [name for name in names if name not in own]


def _in_runtime(
    session: Session, inputs: Sequence[Port], arrays: Sequence[np.ndarray], ports: Sequence[Port], batch: int
) -> list[np.ndarray]:
    """Each compared tensor for all inputs, as many at once as the file takes."""
    feeds = {p.name: p.to_onnx(a).astype(p.dtype) for p, a in zip(inputs, arrays, strict=True)}
    rows = []
    for k in range(0, len(arrays[0]), batch):
        part = {
            p.name: np.take(feeds[p.name], range(k, k + batch), axis=p.batch_axis)
            if p.batch_axis is not None
            else feeds[p.name]
            for p in inputs
        }
        rows.append(session.run(part, [port.name for port in ports]))
    return [
        np.concatenate(column, axis=port.batch_axis) if port.batch_axis is not None else np.stack(column)
        for port, column in zip(ports, zip(*rows, strict=True), strict=True)
    ]
