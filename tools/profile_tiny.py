"""The four MLPerf Tiny models and the clocks as mlperf_tiny.csv writes them."""

from __future__ import annotations

import re

# Multiply-accumulates (conv, depthwise, dense) of the four MLPerf Tiny models, counted from their layers:
# MobileNetV1 0.25 at 96x96x3, ResNet-8 at 32x32x3, DS-CNN at 49x10x1, the 640-128-8-128-640 autoencoder.
TINY_MACS = {
    "vww": (6_690_816, 798_336, 512),
    "ic": (12_500_992, 0, 640),
    "kws": (2_368_000, 288_000, 768),
    "ad": (0, 0, 264_192),
}


def clock_mhz(text: str) -> float | None:
    """The clock in MHz of a cell such as "120 MHz", "60MHz" or "1Ghz"; None if it says anything else."""
    found = re.fullmatch(r"\s*([\d.]+)\s*([mg])hz\s*", text.lower())
    return None if found is None else float(found[1]) * (1000 if found[2] == "g" else 1)
