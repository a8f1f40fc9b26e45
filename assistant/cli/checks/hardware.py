"""Checks the board: is it recognized, and does it have enough memory, disk space and speed?"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from assistant.app import memory_fit, model_choice
from assistant.board import core_plan, health, storage
from assistant.board.recognise import recognise
from assistant.cli.checks.finding import Check, Finding, Patient
from assistant.core.errors import AssistantError
from assistant.store import Entry

SPARE_DISK_MB = 500
"""Enough for logs, saved prompt states and an update of the program."""

SWAPPED_MB = 100
"""Any system that has run for a while swaps out less than this."""


def _board(patient: Patient) -> Iterator[Finding]:
    board = recognise(patient.root)
    yield Finding("board", ok=True, what=f"{board.name}: {board.why}; {board.equipment}")


def _cores(patient: Patient) -> Iterator[Finding]:
    """Report which core does what, and settings that use more cores than there are."""
    settings = patient.settings
    plan = core_plan.plan(
        patient.root,
        most_threads=settings.most_threads,
        chosen=settings.cores.engines,
        pin=settings.cores.pin,
    )
    counts = {kind: getattr(settings, kind).threads for kind in ("stt", "llm", "tts")}
    too_many = [f"{kind}.threads" for kind, count in counts.items() if count > len(plan.engines)]
    if too_many:
        step = f"Leave {' and '.join(too_many)} at 0: surplus threads wait for each other."
        yield Finding("cores", ok=None, what=str(plan), next_step=step)
    else:
        yield Finding("cores", ok=True, what=str(plan))


def _memory(patient: Patient) -> Iterator[Finding]:
    """Compare what the chosen models need with the available memory."""
    try:
        found = memory_fit.plan(patient.settings, patient.root)
    except AssistantError:  # the model's own check reports its problem
        found = None
    if found is None:
        yield _memory_by_catalogue(patient)
        return
    advice = memory_fit.advice(found.remedy, patient.settings)
    if found.fits is None:
        yield Finding("memory", ok=None, what=str(found))
    elif found.need.needed > (found.room.total or found.need.needed):
        yield Finding("memory", ok=False, what=str(found), next_step=advice)
    elif not found.fits:
        yield Finding("memory", ok=None, what=str(found), next_step=f"Close other programs. {advice}")
    elif found.tight:
        step = (
            "It fits, but by less than the plan's margin of error. A smaller "
            "llm.context_tokens would be safer."
        )
        yield Finding("memory", ok=None, what=str(found), next_step=step)
    else:
        yield Finding("memory", ok=True, what=str(found))


def _memory_by_catalogue(patient: Patient) -> Finding:
    """Use the catalog's estimates, which don't require the models to be installed."""
    have_mb, free_mb = recognise(patient.root).memory_mb, health.available_mb(patient.root)
    need_mb = sum(entry.ram_mb or 0 for entry in _chosen(patient))
    what = f"the models need about {need_mb} MB; {free_mb} of {have_mb} MB is free"
    smaller = "Choose a smaller llm.model. `assistant models list --fit` shows what each needs."
    if not have_mb or free_mb is None:
        what = f"the models need about {need_mb} MB; free memory is unknown"
        return Finding("memory", ok=None, what=what)
    if need_mb > have_mb:
        return Finding("memory", ok=False, what=what, next_step=smaller)
    if need_mb > free_mb:
        return Finding("memory", ok=None, what=what, next_step=f"Close other programs. {smaller}")
    return Finding("memory", ok=True, what=what)


def _swap(patient: Patient) -> Iterator[Finding]:
    used_mb = health.swap_used_mb(patient.root)
    if used_mb is None or used_mb < SWAPPED_MB:
        yield Finding("swap", ok=True, what="not in use")
    else:
        step = "Answers stall when models are swapped out. Close other programs, or choose smaller models."
        yield Finding("swap", ok=None, what=f"{used_mb} MB of memory is swapped out", next_step=step)


def _disk(patient: Patient) -> Iterator[Finding]:
    """Check for disk space for the chosen models that aren't installed yet."""
    folder = next(place for place in (patient.models, *patient.models.parents) if place.exists())
    free_mb = shutil.disk_usage(folder).free // 1_000_000
    missing_mb = sum(entry.size_bytes for entry in _chosen(patient) if entry.state == "missing") // 1_000_000
    what = f"{free_mb} MB is free in {folder}"
    if free_mb < missing_mb:
        step = f"Free up {missing_mb - free_mb} MB, or set store.models to a folder on a larger disk."
        yield Finding("disk", ok=False, what=f"{what}; missing models need {missing_mb} MB", next_step=step)
    elif free_mb < missing_mb + SPARE_DISK_MB:
        yield Finding("disk", ok=None, what=what, next_step="Free up some space for logs and updates.")
    else:
        yield Finding("disk", ok=True, what=what)


def _storage(patient: Patient) -> Iterator[Finding]:
    """Measure how fast the language model is read from disk, at startup and after its pages were dropped."""
    if not patient.settings.llm.needs_model:
        return
    file = storage.largest_file(patient.models / model_choice.choice(patient.settings).model)
    if file is None:
        yield Finding("storage", ok=None, what="the language model is not installed")
        return
    rate = storage.read_rate(file)
    if rate is None:
        yield Finding("storage", ok=None, what=f"the read speed of {file} cannot be measured")
        return
    medium = storage.medium(file, patient.root)
    seconds = file.stat().st_size / rate.bytes_per_s
    how = "bypassing the cache" if rate.direct else "possibly from the cache"
    what = (
        f"{medium or 'the disk'} reads the language model at "
        f"{rate.bytes_per_s / 1e6:.0f} MB/s ({how}): {seconds:.0f} s to load all "
        "of it"
    )
    if storage.is_slow(rate):
        yield Finding("storage", ok=None, what=what, next_step=storage.ADVICE)
    else:
        yield Finding("storage", ok=True, what=what)


def _speed(patient: Patient) -> Iterator[Finding]:
    governor, is_slow = health.governor(patient.root)
    throttled = health.throttling(patient.root)
    if is_slow:
        files = "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
        step = f"Let the clock follow the load until the next boot: echo ondemand | sudo tee {files}"
        what = f"the clock governor '{governor}' keeps the CPU slow"
        yield Finding("speed", ok=None, what=what, next_step=step)
    for problem in throttled:
        step = "Use the board's original power supply, and a heat sink or fan."
        yield Finding("speed", ok=None, what=f"the firmware reports: {problem}", next_step=step)
    if not is_slow and not throttled:
        hottest_c = health.hottest_c(patient.root)
        clock = f", and the clock governor is '{governor}'" if governor else ""
        heat = "" if hottest_c is None else f"; its hottest sensor is at {hottest_c:.0f} °C"
        yield Finding("speed", ok=True, what=f"the CPU is not throttled{clock}{heat}")


def _chosen(patient: Patient) -> list[Entry]:
    """Return the models named in the settings, as far as they are known."""
    names = {
        patient.settings.stt.model,
        model_choice.choice(patient.settings).model,
        patient.settings.tts.model,
    }
    return [entry for entry in patient.store().entries() if entry.name in names]


CHECKS: dict[str, Check] = {
    "board": _board,
    "cores": _cores,
    "memory": _memory,
    "swap": _swap,
    "disk": _disk,
    "storage": _storage,
    "speed": _speed,
}
