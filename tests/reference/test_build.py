"""A reference counts what is in the data: compared with counts by hand, and between formats."""

from __future__ import annotations

import gzip
import json
import math
import sys
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from monitor.errors import SourceError
from monitor.init.sample import read_sample
from monitor.profile.bare import bare_layout
from monitor.profile.layout import FAULT_CELLS, Role
from monitor.reference.build import Built, Options, build_reference
from monitor.reference.edges import above
from monitor.reference.format import decode, encode
from monitor.reference.hours import slot_of
from monitor.reference.mapping import data_model
from monitor.reference.read import open_files
from monitor.reference.reference import Reference
from monitor.reference.show import show
from monitor.segment import ALL, shown_category
from tests.reference.data import START_MS, event, flat_rows, model, write_csv, write_ndjson, write_parquet

Row = dict[str, Any]


def build(path: Path, options: Options | None = None, **changes: Any) -> Built:
    options = options or Options()
    extra = [where for where in (options.label, options.label_time) if where]
    configured = model(**changes)
    return build_reference(configured, open_files([path], data_model(configured), extra), options)


def counts(reference: Reference, segment: str, signal: str) -> dict[str, int]:
    """Non-zero counts of a categorical signal by cell label, of a numeric one by fault and cell number."""
    place = reference.layout.names.index(signal)
    row = reference.table.counts[reference.table.index[segment]][reference.layout.span(place)]
    return {label: int(n) for label, n in zip(reference.layout.signals[place].labels(), row, strict=True) if n}


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return flat_rows(3_000)


@pytest.fixture(scope="module")
def reference(rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> Reference:
    built = build(write_ndjson(tmp_path_factory.mktemp("build") / "rows.ndjson", rows))
    assert built.notes == ()
    return built.reference


SEGMENTS = {
    ALL: lambda row: True,
    "country=FR": lambda row: row["country"] == "FR",
    "device=web": lambda row: row["device"] == "web",
    "country=ES,device=ios": lambda row: row["country"] == "ES" and row["device"] == "ios",
}


@pytest.mark.parametrize("segment", SEGMENTS)
def test_counts_of_categories_are_those_of_the_rows(reference: Reference, rows: list[Row], segment: str) -> None:
    chosen = [row for row in rows if SEGMENTS[segment](row)]
    assert reference.table.rows[reference.table.index[segment]] == len(chosen)
    for signal, column in (("plan", "plan"), ("predicted_class", "label"), ("tier", "tier"), ("new", "new")):
        expected = Counter("missing" if row[column] is None else json.dumps(row[column]).strip('"') for row in chosen)
        assert counts(reference, segment, signal) == expected


@pytest.mark.parametrize("segment", SEGMENTS)
@pytest.mark.parametrize("signal", ["amount", "visits", "score"])
def test_counts_of_numbers_are_those_of_numpy(reference: Reference, rows: list[Row], segment: str, signal: str) -> None:
    values = np.array([np.nan if row[signal] is None else row[signal] for row in rows if SEGMENTS[segment](row)], float)
    place = reference.layout.names.index(signal)
    edges = reference.layout.signals[place].edges
    expected = np.zeros(FAULT_CELLS + len(edges) + 1, int)
    expected[0] = np.isnan(values).sum()
    expected[FAULT_CELLS:] = np.bincount(np.searchsorted(edges, values[~np.isnan(values)], side="right"), minlength=len(edges) + 1)
    found = reference.table.counts[reference.table.index[segment]][reference.layout.span(place)]
    assert found.tolist() == expected.tolist()


def test_means_and_deviations_are_those_of_numpy(reference: Reference, rows: list[Row]) -> None:
    for signal in ("amount", "visits", "score"):
        values = np.array([row[signal] for row in rows if row[signal] is not None], float)
        place = reference.layout.names.index(signal)
        assert math.isclose(reference.means[place], values.mean(), rel_tol=1e-12)
        assert math.isclose(reference.stds[place], values.std(), rel_tol=1e-10)
    assert np.isnan(reference.means[[2, 3, 4, 6]]).all()


def test_the_reference_says_what_it_was_made_of(reference: Reference, rows: list[Row]) -> None:
    assert (reference.model, reference.model_version, reference.rows) == ("churn", "3", len(rows))
    assert (reference.start_ms, reference.end_ms) == (rows[0]["ts"], rows[-1]["ts"])
    assert reference.layout.names == ("amount", "visits", "plan", "tier", "new", "score", "predicted_class")
    assert [entry["name"] for entry in reference.schema] == ["amount", "visits", "plan", "tier", "new"]
    assert reference.groupings == (("country",), ("device",), ("country", "device"))
    visits = reference.layout.signals[1]
    assert visits.range == (0.0, 50.0) and {0.0, above(50.0)} <= set(visits.edges)
    # Few different values: each begins a cell.
    assert set(map(float, {row["visits"] for row in rows})) <= set(visits.edges)


def test_the_hours_of_each_segment_add_up_to_it(reference: Reference, rows: list[Row]) -> None:
    hours = reference.hours
    assert hours is not None and hours.slots == 24
    assert set(hours.segments) >= {ALL, "country=FR", "device=ios"}
    for index, segment in enumerate(hours.segments):
        assert np.array_equal(hours.counts[index].sum(axis=0), reference.table.counts[reference.table.index[segment]])
    span = reference.layout.span(2)
    in_slot = [row for row in rows if (row["ts"] // 3_600_000) % 24 == 5]
    assert hours.counts[0, 5, span].sum() == len(in_slot)
    assert hours.counts[0, 5, span][0] == sum(row["plan"] is None for row in in_slot)


def test_two_weeks_of_data_are_counted_by_the_hour_of_the_week(tmp_path: Path) -> None:
    found = build(write_ndjson(tmp_path / "rows.ndjson", flat_rows(700, step_ms=1_800_000))).reference
    assert found.hours is not None and found.hours.slots == 168
    # Data begins on a Wednesday at midnight: two days after Monday.
    assert slot_of(np.array([START_MS]), 168).tolist() == [48]
    assert found.hours.counts[0, 48, found.layout.span(0)].sum() == 6  # three such hours, two rows each


def test_blocks_are_measured_from_data_in_order(reference: Reference, rows: list[Row]) -> None:
    assert reference.blocks is not None
    hour = reference.blocks.lengths_ms.index(3_600_000)
    blocks, total, squares = reference.blocks.across_totals[hour]
    # The last minute of the last hour has no row: that hour is not complete.
    assert (blocks, total, squares) == (49, 49 * 60, 49 * 60**2)


def test_ndjson_csv_and_parquet_of_the_same_rows_give_the_same_reference(reference: Reference, rows: list[Row], tmp_path: Path) -> None:
    assert build(write_csv(tmp_path / "rows.csv", rows)).reference.fingerprint == reference.fingerprint
    assert build(write_parquet(tmp_path / "rows.parquet", rows)).reference.fingerprint == reference.fingerprint
    other = [*rows[:-1], rows[-1] | {"visits": rows[-1]["visits"] + 1}]
    assert build(write_csv(tmp_path / "other.csv", other)).reference.fingerprint != reference.fingerprint


def test_rows_in_another_order_give_the_same_counts_and_no_blocks(reference: Reference, rows: list[Row], tmp_path: Path) -> None:
    built = build(write_ndjson(tmp_path / "rows.ndjson", rows[::-1]))
    assert built.reference.table == reference.table
    assert built.reference.blocks is None
    assert np.array_equal(built.reference.bin_means, reference.bin_means, equal_nan=True)
    assert built.notes == ("the rows are not in the order of their times: clustering not measured; sort the data by time and build again",)


def test_data_without_times_ids_and_scores_gives_a_reference_of_unknown_season(rows: list[Row], tmp_path: Path) -> None:
    bare = [{name: row[name] for name in ("country", "device", "amount", "visits", "plan", "tier", "new")} for row in rows]
    built = build(write_csv(tmp_path / "rows.csv", bare))
    found = built.reference
    assert (found.start_ms, found.end_ms, found.hours, found.blocks) == (None, None, None, None)
    assert found.rows == len(rows) and found.model_version == "unversioned"
    assert counts(found, ALL, "plan") == Counter(row["plan"] or "missing" for row in rows)
    assert counts(found, ALL, "score") == {"missing": len(rows)}
    assert built.notes == (
        "no row has a time at ts: season unknown, clustering not measured",
        "score: no row has a value; is its path right?",
        "predicted_class: no row has a value; is its path right?",
    )


def test_what_is_wrong_with_a_value_is_counted_and_what_is_wrong_with_a_row_is_noted(tmp_path: Path) -> None:
    rows = [event(row) for row in flat_rows(100)]
    rows[3]["features"]["amount"] = "12,5"
    rows[4]["features"]["amount"] = math.nan
    rows[5]["features"]["visits"] = 51
    del rows[6]["ts"]
    lines = [json.dumps(row) for row in rows]
    lines[7] = "{broken"
    path = tmp_path / "rows.ndjson"
    path.write_text("\n".join(lines))
    built = build(path)
    found = built.reference
    assert found.rows == 98
    amount, visits = found.layout.span(0), found.layout.span(1)
    assert found.table.counts[0, amount][1:3].tolist() == [1, 1]
    assert found.table.counts[0, visits][-1] == 1
    notes = [note.split(" (")[0] for note in built.notes]
    assert notes[:2] == ["1 rows rejected as not_json", "1 rows rejected as no_time"]
    assert notes[2:] == [
        "amount: 1 of 98 rows have no number, such as one written as text: they count as invalid, and not among its values"
    ]


def test_a_column_of_another_type_is_not_said_to_be_missing(tmp_path: Path) -> None:
    rows = [event(row) for row in flat_rows(50)]
    for row in rows:
        row["features"]["amount"], row["features"]["plan"] = "12.5", ["basic"]
    path = tmp_path / "rows.ndjson"
    path.write_text("\n".join(map(json.dumps, rows)))
    assert build(path).notes == (
        "amount: 50 of 50 rows have no number, such as one written as text: they count as invalid, and not among its values",
        "plan: 50 of 50 rows have a list or an object: they count as invalid, and not among its values",
    )


def test_categories_beyond_forty_are_known_but_share_a_cell(tmp_path: Path) -> None:
    rows = flat_rows(1_500)
    for i, row in enumerate(rows):
        # 1,200 categories: c0 has most rows; the last hundreds have one.
        row["plan"] = f"c{i % 40}" if i < 400 else f"d{i}"
    found = build(write_csv(tmp_path / "rows.csv", rows)).reference
    plan = found.layout.signals[2]
    assert set(plan.categories) == {f"c{i}" for i in range(40)}
    assert len(plan.tail) == 960
    by_cell = counts(found, ALL, "plan")
    assert [by_cell[f"c{i}"] for i in range(40)] == [10] * 40
    assert by_cell["other"] == 960 and by_cell["unseen"] == 1_500 - 400 - 960


def test_categories_are_known_by_the_text_that_production_will_send(tmp_path: Path) -> None:
    """Segment values are cleaned, categories are not: production looks a category up as it stands in the event."""
    texts = ["", "Co\u0302te\u00a0d'Ivoire", "a\nb", "__other__", "__missing__", "\U0001f468\u200d\U0001f469", "\ud800"]
    rows = [event(row) for row in flat_rows(700)]
    for i, row in enumerate(rows):
        row["features"]["plan"] = texts[i % len(texts)]
    path = tmp_path / "rows.ndjson"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    found = build(path).reference
    plan = found.layout.signals[2]
    assert set(plan.categories) == {*texts[:-1], "?"}  # a lone surrogate has no UTF-8, so the file cannot hold it
    assert counts(found, ALL, "plan") == {**dict.fromkeys(map(shown_category, texts[:-1]), 100), "unseen": 100}
    assert decode(encode(found), "reference").layout.signals[2] == plan
    assert all(line.isprintable() for line in show(found).split("\n"))  # what is made for a terminal


def test_declared_categories_count_others_as_out_of_range(rows: list[Row], tmp_path: Path) -> None:
    features = [{"name": "plan", "type": "categorical", "path": "features.plan", "categories": ["free", "pro", "gone"]}]
    found = build(write_ndjson(tmp_path / "rows.ndjson", rows), features=features).reference
    expected = Counter(row["plan"] or "missing" for row in rows)
    expected["out of range"] = expected.pop("team")
    assert counts(found, ALL, "plan") == expected


def test_a_range_may_be_open(rows: list[Row], tmp_path: Path) -> None:
    features = [{"name": "amount", "type": "numeric", "path": "features.amount", "range": [20, math.inf]}]
    configured = model(features=features)
    found = build(write_ndjson(tmp_path / "rows.ndjson", rows), features=features).reference
    below = sum(row["amount"] is not None and row["amount"] < 20 for row in rows)
    signal = found.layout.signals[0]
    out = np.array(signal.roles) == Role.OUT_OF_RANGE
    assert found.table.counts[0, found.layout.span(0)][out].sum() == below > 0
    assert signal.range == bare_layout(configured).signals[0].range == (20.0, sys.float_info.max)
    assert decode(encode(found), "it").layout == found.layout


def test_segments_past_the_cap_fold_into_other_and_totals_stay_exact(rows: list[Row], tmp_path: Path) -> None:
    segments = {"columns": {"country": "country", "device": "device"}, "groupings": [["country"], ["country", "device"]], "max_segments": 3}
    found = build(write_ndjson(tmp_path / "rows.ndjson", rows), segments=segments).reference
    sizes = Counter(f"country={row['country']}" for row in rows) + Counter(
        f"country={row['country']},device={row['device']}" for row in rows
    )
    largest = sorted(sizes, key=lambda key: (-sizes[key], key))[:3]
    others = {"country=__other__", "country=__other__,device=__other__"}
    assert set(found.table.segments) - others == {ALL, *largest}
    for key in largest:
        assert found.table.rows[found.table.index[key]] == sizes[key]
    fine = [key for key in found.table.segments if "device" in key]
    assert sum(found.table.rows[found.table.index[key]] for key in fine) == len(rows)


def test_rows_of_several_versions_need_a_choice(rows: list[Row], tmp_path: Path) -> None:
    mixed = [row | {"version": "4"} if i % 3 == 0 else row for i, row in enumerate(rows)]
    path = write_ndjson(tmp_path / "rows.ndjson", mixed)
    with pytest.raises(SourceError, match="expected rows of one model version, got 3, 4; choose one with --model-version"):
        build(path)
    built = build(path, Options(model_version="4"))
    assert (built.reference.model_version, built.reference.rows) == ("4", 1_000)
    assert built.notes[0] == "2,000 rows of other model versions left out"
    with pytest.raises(SourceError, match="expected rows to count, got none that can be used; they are of version 3, 4, not 5"):
        build(path, Options(model_version="5"))


def test_nothing_to_count_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "rows.ndjson"
    path.write_text("[1]\nnonsense\n")
    with pytest.raises(SourceError, match=r"expected rows to count, got none that can be used; .*row 0"):
        build(path)
    path.write_text("")
    with pytest.raises(SourceError, match=r"expected rows to count, got none that can be used$"):
        build(path)


def test_labels_give_performance_and_error_tables(rows: list[Row], tmp_path: Path) -> None:
    labelled = [row | {"truth": None} if i % 10 == 0 else row for i, row in enumerate(rows)]
    path = write_parquet(tmp_path / "rows.parquet", labelled)
    found = build(path, Options(label="truth", label_time="known")).reference
    judged = [row for row in labelled if row["truth"] is not None]
    labels = found.labels
    assert labels is not None
    assert (labels["rows"], labels["unlabelled"], labels["positive"]) == (2_700, 300, "yes")
    score, truth = np.array([row["score"] for row in judged]), np.array([row["truth"] == "yes" for row in judged])
    wrong = np.array([row["label"] != row["truth"] for row in judged])
    performance = labels["performance"]
    assert math.isclose(performance["accuracy"], 1 - wrong.mean())
    assert math.isclose(performance["positive_rate"], truth.mean())
    assert math.isclose(performance["brier"], np.mean((score - truth) ** 2), rel_tol=1e-7)
    assert math.isclose(performance["log_loss"], -np.mean(np.where(truth, np.log(score), np.log1p(-score))), rel_tol=1e-7)
    # By cells the AUC is that of the rounded score: ties within a cell count half.
    edges = found.layout.signals[5].edges
    cells = np.searchsorted(edges, score, side="right")
    u = stats.mannwhitneyu(cells[truth], cells[~truth]).statistic
    assert math.isclose(performance["auc"], u / truth.sum() / (~truth).sum())
    errors = labels["errors"]
    spanish = errors["segments"].index("country=ES")
    here = np.array([row["country"] == "ES" for row in judged])
    expected = np.bincount(cells[here] + FAULT_CELLS, wrong[here], minlength=found.layout.signals[5].cells)
    assert errors["wrong"][spanish] == expected.tolist()
    assert sum(errors["labelled"][spanish]) == here.sum()
    lag = np.array([row["known"] - row["ts"] for row in judged])
    by_lag = np.bincount(np.searchsorted(labels["lag"]["edges_ms"], lag, side="right"), minlength=len(labels["lag"]["labelled"]))
    assert labels["lag"]["labelled"] == by_lag.tolist()
    assert sum(labels["lag"]["wrong"]) == wrong.sum()
    by_score = {name: np.array(labels["lag"]["by_score"][name]) for name in ("labelled", "wrong")}
    everything = errors["segments"].index("ALL")
    for name, table in by_score.items():
        assert table.sum(axis=1).tolist() == labels["lag"][name]
        assert table.sum(axis=0).tolist() == errors[name][everything]
    confusion = labels["confusion"]
    at = {name: place for place, name in enumerate(confusion["classes"])}
    assert confusion["counts"][at["yes"]][at["no"]] == sum(row["truth"] == "yes" and row["label"] == "no" for row in judged)


def test_a_class_from_a_threshold_is_compared_with_the_labels(rows: list[Row], tmp_path: Path) -> None:
    predictions = {"topic": "t", "id": "id", "time": {"path": "ts"}, "score": "prediction.score", "threshold": 0.5, "predicted_class": None}
    found = build(
        write_ndjson(tmp_path / "rows.ndjson", rows), Options(label="truth", model_version="3"), predictions=predictions
    ).reference
    above_threshold = [row["score"] >= 0.5 for row in rows]
    assert counts(found, ALL, "predicted_class") == {"0": above_threshold.count(False), "1": above_threshold.count(True)}
    right = [(row["truth"] == "yes") == decided for row, decided in zip(rows, above_threshold, strict=True)]
    assert found.labels is not None
    assert math.isclose(found.labels["performance"]["accuracy"], np.mean(right))


def peak_bytes(path: Path) -> int:
    tracemalloc.start()
    try:
        build(path, Options(sample_rows=2_000))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_number_of_rows(tmp_path: Path) -> None:
    """Ten times the rows: the same peak, give or take what the interpreter keeps."""
    small = write_ndjson(tmp_path / "small.ndjson", flat_rows(10_000))
    large = write_ndjson(tmp_path / "large.ndjson", flat_rows(100_000))
    peak_bytes(small)  # imports and caches
    assert peak_bytes(large) < 1.2 * peak_bytes(small)


@pytest.mark.parametrize("name", ["rows.json", "rows.ndjson.gz"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"id": "1", "x": 1},\n {"id": "2", "x": 2}]', r"got one JSON array; write a line for each element: jq -c '\.\[\]' FILE"),
        ('[\n  {\n    "id": "1"\n  }\n]', r"got one JSON array"),
        ('{\n  "id": "1"\n}', r"got one over several lines; write each into a line: jq -c \. FILE"),
    ],
)
def test_json_that_is_not_an_object_a_line_is_named(tmp_path: Path, name: str, text: str, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    with pytest.raises(SourceError, match=rf"{name}: expected one JSON object a line, {said}"):
        build(path)
    with pytest.raises(SourceError, match=rf"{name}: expected one JSON object a line, {said}"):
        read_sample(path)


def test_a_label_that_is_a_feature_too_is_said(tmp_path: Path) -> None:
    path = write_ndjson(tmp_path / "rows.ndjson", flat_rows(200))
    feature = model().features[0]
    told = [note for note in build(path, Options(label=feature.where)).notes if "is the feature" in note]
    assert told == [
        f"the label {feature.where} is the feature {feature.name} too: production does not know it yet; take it out of features"
    ]
    assert not [note for note in build(path).notes if "is the feature" in note]
