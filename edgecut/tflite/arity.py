"""Whether a call has the inputs and the output that the runtimes' kernels check for."""

from __future__ import annotations

from collections.abc import Sequence

from edgecut.tflite.kinds import LEAST_INPUTS, WITHOUT_OUTPUTS


def arity_fault(name: str, inputs: Sequence[int], outputs: Sequence[int]) -> str:
    """Which inputs or outputs a call lacks, as "CONV_2D has 1 input, and 2 are needed"; "" for a whole one.

    inputs, outputs: tensors by index, -1 for an absent one.
    """
    least = LEAST_INPUTS.get(name)
    if least is None:
        return ""
    absent = next((k for k, index in enumerate(inputs[:least]) if index < 0), None)
    if len(inputs) < least:
        return f"{name} has {_count(inputs, 'input')}, and {least} {'is' if least == 1 else 'are'} needed"
    if absent is not None:
        return f"{name} has no input {absent}, which is needed"
    return f"{name} has no output" if name not in WITHOUT_OUTPUTS and not any(i >= 0 for i in outputs[:1]) else ""


def _count(indices: Sequence[int], word: str) -> str:
    return f"{len(indices)} {word}{'s' if len(indices) != 1 else ''}"
