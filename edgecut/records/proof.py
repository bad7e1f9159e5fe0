"""How near a result is to what it was made from: `proof` of report.json, and of the functions that make one."""

from __future__ import annotations

from edgecut.records.facts import Facts


class Proof(Facts):
    """What was compared, and how near it came. What a step doesn't claim isn't set.

    inputs: how many. max_abs_error: over all outputs; relative_error: of the largest output. exact: bit-equal, or
    within `tolerance` where tolerance_reason says why that counts as equal. tensors: how many were compared.
    reason: why a difference is let pass. back: the error on the way back from Keras 2. where: the runtime.
    max_abs_error_with_fusions: with ONNX Runtime's default optimizations.
    images, image_error, ..._agreement: on the device's pictures against the source on the same in colour at its own
    size: the root mean square of the difference over that of the source's outputs, and how often both answer the same.
    accuracy_drop, standard_error, agreement, sqnr, sqnr_varying: as in records/trial.py. bytes_in: the file that was
    fed the camera's bytes. response_error, fitted_on, fitted_to: of a fitted stem, the part of the variation that it
    misses, the images, and the layer. leave_one_out_..., penalty: of a head in closed form. epochs, best_epoch,
    held_out_loss, first_held_out_loss: of a trained one.
    """

    inputs: int | None = None
    max_abs_error: float | None = None
    relative_error: float | None = None
    exact: bool | None = None
    tensors: int | None = None
    tolerance: float | None = None
    tolerance_reason: str | None = None
    reason: str | None = None
    back: float | None = None
    where: str | None = None
    max_abs_error_with_fusions: float | None = None
    images: int | None = None
    image_error: float | None = None
    accuracy_drop: float | None = None
    standard_error: float | None = None
    agreement: float | None = None
    bytes_in: str | None = None
    sqnr: float | None = None
    sqnr_varying: float | None = None
    top1_agreement: float | None = None
    tag_agreement: float | None = None
    pixel_agreement: float | None = None
    response_error: float | None = None
    fitted_on: int | None = None
    fitted_to: str | None = None
    leave_one_out_accuracy: float | None = None
    leave_one_out_map: float | None = None
    leave_one_out_r2: float | None = None
    penalty: float | None = None
    epochs: int | None = None
    best_epoch: int | None = None
    held_out_loss: float | None = None
    first_held_out_loss: float | None = None


class OutputProof(Proof):
    """A model's outputs, or a file's, against those of what it was made from, on seeded inputs."""

    inputs: int
    max_abs_error: float
    exact: bool


class StemProof(OutputProof):
    """A model with another stem on device pixels, against its source on the equivalent input.

    What isn't exact by construction has exact False, and its error as measured.
    """

    relative_error: float
    tolerance: float
    tolerance_reason: str
