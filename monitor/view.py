"""The pipeline's state as a record to show: pure, small, and shared with nobody who changes it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from monitor.batch import RejectReason
from monitor.decide.control import Assign
from monitor.decisions import Decided
from monitor.expose.decided import RetrainingView
from monitor.expose.snapshot import LabelsView, Ledger, Memory, ModelView, PartitionProgress, RiverAlarms, VersionView
from monitor.expose.watched import WatchView, unwatched, watch_view
from monitor.join.state import LabelEntry, LabelState
from monitor.labels import LabelsEvaluated
from monitor.pipeline import Outcome
from monitor.state import Entry, ModelState, open_bytes


def model_view(
    model: ModelState,
    *,
    lag: Mapping[int, int],
    paused: Collection[int],
    partitions_in_topic: int,
    evaluated_ms: int | None,
    labels: LabelsView | None,
    retraining: RetrainingView | None = None,
    before: ModelView | None = None,
) -> ModelView:
    """What is shown of a model; ``before`` is what was shown last, since pages are rendered anew only when their parts are others."""
    clock, versions, river = model.clock, model.versions.values(), river_alarms(model)
    pane_ms = clock.pane_ms
    return ModelView(
        name=model.config.name,
        topic=model.config.predictions.topic,
        ledger=_ledger(model),
        versions=tuple(
            VersionView(name, model.references.get(name))
            for name in sorted({*model.references, *(name for name, version in model.versions.items() if version.placed)})
        ),
        partitions=_partitions(model, lag, paused),
        partitions_in_topic=partitions_in_topic,
        watermark_ms=None if clock.closed_panes is None else clock.closed_panes * pane_ms,
        evaluated_ms=evaluated_ms,
        evaluated_event_ms=None if model.evaluated_pane is None else model.evaluated_pane * pane_ms,
        open_panes=sum(len(version.open) for version in versions),
        segments_reference=max((len(model.reference_segments(version)) for version in versions), default=0),
        segments_new=max((len(version.admitted) for version in versions), default=0),
        segments_limit=model.config.segments.max_segments,
        remembered_ids=model.seen.count,
        memory=Memory(
            open=open_bytes(model),
            closed=sum(version.windows.memory_bytes for version in versions),
            duplicates=model.seen.memory_bytes,
        ),
        river=before.river if before is not None and before.river == river else river,
        labels=labels,
        review=() if model.review is None else tuple(model.review.recent),
        review_items=None if model.review is None else dict(model.review.counts),
        controls=model.docket.policy.controls,
        retraining=retraining,
        canary=model.canary is not None,
        detection=watch_views(model, () if before is None else before.detection),
    )


def watch_views(model: ModelState, before: Sequence[WatchView]) -> tuple[WatchView, ...]:
    """Streams of the versions that have been met; those of which nothing changed are the same as ``before``."""
    if not model.config.detection.enabled:
        return ()
    last = {view.version: view for view in before}
    found = {name: unwatched(name, why) for name, why in model.not_watched.items()}
    found |= {name: watch_view(name, sequential, last.get(name)) for name, sequential in model.sequential.items()}
    return tuple(found[name] for name in sorted(found))


def shown_labels(
    before: tuple[LabelsEvaluated, ...], models: Sequence[ModelState], outcomes: Sequence[Outcome]
) -> tuple[LabelsEvaluated, ...]:
    """The newest of each model, ``before`` itself where nothing is new. An assignment shows though nothing was evaluated since."""
    judged = {each.model: each for each in outcomes if isinstance(each, LabelsEvaluated)}
    shown = (*(each for each in before if each.model not in judged), *judged.values()) if judged else before
    decided = [(each.model, said.control) for each in outcomes if isinstance(each, Decided) for said in each.transitions]
    backlogs = {model.config.name: tuple(model.backlog.values()) for model in models}
    assigned = {model for model, control in decided if isinstance(control, Assign)}
    return tuple(replace(each, backlog=backlogs[each.model]) for each in shown) if assigned else shown


def labels_view(labels: LabelState, *, lag: Mapping[int, int], paused: Collection[int], partitions_in_topic: int) -> LabelsView:
    """What is shown of the labels of a model."""
    entries = labels.ledger.tolist()
    return LabelsView(
        topic=labels.config.topic,
        messages=entries[LabelEntry.MESSAGES],
        tombstones=entries[LabelEntry.TOMBSTONES],
        rejected={reason: entries[len(LabelEntry) + reason] for reason in RejectReason},
        outcomes={entry.name.lower(): entries[entry] for entry in LabelEntry if entry > LabelEntry.TOMBSTONES},
        waiting=labels.waiting,
        partitions=_partitions(labels, lag, paused),
        partitions_in_topic=partitions_in_topic,
        watermark_ms=None if labels.applied_pane is None else labels.applied_pane * labels.clock.pane_ms,
        predictions=labels.predictions,
        labelled=labels.labelled_rows,
        expired=labels.expired,
        evicted=labels.evicted,
        restated=labels.revisions,
        pending=labels.pending.rows(),
        records=labels.records.rows(),
        records_evicted=labels.records_evicted,
        disk_bytes=labels.pending.disk_bytes + labels.records.disk_bytes,
        memory_bytes=labels.pending.memory_bytes + labels.records.memory_bytes,
        combinations_folded=labels.combinations.folded,
        offsets_lost=labels.offsets_lost,
        idle_exclusions=labels.idle_exclusions,
    )


def _partitions(reading: ModelState | LabelState, lag: Mapping[int, int], paused: Collection[int]) -> tuple[PartitionProgress, ...]:
    clock = reading.clock
    return tuple(
        PartitionProgress(
            partition=partition,
            next_offset=reading.offsets.get(partition, 0),
            lag_messages=lag.get(partition),
            newest_event_ms=clock.newest_ms.get(partition),
            idle=partition in clock.idle,
            paused=partition in paused,
        )
        for partition in sorted(clock.owned)
    )


def river_alarms(model: ModelState) -> tuple[RiverAlarms, ...]:
    """What the detectors of river have said so far."""
    return tuple(
        RiverAlarms(
            version=version.version,
            segment=segment,
            signal=model.config.detectors[index].signal,
            detector=model.config.detectors[index].river,
            alarms=watched.alarms,
            last_alarm_event_ms=watched.last_alarm_ms,
        )
        for _, version in sorted(model.versions.items())
        for (index, segment), watched in sorted(version.river.watched.items())
    )


def _ledger(model: ModelState) -> Ledger:
    entries = model.ledger.tolist()
    return Ledger(
        messages=entries[Entry.MESSAGES],
        tombstones=entries[Entry.TOMBSTONES],
        rejected={reason: entries[len(Entry) + reason] for reason in RejectReason},
        rows_counted=entries[Entry.COUNTED],
        rows_duplicate=entries[Entry.DUPLICATE],
        rows_late={"lateness": entries[Entry.LATE], "closed": entries[Entry.CLOSED]},
        rows_folded=model.rows_folded,
        ids_evicted=model.seen.evicted,
        offsets_lost=model.offsets_lost,
        idle_exclusions=model.idle_exclusions,
    )
