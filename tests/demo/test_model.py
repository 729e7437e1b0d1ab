"""The model is the solution of its own equations, and says what it does not know."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.demo.events import split
from monitor.demo.flights import CATEGORICAL, NUMERIC, WEATHER, Flights
from monitor.demo.model import RIDGE, Model, auc, design, fit, labels, score, train


def test_the_score_equations_hold(model: Model, training: Flights) -> None:
    target = labels(training)
    known = ~np.isnan(target)
    columns = design(model, training.where(known))
    probability = 1 / (1 + np.exp(-(columns @ model.weights)))
    penalty = RIDGE * model.weights
    penalty[0] = 0
    np.testing.assert_allclose(columns.T @ (target[known] - probability), penalty, atol=1e-6)


def test_scoring_uses_the_design_that_was_trained(model: Model, training: Flights) -> None:
    np.testing.assert_allclose(score(model, training), 1 / (1 + np.exp(-(design(model, training) @ model.weights))), rtol=1e-12)


def test_the_mean_score_of_the_training_flights_is_their_share_of_late_ones(model: Model, training: Flights) -> None:
    """What the free intercept gives: the model is calibrated in the large."""
    target = labels(training)
    known = ~np.isnan(target)
    assert score(model, training)[known].mean() == pytest.approx(target[known].mean(), abs=1e-9)
    assert model.rows == known.sum()


def test_one_yes_or_no_column_gives_the_log_odds() -> None:
    """Closed form: 1 of 4 late without, 3 of 4 late with the column; log-odds -log 3 and log 3."""
    columns = np.array([[1.0, 0.0]] * 4 + [[1.0, 1.0]] * 4)
    target = np.array([1.0, 0, 0, 0, 1, 1, 1, 0])
    np.testing.assert_allclose(fit(columns, target, ridge=0.0), [-np.log(3), 2 * np.log(3)], atol=1e-8)


def test_separable_data_without_a_ridge_have_no_weights() -> None:
    with pytest.raises((ArithmeticError, np.linalg.LinAlgError)):
        fit(np.array([[1.0, -1.0], [1.0, 1.0]]), np.array([0.0, 1.0]), ridge=0.0, tolerance=0.0)


def test_training_twice_gives_the_same_bytes(model: Model, training: Flights) -> None:
    assert train(training).weights.tobytes() == model.weights.tobytes()


def test_training_reads_no_feature_of_march(flights: Flights, model: Model) -> None:
    _, production = split(flights)
    altered = replace(flights, numeric={name: np.where(flights.month > 2, 7.0, column) for name, column in flights.numeric.items()})
    assert len(production) > 0
    assert train(split(altered)[0]).weights.tobytes() == model.weights.tobytes()


def test_a_missing_value_scores_as_the_mean_with_its_flag(model: Model, training: Flights) -> None:
    flight = training.where(np.arange(len(training)) == 1000)
    blank = replace(flight, numeric={name: np.array([np.nan if name in WEATHER else column[0]]) for name, column in flight.numeric.items()})
    row = design(model, blank)[0]
    for position, name in enumerate(NUMERIC):
        value, missing = row[1 + 2 * position : 3 + 2 * position]
        assert (value, missing) == ((0.0, 1.0) if name in WEATHER else (pytest.approx(value), 0.0))
    assert 0 < score(model, blank)[0] < 1


def test_a_category_that_training_did_not_see_has_no_say(model: Model, training: Flights) -> None:
    flight = training.where(np.arange(len(training)) == 1000)
    strange = replace(flight, categorical={**flight.categorical, "destination": np.array(["ZZZ"])})
    first = 1 + 2 * len(NUMERIC) + sum(len(model.categories[name]) for name in CATEGORICAL[: CATEGORICAL.index("destination")])
    block = slice(first, first + len(model.categories["destination"]))
    assert design(model, flight)[0, block].sum() == 1
    assert design(model, strange)[0, block].sum() == 0


def test_each_flight_is_in_one_column_of_each_categorical_feature(model: Model, training: Flights) -> None:
    columns = design(model, training)[:, 1 + 2 * len(NUMERIC) :]
    assert (columns.sum(axis=1) == len(CATEGORICAL)).all()
    assert ((columns == 0) | (columns == 1)).all()


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=30))
def test_auc_is_the_share_of_pairs_in_order(rows: list[tuple[bool, int]]) -> None:
    late = [score for label, score in rows if label]
    punctual = [score for label, score in rows if not label]
    result = auc(np.array([float(label) for label, _ in rows]), np.array([float(score) for _, score in rows]))
    if not late or not punctual:
        assert np.isnan(result)
    else:
        wins = sum((a > b) + 0.5 * (a == b) for a in late for b in punctual)
        assert result == pytest.approx(wins / (len(late) * len(punctual)))


def test_the_model_has_learned_something_that_still_holds_later(model: Model, flights: Flights) -> None:
    training, production = split(flights)
    assert auc(labels(training), score(model, training)) > 0.65
    assert auc(labels(production), score(model, production)) > 0.6
