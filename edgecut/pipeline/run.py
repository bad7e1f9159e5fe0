"""A plan carried out into a folder that appears whole or not at all, or taken from the cache."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypedDict, Unpack

from edgecut.bench.judge import judge, slower_notes
from edgecut.bench.usage import file_uses
from edgecut.cache.facts import versions
from edgecut.errors import OutputError, RequestError
from edgecut.graph.threads import threads
from edgecut.handoff.output import output_folder
from edgecut.handoff.signatures import sign as sign_bundle
from edgecut.handoff.signatures import signing
from edgecut.pipeline.bundle import complete, restored
from edgecut.pipeline.cached import WORK, Cache, build_store, file_store, named
from edgecut.pipeline.lock import changed_tables, check_lock, input_hashes, lock_of, lock_path
from edgecut.pipeline.output_names import with_own_names
from edgecut.pipeline.plan import Plan, plan, read_paths
from edgecut.pipeline.values import Body, Checked, Done
from edgecut.records.environment import Environment
from edgecut.records.finite import finite
from edgecut.records.keywords import check_keywords
from edgecut.records.lock import Lock, lock_text
from edgecut.records.profile import Profile
from edgecut.records.profile_files import find_profile
from edgecut.records.progress import SILENT, Progress
from edgecut.records.recipe import Recipe, check_consent, read_recipe
from edgecut.records.report import Report, Step, overall
from edgecut.version import __version__
from edgecut.whole import write_whole


def build(
    recipe: Recipe | str | Path,
    profiles: Sequence[Profile | str] = (),
    out: str | Path = "dist",
    *,
    force: bool = False,
    cache: bool = True,
    unsafe: bool = False,
    **options: Unpack[BuildOptions],
) -> Report:
    """The report of a whole build, whose bundle is then in `out`.

    recipe: a Recipe or a recipe file. profiles: Profiles, ids or files; default: this host.
    force: replace an existing `out`, which stays as it was if the build fails. cache: take steps of which nothing has
    changed from earlier builds. unsafe: let a recipe file whose source.unsafe is true run code that comes with its
    model. locked: refuse inputs and versions other than the recipe's lock has. progress: who is told of the steps.
    Raises RequestError before anything is started, StepError for a step that failed.

    >>> report = edgecut.build("recipe.toml", ["nucleo-l4r5zi"], "dist")
    >>> report.status, [(check.metric, check.state) for check in report.checks]
    ('meets', [('size', 'meets'), ('arena', 'meets')])
    """
    check_keywords("build", options, BuildOptions)
    file = None if isinstance(recipe, Recipe) else Path(recipe)
    request = recipe if isinstance(recipe, Recipe) else read_recipe(Path(recipe))
    if file is not None and not unsafe:
        check_consent(request, str(file), "pass unsafe=True")
    devices = [profile if isinstance(profile, Profile) else find_profile(profile) for profile in profiles]
    planned = plan(request, devices, Path(out), force, file)
    return run(planned, Path(out), force=force, cache=cache, **options)


class BuildOptions(TypedDict, total=False):
    """The keywords of edgecut.build beside its arguments."""

    locked: bool
    progress: Progress


def run(
    plan: Plan,
    out: Path,
    *,
    force: bool = False,
    cache: bool = True,
    locked: bool = False,
    sign: str | None = None,
    progress: Progress = SILENT,
) -> Report:
    """Carry out a plan into the folder `out`; the same as `build`, for a request that was checked already.

    A recipe from a file gets a lock beside it; of one that can't be written the result's notes tell. sign: a key of
    minisign or OpenSSH, or the word "sigstore", that signs the bundle.
    """
    if sign is not None:
        signing(sign)
    files = file_store(plan.recipe.name) if cache else None
    inputs = input_hashes(plan.recipe, files)
    lock = None if plan.recipe_file is None else lock_path(plan.recipe_file)
    now, by_flags = lock_of(inputs, named(plan), plan.profiles), _is_by_flags(plan)
    if locked:
        if lock is None:
            raise RequestError("--locked: needs a recipe file, whose lock lies beside it; write one with `edgecut new`")
        check_lock(lock, now, by_flags=by_flags)
    store, no_place = None, ""
    if cache and not _has_custom_classes():
        try:
            store = build_store(plan)
        except OutputError as exc:
            no_place = str(exc)
    with output_folder(out, force, keep=read_paths(plan.recipe, plan.recipe_file)) as folder:
        report = _bundled(Cache(store, plan, inputs, folder, files), no_place, progress)
        if sign is not None:
            sign_bundle(folder, sign)
    told = "" if lock is None or locked else _locked_anew(lock, now, by_flags)
    return report.model_copy(update={"notes": (*report.notes, told)}) if told else report


def _locked_anew(lock: Path, now: Lock, by_flags: bool) -> str:
    """Writes the lock of a recipe, unless flags changed the recipe for this build alone; why it wasn't written."""
    changed = changed_tables(lock, now) if by_flags else ()
    if changed:
        return (
            f"{lock}: stays as it is, since flags changed the recipe's {', '.join(changed)} for this build alone; "
            "remove it before a build that is to lock them"
        )
    try:
        write_whole(lock, lock_text(now).encode())
    except OSError as exc:
        reason = (exc.strerror or "the system refuses").lower()
        return f"{lock}: the lock couldn't be written ({reason}), and --locked would need it there"
    return ""


def _is_by_flags(plan: Plan) -> bool:
    """Whether flags changed what the recipe's file says."""
    if plan.recipe_file is None:
        return False
    return with_own_names(read_recipe(plan.recipe_file, {}, plan.root)) != plan.recipe


def exit_code(report: Report, strict: bool = False) -> int:
    """0 if every budget is met, 1 if one is missed; one that is unknown counts only if `strict`."""
    return 1 if report.status == "misses" or (strict and report.status == "unknown") else 0


def environment() -> Environment:
    """What a run's numbers depend on."""
    return Environment(python=platform.python_version(), platform=platform.platform(), packages=versions())


def _has_custom_classes() -> bool:
    """Whether results depend on code of the caller's own; nobody can have registered any before Keras is imported."""
    if "keras" not in sys.modules:
        return False
    from edgecut.graph.custom import has_custom_classes

    return has_custom_classes()


def _bundled(cache: Cache, no_place: str, progress: Progress) -> Report:
    """The report of the bundle in the cache's folder. no_place: why nothing is kept, "" if it is."""
    report = restored(cache)
    if report is not None:
        return report
    from edgecut.graph.quiet import import_keras_quietly

    with progress.task("starting TensorFlow"):
        import_keras_quietly()
    from edgecut.pipeline.build import build_files

    body, done = build_files(cache, progress)
    report = _report(cache, body, done, no_place)
    with progress.task("bundle"):
        shutil.rmtree(cache.folder / WORK, ignore_errors=True)
        complete(cache, report, body.feed, done, keep=not no_place)
    return report


def _step_notes(steps: Sequence[Step]) -> Iterator[str]:
    """What stands in the report's head of the steps: what was assumed, and what was lost.

    What a stem loses is lost before any accuracy is measured.
    """
    for step in steps:
        if step.name == "stem":
            yield from (f"stem: {note}" for note in step.notes[1:])
        elif step.name == "check":
            yield from (f"check: {note}" for note in step.notes)
        yield from (f"{step.name}: {sentence}" for sentence in step.losses)


def _report(cache: Cache, body: Body, done: Done[Checked], no_place: str) -> Report:
    plan, checked, request = cache.plan, done.value, named(cache.plan)
    checks = judge(plan.recipe, plan.profiles, checked.artifacts, checked.measurements)
    slower = slower_notes(plan.profiles, checked.artifacts, checked.measurements)
    notes = dict.fromkeys(
        note for note in (*plan.notes, *_step_notes(done.steps), *slower, *done.notes, no_place) if note
    )
    # Where a training's last bits depend on the number of threads.
    trained = {"threads": threads()} if plan.recipe.trains else {}
    report = Report(
        edgecut=__version__,
        status=overall(checks),
        recipe=request.to_dict(),
        profiles=tuple(profile.to_dict() for profile in plan.profiles),
        environment=environment().model_copy(update=trained),
        source=body.source.facts.model_copy(update={"path": request.source.model}),
        steps=done.steps,
        artifacts=checked.artifacts,
        measurements=checked.measurements,
        checks=checks,
        notes=tuple(notes),
        trials=checked.trials,
        explanations=checked.explanations,
        decisions=checked.decisions,
        uses=file_uses(cache.folder, checked.artifacts, plan.profiles),
    )
    return finite(report, "report.json")
