"""A net by its name: a family, a size, a head and what the family lets be chosen, as "mobilenet 96x96x3 5 alpha=0.25".

python -m tools.boards net "mobilenetv2 160x160x3 10 alpha=0.5 top=no" -o FILE.tflite
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

# Family -> the name in keras.applications, and what it is always called with.
APPLICATIONS: dict[str, tuple[str, dict[str, object]]] = {
    "densenet121": ("DenseNet121", {}),
    "efficientnet_b0": ("EfficientNetB0", {}),
    "efficientnet_v2b0": ("EfficientNetV2B0", {"include_preprocessing": False}),
    "efficientnet_v2b1": ("EfficientNetV2B1", {"include_preprocessing": False}),
    "efficientnet_v2b2": ("EfficientNetV2B2", {"include_preprocessing": False}),
    "efficientnet_v2b3": ("EfficientNetV2B3", {"include_preprocessing": False}),
    "efficientnet_v2s": ("EfficientNetV2S", {"include_preprocessing": False}),
    "mobilenet": ("MobileNet", {}),
    "mobilenetv2": ("MobileNetV2", {}),
    "mobilenetv3_large": ("MobileNetV3Large", {"include_preprocessing": False}),
    "mobilenetv3_small": ("MobileNetV3Small", {"include_preprocessing": False}),
    "nasnet_mobile": ("NASNetMobile", {}),
    "resnet50v2": ("ResNet50V2", {}),
}
# Before the name of a net: its graph in float, where it was measured so.
FLOAT = "float32 "
NAME = re.compile(r"(\w+) (\d+)x(\d+)x(\d+) (\d+)((?: \w+=[\w.]+)*)")


@dataclass(frozen=True)
class Net:
    """A net that can be built. options: what the family's function is called with, as text."""

    family: str
    shape: tuple[int, int, int]
    classes: int
    options: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """The name that `parsed` reads."""
        height, width, channels = self.shape
        return " ".join(
            [f"{self.family} {height}x{width}x{channels} {self.classes}", *("=".join(o) for o in self.options)]
        )


def parsed(name: str) -> Net:
    """The net of a name. Raises ValueError if it isn't written as one."""
    match = NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"net {name!r}: expected 'FAMILY HEIGHTxWIDTHxCHANNELS CLASSES [option=value ...]'")
    family, height, width, channels, classes, options = match.groups()
    pairs = tuple((key, value) for key, value in (option.split("=") for option in options.split()))
    return Net(family, (int(height), int(width), int(channels)), int(classes), pairs)


def built(net: Net) -> object:
    """The Keras model of a net, with random weights. Raises ValueError for a family that isn't known."""
    from tools.boards.classifiers import CLASSIFIERS, application
    from tools.boards.detectors import DETECTORS
    from tools.boards.mobile import MOBILE
    from tools.boards.sound import SOUND

    makers: dict[str, Callable[..., object]] = {**CLASSIFIERS, **DETECTORS, **MOBILE, **SOUND}
    makers |= {family: partial(application, name, **more) for family, (name, more) in APPLICATIONS.items()}
    if net.family not in makers:
        raise ValueError(f"net {net.name!r}: no family {net.family!r}; there are {', '.join(sorted(makers))}")
    return makers[net.family](net.shape, net.classes, **{key: _value(value) for key, value in net.options})


def _value(text: str) -> object:
    if text in {"yes", "no"}:
        return text == "yes"
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text
