"""How long a device that can't be reached takes and what memory it needs: from its facts, with their error band."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from edgecut.bench.fits import has_arena
from edgecut.bench.priced import MANY_CORES, evidence, here, priced, unknown_threads
from edgecut.bench.terms import ALIKE, Tiles, group_of, terms
from edgecut.export.readback import tflite_precision
from edgecut.records.measurement import Measurement, measured, missing
from edgecut.records.profile import Calibrated, LatencyFacts, Profile, Work
from edgecut.tflite import x_cube_ai
from edgecut.tflite.arena import cortex_m_arena_bytes, cortex_m_error, esp_nn_arena_bytes
from edgecut.tflite.flatbuffer import Operator, TfliteGraph, per_operator
from edgecut.tflite.layers import called
from edgecut.tflite.ops import macs_by_class, not_modelled, weight_scheme
from edgecut.tflite.scratch import esp_nn_plain_requests, esp_nn_s3_requests

METHOD = "from the profile's latency facts"
PLANNER = "greedy planner with kernel scratch, tail fitted on four networks built for a Cortex-M4"
ST_PLANNER = "outputs over inputs as ST's runtime plans, fitted on published figures of rebuilt nets"
ESP_NN_PLANNER = "greedy planner with ESP-NN's scratch as its source asks for it, not confirmed on a device"

NO_TIME = (
    "no time of generated C on a board is known; `--runner qemu` counts its instructions, which are no time: wait "
    "states, caches and dual issue are invisible there"
)

# Cores without Helium, for which the rule of tflite/arena.py holds.
DSP_CORES = ("cortex-m4", "cortex-m7", "cortex-m33")
# The rule for the scratch of ESP-NN's kernels on a core.
ESP_NN_CORES = {"xtensa-lx6": esp_nn_plain_requests, "xtensa-lx7": esp_nn_s3_requests}
# What a profile says of kernels that are TFLM's own.
PLAIN = ("", "reference")


def predict_latency(graph: TfliteGraph, profile: Profile, artifact: str, threads: int | None = None) -> Measurement:
    """The latency in seconds that the profile's facts give for a graph: estimated, or simulated.

    Prices that were fitted on the machine itself, or to published nets; cycles per multiply-accumulate by class over
    the clock, or one rate of multiply-accumulates per second. `error` is the profile's error_p90, or the precision's
    own of the prices, wider for a graph that is unlike what was measured. threads: of the device's runtime, where
    somebody asks for a number; by default what the facts were measured with.
    Where an operator isn't modelled, the value is a lower bound: conditions["at_least"] is True and
    conditions["not_modelled"] lists the operators.
    Without facts, a clock or anything to count, or in a precision that the facts don't cover, the value is
    None with the reason.
    """
    facts = profile.latency
    if facts is None and profile.runtime.name == "c":
        return _missing(profile, artifact, NO_TIME)
    if facts is None:
        return _missing(profile, artifact, f"profile {profile.id!r} has no latency facts")
    precision = tflite_precision(graph)
    if precision not in profile.runtime.precisions:
        runs = ", ".join(profile.runtime.precisions)
        return _missing(profile, artifact, f"the file computes in {precision}, and profile {profile.id!r} runs {runs}")
    # A file that isn't written yet tells no scales; what edgecut writes is quantized per channel.
    scheme = weight_scheme(graph) or "per-channel"
    if profile.runtime.weights and scheme != profile.runtime.weights:
        reason = (
            f"profile {profile.id!r} is of files with weights quantized {profile.runtime.weights}, and this one's are"
        )
        return _missing(profile, artifact, f"{reason} {scheme}")
    if facts.calibrated:
        return _by_prices(graph, facts, profile, precision, artifact)
    # Files with float16 weights compute in float32.
    computed = "float32" if precision == "float16" else precision
    table = next((table for table in facts.work if table.precision == computed), None)
    if table is not None:
        return _by_work(graph, facts, table, profile, artifact, threads)
    if threads is not None and profile.class_ in MANY_CORES:
        return _missing(
            profile, artifact, f"nothing tells what {threads} threads change of the facts of {profile.id!r}"
        )
    seconds, method = _seconds(graph, facts, profile, precision)
    if seconds is None:
        return _missing(profile, artifact, method)
    unknown = not_modelled(graph)
    conditions: dict[str, object] = {"precision": precision, "error_p50": facts.error_p50}
    if facts.nets is not None:
        conditions |= {"nets": facts.nets, "families": facts.families}
    if unknown:
        conditions |= {"at_least": True, "not_modelled": list(unknown)}
    return measured(
        "latency",
        artifact,
        [seconds],
        profile=profile.id,
        kind=_kind(profile),
        where=profile.id,
        method=method,
        error=facts.error_p90,
        conditions=conditions,
    )


def predict_arena(graph: TfliteGraph, profile: Profile, artifact: str) -> Measurement | None:
    """TFLM's whole arena in bytes, estimated; None where `unknown_scratch` says why there is no rule for it.

    error: of the rule that was checked against binaries built for a Cortex-M4, for cores like it. ESP-NN's scratch was
    read from its source alone, so all of it is added to that band. A profile's own measured arenas go before: what they
    are beside the rule's, or beside the reference kernels' where there is none.
    """
    own = profile.arena
    if own is None or profile.runtime.name == "c" or not has_arena(profile):
        return _arena_by_rule(graph, profile, artifact)
    value = round(usual_arena_bytes(graph, profile) * own.ratio)
    method = f"{PLANNER}, times {own.ratio:.3g} by {own.files} measured files"
    return arena_estimate(value, profile, artifact, method, own.error)


def usual_arena_bytes(graph: TfliteGraph, profile: Profile) -> int:
    """What measured arenas are held against: the rule's bytes for the profile, or those of the reference kernels."""
    found = _arena_by_rule(graph, profile, "")
    return cortex_m_arena_bytes(graph, "reference") if found is None or not found.value else int(found.value)


def _arena_by_rule(graph: TfliteGraph, profile: Profile, artifact: str) -> Measurement | None:
    kernels = profile.runtime.kernels.lower()
    if kernels == x_cube_ai.KERNELS and profile.runtime.name == "vendor":
        return _st_arena(graph, profile, artifact)
    if profile.runtime.name != "tflm" or unknown_scratch(graph, profile):
        return None
    if "cmsis" in kernels:
        value = cortex_m_arena_bytes(graph)
        return arena_estimate(value, profile, artifact, PLANNER, cortex_m_error(value))
    if kernels in PLAIN and not _like_cortex_m4(profile):
        return None
    plain = cortex_m_arena_bytes(graph, "reference")
    if kernels in PLAIN:
        return arena_estimate(plain, profile, artifact, PLANNER, cortex_m_error(plain))
    value = esp_nn_arena_bytes(graph, _esp_nn(profile)) or plain
    error = cortex_m_error(value) + max(0, value - plain) / value
    return arena_estimate(value, profile, artifact, ESP_NN_PLANNER, error)


def _st_arena(graph: TfliteGraph, profile: Profile, artifact: str) -> Measurement:
    """Activations with input and output, and the RAM of ST's runtime itself; its flash is in the conditions."""
    version = profile.runtime.version
    activations = x_cube_ai.activation_bytes(graph, x_cube_ai.planning(version))
    resident = x_cube_ai.runtime_bytes(graph, version)
    found = arena_estimate(activations + resident, profile, artifact, ST_PLANNER, x_cube_ai.ERROR)
    parts = {"activation_bytes": activations, "runtime_bytes": resident}
    return found.model_copy(update={"conditions": found.conditions | parts})


def predict_flash(graph: TfliteGraph, profile: Profile, artifact: str) -> Measurement | None:
    """The weights and the runtime's code in bytes, estimated; None for a runtime of which no rule is known."""
    if profile.runtime.kernels.lower() != x_cube_ai.KERNELS:
        return None
    weights, code = x_cube_ai.weights_bytes(graph), x_cube_ai.code_bytes(graph, profile.runtime.version)
    parts: dict[str, object] = {"weights_bytes": weights, "code_bytes": code}
    return measured(
        "flash",
        artifact,
        [weights + code],
        profile=profile.id,
        kind="estimated",
        where=profile.id,
        method="weights as they are, code fitted on published figures of rebuilt nets",
        error=x_cube_ai.FLASH_ERROR,
        conditions=parts,
    )


def unknown_scratch(graph: TfliteGraph, profile: Profile) -> str:
    """Why it isn't known what the kernels of a profile's TFLM ask for beyond TFLM's own; "" where it is."""
    kernels, core = profile.runtime.kernels.lower(), profile.cpu.core or "this core"
    if kernels in PLAIN:
        return ""
    if "cmsis" in kernels:
        return "" if _like_cortex_m4(profile) else f"the scratch of CMSIS-NN's kernels on {core} isn't known"
    if kernels != "esp-nn":
        return f"the scratch of {profile.runtime.kernels}'s kernels isn't known"
    if profile.cpu.core.lower() not in ESP_NN_CORES:
        return f"the scratch of ESP-NN's kernels on {core} isn't known"
    sizes = zip(graph.operators, per_operator(graph, _esp_nn(profile)), strict=True)
    unknown = next((operator for operator, size in sizes if size is None), None)
    return "" if unknown is None else f"the scratch of ESP-NN's kernel for {called(graph, unknown)} isn't known"


def _like_cortex_m4(profile: Profile) -> bool:
    return profile.cpu.core.lower().removesuffix("f") in DSP_CORES


def _esp_nn(profile: Profile) -> Callable[[TfliteGraph, Operator], tuple[int, ...] | None]:
    return ESP_NN_CORES[profile.cpu.core.lower()]


def arena_estimate(value: int, profile: Profile, artifact: str, method: str, error: float | None = None) -> Measurement:
    """An arena of `value` bytes on the profile's device, estimated."""
    conditions: dict[str, object] = {"kernels": profile.runtime.kernels, "pointers": "32 bits"}
    return measured(
        "arena",
        artifact,
        [value],
        profile=profile.id,
        kind="estimated",
        where=profile.id,
        method=method,
        error=error,
        conditions=conditions,
    )


def _by_prices(graph: TfliteGraph, facts: LatencyFacts, profile: Profile, precision: str, artifact: str) -> Measurement:
    """From prices that were fitted on the machine itself; `error` is their own, of the precision."""
    table = next((table for table in facts.calibrated if table.precision == precision), None)
    if table is None:
        timed = " and ".join(table.precision for table in facts.calibrated)
        return _missing(
            profile, artifact, f"profile {profile.id!r} was calibrated for {timed}, and this is {precision}"
        )
    known = {ALIKE.get(name, name) for name in table.operators}
    unknown = sorted({op.name for op in graph.operators if op.custom or group_of(op) not in known})
    conditions: dict[str, object] = {"precision": precision, "error_p50": table.error_p50}
    conditions["timed_files"] = table.files
    if unknown:
        conditions |= {"at_least": True, "not_modelled": unknown}
    return measured(
        "latency",
        artifact,
        [priced_seconds(graph, table)],
        profile=profile.id,
        kind="estimated",
        where=profile.id,
        method=f"prices fitted to {table.files} timed files ({facts.basis})",
        error=table.error_p90,
        conditions=conditions,
    )


def _by_work(
    graph: TfliteGraph, facts: LatencyFacts, table: Work, profile: Profile, artifact: str, threads: int | None
) -> Measurement:
    """From prices that were fitted to published nets, at the profile's clock, version of the runtime and threads."""
    unknown = unknown_threads(table, profile, threads)
    found = None if unknown else priced(graph, table)
    if found is None:
        return _missing(profile, artifact, unknown or "the file has no operator whose work could be counted")
    conditions: dict[str, object] = {"precision": tflite_precision(graph), "error_p50": found.error_p50}
    conditions |= {"nets": table.nets, "families": table.families} | found.unlike()
    if threads or table.threads:
        conditions["threads"] = threads or table.threads
    unmodelled = not_modelled(graph)
    if unmodelled:
        conditions |= {"at_least": True, "not_modelled": list(unmodelled)}
    return measured(
        "latency",
        artifact,
        [found.seconds * here(table, profile, threads)],
        profile=profile.id,
        kind=_kind(profile),
        where=profile.id,
        method=f"{evidence(table)}{_basis(facts)}",
        error=found.error_p90,
        conditions=conditions,
    )


def priced_seconds(graph: TfliteGraph, table: Calibrated) -> float:
    """The time that a machine's prices give for a graph; work without a price counts nothing."""
    amounts = terms(graph, Tiles(*table.tiles))
    return sum(amount * table.seconds.get(name, 0.0) for name, amount in amounts.items())


def _seconds(graph: TfliteGraph, facts: LatencyFacts, profile: Profile, precision: str) -> tuple[float | None, str]:
    """(seconds, method), or (None, the reason why there are none)."""
    counts = macs_by_class(graph)
    if not sum(counts.values()):
        return None, "the file has no operator with multiply-accumulates that could be counted"
    basis = _basis(facts)
    cycles = {"conv": facts.conv, "depthwise": facts.depthwise, "dense": facts.dense}
    if any(value is not None for value in cycles.values()):
        return _by_cycles(counts, cycles, profile, precision, basis)
    rate = {
        "float32": facts.float32_macs_per_s,
        "float16": facts.float32_macs_per_s,
        "int8": facts.int8_macs_per_s,
    }.get(precision)
    if rate is None:
        return None, f"profile {profile.id!r} has no latency facts for {precision}"
    return sum(counts.values()) / rate, f"MACs / MACs per second of {precision}{basis}"


def _by_cycles(
    counts: dict[str, int], cycles: dict[str, float | None], profile: Profile, precision: str, basis: str
) -> tuple[float | None, str]:
    if precision != "int8":
        return None, f"profile {profile.id!r} has cycles per MAC of int8 files, and this one is {precision}"
    if profile.cpu.clock_hz is None:
        return None, f"profile {profile.id!r} has cycles per MAC and no cpu.clock_hz"
    total = 0.0
    for name, count in counts.items():
        per_mac = cycles[name]
        if count and per_mac is None:
            return None, f"profile {profile.id!r} has no latency.{name}, and the file has {count} such MACs"
        total += count * (per_mac or 0.0)
    return total / profile.cpu.clock_hz, f"cycles per MAC by operator class / clock{basis}"


def _basis(facts: LatencyFacts) -> str:
    return f" ({facts.basis})" if facts.basis else ""


def _kind(profile: Profile) -> Literal["simulated", "estimated"]:
    return "simulated" if profile.latency is not None and profile.latency.kind == "simulated" else "estimated"


def _missing(profile: Profile, artifact: str, reason: str) -> Measurement:
    return missing("latency", artifact, reason, where=profile.id, method=METHOD, profile=profile.id)
