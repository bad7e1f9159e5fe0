"""Which net a row of boards.csv is about, as far as its public definition says it to the last operator."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from tools.boards.families import APPLICATIONS, Net

Row = Mapping[str, str]
Rule = Callable[[Row, re.Match[str]], Net | None]

# Outputs of the data sets whose rows don't print them, or print two where the zoo's code has one.
CLASSES = {
    "person": 1, "cocoperson": 1, "stperson": 1, "coco80": 80, "wisdm": 4, "stvl53lxcxhandposture": 8,
    "stvl53l5cxhandposture": 8, "stvl53l8cxhandposture": 8,
}  # fmt: skip
# Those of the data sets that other rows print, where a row doesn't.
USUAL_CLASSES = {
    "flowers": 5, "tfflowers": 5, "food101": 101, "imagenet": 1000, "esc10": 10, "cifar10": 10, "cifar100": 100,
    "emnistbyclass": 36, "vww": 2,
}  # fmt: skip
# A width: 0.35, or 035, a035 and w035, or 0_35; 224 is none.
_ALPHA = r"(?: ?(?:alpha|a|w)? ?(?P<alpha>\d\.\d+|0 \d\d?|1 [04](?!\d)|0\d\d|100|(?<=[aw])\d{3}|1)(?!\d))?"
# What stands behind a name: how it was trained, its file, its scheme, its input's size or its data set.
_WORDS = (
    r"tfs|fft|onnx|tflite|keras|h5|qdq|grayscale|rgb|per tensor|per channel|int8|float32|fp32|coming soon|"
    r"flowers|food ?101|imagenet|cifar ?100?|coco person|coco|person|esc ?10"
)
_TAIL = rf"(?P<tail>(?: (?:{_WORDS}|\d{{2,3}}x\d{{2,3}}(?:x\d)?|[1-9]\d{{1,2}}))*)"


def net_of(row: Row) -> Net | None:
    """The net of a row, None where no public definition of it is known here: `unknown_net` says why."""
    found = _rule(row)
    if found is None or _other_size(row, found[1]):
        return None
    return found[0](row, found[1])


def unknown_net(row: Row) -> str:
    """Why a row has no net; "" where it has one."""
    found = _rule(row)
    if found is None:
        return f"no public definition of {row['model']!r} is known here"
    if _other_size(row, found[1]):
        return f"the name {row['model']!r} says another input size than the row"
    if net_of(row) is not None:
        return ""
    if not (row["height"] and row["width"]):
        return f"the input's size of {row['model']!r} isn't printed"
    if not _classes(row):
        return f"it isn't printed how many outputs {row['model']!r} has"
    return f"the width or depth of {row['model']!r} isn't printed, or is none of its definition's"


def plain(text: str) -> str:
    """A name in small letters and digits alone."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _rule(row: Row) -> tuple[Rule, re.Match[str]] | None:
    name = re.sub(r"[\s_()/-]+", " ", row["model"].lower()).strip()
    for source, rules in RULES.items():
        if row["source"].lower().startswith(source.lower()):
            for pattern, rule in rules:
                match = re.fullmatch(pattern + _TAIL, name)
                if match is not None:
                    return rule, match
    return None


def _other_size(row: Row, match: re.Match[str]) -> bool:
    """Whether a size behind the name isn't the row's."""
    sizes = re.findall(r"\d+", re.sub(r"int8|float32|fp32|h5|food ?101|cifar ?100?|esc ?10|x\d\b", "", match["tail"]))
    return not {*sizes} <= {row["height"], row["width"]}


def _classes(row: Row) -> int:
    """How many outputs a row's net has, 0 where it isn't known."""
    name = plain(row["dataset"])
    return CLASSES.get(name) or int(row["classes"] or 0) or USUAL_CLASSES.get(name, 0)


def _net(family: str, row: Row, classes: int | None = None, **options: object) -> Net | None:
    """The net of a row's size; None where a size, its classes or an option aren't known."""
    count = classes or _classes(row)
    if not (count and row["height"] and row["width"]) or None in options.values():
        return None
    shape = (int(row["height"]), int(row["width"]), int(row["channels"] or 3))
    return Net(family, shape, count, tuple((key, str(value)) for key, value in options.items()))


def _alpha(row: Row, match: re.Match[str]) -> float | None:
    """The width that the name says, else the row's own column."""
    text = (match["alpha"] or row.get("alpha_or_variant", "")).strip().replace(" ", ".")
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        return None
    return int(text) / 100 if len(text) == 3 and "." not in text else float(text)


def _zoo(family: str, *, wide: bool = False) -> Rule:
    """A net of keras.applications in ST's zoo: with its own head for ImageNet, else with the mean and a Dense.

    wide: it comes in several widths.
    """

    def rule(row: Row, match: re.Match[str]) -> Net | None:
        alpha = {"alpha": _alpha(row, match)} if wide else {}
        top = {} if plain(row["dataset"]).startswith("imagenet") else {"top": "no"}
        return _net(family, row, **alpha, **top)

    return rule


def _plain(family: str, **types: Callable[[str], object]) -> Rule:
    """A family whose options are the pattern's groups."""

    def rule(row: Row, match: re.Match[str]) -> Net | None:
        return _net(family, row, **{key: types[key](match[key]) for key in types})

    return rule


def _wide(family: str) -> Rule:
    """A family that comes in several widths, with nothing else to choose."""
    return lambda row, match: _net(family, row, alpha=_alpha(row, match))


def _efficientnet(row: Row, match: re.Match[str]) -> Net | None:
    family = f"efficientnet_v2{match['size']}"
    return _zoo(family)(row, match) if family in APPLICATIONS else None


def _st_yolox(row: Row, match: re.Match[str]) -> Net | None:
    """Printed as 0.33_0.25 or as d033_w025."""
    depth, width = (float(text) if "." in text else int(text) / 100 for text in (match["depth"], match["width"]))
    return _net("yolox", row, depth=depth, width=width, separable="yes", act="relu6")


def _yolox(row: Row, match: re.Match[str]) -> Net | None:
    depth, width = {"s": (0.33, 0.5), "m": (0.67, 0.75), "l": (1.0, 1.0)}[match["size"]]
    return _net("yolox", row, depth=depth, width=width)


def _depth(text: str) -> int | None:
    """A depth that the CIFAR ResNets of version 1 have, six layers for each block and two: 8, 14, 20, 32; else None."""
    return int(text) if int(text) % 6 == 2 else None


def _version(text: str) -> float:
    """1.1 of "1.1", "1 1" or "11"."""
    return float(f"{text[0]}.{text[-1]}")


# Names in small letters, with one space where a space, a line or a parenthesis stands.
RULES: dict[str, list[tuple[str, Rule]]] = {
    "STMicroelectronics": [
        (rf"mobilenet(?: ?v1)?{_ALPHA}", _zoo("mobilenet", wide=True)),
        (rf"mobilenet ?v2{_ALPHA}", _zoo("mobilenetv2", wide=True)),
        # The zoo's PyTorch files. Where both are printed, their flash on the N6 is the Keras files' within 0.2 %; of
        # FD-MobileNet it is the rebuilt net's within 1 %. SqueezeNet's is another net's.
        (rf"mobilenetb?{_ALPHA} pt", _zoo("mobilenet", wide=True)),
        (rf"mobilenet ?v2b?{_ALPHA} pt", _zoo("mobilenetv2", wide=True)),
        (rf"fd ?mobilenet{_ALPHA} pt", _wide("fd_mobilenet")),
        (r"resnet ?50 ?v2", _zoo("resnet50v2")),
        (r"efficientnet ?v2 ?(?P<size>b\d|[sml])", _efficientnet),
        (r"squeezenet ?v?(?P<version>1[. ]?[01])", _plain("squeezenet", version=_version)),
        (rf"fd ?mobilenet(?: ?v1)?{_ALPHA}", _wide("fd_mobilenet")),
        (r"st fd ?mobilenet(?: ?v1)?", _plain("st_fd_mobilenet")),
        (r"st efficientnet ?lc(?: ?v1)?", _plain("st_efficientnet_lc")),
        (r"st mnist(?: ?byclass)?(?: ?v1)?", _plain("st_mnist")),
        (r"resnet ?v1 ?(?P<depth>\d+)", _plain("resnet_v1", depth=_depth)),
        (r"resnet ?(?P<depth>\d+) ?v1", _plain("resnet_v1", depth=_depth)),
        (r"yamnet(?: e)? ?(?P<embedding>\d+)", _plain("yamnet", embedding=int)),
        (r"mini ?resnet(?: ?v1)? (?P<stacks>\d) ?stacks?", _plain("miniresnet", stacks=int)),
        (r"mini ?resnet ?v2 (?P<stacks>\d) ?stacks?", _plain("miniresnet_v2", stacks=int)),
        (r"(?:st )?gmp wl \d+", _plain("gmp")),
        (r"(?:st )?ign wl \d+", _plain("ign")),
        (rf"(?:st )?ssd mobilenet ?v1{_ALPHA}", _wide("st_ssd_mobilenet_v1")),
        (rf"(?:st )?ssd mobilenet ?v2{_ALPHA} fpn ?lite", _wide("ssd_fpnlite")),
        (rf"(?:st )?ssd mobilenet ?v2 fpn ?lite{_ALPHA}", _wide("ssd_fpnlite")),
        (r"(?:st )?yolo ?lc(?: ?v1)?", _plain("st_yolo_lc")),
        (r"tiny ?yolo ?v2", _plain("tiny_yolo_v2")),
        (r"st yolo ?x ?n(?:ano)? d?(?P<depth>[\d.]+) w?(?P<width>[\d.]+)", _st_yolox),
        (r"(?:cnn2d )?st hand ?posture(?: l[58]cx)?", _plain("hand_posture")),
    ],
    "mit-han-lab": [
        (r"mcunet (?P<net>[a-z]+\d)", _plain("mcunet", net=str)),
        (r"mbv2 w(?P<width>[\d.]+)(?: r\d+)?", _plain("mobilenetv2_scaled", width=float)),
        (r"proxyless w(?P<width>[\d.]+)(?: r\d+)?", _plain("proxyless", width=float)),
    ],
    "espressif/esp-nn": [
        (r"person detection .*", lambda row, _: _net("mobilenet", row, 2, alpha=0.25, top="no")),
        (r"mobilenet ?v3 small", lambda row, _: _net("mobilenetv3_small", row)),
    ],
    "espressif/esp-dl": [
        (rf"mobilenet ?v2{_ALPHA} s8 v1", lambda row, m: _net("mobilenetv2", row, alpha=_esp_alpha(row, m))),
    ],
    "Nota": [
        (r"resnet ?(?P<depth>18|34)", _plain("resnet", depth=int)),
        (r"yolox (?P<size>[sml])", _yolox),
        (r"mobilenet ?v3 (?P<size>large|small)", lambda row, m: _net(f"mobilenetv3_{m['size']}", row, top="no")),
    ],
}  # fmt: skip


def _esp_alpha(row: Row, match: re.Match[str]) -> float | None:
    """Espressif's MobileNetV2 of width 1 has no width in its name."""
    return _alpha(row, match) if match["alpha"] or row.get("alpha_or_variant") else 1.0
