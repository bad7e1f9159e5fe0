"""provenance.json: a valid in-toto statement with SLSA's predicate, over every file that a signature is of."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from edgecut.handoff.statement import provenance
from edgecut.records.artifact import sha256_of
from edgecut.records.lock import value_hashes
from edgecut.records.report import Report
from tests.handoff.test_bundle import artifacts_in, bundle, report_of

SCHEMA = json.loads((Path(__file__).parent / "schemas" / "slsa_provenance_v1.schema.json").read_text())
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def valid(statement: object) -> None:
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.Draft202012Validator(SCHEMA, format_checker=checker).validate(json.loads(json.dumps(statement)))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return report_of(artifacts_in(tmp_path_factory.mktemp("models"), ("int8.tflite",)))


def test_the_statement_of_a_bundle_is_valid_and_has_all_its_files(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "dist")
    statement = json.loads((folder / "provenance.json").read_text())
    valid(statement)
    own = {"provenance.json", "manifest.json", "manifest.sha256"}
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    assert {row["name"]: row["digest"]["sha256"] for row in statement["subject"]} == {
        name: sha256_of(path) for name, path in files.items() if name not in own
    }


def test_the_statement_tells_what_was_read_with_what_and_by_whom(report: Report) -> None:
    source = report.source.model_copy(update={"sha256": "ab" * 32, "files": {"w.bin": "cd" * 32}})
    environment = report.environment.model_copy(update={"packages": {"keras": "3.15.1"}, "threads": 8})
    report = report.model_copy(update={"source": source, "environment": environment})
    inputs = {"source.model": "ab" * 32, "data.train": "ef" * 32}
    statement = provenance(report, {"commit": COMMIT, "dirty": False}, inputs, {"a": "12" * 32, "provenance.json": "x"})
    valid(statement)
    assert statement["subject"] == [{"name": "a", "digest": {"sha256": "12" * 32}}]
    assert statement["predicate"] == {
        "buildDefinition": {
            "buildType": "urn:edgecut:build:1",
            "externalParameters": {
                "recipe": report.recipe,
                "profiles": value_hashes({"host": report.profiles[0]}),
            },
            "internalParameters": {"threads": 8},
            "resolvedDependencies": [
                {"name": "data.train", "digest": {"sha256": "ef" * 32}},
                {"name": "source.model", "digest": {"sha256": "ab" * 32}},
                {"name": "source.model:w.bin", "digest": {"sha256": "cd" * 32}},
                {"name": "recipe", "digest": {"gitCommit": COMMIT}, "annotations": {"dirty": False}},
                {"name": "keras", "uri": "pkg:pypi/keras@3.15.1"},
            ],
        },
        "runDetails": {
            "builder": {"id": "urn:edgecut:builder:own", "version": {"edgecut": report.edgecut, "python": "3.11"}},
        },
    }


def test_a_published_model_that_has_no_hash_is_told_by_its_name(report: Report) -> None:
    source = report.source.model_copy(update={"path": "keras:MobileNetV2?alpha=0.35", "sha256": ""})
    statement = provenance(report.model_copy(update={"source": source}), {"commit": COMMIT}, {}, {"a": "12" * 32})
    valid(statement)
    assert statement["predicate"]["buildDefinition"]["resolvedDependencies"] == [
        {"name": "source.model", "uri": "keras:MobileNetV2?alpha=0.35"},
        {"name": "recipe", "digest": {"gitCommit": COMMIT}},
    ]
