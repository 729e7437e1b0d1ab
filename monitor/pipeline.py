"""The whole flow, pure: ``advance(model, step)`` changes the state it is given and says what came of it.

    rows → late? → seen before? → cells → counts of open panes → panes that close → windows → verdicts

It reads no clock, opens nothing and logs nothing. What comes out depends on the steps alone, and, among batches, only
on the order of rows within a partition: not on where batches were cut nor on how partitions were interleaved.
The state is changed in place because counts are large; whoever calls owns it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Batch, Int64, Labels
from monitor.decide.facts import Alarm
from monitor.decisions import Controls, Decided, Process, decide, take
from monitor.detect.evidence import partition_of
from monitor.detections import close_evidence, watch_version
from monitor.evaluate.evaluate import evaluate, with_onset
from monitor.evaluate.verdict import Verdicts
from monitor.labels import Judge, LabelsEvaluated, LabelsIdle, LabelsOwned, apply_labels, remember, take_labels
from monitor.profile.cells import cells_of
from monitor.profile.count import count
from monitor.profile.leaves import Numbers, too_many
from monitor.profile.order import dense
from monitor.profile.pane import OpenPane, close_panes
from monitor.profile.partition_panes import PartitionPanes
from monitor.profile.windows import cap_segments
from monitor.segment import ALL, OTHER, other_key, parse_key
from monitor.sequential.said import Alarmed
from monitor.state import Entry, ModelState, VersionState, new_version_state
from monitor.versions import beyond_cap, names_apart


@dataclass(frozen=True, slots=True)
class Idle:
    """A partition has been silent, or has not come, for so long (wall time) that it no longer holds the others up."""

    partition: int


@dataclass(frozen=True, slots=True)
class Owned:
    """The partitions this process reads now, whether these are all, and which others may come soon and are waited for."""

    partitions: frozenset[int]
    complete: bool
    awaited: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Onward:
    """Nothing new: panes close that the step before left open, see ``advance``."""


Step = Batch | Labels | Idle | Owned | Onward | LabelsIdle | LabelsOwned | Controls | Process


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The newest verdicts of a model, about windows that end at ``event_ms``."""

    model: str
    event_ms: int
    verdicts: tuple[Verdicts, ...]
    alarms: Mapping[str, tuple[Alarm, ...] | None] = field(default_factory=dict)  # that detectors had raised by then, by version


Outcome = Evaluated | LabelsEvaluated | Alarmed | Decided


AT_ONCE = 16
"""Evaluations of windows that are held together. Of thousands of pairs of a segment and a signal one is tens of megabytes."""


def advance(model: ModelState, step: Step, observe: Judge = lambda _labels: None, most: int | None = None) -> list[Outcome]:
    """Take one step; returns what detectors said, the evaluations of windows, oldest first, the newest of labels, and what was decided.

    ``observe`` is told of every evaluation of labels, also of those before the newest. After ``most`` evaluations of windows no
    more panes close: ``model.clock.behind`` says that some could, and ``Onward`` closes them.
    """
    match step:
        case Batch():
            _count_rows(model, step)
        case Labels() | LabelsIdle() | LabelsOwned():
            take_labels(model, step)
        case Idle():
            model.idle_exclusions += model.clock.leave_out(step.partition)
        case Owned():
            model.clock.own(step.partitions, step.awaited)
            model.complete = step.complete
        case Controls() | Process():
            return [*take(model, step)]
    alarmed = close_evidence(model)
    windows = _close_panes(model, most)
    decided: list[Decided] = []
    undecided = [*windows]  # as all is decided in order of time, no further than each end of a pane of labels

    def judge(labels: LabelsEvaluated) -> None:
        decided.extend(decide(model, [*undecided, labels], labels.event_ms))
        undecided.clear()
        observe(labels)

    labels = apply_labels(model, judge, alarmed.append)
    return [*alarmed, *windows, *labels, *decided, *decide(model, undecided)]


def unclosed(models: Iterable[ModelState]) -> list[tuple[ModelState, Onward]]:
    """The models of which more panes can close, each with the step that closes them."""
    return [(model, Onward()) for model in models if model.clock.behind]


def in_turns(model: ModelState, step: Step, observe: Judge) -> Iterator[list[Outcome]]:
    """``advance`` until nothing is left to close, so that a step over years of event time takes no more memory than any other."""
    yield advance(model, step, observe, AT_ONCE)
    while model.clock.behind:
        yield advance(model, Onward(), observe, AT_ONCE)


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
    panes = PartitionPanes.of(batch.spans, arrivals.pane)
    names, version_of_row = names_apart(model, batch, kept, panes)
    leaves, partition = _leaves_of(model, batch), partition_of(batch.spans, len(batch))
    for code, name in enumerate(names):
        chosen = kept if len(names) == 1 else kept & (version_of_row == code)
        rows = None if chosen.all() else np.flatnonzero(chosen)
        if rows is not None and not len(rows):
            continue
        version = _version(model, name)
        pane_of_row, distinct = dense(panes.numbers if rows is None else panes.numbers[rows], len(panes))
        opened = [_open_pane(model, version, *panes.where(number)) for number in distinct.tolist()]
        cells = cells_of(version.binning, batch, rows)
        mine = leaves if rows is None else [numbers[rows] for numbers in leaves]
        count(cells, mine, pane_of_row, opened)
        watched = watch_version(model, name)
        if watched is not None:
            times = (partition, batch.time_ms, arrivals.newest_ms)
            watched.add(cells.cells, model.leaves, mine, *(times if rows is None else (each[rows] for each in times)))
        if model.labels is not None:
            remember(model, model.labels, version, batch, slice(None) if rows is None else rows)


def _open_pane(model: ModelState, version: VersionState, partition: int, pane: int) -> OpenPane:
    if (partition, pane) not in version.open:
        version.open[partition, pane] = OpenPane(version.layout, model.leaves, max_leaves=2 * model.config.segments.max_segments + 64)
    return version.open[partition, pane]


def _leaves_of(model: ModelState, batch: Batch) -> list[Numbers]:
    """[bases][rows] number of each row's leaf."""
    if too_many(model.leaves):
        for version in model.versions.values():
            for pane in version.open.values():
                pane.fold()  # what is counted goes by values
        for leaves in model.leaves:
            leaves.clear()
    return [leaves.numbers(batch.segments, batch.segment_values) for leaves in model.leaves]


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
    if name not in model.versions:
        version = model.versions[name] = new_version_state(model, name)
        version.windows.move_to(model.clock.closed_panes or 0)
    return model.versions[name]


def _close_panes(model: ModelState, most: int | None) -> list[Evaluated]:
    """Close what lies before the horizon, and judge the windows where that changed them.

    Only panes that change a window are visited: those with rows, and those whose end lets something go. So a long
    silence costs what it changes, and what is judged depends on the log alone, not on how the horizon came to move.
    """
    clock = model.clock
    horizon = clock.horizon_pane()
    if horizon is None or not clock.behind:
        return []
    every = (model.config.evaluation.every_ms or clock.pane_ms) // clock.pane_ms
    evaluations = []
    while True:
        pane = min([horizon, *(change for version in model.versions.values() if (change := version.next_change) is not None)])
        due = None if model.unjudged_pane is None else _due(model.unjudged_pane, clock.closed_panes, every)
        if due is not None and due <= pane:
            evaluations.append(_evaluate(model, due))
            if len(evaluations) == most:
                horizon = due
                break
            continue
        if pane >= horizon:
            break
        _close_pane(model, pane)
        model.unjudged_pane = pane + 1
    for version in model.versions.values():
        version.windows.move_to(horizon)
    clock.closed_panes = horizon
    return evaluations


def _due(unjudged_pane: int, closed_panes: int | None, every: int) -> int:
    """The pane at whose start windows are judged next, none that they have left: ``every`` may have been longer before."""
    return -(-max(unjudged_pane, closed_panes or 0) // every) * every


def _close_pane(model: ModelState, pane: int) -> None:
    panes = {name: opened for name, version in sorted(model.versions.items()) if (opened := version.take(pane))}
    for name in beyond_cap(model, {name: sum(each.rows for each in opened) for name, opened in panes.items()}):
        panes.setdefault(OTHER, []).extend(panes.pop(name))
    for name, opened in sorted(panes.items()):
        _close_version(model, _version(model, name), pane, opened)
    for name, version in list(model.versions.items()):
        version.windows.move_to(pane + 1)
        vanished = version.admitted - set(version.windows.long.total.segments)
        if vanished:
            version.admitted -= vanished
            version.river.forget(vanished)
        if not version.placed and not version.open:
            del model.versions[name]


def _close_version(model: ModelState, version: VersionState, pane: int, panes: list[OpenPane]) -> None:
    table = close_panes(version.layout, model.leaves, panes)
    others = {other_key(grouping.columns) for base in model.bases for grouping in base.groupings}
    kept = version.admitted | model.reference_segments(version) | others | {ALL}
    table, entered, folded = cap_segments(table, kept, model.room(version), lambda segment: other_key(parse_key(segment)[0]))
    version.admitted.update(entered)
    model.rows_folded += folded + sum(closed.folded for closed in panes)
    version.windows.close(pane, table)
    version.river.update(table, version.reference, (pane + 1) * model.clock.pane_ms)


def _evaluate(model: ModelState, end_pane: int) -> Evaluated:
    settings = model.config.evaluation
    for _, version in sorted(model.versions.items()):
        version.windows.move_to(end_pane)
        if not version.placed:
            version.verdicts.clear()
            continue
        for window, table in version.windows.views():
            now = evaluate(
                table,
                window,
                version.reference,
                version.baseline_of(window.name, table.segments, settings),
                settings,
                model=model.config.name,
                version=version.version,
                partial=not model.complete,
            )
            version.verdicts[window.name] = with_onset(now, version.verdicts.get(window.name))
    model.evaluated_pane, model.unjudged_pane = end_pane, None
    verdicts = tuple(verdicts for _, version in sorted(model.versions.items()) for verdicts in version.verdicts.values())
    end_ms = end_pane * model.clock.pane_ms
    alarms = {name: sequential.known_of_inputs(end_ms) for name, sequential in model.sequential.items()}
    return Evaluated(model.config.name, end_ms, verdicts, alarms)
