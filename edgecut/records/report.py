"""What a run did, what came out, and whether it fits."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgecut.records.artifact import Artifact
from edgecut.records.document import Record
from edgecut.records.environment import Environment
from edgecut.records.explanation import Explanation
from edgecut.records.facts import StepFacts
from edgecut.records.measurement import Measurement
from edgecut.records.operating import Decision
from edgecut.records.proof import Proof
from edgecut.records.trial import Trial
from edgecut.records.usage import FileUse

State = Literal["meets", "misses", "unknown"]


class Step(Record):
    """One stop of the run, with the proof of what it claims.

    proof: empty for a step that claims nothing numeric. losses: what is worse behind the step by more than chance, a
    sentence each.
    """

    name: str
    changed: bool
    before: StepFacts = Field(default_factory=StepFacts)
    after: StepFacts = Field(default_factory=StepFacts)
    proof: Proof = Field(default_factory=Proof)
    seconds: float = 0.0
    cached: bool = False
    notes: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()


class Check(Record):
    """A limit, what was found, and whether that meets it. basis: the kind of the number that answered."""

    metric: str
    artifact: str
    profile: str | None = None
    limit: float | str
    value: float | str | None
    unit: str
    state: State
    basis: str
    reason: str = ""


class SourceFacts(Record):
    """The model that the run started from. nodes: of an .onnx file, the nodes that each layer is of.

    files: the SHA-256 of each other file that it keeps weights in, by its name.
    """

    path: str
    sha256: str
    layers: int
    calls: int
    params: int
    macs: int | None
    nodes: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    files: dict[str, str] = Field(default_factory=dict)


class Report(Record):
    """The whole run, as report.json holds it.

    trials: what precision "auto" tried; explanations: of the quantized .tflite files; uses: of all .tflite files.
    decisions: of each file's outputs that a threshold decides.
    """

    schema_: Literal["edgecut.report/1"] = Field(default="edgecut.report/1", alias="schema")
    edgecut: str
    status: Literal["meets", "misses", "unknown", "failed"]
    recipe: dict[str, object]
    profiles: tuple[dict[str, object], ...]
    environment: Environment
    source: SourceFacts
    steps: tuple[Step, ...]
    artifacts: tuple[Artifact, ...]
    measurements: tuple[Measurement, ...]
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()
    trials: tuple[Trial, ...] = ()
    explanations: tuple[Explanation, ...] = ()
    uses: tuple[FileUse, ...] = ()
    decisions: tuple[Decision, ...] = ()


def overall(checks: tuple[Check, ...]) -> State:
    """misses if any check misses, else unknown if any is unknown, else meets."""
    states = {check.state for check in checks}
    return "misses" if "misses" in states else "unknown" if "unknown" in states else "meets"
