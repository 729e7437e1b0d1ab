"""What the labels say of one model version at one evaluation: from its counts, and what was estimated before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from monitor.config import SCORE
from monitor.config.labels import Labels as LabelsConfig
from monitor.estimate.accuracy import Estimates
from monitor.estimate.error import ErrorTrack
from monitor.evaluate.noise import normal_quantile
from monitor.join.state import LabelState, VersionOutcomes
from monitor.label_estimates import EstimateHistory, error_tables, estimates, remember, settle
from monitor.outcome.annotations import agreement_counts
from monitor.outcome.cohorts import cohort_lags
from monitor.outcome.counts import OutcomeCounts, outcome_counts
from monitor.outcome.layout import OutcomeLayout, same_score
from monitor.outcome.restated import by_segment
from monitor.outcome.sparse import add
from monitor.performance.agreement import LabelQuality, label_quality
from monitor.performance.collect import Shortage, Wanted, shortages, wanted
from monitor.performance.cost import cost_table
from monitor.performance.delay import Coverage, PaneLags, coverage, pane_lags
from monitor.performance.failure_modes import FailureModes, failure_modes
from monitor.performance.regression import value_places
from monitor.performance.representativeness import Representativeness, representativeness
from monitor.performance.validation import Validation, validation
from monitor.performance.verdict import Performance, PerformanceSettings, Restatement, nothing_judged, performance
from monitor.reference.reference import Reference
from monitor.state import ModelState
from monitor.window import Window

_Z = normal_quantile(0.975)
_NOISE_QUANTILE = 0.999

Places = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class RestatedPane:
    """A pane of predictions of which revised labels changed what had been reported."""

    start_ms: int
    end_ms: int
    revision: NDArray[np.int64]  # [G] labels taken back for others
    last_ms: NDArray[np.int64]  # [G] label time of the newest of these; 0: none


@dataclass(frozen=True, eq=False)
class LabelVerdicts:
    """All about the labels of one version, in a window that ends at the evaluation. The same segments in every part.

    Nothing is decided by ``coverage``, ``wanted`` and ``shortages``: they are absent of an evaluation that is not to be shown.
    """

    version: str
    window: Window
    horizon_ms: int  # no label counts that comes later after its prediction
    by_prediction: Performance  # by time of the prediction, restated as labels come
    by_label: Performance  # by time of the label
    audited: Performance  # labels of the audit sample, by time of the label
    reviewed: OutcomeCounts  # labels of the review queue, by time of the label: in none of the above
    coverage: Coverage | None  # None: no prediction in the window
    representativeness: Representativeness
    wanted: Wanted | None  # labels to collect next; None for a regression
    shortages: tuple[Shortage, ...]  # against the reference's labels, most missing first
    quality: LabelQuality | None  # None: labels name neither annotator nor confidence nor version
    modes: FailureModes
    annotators: tuple[str, ...] = ()  # names by their number in ``quality``; "": none named
    estimate: Estimates | None = None  # accuracy of the newest predictions; None without a reference's labels
    estimate_window: Window | None = None
    estimate_errors: ErrorTrack | None = None  # of earlier estimates, once their labels came
    restated_panes: tuple[RestatedPane, ...] = ()  # panes of predictions, oldest first
    score_means: NDArray[np.float64] | None = None  # [S] mean score of the reference in each score cell, NaN unknown

    @property
    def performances(self) -> tuple[Performance, Performance, Performance]:
        """The three views."""
        return self.by_prediction, self.by_label, self.audited


def label_verdicts(
    model: ModelState, labels: LabelState, version: str, end_ms: int, *, estimates_due: bool = True, shown: bool = True
) -> LabelVerdicts:
    """Judge a version's outcomes; ``end_ms``: event time up to which labels are applied.

    With ``estimates_due`` accuracy is estimated anew where it is time, and estimates whose labels have come are judged. Without
    ``shown`` what decides nothing is left out.
    """
    counted, config, reference = labels.versions[version], labels.config, model.references.get(version)
    window = Window("labels", end_ms - config.window_ms, end_ms)
    segments, places = _segments(model, labels, counted, reference)
    prediction, label, audit, reviewed = (
        outcome_counts(counted.layout, panes.total(), segments, places) for panes in counted.views.values()
    )
    incomplete = not (model.complete and labels.complete)
    if version not in model.validations:
        model.validations[version] = _validation(reference, config, counted.layout)
    known = model.validations[version]
    of = partial(
        performance,
        settings=PerformanceSettings(config.min_labelled, costs=config.costs, with_kpi=config.kpi is not None),
        model=model.config.name,
        version=version,
        window=window,
        validation=known,
        partial=incomplete,
    )
    of_classes = counted.layout.task != "regression"
    history = model.estimates.setdefault(version, EstimateHistory())
    if of_classes and estimates_due:
        _estimate(model, counted, version, history, segments, places, end_ms)
    restated = {view: Restatement(*by_segment(panes.total(), len(segments), _rows_of(places))) for view, panes in counted.restated.items()}
    by_prediction = of(prediction, view="prediction_time")
    if shown and restated["prediction"].revision.any():
        first = outcome_counts(counted.layout, add([counted.by_prediction.total(), -counted.revised.total()]), segments, places)
        restated["prediction"] = replace(restated["prediction"], first_value=of(first, view="prediction_time").value)
    audited = of(audit, view="audit") if audit.labelled.any() else nothing_judged(by_prediction, "audit", audit)
    return LabelVerdicts(
        version=version,
        window=window,
        horizon_ms=config.horizon_ms,
        by_prediction=replace(by_prediction, restatement=restated["prediction"]),
        by_label=replace(of(label, view="label_time"), restatement=restated["label"]),
        audited=replace(audited, restatement=restated["audit"]),
        reviewed=reviewed,
        coverage=_coverage(counted, config, places, len(segments), end_ms) if shown else None,
        representativeness=representativeness(
            prediction, noise_quantile=_NOISE_QUANTILE, min_labelled=config.min_labelled, partial=incomplete
        ),
        wanted=wanted(prediction, config.interval_width, _Z) if of_classes and shown else None,
        shortages=() if known is None or not shown else tuple(shortages(label, known.counts, _Z)),
        quality=_quality(labels, version, counted, segments, places),
        annotators=("", *labels.annotators.values()),
        score_means=None if known is None else known.score_means,
        restated_panes=_restated_panes(counted, config, len(segments), places) if shown else (),
        modes=failure_modes(
            prediction,
            outcome_counts(counted.layout, counted.by_prediction.before(), segments, places),
            None if known is None else known.counts,
            cost_table(config.costs) if of_classes else None,
            _Z,
        ),
        estimate=None if history.latest is None else history.latest[2],
        estimate_window=None if history.latest is None else Window("estimate", *history.latest[:2]),
        estimate_errors=history.errors,
    )


def _estimate(
    model: ModelState,
    counted: VersionOutcomes,
    version: str,
    history: EstimateHistory,
    shown: tuple[str, ...],
    places: Places,
    end_ms: int,
) -> None:
    """Estimate the accuracy of the newest predictions, and judge estimates whose labels have come."""
    assert model.labels is not None
    config, groupings = model.labels.config, ((), *model.config.segments.groupings)
    if version not in model.error_tables:
        model.error_tables[version] = error_tables(model.references.get(version), groupings, counted.layout)
    of = partial(
        estimates,
        model.error_tables[version],
        counted.by_prediction,
        counted.layout,
        config.pane_ms,
        shown,
        places,
        groupings,
        labels_to_ms=end_ms,
        label_panes=counted.by_label.settle().keys(),
    )
    for waited in [each[:2] for each in history.waiting if _is_over(counted, config, each[0], each[1], end_ms)]:
        settle(history, waited, of(window=waited))
    panes = max(config.estimate_window_ms // config.pane_ms, 1)
    if is_estimated(end_ms // config.pane_ms, panes):
        newest = (end_ms - panes * config.pane_ms, end_ms)
        found = of(window=newest)
        if found is not None:
            remember(history, newest, found)


def is_estimated(end_pane: int, panes: int) -> bool:
    """Whether the window of ``panes`` panes is estimated that ends there: some four times in the time that it covers."""
    return end_pane % max((panes + 2) // 4, 1) == 0


def _is_over(counted: VersionOutcomes, config: LabelsConfig, start_ms: int, window_end_ms: int, end_ms: int) -> bool:
    """Whether all labels of a window have come that ever count, or its panes are about to go."""
    leaving = start_ms // config.pane_ms <= counted.by_prediction.end_pane - counted.by_prediction.kept
    return leaving or window_end_ms + config.horizon_ms <= end_ms


def _segments(
    model: ModelState, labels: LabelState, counted: VersionOutcomes, reference: Reference | None
) -> tuple[tuple[str, ...], Places]:
    """Segments shown, chosen by what is in the window: not by what was read beyond it."""
    rows = np.zeros(len(labels.combinations), np.int64)
    for panes in counted.views.values():
        total = panes.total()
        combination, cell = np.divmod(total.codes, counted.layout.cells)
        are_rows = cell < counted.layout.first_sum
        np.add.at(rows, combination[are_rows], total.counts[are_rows])
    for restated in counted.restated.values():
        met = restated.total().combination
        rows[met] = np.maximum(rows[met], 1)  # a row that was taken back may have been the last
    placed = frozenset[str]() if reference is None else frozenset(reference.table.segments)
    segments = model.config.segments
    return labels.combinations.segments(((), *segments.groupings), rows, placed, segments.max_segments)


def _coverage(counted: VersionOutcomes, config: LabelsConfig, places: Places, segments: int, end_ms: int) -> Coverage | None:
    """Coverage by age; None without a prediction in the window."""
    panes = [
        pane_lags(counted.layout, (number + 1) * config.pane_ms, counts, _rows_of(places), segments)
        for number, counts in sorted(counted.by_prediction.settle().items())
        if (number + 1) * config.pane_ms <= end_ms
    ]
    if not any(pane.end_ms > end_ms - config.window_ms for pane in panes):
        return None
    width_ms = counted.cohorts.width * config.pane_ms
    panes += [
        PaneLags((number + 1) * width_ms, *cohort_lags(counts, places, segments))
        for number, counts in sorted(counted.cohorts.counts.settle().items())
    ]
    return coverage(panes, end_ms, config.horizon_ms, _Z, config.window_ms)


def _restated_panes(counted: VersionOutcomes, config: LabelsConfig, segments: int, places: Places) -> tuple[RestatedPane, ...]:
    panes = counted.restated["prediction"]
    return tuple(
        RestatedPane(number * config.pane_ms, (number + 1) * config.pane_ms, *by_segment(pane, segments, _rows_of(places)))
        for number, pane in sorted(panes.panes.items())
        if number < panes.end_pane
    )


def _rows_of(places: Places) -> Sequence[Places]:
    return list(places)


def _quality(labels: LabelState, version: str, counted: VersionOutcomes, shown: tuple[str, ...], places: Places) -> LabelQuality | None:
    layout = labels.agreement_of(version)
    if layout is None:
        return None
    counts = agreement_counts(layout, counted.annotations.total(), shown, _rows_of(places))
    return label_quality(counts, _Z, ranks=labels.ranks, noise_quantile=_NOISE_QUANTILE, positions=_positions(counted.layout))


def _positions(layout: OutcomeLayout) -> NDArray[np.float64] | None:
    """Numbers that the values of a regression's labels stand for."""
    return value_places(layout, None) if layout.task == "regression" else None


def _validation(reference: Reference | None, config: LabelsConfig, layout: OutcomeLayout) -> Validation | None:
    if reference is None or reference.labels is None:
        return None
    names = reference.layout.names
    means = reference.bin_means[reference.layout.span(names.index(SCORE))] if SCORE in names else None
    return validation(reference.labels, layout, config.class_indices, means, same_score=same_score(reference.layout, layout))
