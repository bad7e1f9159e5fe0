"""sbom.cdx.json: what a bundle was made of, in CycloneDX 1.6.

Not by cyclonedx-python-lib: its 11.12 has neither `modelCard` (inputs, outputs, accuracy) nor `data` (data sets) of a
component, both are commented out in cyclonedx/model/component.py. Its schema validates the document in the tests.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from edgecut.handoff.model_card import accuracy_interval, limits
from edgecut.handoff.reproducible import TIMED
from edgecut.records.artifact import Artifact
from edgecut.records.measurement import Measurement
from edgecut.records.recipe import Recipe
from edgecut.records.report import Report


def sbom(report: Report, recipe: Recipe, hashes_of: Mapping[str, str]) -> dict[str, object]:
    """The document: the model and its files, source model and data with their hashes, tools with their versions.

    hashes_of: {recipe key: SHA-256} of what the build read.

    Without a time, so that the same inputs give the same bytes; the serial number comes from the artifacts' hashes.
    """
    hashes = "".join(artifact.sha256 for artifact in report.artifacts)
    main = f"model:{recipe.name}"
    inputs = list(_inputs(report, recipe, hashes_of))
    files = [_file(report, recipe, artifact) for artifact in report.artifacts]
    tools = [{"type": "application", "name": "edgecut", "version": report.edgecut}]
    tools += [
        {"type": "library", "name": name, "version": version, "purl": f"pkg:pypi/{name}@{version}"}
        for name, version in report.environment.packages.items()
    ]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'edgecut:{recipe.name}:{hashes}')}",
        "version": 1,
        "metadata": {
            "component": {"type": "machine-learning-model", "bom-ref": main, "name": recipe.name},
            "tools": {"components": tools},
        },
        "components": [*files, *inputs],
        "dependencies": [
            {"ref": main, "dependsOn": [file["bom-ref"] for file in files]},
            *({"ref": file["bom-ref"], "dependsOn": [row["bom-ref"] for row in inputs]} for file in files),
        ],
    }


def _file(report: Report, recipe: Recipe, artifact: Artifact) -> dict[str, object]:
    card: dict[str, object] = {
        "modelParameters": {
            "datasets": [{"ref": f"data:{key}"} for key in ("train", "val") if getattr(recipe.data, key)],
            "inputs": [{"format": _format(spec.dtype, spec.shape)} for spec in artifact.inputs],
            "outputs": [{"format": _format(spec.dtype, spec.shape)} for spec in artifact.outputs],
        }
    }
    metrics = [_metric(row) for row in report.measurements if row.artifact == artifact.name and _scores(row)]
    if metrics:
        card["quantitativeAnalysis"] = {"performanceMetrics": metrics}
    known = list(limits(report))
    if known:
        card["considerations"] = {"technicalLimitations": known}
    return {
        "type": "machine-learning-model",
        "bom-ref": f"file:{artifact.path}",
        "name": artifact.path,
        "hashes": [_sha256(artifact.sha256)],
        "modelCard": card,
    }


def _scores(row: Measurement) -> bool:
    """Whether a figure says how well a file answers, not what it costs."""
    return row.value is not None and row.kind == "measured" and row.metric not in {*TIMED, "size", "arena"}


def _metric(row: Measurement) -> dict[str, object]:
    metric: dict[str, object] = {"type": row.metric, "value": f"{row.value:.6g}"}
    ends = accuracy_interval(row)
    if ends is not None:
        metric["confidenceInterval"] = {"lowerBound": f"{ends[0]:.6g}", "upperBound": f"{ends[1]:.6g}"}
    return metric


def _inputs(report: Report, recipe: Recipe, hashes_of: Mapping[str, str]) -> Iterator[dict[str, object]]:
    source: dict[str, object] = {
        "type": "machine-learning-model",
        "bom-ref": "source",
        "name": _name(report.source.path),
    }
    source |= _licensed(recipe.source.licence)
    if report.source.sha256:
        source["hashes"] = [_sha256(report.source.sha256)]
    yield source
    for name, digest in report.source.files.items():
        yield {"type": "machine-learning-model", "bom-ref": f"source:{name}", "name": name, "hashes": [_sha256(digest)]}
    for key, given in (("train", recipe.data.train), ("val", recipe.data.val), ("labels", recipe.data.labels_file)):
        if given:
            known = hashes_of.get(f"data.{key}")
            yield {
                "type": "data",
                "bom-ref": f"data:{key}",
                "name": Path(given).name,
                **({} if known is None else {"hashes": [_sha256(known)]}),
                "data": [{"type": "dataset", "name": key}],
                **_licensed("" if key == "labels" else recipe.data.licence),
            }


def _licensed(licence: str) -> dict[str, object]:
    return {"licenses": [{"license": {"name": licence}}]} if licence else {}


def _name(path: str) -> str:
    return path if path.startswith("keras:") else Path(path).name


def _sha256(digest: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": digest}


def _format(dtype: str, shape: tuple[int, ...]) -> str:
    return f"{dtype} {'x'.join(str(size) for size in shape)}"
