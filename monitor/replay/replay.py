"""A replay: history in, what would have fired out."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from monitor.batch import by_reason
from monitor.config import ModelConfig
from monitor.decision_events import ControlRefused
from monitor.errors import SourceError, StateError
from monitor.events import Event, OffsetsLost
from monitor.expose.text import clock, iso
from monitor.labels import LabelsEvaluated
from monitor.pipeline import Outcome
from monitor.reference.reference import Reference
from monitor.replay.findings import Findings, warm_up_ms
from monitor.replay.history import History
from monitor.replay.playback import Observer, Playback, Rows, as_read
from monitor.replay.result import Result, stretch_of
from monitor.state import ModelState
from monitor.telemetry import Telemetry

_MOST_NOTES = 20
_COPIES = 5
_POLL_RECORDS = 1_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which stretch of event time counts; ``warm_up_ms``: how much before it is read and does not; None: until the windows are full."""

    since_ms: int | None = None
    until_ms: int | None = None
    warm_up_ms: int | None = None
    state_from: Path | None = None  # a state folder to go on from


def replay(
    history: History,
    references: Mapping[str, Sequence[Reference]],
    wanted: Wanted,
    progress: Callable[[int, int, int], None] = lambda _done, _size, _left: None,
    plant: Callable[[ModelState, Rows], Rows] = as_read,
    findings: Callable[[ModelConfig], Findings] = Findings,
) -> Result:
    """Play history and gather what came of it. Raises ``SourceError`` also for history that has nothing to tell."""
    told: list[str] = []
    if wanted.until_ms is not None:
        history = _in_small_polls(history)

    def listen(event: Event) -> None:
        if isinstance(event, ControlRefused):
            told.append(f"a decision was refused: {event.where}: {event.reason}")
        elif isinstance(event, OffsetsLost):
            told.append(f"{event.topic}/{event.partition}: offset {event.wanted:,} is not in the log, read from {event.resumed:,}")

    found = {model.name: findings(model) for model in history.config.models}
    for each in found.values():
        each.until_ms = wanted.until_ms

    def happened(model: ModelState, outcomes: Sequence[Outcome]) -> None:
        found[model.config.name].happened(model, outcomes)

    def judged(labels: LabelsEvaluated) -> None:
        found[labels.model].judged(labels)

    def read(model: ModelState, rows: Rows) -> None:
        found[model.config.name].read(rows)

    with tempfile.TemporaryDirectory(prefix="driftgauge-replay-") as folder:
        place = Path(folder) / "state"
        if wanted.state_from is not None:
            _copy(wanted.state_from, place)
        played = Playback(history.config, references, place, Telemetry((listen,)), wanted.until_ms, plant)
        from_ms = None if wanted.since_ms is None or wanted.state_from is not None else _read_from(history, wanted)
        try:
            played.run(history.open(from_ms), history.controls, Observer(read, happened, judged, progress))
        except SourceError as error:
            # Sources name the key of the configuration, which is not where this history was named.
            raise SourceError(str(error).removeprefix("source.path: ")) from error
        if wanted.state_from is not None and not played.resumed:
            raise StateError(f"{wanted.state_from}: expected a saved state to go on from, found none that can be used")
        for each in found.values():
            each.resumed = played.resumed
    notes = [*history.notes, *played.notes, *told[:_MOST_NOTES]]
    if len(told) > _MOST_NOTES:
        notes.append(f"and {len(told) - _MOST_NOTES:,} more of this kind")
    return _result(found, wanted, tuple(notes))


def _in_small_polls(history: History) -> History:
    """Of a poll everything is counted and judged: with slow traffic a large one lies days beyond ``until_ms``. Cuts change nothing."""
    source = history.config.source
    source = source.model_copy(update={"max_poll_records": min(source.max_poll_records, _POLL_RECORDS)})
    return replace(history, config=history.config.model_copy(update={"source": source}))


def _read_from(history: History, wanted: Wanted) -> int:
    """Time of the first record to read: windows must be full, and labels find their predictions, before what counts begins."""
    assert wanted.since_ms is not None
    before = 0
    for model in history.config.models:
        warm = warm_up_ms(model) if wanted.warm_up_ms is None else wanted.warm_up_ms
        labels = 0 if model.labels is None else model.labels.horizon_ms
        before = max(before, warm + labels + model.windows.lateness_ms + model.windows.pane_ms)
    return max(wanted.since_ms - before, 0)


def _copy(state: Path, place: Path) -> None:
    """A copy of a state folder, which its owner may be writing to: what vanishes meanwhile belongs to an epoch that has gone."""
    if not state.is_dir():
        raise StateError(f"{state}: expected a folder with a saved state, got none")
    for _ in range(_COPIES):
        shutil.rmtree(place, ignore_errors=True)
        try:
            shutil.copytree(state, place, ignore=shutil.ignore_patterns("lock"))
        except shutil.Error:
            continue
        except OSError as error:
            raise StateError(f"{state}: cannot be copied: {error.strerror}") from error
        return


def _result(found: Mapping[str, Findings], wanted: Wanted, notes: tuple[str, ...]) -> Result:
    stretches = {}
    for name, each in found.items():
        stretch = stretch_of(each, wanted.since_ms, wanted.until_ms, wanted.warm_up_ms)
        if stretch is None:
            rejected = f", and {each.rejected:,} messages that cannot be used ({by_reason(each.refused)})" if each.rejected else ""
            raise SourceError(
                f"{name}: expected predictions to replay, got none{rejected}; check --from, --since and predictions in the configuration"
            )
        newest = max(each.rows_by_pane) * each.config.windows.pane_ms
        if wanted.since_ms is not None and newest + each.config.windows.pane_ms <= wanted.since_ms:
            raise SourceError(
                f"{name}: expected history after --since {iso(wanted.since_ms)}, and it ends at {clock(newest)}; choose an earlier time"
            )
        if wanted.until_ms is not None and stretch.first_ms >= wanted.until_ms:
            raise SourceError(
                f"{name}: expected history before --until {iso(wanted.until_ms)}, and it begins at {clock(stretch.first_ms)};"
                " choose a later time"
            )
        stretches[name] = stretch
    return Result(found, stretches, wanted.until_ms, notes)
