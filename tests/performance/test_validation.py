"""The reference's labels as counts: those of the same rows counted as production counts them."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.outcome.counts import OutcomeCounts
from monitor.outcome.layout import OutcomeLayout
from monitor.performance.metric import metric_columns
from monitor.performance.validation import Validation, validation
from monitor.profile.layout import SignalBins
from monitor.reference.labels import LabelCounts
from tests.performance.rows import BINARY, Rows, binary_rows, multiclass_rows

Z = 1.96
SPELLINGS = {"no": 0, "0": 0, "yes": 1, "1": 1}


def reference_labels(rows: Rows, names: tuple[str, ...], positive: str | None) -> dict:
    """What a reference built from the rows keeps of their labels."""
    counts = LabelCounts(tuple(sorted(names, reverse=True)), rows.layout.score_cells, True, positive)
    labels = [names[k] for k in rows.truth]
    predicted = [names[k] if k < len(names) else None for k in rows.predicted]
    outcomes = counts.outcomes(labels, predicted)
    counts.add(labels, predicted, rows.score, np.full(len(labels), np.nan), outcomes)
    cells = rows.layout.score_cell(rows.score).astype(np.uint8)
    counts.add_segments(["ALL"], np.zeros(len(labels), np.intp), cells, outcomes)
    assert rows.segment is not None
    counts.add_segments([f"s{k}" for k in range(rows.segment.max() + 1)], rows.segment, cells, outcomes)
    return {"path": "label", **counts.content("ALL")}


def made(rows: Rows, names: tuple[str, ...] = ("no", "yes"), positive: str | None = "yes", layout: OutcomeLayout = BINARY) -> Validation:
    spellings = SPELLINGS if positive else {name: k for k, name in enumerate(names)}
    found = validation(reference_labels(rows, names, positive), layout, spellings)
    assert found is not None
    return found


def assert_same_metrics(found: OutcomeCounts, expected: OutcomeCounts, names: set[str], segments: list[int]) -> None:
    ours, theirs = metric_columns(found, Z), metric_columns(expected, Z)
    place = {key: column for column, key in enumerate(zip(ours.names, ours.classes, strict=True))}
    for column, key in enumerate(zip(theirs.names, theirs.classes, strict=True)):
        if key[0] in names:
            own = ours.estimate[:, place[key]]
            for end in ("value", "low", "high", "n"):
                known = getattr(theirs.estimate, end)[segments, column]
                assert getattr(own, end)[segments] == pytest.approx(known, rel=1e-9, abs=1e-9), key


def test_binary_validation_is_that_of_the_rows_in_every_segment() -> None:
    """The threshold lies on an edge of the score's cells, so each cell is predicted one way."""
    rows = binary_rows(np.random.default_rng(1), 4000, segments=3, threshold=0.4)
    rows.predicted = (rows.layout.score_cell(rows.score) >= 3 + 8).astype(int)
    everything = {"accuracy", "balanced_accuracy", "precision", "recall", "f1", "roc_auc", "average_precision", "ece", "label_rate"}
    assert_same_metrics(made(rows).counts, rows.counts(), everything, [0, 1, 2, 3])


def test_the_cell_that_holds_the_threshold_is_split_as_in_all() -> None:
    rows = binary_rows(np.random.default_rng(2), 20_000, segments=3, threshold=0.43)
    found, expected = made(rows).counts, rows.counts()
    assert (found.confusion[0] == expected.confusion[0]).all()
    # Wrong rows are known; their kind is off by at most part of one cell's rows.
    assert (found.confusion[:, 0, 1] + found.confusion[:, 1, 0] == expected.confusion[:, 0, 1] + expected.confusion[:, 1, 0]).all()
    assert (found.confusion.sum(axis=1) == expected.confusion.sum(axis=1)).all()
    rows_of_cell = expected.by_score[:, 3 + 8].sum(axis=1)
    assert (np.abs(found.confusion - expected.confusion).max(axis=(1, 2)) < 0.1 * rows_of_cell).all()
    assert (found.confusion >= 0).all()


def test_losses_are_those_of_the_rows_and_their_spread_nearly() -> None:
    rows = binary_rows(np.random.default_rng(3), 20_000)
    ours, theirs = (metric_columns(counts, Z) for counts in (made(rows).counts, rows.counts()))
    for name in ("log_loss", "brier"):
        own, expected = (columns.estimate[0, columns.names.index(name)] for columns in (ours, theirs))
        assert float(own.value) == pytest.approx(float(expected.value), abs=1e-6)
        assert float(own.high - own.low) == pytest.approx(float(expected.high - expected.low), rel=0.03)
        assert int(own.n) == 20_000


def test_predictions_that_do_not_follow_the_score_leave_segments_unknown() -> None:
    rows = binary_rows(np.random.default_rng(4), 2000, segments=2)
    rows.predicted = np.random.default_rng(5).integers(0, 2, 2000)
    found, expected = made(rows).counts, rows.counts()
    assert (found.confusion[0] == expected.confusion[0]).all()
    assert not found.confusion[1:].any()
    assert_same_metrics(found, expected, {"accuracy", "roc_auc"}, [0, 1, 2])
    recall = metric_columns(found, Z)
    assert np.isnan(recall.estimate.value[1:, recall.names.index("recall")]).all()


def test_the_references_positive_class_may_be_our_negative_one() -> None:
    rows = binary_rows(np.random.default_rng(6), 1000)
    flipped = made(rows, positive="no").counts
    assert (flipped.by_score == made(rows).counts.by_score).all()
    # Its losses are those of scores for the other class, and say nothing of ours.
    assert made(rows).counts.sums.any()
    assert not flipped.sums.any()


def test_other_spellings_are_understood_and_unknown_classes_left_out() -> None:
    rows = binary_rows(np.random.default_rng(7), 1000)
    assert (made(rows, names=("0", "1"), positive="1").counts.confusion == rows.counts().confusion).all()
    strange = made(rows, names=("left", "right"), positive="right").counts
    assert not strange.confusion.any()
    assert not strange.by_score.any()


def test_another_score_leaves_only_totals() -> None:
    rows = binary_rows(np.random.default_rng(8), 1000)
    other = OutcomeLayout("binary", ("no", "yes"), SignalBins("score", "numeric", edges=(0.5,)))
    columns = metric_columns(made(rows, layout=other).counts, Z)
    value = dict(zip(columns.names, columns.estimate.value[0], strict=True))
    assert value["accuracy"] == pytest.approx((rows.truth == rows.predicted).mean())
    assert np.isnan(value["roc_auc"])
    assert np.isnan(value["ece"])


def test_multiclass_validation_knows_all_of_all_and_the_accuracy_of_segments() -> None:
    rows = multiclass_rows(np.random.default_rng(9), 3000, segments=2)
    rows.score = rows.score.astype(np.float32).astype(float)
    found = made(rows, names=("a", "b", "c"), positive=None, layout=rows.layout)
    assert_same_metrics(found.counts, rows.counts(), {"accuracy", "precision", "recall", "f1", "label_rate", "ece"}, [0])
    assert_same_metrics(found.counts, rows.counts(), {"accuracy", "ece"}, [0, 1, 2])


def test_a_regression_whose_reference_holds_no_errors_has_no_validation() -> None:
    assert validation({}, OutcomeLayout("regression", ()), {}) is None
