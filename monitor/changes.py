"""What an operator should be told when verdicts or totals changed: pure, from what was shown before and what is shown now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter

import numpy as np

from monitor.config.model import PREDICTED_CLASS, SCORE
from monitor.drift_events import DriftBegan, DriftDetected, DriftEnded, DriftSuspected
from monitor.evaluate.verdict import Verdicts
from monitor.events import Event, IdsEvicted, SegmentsFolded, SourceReconnected
from monitor.expose.snapshot import ModelView
from monitor.process_events import BrokersLost, BrokersReached
from monitor.sequential.said import Alarmed
from monitor.source.base import SourceHealth

_Pair = tuple[str, str]
_OUTPUTS = (SCORE, PREDICTED_CLASS)


def source_changes(before: SourceHealth, after: SourceHealth) -> Iterator[Event]:
    """Connections that were made again, and brokers that none can reach any more, or again."""
    if after.reconnects > before.reconnects:
        yield SourceReconnected(after.last_error)
    if after.unreachable and not before.unreachable:
        yield BrokersLost(after.unreachable)
    if before.unreachable and not after.unreachable:
        yield BrokersReached()


def drift_changes(before: Sequence[Verdicts], after: Sequence[Verdicts]) -> Iterator[Event]:
    """Pairs of segment and signal that began or ceased to be drifted, one event per model, version and window."""
    known = {_about(verdicts): _drifted(verdicts) for verdicts in before}
    for verdicts in after:
        was, now = known.get(_about(verdicts), set()), _drifted(verdicts)
        model, version, window = _about(verdicts)
        if now - was:
            yield _began(verdicts, now - was)
        if was - now:
            yield DriftEnded(model, version, window, verdicts.window.end_ms, len(was - now))


def alarm_events(alarmed: Alarmed) -> Iterator[Event]:
    """New alarms of detectors, one event a level; the one with the most evidence for what it takes stands for all.

    What the model says follows what it is asked: beside an input of the same segment the score stands for nothing.
    """
    for level, event in (("warning", DriftSuspected), ("trigger", DriftDetected)):
        found = [alarm for alarm in alarmed.alarms if alarm.level == level]
        if found:
            first = max(found, key=attrgetter("strength"))
            if first.stream.signal in _OUTPUTS:
                inputs = [alarm for alarm in found if alarm.stream.segment == first.stream.segment and alarm.stream.signal not in _OUTPUTS]
                first = max(inputs, key=attrgetter("strength"), default=first)
            stream, effect = first.stream, first.effect
            yield event(
                alarmed.model, alarmed.version, len(found), stream.segment, stream.signal, stream.kind, first.time_ms, first.start_ms,
                None if effect is None else round(effect.size, 6), "" if effect is None else effect.unit,
            )  # fmt: skip


def total_changes(before: ModelView | None, after: ModelView) -> Iterator[Event]:
    """Ids that were forgotten and rows that were folded since the view before."""
    evicted = after.ledger.ids_evicted - (before.ledger.ids_evicted if before else 0)
    folded = after.ledger.rows_folded - (before.ledger.rows_folded if before else 0)
    if evicted > 0:
        yield IdsEvicted(after.name, evicted)
    if folded > 0:
        yield SegmentsFolded(after.name, folded)


def _about(verdicts: Verdicts) -> tuple[str, str, str]:
    return verdicts.model, verdicts.version, verdicts.window.name


def _drifted(verdicts: Verdicts) -> set[_Pair]:
    rows, columns = np.nonzero(verdicts.drifted().any(axis=2))
    return {(verdicts.segments[row], verdicts.signals[column]) for row, column in zip(rows.tolist(), columns.tolist(), strict=True)}


def _began(verdicts: Verdicts, pairs: set[_Pair]) -> DriftBegan:
    """The worst of the new pairs, by value over threshold, stands for all."""
    rows = [verdicts.segments.index(segment) for segment, _ in sorted(pairs)]
    columns = [verdicts.signals.index(signal) for _, signal in sorted(pairs)]
    excess = np.where(verdicts.drifted(), np.abs(verdicts.value) / verdicts.threshold, 0.0)[rows, columns]
    worst, statistic = np.unravel_index(int(np.argmax(excess)), excess.shape)
    row, column = rows[worst], columns[worst]
    model, version, window = _about(verdicts)
    return DriftBegan(
        model,
        version,
        window,
        verdicts.window.end_ms,
        len(pairs),
        verdicts.segments[row],
        verdicts.signals[column],
        verdicts.statistics[statistic],
        round(float(verdicts.value[row, column, statistic]), 6),
        float(verdicts.threshold[column, statistic]),
    )
