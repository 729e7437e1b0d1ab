"""Detection in the flow: which versions are watched, and when their evidence is judged."""

from __future__ import annotations

from monitor.sequential.labels import outcomes_told
from monitor.sequential.said import Alarmed
from monitor.sequential.version import FIRST_ROWS, NotWatchedError, Sequential, sequential_of
from monitor.state import ModelState


def watch_version(model: ModelState, name: str, because: str = FIRST_ROWS) -> Sequential | None:
    """The detectors of a version, made when it is first met; None for one that is not watched."""
    reference = model.references.get(name)
    if name in model.sequential or name in model.not_watched or reference is None:
        return model.sequential.get(name)
    try:
        told, settle_ms = outcomes_told(model.config, reference), model.config.evaluation.every_ms or model.clock.pane_ms
        found = sequential_of(reference, model.config.detection, model.bases, told, settle_ms, because)
    except NotWatchedError as error:
        model.not_watched[name] = str(error)
        return None
    model.sequential[name] = found
    return found


def watch_anew(model: ModelState, name: str, because: str) -> None:
    """Watch a version with its present reference from now on: its evidence so far was against another."""
    watched = model.sequential.pop(name, None)
    model.not_watched.pop(name, None)
    new = watch_version(model, name, because)
    if watched is not None and new is not None:
        new.panes.closed = None if watched.ended_ms is None else watched.ended_ms // new.panes.pane_ms


def close_evidence(model: ModelState) -> list[Alarmed]:
    """Judge the evidence that every partition is past."""
    partitions = model.clock.active
    found = []
    for name, sequential in sorted(model.sequential.items()):
        alarms = sequential.close(model.clock.newest_ms, partitions)
        if alarms:
            found.append(Alarmed(model.config.name, name, tuple(alarms)))
    return found
