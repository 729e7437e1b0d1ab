"""Which of two classes is the one that scores speak for: what words such as reject and yes do not tell."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from typing import Any

from monitor.init.column import Column
from monitor.init.roles import Roles

_MIN_ROWS = 20
_MIN_STANDARD_ERRORS = 5.0


def spelling(value: Any) -> str:
    """A value as the name of a class."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def high_class(predictions: Roles) -> str | None:
    """The predicted class of high scores; None when the sample does not tell, or has no probability."""
    chosen, score = predictions.predicted_class, _scores(predictions)
    return None if chosen is None else _high((spelling(value), score.get(row)) for row, value in chosen.column.of_row.items())


def high_label(predictions: Roles, label: Column, ids: Column | None) -> str | None:
    """The truth of high scores, joined by the labels' ``ids``, or by the row of the same sample without them."""
    score = _scores(predictions)
    if ids is None:
        return _high((spelling(value), score.get(row)) for row, value in label.of_row.items())
    if predictions.id is None:
        return None
    of_id = {str(value): score.get(row) for row, value in predictions.id.column.of_row.items()}
    return _high((spelling(value), of_id.get(str(ids.of_row.get(row)))) for row, value in label.of_row.items())


def _scores(predictions: Roles) -> dict[int, float]:
    chosen = predictions.score
    return chosen.column.of_row if chosen is not None and chosen.detail == "probability" else {}


def _high(pairs: Iterable[tuple[str, Any]]) -> str | None:
    """The class of the higher mean score, of two whose means differ by far more than chance (Welch's statistic)."""
    of_class: dict[str, list[float]] = {}
    for name, score in pairs:
        if isinstance(score, int | float):
            of_class.setdefault(name, []).append(float(score))
    if len(of_class) != 2 or min(map(len, of_class.values())) < _MIN_ROWS:
        return None
    means = {name: sum(scores) / len(scores) for name, scores in of_class.items()}
    errors = [sum((x - means[name]) ** 2 for x in scores) / len(scores) ** 2 for name, scores in of_class.items()]
    low, high = sorted(means, key=lambda name: means[name])
    return high if means[high] - means[low] > _MIN_STANDARD_ERRORS * sqrt(sum(errors)) else None
