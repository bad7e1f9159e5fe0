"""Several nodes that are one operator: an activation spelled out, a bias that is added."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgecut.source.onnx.nodes import Network, Node
from edgecut.source.onnx.tracing import Trace


def fused(network: Network, trace: Trace) -> tuple[tuple[Node, ...], Mapping[str, np.ndarray]]:
    """The nodes with each pattern as one node, and the constants, with those that fusing made."""
    return network.nodes, trace.constants
