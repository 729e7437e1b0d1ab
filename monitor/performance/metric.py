"""All metrics of a task, as columns: which there are, which way is better, and their estimates for every segment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from monitor.outcome.counts import OutcomeCounts
from monitor.outcome.layout import OutcomeLayout
from monitor.performance import calibration, classes, cost, curves, kpi, regression
from monitor.performance.interval import Estimate, Float64


@dataclass(frozen=True, slots=True)
class Metric:
    """What a metric is. ``better``: 1 the higher, -1 the lower, 0 neither."""

    name: str
    better: int
    meaning: str
    per_class: bool = False


_ALL = (
    Metric("accuracy", 1, "Share of predictions that were right."),
    Metric("balanced_accuracy", 1, "Mean recall of the classes that occur."),
    Metric("precision", 1, "Of the predictions of the class, the share that was right.", per_class=True),
    Metric("recall", 1, "Of the rows that are the class, the share that was predicted as it.", per_class=True),
    Metric("f1", 1, "Harmonic mean of precision and recall.", per_class=True),
    Metric(
        "roc_auc",
        1,
        "Share of pairs of a row of the class and one that is not which are in order: of the score; multiclass: of the class's "
        "probability where predictions carry it, else of the predicted class and its confidence.",
        per_class=True,
    ),
    Metric("macro_roc_auc", 1, "Mean of roc_auc over the classes that occur, one against the rest; where predictions carry probabilities."),
    Metric("average_precision", 1, "Area under the precision-recall curve of the same order.", per_class=True),
    Metric("log_loss", -1, "Mean of -ln of the probability that the true class was given, in nats."),
    Metric("brier", -1, "Mean squared error of the probabilities; multiclass: summed over classes."),
    Metric("ece", -1, "Expected calibration error: how far scores are from what happens, less what noise adds."),
    Metric("expected_cost", -1, "Mean cost of a prediction by the configured costs."),
    Metric("label_rate", 0, "Share of labelled rows that are the class.", per_class=True),
    Metric("mae", -1, "Mean absolute error, in the unit of the label."),
    Metric("rmse", -1, "Root of the mean squared error, in the unit of the label."),
    Metric("bias", 0, "Mean of prediction minus label, in the unit of the label."),
    Metric("r2", 1, "Share of the labels' variance that the predictions explain."),
    Metric("error_quantile", 0, "Quantile of prediction minus label; the class is the probability.", per_class=True),
    Metric("absolute_error_quantile", -1, "Quantile of |prediction - label|; the class is the probability.", per_class=True),
    Metric("label_mean", 0, "Mean label."),
    Metric("kpi_mean", 0, "Mean business figure of a label."),
    Metric("kpi_sum", 0, "Sum of the business figures of the labels that came."),
)

METRICS = {metric.name: metric for metric in _ALL}


@dataclass(frozen=True, eq=False)
class Columns:
    """M metrics side by side, some of them of one class each."""

    names: tuple[str, ...]  # [M]
    classes: tuple[str, ...]  # [M] "" for metrics that are of no class
    estimate: Estimate  # [G, M]


def metric_columns(
    counts: OutcomeCounts, z: float, *, costs: Float64 | None = None, score_means: Float64 | None = None, with_kpi: bool = False
) -> Columns:
    """All metrics of the layout's task, intervals at normal quantile ``z``.

    ``costs`` [P, T] as ``cost.cost_table`` gives them; ``score_means`` [S]: mean score of the reference in each score cell.
    """
    found = _regression(counts, z, score_means) if counts.layout.task == "regression" else _classification(counts, z, costs, score_means)
    columns = list(found)
    if with_kpi:
        columns += [("kpi_mean", "", kpi.kpi_mean(counts, z)), ("kpi_sum", "", kpi.kpi_sum(counts, z))]
    stacked = (np.stack([getattr(estimate, end) for _, _, estimate in columns], axis=1) for end in ("value", "low", "high", "n"))
    return Columns(tuple(name for name, _, _ in columns), tuple(of for _, of, _ in columns), Estimate(*stacked))


_Column = tuple[str, str, Estimate]


def _classification(counts: OutcomeCounts, z: float, costs: Float64 | None, means: Float64 | None) -> Iterator[_Column]:
    layout, confusion = counts.layout, counts.confusion
    judged = counts.right_wrong.sum(axis=(1, 2))
    # A model whose predictions never name a class, but only score, is not wrong all the time.
    named = classes.has_classes(confusion) | (confusion.sum(axis=(1, 2)) == 0)
    yield "accuracy", "", classes.accuracy(judged, z).where(named)
    yield "balanced_accuracy", "", classes.balanced_accuracy(confusion, z)
    yield from _by_class("precision", layout, classes.precision(confusion, z))
    yield from _by_class("recall", layout, classes.recall(confusion, z))
    yield from _by_class("f1", layout, classes.f1(confusion, z))
    yield from _curves(counts, z)
    yield "log_loss", "", calibration.log_loss(counts, z)
    yield "brier", "", calibration.brier(counts, z)
    yield "ece", "", calibration.reliability(counts, z, means).ece
    if costs is not None:
        yield "expected_cost", "", cost.expected_cost(confusion, costs, z)
    yield from _by_class("label_rate", layout, classes.label_rate(counts.by_lag.sum(axis=1), z))


def _curves(counts: OutcomeCounts, z: float) -> Iterator[_Column]:
    layout = counts.layout
    if layout.task == "binary":
        negative, positive = (curves.value_cells(counts.by_score[:, :, k]) for k in range(2))
        yield "roc_auc", layout.classes[1], curves.roc_auc(positive, negative, z)
        yield "average_precision", layout.classes[1], curves.average_precision(positive, negative, z)
    elif counts.class_scores is not None:
        negative, positive = (counts.class_scores[..., k] for k in range(2))
        areas = curves.roc_auc(positive, negative, z)
        yield from _by_class("roc_auc", layout, areas)
        yield "macro_roc_auc", "", curves.macro(areas)
        yield from _by_class("average_precision", layout, curves.average_precision(positive, negative, z))
    elif counts.by_class is not None:
        positive, negative = curves.one_vs_rest(counts.by_class, counts.by_score)
        yield from _by_class("roc_auc", layout, curves.roc_auc(positive, negative, z))
        yield from _by_class("average_precision", layout, curves.average_precision(positive, negative, z))


def _by_class(name: str, layout: OutcomeLayout, estimate: Estimate) -> Iterator[_Column]:
    for place, of in enumerate(layout.classes):
        yield name, of, estimate[:, place]


def _regression(counts: OutcomeCounts, z: float, means: Float64 | None) -> Iterator[_Column]:
    yield "mae", "", regression.mae(counts, z)
    yield "rmse", "", regression.rmse(counts, z)
    yield "bias", "", regression.bias(counts, z)
    yield "r2", "", regression.r2(counts, z, means)
    for probability in regression.ERROR_QUANTILES:
        yield "error_quantile", f"{probability:g}", regression.error_quantile(counts, probability, z)
    for probability in regression.ABSOLUTE_QUANTILES:
        yield "absolute_error_quantile", f"{probability:g}", regression.absolute_error_quantile(counts, probability, z)
    yield "label_mean", "", regression.label_mean(counts, z)
