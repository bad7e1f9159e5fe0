"""provenance.json: who made a bundle's files of what, as an in-toto statement with SLSA's predicate of provenance.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md, https://slsa.dev/spec/v1.1/provenance
Without a time, as the other documents: what isn't said can't differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edgecut.graph.saved import PREFIX
from edgecut.records.lock import value_hashes
from edgecut.records.report import Report

BUILD_TYPE = "urn:edgecut:build:1"
"""What externalParameters hold: the recipe and the profiles, as report.json has them."""

BUILDER = "urn:edgecut:builder:own"
"""The machine of whoever ran edgecut; nobody else vouches for it (SLSA's build level 1)."""


def provenance(
    report: Report, git: Mapping[str, str | bool] | None, inputs: Mapping[str, str], files: Mapping[str, str]
) -> dict[str, object]:
    """The statement over the files of a bundle.

    git: {"commit", "dirty"} of the recipe's folder. inputs: {recipe key: SHA-256} of what the build read. files: {path:
    SHA-256} of the subjects, which are all but this document, the manifest over it and its seal.
    """
    profiles = {str(profile["id"]): profile for profile in report.profiles}
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": path, "digest": {"sha256": digest}}
            for path, digest in sorted(files.items())
            if path != "provenance.json"
        ],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"recipe": report.recipe, "profiles": value_hashes(profiles)},
                "internalParameters": {}
                if report.environment.threads is None
                else {"threads": report.environment.threads},
                "resolvedDependencies": list(_dependencies(report, git, inputs)),
            },
            "runDetails": {
                "builder": {
                    "id": BUILDER,
                    "version": {"edgecut": report.edgecut, "python": report.environment.python},
                },
            },
        },
    }


def _dependencies(
    report: Report, git: Mapping[str, str | bool] | None, inputs: Mapping[str, str]
) -> Iterator[dict[str, object]]:
    hashes = {"source.model": report.source.sha256} | dict(inputs)
    hashes |= {f"source.model:{name}": digest for name, digest in report.source.files.items()}
    for key, digest in sorted(hashes.items()):
        if digest:
            yield {"name": key, "digest": {"sha256": digest}}
        elif report.source.path.startswith(PREFIX):
            yield {"name": key, "uri": report.source.path}  # a published model, fetched by name
    if git is not None:
        marks = {"annotations": {"dirty": git["dirty"]}} if "dirty" in git else {}
        yield {"name": "recipe", "digest": {"gitCommit": str(git["commit"])}, **marks}
    for name, version in sorted(report.environment.packages.items()):
        yield {"name": name, "uri": f"pkg:pypi/{name}@{version}"}
