"""The pipeline's state as a record to show: pure, small, and shared with nobody who changes it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from monitor.batch import RejectReason
from monitor.expose.snapshot import Ledger, Memory, ModelView, PartitionProgress, RiverAlarms, VersionView
from monitor.state import Entry, ModelState


def model_view(
    model: ModelState,
    *,
    lag: Mapping[int, int],
    paused: Collection[int],
    partitions_in_topic: int,
    evaluated_ms: int | None,
    river: tuple[RiverAlarms, ...],
) -> ModelView:
    """What is shown of a model. ``river`` is passed in, because pages are rendered anew only when it is another tuple."""
    clock, versions = model.clock, model.versions.values()
    pane_ms = clock.pane_ms
    return ModelView(
        name=model.config.name,
        topic=model.config.predictions.topic,
        ledger=_ledger(model),
        versions=tuple(
            VersionView(name, model.references.get(name))
            for name in sorted({*model.references, *(name for name, version in model.versions.items() if version.placed)})
        ),
        partitions=tuple(
            PartitionProgress(
                partition=partition,
                next_offset=model.offsets.get(partition, 0),
                lag_messages=lag.get(partition),
                newest_event_ms=clock.newest_ms.get(partition),
                idle=partition in clock.idle,
                paused=partition in paused,
            )
            for partition in sorted(clock.owned)
        ),
        partitions_in_topic=partitions_in_topic,
        watermark_ms=None if clock.closed_panes is None else clock.closed_panes * pane_ms,
        evaluated_ms=evaluated_ms,
        evaluated_event_ms=None if model.evaluated_pane is None else model.evaluated_pane * pane_ms,
        open_panes=sum(len(version.open) for version in versions),
        segments_reference=max((len(version.reference_segments) for version in versions), default=0),
        segments_new=max((len(version.admitted) for version in versions), default=0),
        segments_limit=model.config.segments.max_segments,
        remembered_ids=model.seen.count,
        memory=Memory(
            open=open_bytes(model),
            closed=sum(version.windows.memory_bytes for version in versions),
            duplicates=model.seen.memory_bytes,
        ),
        river=river,
    )


def open_bytes(model: ModelState) -> int:
    """Memory of panes that still take rows."""
    return sum(version.pool.memory_bytes for version in model.versions.values())


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
