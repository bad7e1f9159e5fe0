"""One step on the terminal: what it made of what, and its proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import RenderableType

from edgecut.records.facts import Shape, StepFacts
from edgecut.records.proof import Proof
from edgecut.records.report import Step
from edgecut.records.units import format_bytes
from edgecut.render.grid import Fitted, fitted
from edgecut.render.words import NOTHING, count_words, fact_words, shape_words

_TITLES = {
    "params": "parameters",
    "macs": "multiply-accumulates",
    "size_bytes": "size",
    "train": "for training",
    "val": "held out",
    "weights_dropped": "weights dropped",
    "max_abs_error": "error at most",
    "sqnr": "SQNR in dB",
    "bytes_in": "fed with the camera's bytes:",
    "leave_one_out_accuracy": "accuracy leaving one out",
    "leave_one_out_map": "mAP leaving one out",
    "leave_one_out_r2": "R² leaving one out",
    "penalty": "by a penalty of",
}
_COUNTED = ("parameters", "multiply-accumulates", "for training", "held out", "weights dropped", "operators",
            "measurements")  # fmt: skip
COUNTS = {"params": "params", "weights_dropped": "dropped", "operators": "operators", "macs": "MACs"}


def step_parts(step: Step) -> list[RenderableType]:
    """A table of before and after, and a sentence on the proof."""
    return [change_table(step), *([proof_sentence(step.proof)] if step.proof else [])]


def change_table(step: Step) -> Fitted:
    """A model's facts before and after a step, one row each."""
    sides = step.before, step.after
    rows = [("inputs", *(_tensors(side.inputs) for side in sides))]
    rows.append(("outputs", *(_tensors(side.outputs) for side in sides)))
    for key, title in COUNTS.items():
        if any(key in side for side in sides):
            rows.append((title, *(_count(getattr(side, key)) for side in sides)))
    if "size_bytes" in step.after:
        rows.append(("size", *(_size(side.size_bytes) for side in sides)))
    return fitted(("<", "~before", "~after"), rows, ("before",))


def step_sentences(step: Step) -> list[str]:
    """What a step made of what, how near it came, and what it says besides."""
    before, after = _fact_words(step.before), _fact_words(step.after)
    changed = [f"{title}: {before[title]} before, {words} now" for title, words in after.items()
               if before.get(title, words) != words]  # fmt: skip
    new = ", ".join(_counted(title, words) for title, words in after.items() if title not in before)
    proof = []
    if step.proof:
        proof = [proof_sentence(step.proof) if step.proof.exact is not None else _seen(step.proof)]
    told = [*changed, *([new] if new else []), *proof]
    # A file's name stays as it is.
    own = [f"{text[:1].upper()}{text[1:]}" if text.split()[0].rstrip(":").isalpha() else text for text in told]
    return [f"{text}." for text in (*own, *step.notes, *step.losses)]


def proof_sentence(proof: Proof) -> str:
    """What was compared and how near it came."""
    runs = f"{proof.inputs} seeded inputs" + (f" and {proof.images} of yours" if proof.images else "")
    if proof.exact:
        return f"proof: bit-equal to the source on {runs}"
    largest = f"{proof.relative_error or 0:.2g} of its largest value"
    if proof.sqnr is not None:
        return f"proof: {proof.sqnr:.1f} dB SQNR against the source on {runs}, at most {largest} off ({proof.reason})"
    by = largest if proof.max_abs_error is None else f"{proof.max_abs_error:.3g}"
    return f"proof: differs from the source by at most {by} on {runs}, {proof.tolerance:.3g} let pass ({proof.reason})"


def _tensors(named: Mapping[str, Shape] | Sequence[Shape] | None) -> str:
    if not named:
        return NOTHING
    if not isinstance(named, Mapping):
        return ", ".join(shape_words(shape[1:]) for shape in named)
    return ", ".join(f"{name} {shape_words(shape[1:])}" for name, shape in named.items())


def _count(count: int | None) -> str:
    return NOTHING if count is None else count_words(count)


def _size(size_bytes: int | None) -> str:
    return NOTHING if size_bytes is None else format_bytes(size_bytes)


def _fact_words(facts: StepFacts) -> dict[str, str]:
    """{title: value} of all that was said, in words."""
    said: dict[str, str] = {}
    for key, value in facts.to_dict().items():
        title = _TITLES.get(key, key.replace("_", " "))
        if key in {"inputs", "outputs"}:
            said[title] = _tensors(getattr(facts, key))
        elif key in facts.files:
            said[key] = format_bytes(value) if isinstance(value, int) else _collapse(value)
        elif key == "size_bytes":
            said[title] = _size(facts.size_bytes)
        elif isinstance(value, int):
            said[title] = count_words(value) if key in COUNTS else str(value)
        elif value is not None:
            said[title] = fact_words({"": value}).strip()
    return said


def _collapse(value: object) -> str:
    return str(value) if value == "no layer collapses" else f"collapses at {value}"


def _counted(title: str, words: str) -> str:
    """ "700 training images", but "float accuracy 0.827"."""
    return f"{words} {title}" if title in _COUNTED else f"{title} {words}"


def _seen(proof: Proof) -> str:
    """What was seen of a step that claims to be equal to nothing."""
    facts = {_TITLES.get(key, key.replace("_", " ")): value for key, value in proof.to_dict().items()}
    on = "" if proof.inputs is None else f" on {proof.inputs} inputs"
    return (fact_words({key: value for key, value in facts.items() if key != "inputs"}) or "run") + on
