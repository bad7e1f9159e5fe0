"""Predicted beside measured latency, of models that no fit has seen; and the stated bands of microcontrollers.

`python -m tools.check_prediction MODELS [--profile FILE] [--runner R] [-o FILE]` calibrates the machine (or takes a
profile that was calibrated there), times every .tflite file of the folder MODELS (tools/prediction_models.py writes
them), and prints predicted / measured for each. `python -m tools.check_prediction --tiny FACTS` leaves one model of
mlperf_tiny.csv out of each profile in turn. Exit code 1: a bar is missed.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgecut.bench.predict import predict_latency
from edgecut.bench.runners.table import machine_of
from edgecut.calibrate.cost_table import calibrate, timed
from edgecut.calibrate.specimens import Specimen
from edgecut.export.readback import tflite_precision
from edgecut.records.profile import Profile
from edgecut.records.profile_files import read_profile
from edgecut.records.toml_text import toml_text
from edgecut.tflite.flatbuffer import parse
from tools.make_profiles import BENCHMARKED
from tools.profile_bands import left_out_rows
from tools.profile_toml import read_rows

# What is asked of them: median error, shares within 10 and 20 %, share within the profile's own band.
MEDIAN_MOST, WITHIN_10, WITHIN_20, WITHIN_BAND = 0.06, 0.80, 0.97, 0.90


def main() -> None:
    """Prints the tables, and exits 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="?", type=Path)
    parser.add_argument("--profile", type=Path)
    parser.add_argument("--runner", default="local")
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--tiny", type=Path, metavar="FACTS")
    options = parser.parse_args()
    failures: list[str] = []
    if options.tiny is not None:
        failures += check_tiny(options.tiny)
    if options.models is not None:
        profile = read_profile(options.profile) if options.profile else None
        failures += check_models(options.models, options.runner, profile, options.out)
    print("\n".join(failures) or "all as asked")
    raise SystemExit(1 if failures else 0)


def check_models(folder: Path, runner: str, profile: Profile | None, out: Path | None) -> list[str]:
    """The bars that the models of a folder miss."""
    machine = machine_of(runner)
    if profile is None:
        calibration = calibrate(machine, "here" if out is None else out.stem)
        profile = calibration.profile
        print(
            f"calibrated: every other round differs by {calibration.noise:.1%}, {len(calibration.failed)} files failed"
        )
    if out is not None:
        out.write_text(toml_text(profile.to_dict()), encoding="utf-8")
    files = [specimen(path) for path in sorted(folder.glob("*.tflite"))]
    seconds = timed(machine, files).seconds
    return judged([(file, statistics.median(seconds[file.name])) for file in files if file.name in seconds], profile)


def specimen(path: Path) -> Specimen:
    """A file as the calibration takes it."""
    content = path.read_bytes()
    return Specimen(path.stem, "chain", str(tflite_precision(parse(content, str(path)))), content)


def judged(rows: Sequence[tuple[Specimen, float]], profile: Profile) -> list[str]:
    """Print each row; the bars that all together miss. An error is |measured / predicted - 1|, as bands are."""
    errors, holds = [], []
    print(f"{'model':42s} {'predicted':>10s} {'measured':>10s} {'p / m':>6s}  band")
    for file, seconds in rows:
        estimate = predict_latency(parse(file.content, file.name), profile, file.name)
        if estimate.value is None or estimate.error is None:
            print(f"{file.name:42s} {estimate.reason}")
            continue
        errors.append(abs(estimate.value / seconds - 1))
        holds.append(abs(seconds / estimate.value - 1) <= estimate.error)
        least = " at least, without " + ", ".join(estimate.conditions.get("not_modelled", ()))
        tail = least if "at_least" in estimate.conditions else ""
        print(
            f"{file.name:42s} {estimate.value * 1e3:7.3f} ms {seconds * 1e3:7.3f} ms {estimate.value / seconds:6.3f}  "
            f"{'holds' if holds[-1] else 'fails'} ±{estimate.error:.0%}{tail}"
        )
    within = [float(np.mean(np.array(errors) <= most)) for most in (0.1, 0.2)]
    median, held = statistics.median(errors), float(np.mean(holds))
    print(
        f"{len(errors)} models: median error {median:.1%}, within 10 %: {within[0]:.0%}, within 20 %: {within[1]:.0%}, "
        f"the band holds for {held:.0%}"
    )
    bars = [
        (median < MEDIAN_MOST, f"the median error is {median:.1%}, asked is less than {MEDIAN_MOST:.0%}"),
        (within[0] >= WITHIN_10, f"{within[0]:.0%} are within 10 %, asked is {WITHIN_10:.0%}"),
        (within[1] >= WITHIN_20, f"{within[1]:.0%} are within 20 %, asked is {WITHIN_20:.0%}"),
        (held >= WITHIN_BAND, f"the band holds for {held:.0%}, asked is {WITHIN_BAND:.0%}"),
    ]
    return [text for kept, text in bars if not kept]


def check_tiny(facts: Path) -> list[str]:
    """The profiles' stated bands against rows of mlperf_tiny.csv that neither their prices nor their bands saw."""
    rows = list(left_out_rows(read_rows(facts / "mlperf_tiny.csv"), BENCHMARKED))
    print(f"{'profile':26s} {'model':5s} {'predicted':>10s} {'measured':>10s} {'error':>7s}  band")
    for row in rows:
        print(
            f"{row.profile:26s} {row.model:5s} {row.predicted_ms:7.2f} ms {row.measured_ms:7.2f} ms {row.error:+7.1%}  "
            f"{'holds' if row.holds else 'fails'} ±{row.band:.0%}"
        )
    held = float(np.mean([row.holds for row in rows]))
    print(f"{len(rows)} rows: the band holds for {held:.0%}")
    return [] if held >= WITHIN_BAND else [f"tiny: the band holds for {held:.0%}, asked is {WITHIN_BAND:.0%}"]


if __name__ == "__main__":
    main()
