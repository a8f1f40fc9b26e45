"""Is this board recognised, and has it memory, disk and speed enough?"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from assistant.app import memory_fit
from assistant.board import core_plan, health, storage
from assistant.board.recognise import recognise
from assistant.cli.checks.finding import Check, Finding, Patient
from assistant.core.errors import AssistantError
from assistant.store import Entry

SPARE_DISK_MB = 500
"""Logs, saved prompt states and an update of the program fit into this."""

SWAPPED_MB = 100
"""Less is what any system that has run for a while moves out."""


def _board(patient: Patient) -> Iterator[Finding]:
    board = recognise(patient.root)
    yield Finding("board", ok=True, what=f"{board.name}: {board.why}; {board.equipment}")


def _cores(patient: Patient) -> Iterator[Finding]:
    """Who runs where, and settings that ask for more than there is."""
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
        step = f"Leave {' and '.join(too_many)} at 0: more threads than cores wait for each other."
        yield Finding("cores", ok=None, what=str(plan), next_step=step)
    else:
        yield Finding("cores", ok=True, what=str(plan))


def _memory(patient: Patient) -> Iterator[Finding]:
    """Hold what the chosen models need against what there is."""
    try:
        found = memory_fit.plan(patient.settings, patient.root)
    except AssistantError:  # the model's own check says what is wrong with it
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
        yield Finding("memory", ok=None, what=str(found), next_step=f"End other programs. {advice}")
    elif found.tight:
        step = "It fits by less than a plan may be wrong by: a smaller llm.context_tokens would be safer."
        yield Finding("memory", ok=None, what=str(found), next_step=step)
    else:
        yield Finding("memory", ok=True, what=str(found))


def _memory_by_catalogue(patient: Patient) -> Finding:
    """What the catalogue says that the models take; they need not be here for that."""
    have_mb, free_mb = recognise(patient.root).memory_mb, health.available_mb(patient.root)
    need_mb = sum(entry.ram_mb or 0 for entry in _chosen(patient))
    what = f"the models take about {need_mb} MB; {free_mb} of {have_mb} MB are free"
    smaller = "Choose a smaller llm.model: `assistant models list --fit` shows what each takes."
    if not have_mb or free_mb is None:
        what = f"the models take about {need_mb} MB; how much is free is unknown"
        return Finding("memory", ok=None, what=what)
    if need_mb > have_mb:
        return Finding("memory", ok=False, what=what, next_step=smaller)
    if need_mb > free_mb:
        return Finding("memory", ok=None, what=what, next_step=f"End other programs. {smaller}")
    return Finding("memory", ok=True, what=what)


def _swap(patient: Patient) -> Iterator[Finding]:
    used_mb = health.swap_used_mb(patient.root)
    if used_mb is None or used_mb < SWAPPED_MB:
        yield Finding("swap", ok=True, what="not in use")
    else:
        step = "Answers stall when models are swapped out: end other programs, or choose smaller models."
        yield Finding("swap", ok=None, what=f"{used_mb} MB of memory are swapped out", next_step=step)


def _disk(patient: Patient) -> Iterator[Finding]:
    """Is there room for the chosen models that are not here yet?"""
    folder = next(place for place in (patient.models, *patient.models.parents) if place.exists())
    free_mb = shutil.disk_usage(folder).free // 1_000_000
    missing_mb = sum(entry.size_bytes for entry in _chosen(patient) if entry.state == "missing") // 1_000_000
    what = f"{free_mb} MB are free in {folder}"
    if free_mb < missing_mb:
        step = f"Free {missing_mb - free_mb} MB, or let store.models name a folder on a bigger disk."
        yield Finding("disk", ok=False, what=f"{what}; missing models take {missing_mb} MB", next_step=step)
    elif free_mb < missing_mb + SPARE_DISK_MB:
        yield Finding("disk", ok=None, what=what, next_step="Free some: logs and updates need room too.")
    else:
        yield Finding("disk", ok=True, what=what)


def _storage(patient: Patient) -> Iterator[Finding]:
    """How fast the language model comes from its disk: at the start, and whenever its pages had to go."""
    if not patient.settings.llm.needs_model:
        return
    file = storage.largest_file(patient.models / patient.settings.llm.model)
    if file is None:
        yield Finding("storage", ok=None, what="the language model is not here")
        return
    rate = storage.read_rate(file)
    if rate is None:
        yield Finding("storage", ok=None, what=f"how fast {file} can be read cannot be told")
        return
    medium = storage.medium(file, patient.root)
    seconds = file.stat().st_size / rate.bytes_per_s
    how = "past the cache" if rate.direct else "perhaps from the cache"
    what = (
        f"{medium or 'the disk'} of the language model reads {rate.bytes_per_s / 1e6:.0f} MB/s ({how}): "
        f"{seconds:.0f} s for all of it"
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
        step = f"Let it follow the load, until the next boot with: echo ondemand | sudo tee {files}"
        what = f"the clock governor '{governor}' keeps the processor slow"
        yield Finding("speed", ok=None, what=what, next_step=step)
    for problem in throttled:
        step = "Use the board's own power supply and a heat sink or fan."
        yield Finding("speed", ok=None, what=f"the firmware says {problem}", next_step=step)
    if not is_slow and not throttled:
        hottest_c = health.hottest_c(patient.root)
        clock = f", and the clock governor is '{governor}'" if governor else ""
        heat = "" if hottest_c is None else f"; its hottest sensor is at {hottest_c:.0f} °C"
        yield Finding("speed", ok=True, what=f"nothing holds the processor back{clock}{heat}")


def _chosen(patient: Patient) -> list[Entry]:
    """The models that the settings name, as far as they are known."""
    names = {patient.settings.stt.model, patient.settings.llm.model, patient.settings.tts.model}
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
