"""Planting: exactly the rows of the segment and time, by the size that was asked for, whatever the batches."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from monitor.batch import UNSEEN, Labels, RawBatch
from monitor.config import ModelConfig, parse_config
from monitor.config.drill import STANDARD, PlantedDrift
from monitor.decode import Decoder, LabelDecoder
from monitor.drill.plant import NotPlantableError, plant_of
from monitor.segment import ALL
from tests.drill.world import MODEL, START_MS, STEP_MS, events
from tests.flow import world

ROWS = 4_000
EVENTS = list(events(5, ROWS))
AT_MS = START_MS + 1_000 * STEP_MS


def config() -> ModelConfig:
    tree = {**MODEL, "references": []}
    return parse_config({"source": {"client": "ndjson", "path": "none"}, "models": [tree]}).models[0]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    from monitor.config import load_config
    from monitor.reference.fit import load_references
    from tests.drill.world import made

    return load_references(load_config(made(tmp_path_factory.mktemp("reference"), rows=10)))["churn"][0]


VOCABULARY = {"plan": ("a", "b", "c")}


def raw(topic: str, start: int, stop: int) -> RawBatch:
    values = [json.dumps(each).encode() for each in EVENTS[start:stop]]
    return RawBatch(topic, 0, values, np.arange(start, stop), np.full(len(values), -1))


def decoded(start: int = 0, stop: int = ROWS):
    return Decoder(config(), VOCABULARY).decode([raw("t", start, stop)])[0]


def planted(reference, start: int = 0, stop: int = ROWS, **drift):
    plant = plant_of(PlantedDrift(name="d", **drift), config(), [reference], VOCABULARY, AT_MS)
    batch = decoded(start, stop)
    return batch, plant.batch(batch)


def test_a_shift_adds_so_many_standard_deviations_of_the_reference_from_its_time_on(reference):
    before, after = planted(reference, shift=0.5)
    std = float(reference.stds[reference.layout.names.index("price")])
    assert std == pytest.approx(2, rel=0.05)
    moved = after.values[:, 0] - before.values[:, 0]
    assert moved[:1_000].tolist() == [0] * 1_000
    assert moved[1_000:] == pytest.approx(np.full(ROWS - 1_000, 0.5 * std))
    assert np.array_equal(after.values[:, 1:], before.values[:, 1:], equal_nan=True)
    assert before.values is not after.values
    assert np.array_equal(decoded().values, before.values), "the batch it was given is as it was"


def test_a_segment_is_all_that_is_touched(reference):
    before, after = planted(reference, shift=1.0, segment="country=DE")
    german = np.array([each["country"] == "DE" for each in EVENTS])
    later = np.arange(ROWS) >= 1_000
    assert np.array_equal(after.values[:, 0] != before.values[:, 0], german & later)


def test_a_spread_stretches_about_the_reference_s_mean(reference):
    before, after = planted(reference, spread=2.0)
    assert np.std(after.values[1_000:, 0]) == pytest.approx(2 * np.std(before.values[1_000:, 0]), rel=1e-9)
    assert np.mean(after.values[1_000:, 0]) == pytest.approx(10, abs=0.2)


@pytest.mark.parametrize(("share", "drift"), [(0.1, {"missing": 0.1}), (0.3, {"missing": 0.3, "segment": "country=FR"})])
def test_a_share_goes_missing(reference, share, drift):
    _, after = planted(reference, **drift)
    gone = np.isnan(after.values[:, 0])
    inside = np.arange(ROWS) >= 1_000
    if "segment" in drift:
        inside &= np.array([each["country"] == "FR" for each in EVENTS])
    assert not gone[~inside].any()
    n = inside.sum()
    assert gone[inside].mean() == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / n))


def test_moved_mass_is_a_share_of_all_rows_and_goes_from_the_first_category_to_the_second(reference):
    before, after = planted(reference, moved=0.2)
    plan = {name: (before.values[1_000:, 1] == code, after.values[1_000:, 1] == code) for code, name in enumerate("abc")}
    lost = plan["a"][0].mean() - plan["a"][1].mean()
    assert lost == pytest.approx(0.2, abs=4 * np.sqrt(0.2 * 0.8 / 3_000))
    assert plan["b"][1].mean() - plan["b"][0].mean() == pytest.approx(lost)
    assert np.array_equal(*plan["c"])


def test_unseen_categories_have_the_code_of_what_no_reference_knows(reference):
    _, after = planted(reference, unseen=0.05)
    assert (after.values[1_000:, 1] == UNSEEN).mean() == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 3_000))


def test_wrong_labels_say_the_other_class(reference):
    plant = plant_of(PlantedDrift(name="d", wrong_labels=0.25), config(), [reference], VOCABULARY, AT_MS)
    labels = LabelDecoder(config()).decode([raw("l", 0, ROWS)])[0]
    assert isinstance(labels, Labels)
    flipped = plant.labels(labels).value != labels.value
    later = labels.time_ms >= AT_MS
    assert not flipped[~later].any()
    assert flipped[later].mean() == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / later.sum()))
    assert set(plant.labels(labels).value.tolist()) == {0.0, 1.0}
    batch = decoded()
    assert plant.batch(batch) is batch


@given(cut=st.integers(1, ROWS - 1))
def test_the_same_rows_are_changed_whatever_the_batches(reference, cut):
    _, whole = planted(reference, missing=0.3)
    parts = [planted(reference, start, stop, missing=0.3)[1].values[:, 0] for start, stop in ((0, cut), (cut, ROWS))]
    assert np.array_equal(np.concatenate(parts), whole.values[:, 0], equal_nan=True)


def test_a_drift_that_fits_nothing_says_why(reference):
    def of(**drift):
        return plant_of(PlantedDrift(name="d", **drift), config(), drift.pop("references", [reference]), VOCABULARY, 0)

    for drift, expected in (
        (
            {"shift": 1.0, "feature": "plan"},
            "expected one of missing, moved, unseen for feature plan of model churn, which is categorical, got shift",
        ),
        (
            {"moved": 0.1, "feature": "price"},
            "expected one of shift, spread, missing for feature price of model churn, which is numeric, got moved",
        ),
        ({"shift": 1.0, "feature": "nosuch"}, "model churn has no feature nosuch"),
        ({"shift": 1.0, "segment": "city=Rome"}, "expected a segment of the columns country"),
        ({"shift": 1.0, "segment": "Rome"}, "expected a segment of the columns country"),
        ({"shift": 1.0, "model": "other"}, "model churn has no feature that it fits"),
    ):
        with pytest.raises(NotPlantableError, match=expected):
            of(**drift)
    with pytest.raises(NotPlantableError, match="expected a reference with a standard deviation of price, got none"):
        plant_of(PlantedDrift(name="d", shift=1.0), config(), [], VOCABULARY, 0)
    bare = config().model_copy(update={"labels": None})
    with pytest.raises(NotPlantableError, match="model churn has no labels"):
        plant_of(PlantedDrift(name="d", wrong_labels=0.1), bare, [reference], VOCABULARY, 0)
    plant_of(PlantedDrift(name="d", shift=1.0, segment=ALL), config(), [reference], VOCABULARY, 0)


def test_a_drift_of_the_small_world_is_planted_without_touching_values_that_are_not_there():
    """Values that are missing or of another type stay what they are."""
    (rows,) = world.log(3, partitions=1, minutes=30)
    reference = world.reference()
    batch = Decoder(world.model_config(), {"c": ("a", "b")}).decode([world.raw(rows)])[0]
    for drift in ({"shift": 1.0, "feature": "y"}, {"unseen": 1.0}, {"spread": 2.0}):
        after = plant_of(PlantedDrift(name="d", **drift), world.model_config(), [reference], {"c": ("a", "b")}, 0).batch(batch)
        assert np.array_equal(np.isnan(after.values), np.isnan(batch.values))


@pytest.mark.parametrize(
    ("drift", "expected"),
    [
        ({}, "expected exactly one of shift, spread"),
        ({"shift": 1, "missing": 0.5}, "got shift, missing"),
        ({"shift": 0}, "shift: expected a drift, got none"),
        ({"spread": 1}, "spread: expected a drift, got none"),
        ({"wrong_labels": 0.1, "segment": "country=FR"}, "neither feature nor segment with wrong_labels"),
        ({"missing": 1.5}, "less than or equal to 1"),
        ({"shift": float("nan")}, "finite number"),
    ],
)
def test_a_drift_that_is_none_is_refused(drift, expected):
    with pytest.raises(ValidationError, match=expected):
        PlantedDrift(name="d", **drift)


def test_standard_drifts_are_told_apart():
    assert len({drift.name for drift in STANDARD}) == len(STANDARD)
