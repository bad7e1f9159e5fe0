"""Resize and Upsample: as UpSampling where it is one, else by a constant matrix for each axis."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from edgecut.source.onnx.building import Site, Unsupported
from edgecut.source.onnx.layout import BATCH, View

_UP = {3: keras.layers.UpSampling1D, 4: keras.layers.UpSampling2D, 5: keras.layers.UpSampling3D}
Places = Callable[[np.ndarray, float, int, int], np.ndarray]


def resize(site: Site) -> None:
    """Resize (onnx/docs/Operators.md): nearest, linear and cubic in every coordinate mode but cropping."""
    scales_at = 1 if site.node.opset < 11 else 2
    scales = site.optional(scales_at) if site.has(scales_at) else None
    _resize(site, scales if scales is not None and scales.size else None)


def upsample(site: Site) -> None:
    """Upsample, Resize's elder."""
    scales = site.optional(1) if site.has(1) else np.asarray(site.attribute("scales", []), np.float32)
    _resize(site, scales, old=True)


def _resize(site: Site, scales: np.ndarray | None, *, old: bool = False) -> None:
    view = site.tensor_view()
    axes = [int(a) % len(view.axes) for a in site.attribute("axes", range(len(view.axes)))]
    by_axis = dict(zip(axes, map(float, scales), strict=True)) if scales is not None else {}
    shape = site.shape()
    elder = old or site.node.opset < 11
    mode = str(site.attribute("mode", "nearest"))
    coordinates = str(site.attribute("coordinate_transformation_mode", "asymmetric" if elder else "half_pixel"))
    changed = [k for k, (a, b) in enumerate(zip(view.shape, shape, strict=True)) if a != b]
    if any(BATCH in view.axes[axis] for axis in changed):
        raise Unsupported("resizes the batch")
    if site.attribute("antialias", 0) and any(shape[axis] < view.shape[axis] for axis in changed):
        raise Unsupported("resizes with antialiasing, which no Keras layer does as ONNX does")
    if coordinates == "tf_crop_and_resize":
        raise Unsupported("resizes a part of its input (tf_crop_and_resize)")
    matrices = {}
    for axis in changed:
        n, m = view.shape[axis], shape[axis]
        scale = by_axis.get(axis) or m / n
        places = _coordinates(coordinates, m, scale, n)
        matrices[axis] = _matrix(site, mode, places, n, scale, elder)
    site.out(_up(site, view, matrices, mode) or _multiplied(site, view, matrices))


def _up(site: Site, view: View, matrices: dict[int, np.ndarray], mode: str) -> View | None:
    """The view through an UpSampling layer; None where there is none that does this."""
    rank = len(view.axes)
    if rank not in _UP or view.axes[0] != (BATCH,) or 1 in matrices:
        return None
    factors = [matrices[a].shape[0] / matrices[a].shape[1] if a in matrices else 1.0 for a in range(2, rank)]
    if any(f != int(f) for f in factors):
        return None
    sizes = [int(f) for f in factors]
    if all(np.array_equal(m, np.repeat(np.eye(m.shape[1]), m.shape[0] // m.shape[1], 0)) for m in matrices.values()):
        flat = site.mover.channels_last(view)
        layer = site.layer(_UP[rank], size=sizes[0] if rank == 3 else tuple(sizes))
        return flat.same(site.call(layer, flat.tensor), view.positive)
    if rank == 4 and mode == "linear" and all(_is_half_pixel(m) for m in matrices.values()):
        flat = site.mover.channels_last(view)
        layer = site.layer(keras.layers.UpSampling2D, size=tuple(sizes), interpolation="bilinear")
        return flat.same(site.call(layer, flat.tensor), view.positive)
    return None


def _multiplied(site: Site, view: View, matrices: dict[int, np.ndarray]) -> View:
    """Each axis by its matrix; where every place is one of the input's, they are taken."""
    for axis, matrix in matrices.items():
        view = site.mover.single(view, axis)
        dim, rank = view.axes[axis][0], len(view.sizes)
        rows = matrix.argmax(1)
        if np.array_equal(matrix, np.eye(matrix.shape[1])[rows]):
            view = view.same(site.op(ops.take, view.tensor, rows, axis=dim), view.positive)
            continue
        letters = "abcdefgh"[:rank]
        equation = f"{letters},z{letters[dim]}->{letters.replace(letters[dim], 'z')}"
        view = view.same(site.op(ops.einsum, equation, view.tensor, matrix.astype(np.float32)))
    return view


def _coordinates(mode: str, m: int, scale: float, n: int) -> np.ndarray:
    """Where in the input each of m places of the output lies."""
    x = np.arange(m, dtype=np.float64)
    if mode == "align_corners":
        return x * (n - 1) / (m - 1) if m > 1 else np.zeros(1)
    if mode == "asymmetric":
        return x / scale
    if mode == "pytorch_half_pixel" and m == 1:
        return np.zeros(1)
    if mode == "half_pixel_symmetric":
        adjustment = m / (scale * n)
        return n / 2 * (1 - adjustment) + (x + 0.5) / scale - 0.5
    if mode == "tf_half_pixel_for_nn":
        return (x + 0.5) / scale
    if mode in {"half_pixel", "pytorch_half_pixel"}:
        return (x + 0.5) / scale - 0.5
    raise Unsupported(f"has the coordinates {mode!r}, which ONNX doesn't know")


def _matrix(site: Site, mode: str, places: np.ndarray, n: int, scale: float, elder: bool) -> np.ndarray:
    """(m, n): what each place of the output takes of the input."""
    # ONNX Runtime computes places in float32.
    places = places.astype(np.float32).astype(np.float64)
    if mode == "nearest":
        return np.eye(n)[np.clip(_nearest(site, places, scale, elder), 0, n - 1)]
    if mode not in {"linear", "cubic", "bilinear"}:
        raise Unsupported(f"has the mode {mode!r}, which ONNX doesn't know")
    cubic = mode == "cubic"
    reach = 2 if cubic else 1
    matrix = np.zeros((len(places), n))
    a = float(site.attribute("cubic_coeff_a", -0.75))
    outside = bool(site.attribute("exclude_outside", 0))
    for row, place in enumerate(places):
        taps = np.arange(np.floor(place) - reach + 1, np.floor(place) + reach + 1).astype(int)
        distances = np.abs(taps - place)
        weights = _cubic(distances, a) if cubic else np.maximum(1 - distances, 0)
        if outside:
            weights = np.where((taps < 0) | (taps >= n), 0, weights)
        weights = weights / weights.sum()
        np.add.at(matrix[row], np.clip(taps, 0, n - 1), weights)
    return matrix


def _nearest(site: Site, places: np.ndarray, scale: float, elder: bool) -> np.ndarray:
    if elder:
        return (np.floor(places) if scale >= 1 else np.ceil(places)).astype(int)
    mode = site.attribute("nearest_mode", "round_prefer_floor")
    rounded = {
        "floor": np.floor(places),
        "ceil": np.ceil(places),
        "round_prefer_floor": np.ceil(places - 0.5),
        "round_prefer_ceil": np.floor(places + 0.5),
    }
    if mode not in rounded:
        raise Unsupported(f"has the nearest_mode {mode!r}, which ONNX doesn't know")
    return rounded[mode].astype(int)


def _cubic(x: np.ndarray, a: float) -> np.ndarray:
    """The kernel of cubic convolution (Keys, 1981)."""
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _is_half_pixel(matrix: np.ndarray) -> bool:
    """Whether a matrix is the linear one of half pixels, which TensorFlow's bilinear resize computes."""
    m, n = matrix.shape
    places = np.clip((np.arange(m) + 0.5) * n / m - 0.5, 0, n - 1)
    low = np.floor(places).astype(int)
    expected = np.zeros((m, n))
    expected[np.arange(m), low] += 1 - (places - low)
    expected[np.arange(m), np.minimum(low + 1, n - 1)] += places - low
    return bool(np.allclose(matrix, expected, atol=1e-6))
