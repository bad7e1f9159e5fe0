"""A report as a build makes it, small enough to read."""

from __future__ import annotations

from edgecut.records.artifact import Artifact, TensorSpec
from edgecut.records.explanation import Explanation, LayerError, Suspicion
from edgecut.records.measurement import Measurement, measured, missing
from edgecut.records.report import Check, Report, SourceFacts, Step

FLOAT, INT8, DEVICE = "clothes.float32.tflite", "clothes.int8.tflite", "nucleo-l4r5zi-reference"


def artifact(precision: str, size_bytes: int) -> Artifact:
    quantized = precision == "int8"
    return Artifact(
        name=f"clothes.{precision}.tflite", path=f"models/clothes.{precision}.tflite", format="tflite",
        precision=precision, sha256="0123abcd" * 8, size_bytes=size_bytes,
        inputs=(TensorSpec(name="image", shape=(1, 32, 32, 1), dtype="int8" if quantized else "float32",
                           scale=1.0 if quantized else None, zero_point=-128 if quantized else None, expects="raw"),),
        outputs=(TensorSpec(name="scores", shape=(1, 10), dtype="float32"),),
        operators={"CONV_2D": 6, "SOFTMAX": 1}, macs=7_490_000,
    )  # fmt: skip


def measurements() -> tuple[Measurement, ...]:
    latency = [0.0010, 0.0011, 0.0012, 0.0030]
    return (
        measured("accuracy", "clothes.keras", [0.8267], where="host", method="Keras"),
        measured("accuracy", FLOAT, [0.8267], where="host", method="LiteRT"),
        measured("accuracy", INT8, [0.8133], where="host", method="LiteRT"),
        measured("accuracy_drop", INT8, [0.0134], where="host", method="LiteRT"),
        measured("top1_agreement", INT8, [0.977], where="host", method="LiteRT"),
        measured("sqnr", INT8, [26.91], where="host", method="LiteRT"),
        measured("latency", FLOAT, latency, where="host", method="wall time", profile="host"),
        Measurement(metric="latency", artifact=INT8, profile=DEVICE, unit="s", value=0.231, kind="estimated",
                    where=DEVICE, method="cycles per MAC / clock", error=0.28,
                    conditions={"at_least": True, "not_modelled": ["FFT"]}),
        measured("arena", INT8, [38912], where="TFLM interpreter on host", method="bisection", profile=DEVICE),
        missing("latency", INT8, "profile 'ek-ra8d1' has no latency facts", where="ek-ra8d1", method="not run",
                profile="ek-ra8d1"),
    )  # fmt: skip


def report(name: str = "clothes") -> Report:
    return Report(
        edgecut="0.1.0",
        status="misses",
        recipe={"name": name, "source": {"model": "m.keras"}, "cut": {"to": "block_2_relu"}, "head": None},
        profiles=({"id": DEVICE, "title": "ST NUCLEO-L4R5ZI"},),
        environment={"python": "3.11.7", "packages": {"keras": "3.15.1"}},
        source=SourceFacts(path="m.keras", sha256="ff" * 32, layers=40, calls=40, params=227_000, macs=None),
        steps=(
            Step(name="cut", changed=True, before={"outputs": [[None, 10]]}, after={"outputs": [[None, 8, 8, 64]]},
                 proof={"inputs": 8, "max_abs_error": 0.0, "exact": True}, seconds=0.194),
            Step(name="export", changed=True, cached=True, notes=("int8: the head is fitted anew",)),
        ),
        artifacts=(artifact("float32", 297_984), artifact("int8", 89_500)),
        measurements=measurements(),
        checks=(
            Check(metric="size", artifact=FLOAT, limit=262_144, value=297_984, unit="bytes", state="misses",
                  basis="measured"),
            Check(metric="accuracy_drop", artifact=INT8, limit=0.02, value=0.0134, unit="fraction", state="meets",
                  basis="measured"),
            Check(metric="latency", artifact=INT8, profile=DEVICE, limit=0.25, value=0.231, unit="s",
                  state="unknown", basis="estimated", reason="the band of 28 % reaches over the limit"),
        ),
        notes=("onnx is written in float32 and int8 alone, so dynamic is left out of it [see --format]",),
    )  # fmt: skip


EXPLANATION = Explanation(
    artifact="m.int8.tflite", images=16, collapses_at="pool", shift_starts_at="conv_1",
    layers=(
        LayerError(
            name="conv_1", operator="CONV_2D", dtype="int8", sqnr=43.7, sqnr_varying=32.4, mean_shift=0.005,
            shift_share=0.05, range=(0.0, 6.0), used=(0.0, 6.0), use=1.0, added=0.25,
        ),
        LayerError(
            name="pool", operator="MEAN", dtype="int8", sqnr=21.8, sqnr_varying=6.4, mean_shift=0.435, shift_share=0.82,
            range=(0.0, 4.0), used=(0.0, 3.8), use=0.95, added=0.75, saturation=0.004, cause="biased mean",
            reason="82% of the error is a constant shift",
        ),
    ),
    suspicions=(Suspicion(cause="biased mean", layer="pool", figure=0.4, sentence="a mean shift starts at 'pool'"),),
    unmatched=("head (FULLY_CONNECTED)",),
)  # fmt: skip
