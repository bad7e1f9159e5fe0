"""Which net a row of boards.csv is about, as far as its public definition says it to the last operator."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from tools.boards.families import APPLICATIONS, Net

Row = Mapping[str, str]

# Outputs of the data sets whose rows don't print them, or print two where the zoo's code has one.
CLASSES = {
    "Person": 1,
    "COCO-Person": 1,
    "ST-Person": 1,
    "COCO-80": 80,
    "ST_VL53LxCX_handposture": 8,
    "ST_VL53L5CX_handposture": 8,
    "ST_VL53L8CX_handposture": 8,
    "WISDM": 4,
}


def net_of(row: Row) -> Net | None:
    """The net of a row, None where no public definition of it is known here."""
    for source, rules in RULES.items():
        if row["source"].startswith(source):
            for pattern, rule in rules:
                match = re.fullmatch(pattern, row["model"], re.IGNORECASE)
                if match is not None:
                    return rule(row, match)
    return None


def _net(family: str, row: Row, classes: int | None = None, **options: object) -> Net | None:
    """The net of a row's size; None where a size or its classes aren't known."""
    count = classes or CLASSES.get(row["dataset"]) or int(row["classes"] or 0)
    if not (count and row["height"] and row["width"]):
        return None
    shape = (int(row["height"]), int(row["width"]), int(row["channels"] or 3))
    return Net(family, shape, count, tuple((key, str(value)) for key, value in options.items()))


def _zoo(family: str) -> Callable[[Row, re.Match[str]], Net | None]:
    """A net of keras.applications in ST's zoo: with its own head for ImageNet, else with the mean and a Dense."""

    def rule(row: Row, match: re.Match[str]) -> Net | None:
        alpha = {"alpha": float(match["alpha"])} if "alpha" in match.groupdict() else {}
        top = {} if row["dataset"] == "ImageNet" else {"top": "no"}
        return _net(family, row, **alpha, **top)

    return rule


def _plain(family: str, **types: type) -> Callable[[Row, re.Match[str]], Net | None]:
    """A family whose options are the pattern's groups."""

    def rule(row: Row, match: re.Match[str]) -> Net | None:
        return _net(family, row, **{key: types[key](value) for key, value in match.groupdict().items()})

    return rule


def _efficientnet(row: Row, match: re.Match[str]) -> Net | None:
    family = f"efficientnet_v2{match['size'].lower()}"
    return _zoo(family)(row, match) if family in APPLICATIONS else None


def _st_yolox(row: Row, match: re.Match[str]) -> Net | None:
    """Printed as 0.33_0.25 or as d033_w025."""
    depth, width = (float(text) if "." in text else int(text) / 100 for text in (match["depth"], match["width"]))
    return _net("yolox", row, depth=depth, width=width, separable="yes", act="relu6")


def _yolox(row: Row, match: re.Match[str]) -> Net | None:
    depth, width = {"s": (0.33, 0.5), "m": (0.67, 0.75), "l": (1.0, 1.0)}[match["size"].lower()]
    return _net("yolox", row, depth=depth, width=width)


# What stands behind a name: how it was trained, in which file format, and that it is at 28x28.
_TAIL = r"(?: (?:tfs|fft|28x28|onnx|grayscale|tfs grayscale))?"
RULES: dict[str, list[tuple[str, Callable[[Row, re.Match[str]], Net | None]]]] = {
    "STMicroelectronics": [
        (rf"mobilenet v1 (?P<alpha>[\d.]+){_TAIL}", _zoo("mobilenet")),
        (rf"mobilenet v2 (?P<alpha>[\d.]+){_TAIL}", _zoo("mobilenetv2")),
        (r"mobilenet v2 (?P<alpha>[\d.]+)_per_tensor", _zoo("mobilenetv2")),
        (rf"resnet50 v2{_TAIL}", _zoo("resnet50v2")),
        (r"efficientnet_?v2(?P<size>\w+?)_\d+(?:_fft)? onnx", _efficientnet),
        (rf"squeezenet v(?P<version>1\.[01]){_TAIL}", _plain("squeezenet", version=float)),
        (rf"fdmobilenet (?P<alpha>[\d.]+){_TAIL}", _plain("fd_mobilenet", alpha=float)),
        (rf"st fdmobilenet v1{_TAIL}", _plain("st_fd_mobilenet")),
        (rf"st efficientnet lc v1{_TAIL}", _plain("st_efficientnet_lc")),
        (rf"st mnist byclass v1{_TAIL}", _plain("st_mnist")),
        (rf"resnet v1 (?P<depth>\d+){_TAIL}", _plain("resnet_v1", depth=int)),
        (r"yamnet (?P<embedding>\d+)", _plain("yamnet", embedding=int)),
        (r"miniresnet (?P<stacks>\d) ?stacks?", _plain("miniresnet", stacks=int)),
        (r"miniresnet v2 (?P<stacks>\d) ?stacks?", _plain("miniresnet_v2", stacks=int)),
        (r"(?:st[_ ])?gmp[ _]wl[ _]\d+", _plain("gmp")),
        (r"(?:st[_ ])?ign[ _]wl[ _]\d+", _plain("ign")),
        (r"(?:st )?ssd mobilenet v1 (?P<alpha>[\d.]+)", _plain("st_ssd_mobilenet_v1", alpha=float)),
        (r"ssd mobilenet v2 (?P<alpha>[\d.]+) fpn-lite(?: - coming soon)?", _plain("ssd_fpnlite", alpha=float)),
        (r"st[_ ]yolo[_ ]lc[_ ]v1", _plain("st_yolo_lc")),
        (r"tiny_yolo_v2", _plain("tiny_yolo_v2")),
        (r"st_yolo_?x_?n(?:ano)? d?(?P<depth>[\d.]+)_w?(?P<width>[\d.]+)", _st_yolox),
        (r"CNN2D_ST_HandPosture(?: \(L[58]CX\))?", _plain("hand_posture")),
    ],
    "mit-han-lab": [
        (r"mcunet-(?P<net>\w+)", _plain("mcunet", net=str)),
        (r"mbv2-w(?P<width>[\d.]+)(?:-r\d+)?", _plain("mobilenetv2_scaled", width=float)),
        (r"proxyless-w(?P<width>[\d.]+)(?:-r\d+)?", _plain("proxyless", width=float)),
    ],
    "espressif/esp-nn": [
        (r"person detection .*", lambda row, _: _net("mobilenet", row, 2, alpha=0.25, top="no")),
        (r"mobilenetv3 small", lambda row, _: _net("mobilenetv3_small", row)),
    ],
    "espressif/esp-dl": [
        (r"mobilenetv2_s8_v1", lambda row, _: _net("mobilenetv2", row, 1000, alpha=1.0)),
    ],
    "Nota": [
        (r"resnet(?P<depth>18|34)", _plain("resnet", depth=int)),
        (r"yolox-(?P<size>[sml])", _yolox),
        (r"mobilenetv3-(?P<size>large|small)", lambda row, m: _net(f"mobilenetv3_{m['size']}", row, top="no")),
    ],
}
