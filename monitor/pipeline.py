"""The whole flow, pure: ``advance(model, step)`` changes the state it is given and says what came of it.

    rows → late? → seen before? → cells → counts of open panes → panes that close → windows → verdicts

It reads no clock, opens nothing and logs nothing. What comes out depends on the steps alone, and, among batches, only
on the order of rows within a partition: not on where batches were cut nor on how partitions were interleaved.
The state is changed in place because counts are large; whoever calls owns it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Batch, Int64
from monitor.evaluate.evaluate import Baseline, evaluate, with_onset
from monitor.evaluate.verdict import Verdicts
from monitor.profile.count import cells_of, count, dense
from monitor.profile.pane import OpenPane, close_panes
from monitor.profile.windows import cap_segments
from monitor.segment import ALL, OTHER, other_key, parse_key
from monitor.state import Entry, ModelState, VersionState, new_version_state


@dataclass(frozen=True, slots=True)
class Idle:
    """A partition has been silent for so long (wall time) that it no longer holds the others up."""

    partition: int


@dataclass(frozen=True, slots=True)
class Owned:
    """The partitions this process reads now, and whether these are all."""

    partitions: frozenset[int]
    complete: bool


Step = Batch | Idle | Owned


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The newest verdicts of a model, about windows that end at ``event_ms``."""

    model: str
    event_ms: int
    verdicts: tuple[Verdicts, ...]


def advance(model: ModelState, step: Step) -> list[Evaluated]:
    """Take one step; returns the evaluations it led to, oldest first."""
    match step:
        case Batch():
            _count_rows(model, step)
        case Idle():
            if step.partition not in model.clock.idle:
                model.clock.idle.add(step.partition)
                model.idle_exclusions += 1
        case Owned():
            model.clock.owned = set(step.partitions)
            model.clock.idle &= step.partitions
            model.complete = step.complete
    return _close_panes(model)


def _count_rows(model: ModelState, batch: Batch) -> None:
    arrivals = model.clock.arrive(batch.time_ms, batch.spans)
    kept = ~(arrivals.late | arrivals.closed)
    duplicate = np.zeros(len(batch), np.bool_)
    if model.config.predictions.duplicates.enabled and len(batch):
        duplicate = _repeats(model, batch, kept, arrivals.newest_ms)
        kept &= ~duplicate
    _enter_ledger(model, batch, arrivals.late, arrivals.closed, duplicate)
    if not kept.any():
        return
    lowest = int(arrivals.pane.min())
    panes = int(arrivals.pane.max()) - lowest + 1
    place = arrivals.pane - lowest  # (span, pane) as one number
    for number, span in enumerate(batch.spans):
        place[span.start : span.stop] += number * panes
    for code, name in enumerate(batch.versions):
        chosen = kept if len(batch.versions) == 1 else kept & (batch.version == code)
        rows = None if chosen.all() else np.flatnonzero(chosen)
        if rows is not None and not len(rows):
            continue
        version = _version(model, name)
        pane_of_row, distinct = dense(place if rows is None else place[rows], len(batch.spans) * panes)
        opened = [_open_pane(model, version, batch.spans[p // panes].partition, p % panes + lowest) for p in distinct.tolist()]
        cells = cells_of(version.binning, batch, rows)
        segments = batch.segments if rows is None else batch.segments[rows]
        for index, base in enumerate(model.bases):
            count(cells, version.binning, index, base, segments, batch.segment_values, pane_of_row, opened)


def _open_pane(model: ModelState, version: VersionState, partition: int, pane: int) -> OpenPane:
    if (partition, pane) not in version.open:
        version.open[partition, pane] = OpenPane(version.pool, max_leaves=2 * model.config.segments.max_segments + 64)
    return version.open[partition, pane]


def _repeats(model: ModelState, batch: Batch, kept: NDArray[np.bool_], newest_ms: Int64) -> NDArray[np.bool_]:
    """[rows] kept rows whose (version, id) was seen before. Late rows are neither looked up nor remembered."""
    from monitor.decode import id_hash  # the same hash for ids and versions

    salt = np.array([id_hash(version) for version in batch.versions], np.uint64).reshape(-1, 2)
    ids = batch.ids ^ salt[batch.version] if len(batch.versions) > 1 else batch.ids ^ salt[0]
    rows = np.flatnonzero(kept)
    ticks = (batch.time_ms // model.tick_ms).astype(np.int32)
    newest = (newest_ms // model.tick_ms).astype(np.int32)
    oldest = model.clock.no_row_before_ms() // model.tick_ms
    repeated = np.zeros(len(batch), np.bool_)
    repeated[rows] = model.seen.repeats(ids[rows], ticks[rows], newest[rows], oldest)
    return repeated


def _enter_ledger(
    model: ModelState, batch: Batch, late: NDArray[np.bool_], closed: NDArray[np.bool_], duplicate: NDArray[np.bool_]
) -> None:
    model.ledger[Entry.MESSAGES] += batch.messages
    model.ledger[Entry.TOMBSTONES] += batch.tombstones
    model.ledger[Entry.LATE] += np.count_nonzero(late)
    model.ledger[Entry.CLOSED] += np.count_nonzero(closed)
    model.ledger[Entry.DUPLICATE] += np.count_nonzero(duplicate)
    model.ledger[Entry.COUNTED] += np.count_nonzero(~(late | closed | duplicate))
    model.ledger[len(Entry) :] += batch.rejected
    for span in batch.spans:
        model.offsets[span.partition] = span.next_offset


def _version(model: ModelState, name: str) -> VersionState:
    """The version's state; past the cap, versions without a reference share one."""
    if name not in model.versions:
        if name not in model.references and len(model.versions) >= model.config.max_versions:
            name = OTHER
        if name not in model.versions:
            model.versions[name] = new_version_state(model, name)
    return model.versions[name]


def _close_panes(model: ModelState) -> list[Evaluated]:
    clock = model.clock
    horizon = clock.horizon_pane()
    if horizon is None or (clock.closed_panes is not None and horizon <= clock.closed_panes):
        return []
    every = (model.config.evaluation.every_ms or clock.pane_ms) // clock.pane_ms
    evaluations = []
    pane = _next_open(model, horizon) if clock.closed_panes is None else clock.closed_panes
    while pane < horizon:
        if not any(version.windows.long.total.segments for version in model.versions.values()):
            pane = _next_open(model, horizon)  # every window is empty: nothing to see until then
            if pane == horizon:
                break
        for _, version in sorted(model.versions.items()):
            _close_pane(model, version, pane)
        pane += 1
        if pane % every == 0:
            evaluations.append(_evaluate(model, pane))
    clock.closed_panes = horizon
    return evaluations


def _next_open(model: ModelState, horizon: int) -> int:
    """The first open pane below the horizon, or the horizon."""
    return min([horizon, *(pane for version in model.versions.values() for _, pane in version.open)])


def _close_pane(model: ModelState, version: VersionState, pane: int) -> None:
    where = sorted(key for key in version.open if key[1] == pane)
    if not where:
        version.windows.move_to(pane + 1)
    else:
        panes = [version.open.pop(key) for key in where]
        table = close_panes(version.layout, model.bases, panes)
        for closed in panes:
            version.pool.give_back(list(closed.leaves.values()))
        others = {segment: other_key(parse_key(segment)[0]) for segment in table.segments}
        placed = frozenset(version.admitted | version.reference_segments | set(others.values()) | {ALL})
        table, entered, folded = cap_segments(table, placed, model.room(version), others)
        version.admitted.update(entered)
        version.rows_folded += folded + sum(closed.folded for closed in panes)
        version.windows.close(pane, table)
        version.river.update(table, version.reference, (pane + 1) * model.clock.pane_ms)
    vanished = version.admitted - set(version.windows.long.total.segments)
    if vanished:
        version.admitted -= vanished
        version.river.forget(vanished)
    if not version.windows.long.total.segments and not version.open:
        del model.versions[version.version]


def _evaluate(model: ModelState, end_pane: int) -> Evaluated:
    settings = model.config.evaluation
    for _, version in sorted(model.versions.items()):
        for window, table in version.windows.views():
            baseline = version.baseline.get(window.name)
            if version.reference is not None and (baseline is None or baseline.segments != table.segments):
                baseline = version.baseline[window.name] = Baseline.of(version.reference, table.segments, settings)
            now = evaluate(
                table,
                window,
                version.reference,
                baseline,
                settings,
                model=model.config.name,
                version=version.version,
                partial=not model.complete,
            )
            version.verdicts[window.name] = with_onset(now, version.verdicts.get(window.name))
    model.evaluated_pane = end_pane
    verdicts = tuple(verdicts for _, version in sorted(model.versions.items()) for verdicts in version.verdicts.values())
    return Evaluated(model.config.name, end_pane * model.clock.pane_ms, verdicts)
