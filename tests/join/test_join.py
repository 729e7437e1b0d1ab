"""The join against loops over the whole log: what is counted is a function of the set of rows, however they came."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.batch import Labels, RejectReason, Span
from monitor.clock import EventClock
from monitor.config import labels as configured
from monitor.join.join import add_predictions, apply_until, arrive
from monitor.join.names import Names
from monitor.join.record import RECORD
from monitor.join.runs import Runs
from monitor.join.state import LabelEntry, LabelState
from monitor.outcome.cells import Outcomes, outcome_codes, prediction_codes, row_dtype
from monitor.outcome.combination import Combinations
from monitor.outcome.counts import outcome_counts
from monitor.outcome.layout import OutcomeLayout
from monitor.outcome.sparse import SparseCounts, add, sparse

MINUTE = 60_000
LAYOUT = OutcomeLayout("binary", ("0", "1"))
PARTITIONS = 2


def config(**changes: Any) -> configured.Labels:
    tree = {
        "topic": "labels", "id": "id", "label": "y", "time": {"path": "ts"}, "annotator": "who", "confidence": "sure",
        "horizon": "20m", "lateness": "4m", "early_allowance": "2m", "pane": "2m", "window": "10h", **changes,
    }  # fmt: skip
    return configured.Labels.model_validate(tree)


def state_of(folder: Path, chosen: configured.Labels, bucket_ms: int = 3 * MINUTE) -> LabelState:
    return LabelState(
        config=chosen,
        clock=EventClock(MINUTE, chosen.lateness_ms, owned=set(range(PARTITIONS))),
        pending=Runs(row_dtype(LAYOUT, False), bucket_ms, folder, "m/pending/", 10**6),
        records=Runs(RECORD, bucket_ms, folder, "m/records/", 10**6),
        combinations=Combinations(("country",), 10),
        fallback=LAYOUT,
        version_names=Names(["1", "2"]),
    )


@dataclass(frozen=True)
class Prediction:
    id: int
    version: int
    time_ms: int
    score: float


@dataclass(frozen=True)
class Label:
    id: int
    time_ms: int
    value: int
    annotator: int
    version: int
    source: str
    confidence: float
    kpi: float


def ids_of(numbers: list[int]) -> np.ndarray:
    return np.array([[n * 7 + 1, n] for n in numbers], np.uint64).reshape(-1, 2)


def rows_of(predictions: list[Prediction]) -> np.ndarray:
    rows = np.zeros(len(predictions), row_dtype(LAYOUT, False))
    rows["version"] = [p.version for p in predictions]
    rows["score"] = [p.score for p in predictions]
    rows["score_cell"] = LAYOUT.score_cell(rows["score"].astype(float))
    rows["predicted"] = rows["score"] > 0.5
    return rows


def batch_of(partition: int, labels: list[Label], next_offset: int) -> Labels:
    names = [f"a{label.annotator}" for label in labels]
    return Labels(
        model="m",
        spans=(Span(partition, 0, len(labels), next_offset),),
        time_ms=np.array([label.time_ms for label in labels], np.int64),
        record_time_ms=np.zeros(len(labels), np.int64),
        ids=ids_of([label.id for label in labels]),
        value=np.array([label.value for label in labels], np.float64),
        annotators=tuple(names),
        annotator=np.arange(len(labels), dtype=np.int32),
        versions=tuple(f"v{label.version}" for label in labels),
        version=np.arange(len(labels), dtype=np.int32),
        sources=tuple(label.source for label in labels),
        source=np.arange(len(labels), dtype=np.int32),
        confidence=np.array([label.confidence for label in labels]),
        kpi=np.array([label.kpi for label in labels]),
        carried=None,
        messages=len(labels),
        tombstones=0,
        rejected=np.zeros(len(RejectReason), np.int64),
    )


def world(seed: int) -> tuple[list[Prediction], list[list[Label]]]:
    """Predictions of two versions that share ids, and two partitions of labels: early, late, repeated, revised, voted, orphaned."""
    random = np.random.default_rng(seed)
    predictions, labels = [], list[Label]()
    for number in range(60):
        time_ms = int(random.integers(0, 60 * MINUTE))
        versions = [0, 1] if random.random() < 0.3 else [int(random.integers(2))]
        if random.random() < 0.9:
            predictions += [Prediction(number, v, time_ms + v * 500, round(float(random.random()), 3)) for v in versions]
        for _ in range(int(random.choice([0, 1, 1, 1, 2, 4]))):
            lag = int(random.choice([-3, -1, 0, 1, 5, 15, 19, 21, 30]) * MINUTE + random.integers(MINUTE))
            label = Label(
                number,
                time_ms + lag,
                int(random.integers(2)),
                int(random.integers(3)),
                int(random.choice([1, 9, 10])),
                str(random.choice(["", "", "review", "audit"])),
                float(random.choice([0.5, 0.9, math.nan])),
                float(random.choice([10.0, math.nan])),
            )
            labels += [label] * int(random.choice([1, 1, 1, 2]))
    labels.sort(key=lambda label: label.time_ms + int(random.integers(0, 6 * MINUTE)))
    split = random.integers(0, PARTITIONS, len(labels))
    return predictions, [[label for label, p in zip(labels, split, strict=True) if p == q] for q in range(PARTITIONS)]


END = 200  # panes: everything has been applied


def play(state: LabelState, predictions: list[Prediction], labels: list[list[Label]], seed: int, most: int) -> None:
    """Feed both topics cut at random, predictions always read before the labels that may reach them are applied."""
    random = np.random.default_rng(seed)
    by_time = sorted(predictions, key=lambda p: p.time_ms)
    at, done = [0] * PARTITIONS, 0
    while done < len(by_time) or any(at[p] < len(labels[p]) for p in range(PARTITIONS)):
        if done < len(by_time) and random.random() < 0.5:
            stop = done + int(random.integers(1, most + 1))
            part = by_time[done:stop]
            random.shuffle(part)  # type: ignore[arg-type]
            for version in (0, 1):
                mine = [p for p in part if p.version == version]
                times = np.array([p.time_ms for p in mine], np.int64)
                add_predictions(state, state.version_names[version], ids_of([p.id for p in mine]), times, rows_of(mine))
            done = min(stop, len(by_time))
        p = int(random.integers(PARTITIONS))
        part_of = labels[p][at[p] : at[p] + int(random.integers(1, most + 1))]
        if part_of:
            at[p] += len(part_of)
            arrive(state, batch_of(p, part_of, at[p]))
        read_ms = by_time[done].time_ms if done < len(by_time) else END * MINUTE
        ends = [state.clock.newest_ms.get(q, -(10**9)) // MINUTE if at[q] < len(labels[q]) else END for q in range(PARTITIONS)]
        end = min(*ends, (read_ms - state.config.early_allowance_ms) // MINUTE)
        if end > 0:
            list(apply_until(state, end))
    list(apply_until(state, END))


def expected(
    predictions: list[Prediction], labels: list[list[Label]], chosen: configured.Labels, bucket_ms: int
) -> tuple[dict[str, int], dict[str, SparseCounts]]:
    """The same by loops."""
    horizon, early, lateness = chosen.horizon_ms, chosen.early_allowance_ms, chosen.lateness_ms
    ledger: dict[str, int] = defaultdict(int)
    alive: list[tuple[int, Label]] = []
    for log in labels:
        newest = -(10**18)
        for label in log:
            newest = max(newest, label.time_ms)
            ledger["messages"] += 1
            if (label.time_ms // MINUTE + 1) * MINUTE <= newest - lateness:
                ledger["late_arrival"] += 1
            else:
                alive.append((newest // MINUTE, label))
    earliest: dict[tuple[int, int], Prediction] = {}
    for p in predictions:
        known = earliest.get((p.id, p.version))
        if known is None or p.time_ms < known.time_ms:
            earliest[p.id, p.version] = p
    accepted: dict[int, list[Label]] = defaultdict(list)
    for arrived, label in alive:
        mine = [p for p in earliest.values() if p.id == label.id]
        if any(-early <= label.time_ms - p.time_ms <= horizon for p in mine):
            accepted[label.id].append(label)
            continue
        # Predictions that no label can reach any more are forgotten: then nothing tells a late label from an orphan.
        judged_ms = arrived // (chosen.pane_ms // MINUTE) * chosen.pane_ms
        oldest_ms = judged_ms - -(-lateness // MINUTE) * MINUTE - horizon
        if any(label.time_ms - p.time_ms > horizon and (p.time_ms // bucket_ms + 1) * bucket_ms > oldest_ms for p in mine):
            ledger["late"] += 1
        else:
            ledger["orphan"] += 1
    parts: dict[str, list[SparseCounts]] = defaultdict(list)
    for same_id in accepted.values():
        annotators = {label.annotator for label in same_id}
        values = {(label.annotator, label.version, label.value) for label in same_id}
        ledger["matched"] += 1
        ledger["vote"] += len(annotators) - 1
        ledger["revised"] += len(values) - len(annotators)
        ledger["duplicate"] += len(same_id) - len(values)

    for p in earliest.values():
        reach = [label for label in accepted[p.id] if -early <= label.time_ms - p.time_ms <= horizon]
        if not reach:
            continue
        best = _best(reach, chosen.consensus)
        outcomes = Outcomes(
            rows_of([p]), np.array([p.time_ms]), np.array([best.time_ms]), np.array([float(best.value)]), np.array([best.kpi])
        )
        codes, weights, _ = outcome_codes(LAYOUT, outcomes)
        counts = sparse(codes, weights)
        sources = {label.source for label in reach}
        views = [view for source, view in (("", "label"), ("", "prediction"), ("audit", "audit")) if source in sources] or ["review"]
        for view in views:
            parts[f"{p.version} {view}"].append(counts)
    for p in predictions:
        codes = prediction_codes(LAYOUT, rows_of([p]))
        parts[f"{p.version} prediction"].append(sparse(codes, np.ones(1, np.int64)))
    return dict(ledger), {key: add(some) for key, some in parts.items()}


def _last(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _key(label: Label) -> tuple[Any, ...]:
    import xxhash

    source = {"": 0, "review": 1, "audit": 2}[label.source]
    annotator = xxhash.xxh3_64_intdigest(f"a{label.annotator}".encode())
    return label.version, label.time_ms, label.value, annotator, source, _last(np.float32(label.confidence)), _last(label.kpi)


def _best(reach: list[Label], consensus: str) -> Label:
    if consensus == "latest":
        return max(reach, key=_key)
    votes = [max((r for r in reach if r.annotator == a), key=_key) for a in {r.annotator for r in reach}]

    def weight(label: Label) -> int:
        return 1 if consensus == "majority" else round(float(np.float32(1.0 if math.isnan(label.confidence) else label.confidence)) * 1000)

    support = {value: sum(weight(v) for v in votes if v.value == value) for value in (0, 1)}
    return max(votes, key=lambda v: (support[v.value], *_key(v)))


def totals(state: LabelState) -> dict[str, SparseCounts]:
    found = {}
    for name, version in state.versions.items():
        for view, panes in version.views.items():
            assert panes.too_old == 0
            total = add([panes.total(), *(counts for number, counts in panes.settle().items() if number >= panes.end_pane)])
            if len(total):
                found[f"{state.version_names.index(name)} {view}"] = total
    return found


def ledger_of(state: LabelState) -> dict[str, int]:
    return {entry.name.lower(): int(state.ledger[entry]) for entry in LabelEntry if state.ledger[entry]}


@pytest.mark.parametrize("consensus", ["latest", "majority", "confidence"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10**6),
    cuts=st.integers(0, 10**6),
    most=st.sampled_from([1, 3, 20, 500]),
    lateness=st.sampled_from(["4m", "200s", "1s"]),
    bucket_ms=st.sampled_from([3 * MINUTE, 18_000]),
)
def test_counts_and_ledger_equal_those_of_loops_over_the_log(
    tmp_path_factory: pytest.TempPathFactory, consensus: str, seed: int, cuts: int, most: int, lateness: str, bucket_ms: int
) -> None:
    predictions, labels = world(seed)
    chosen = config(consensus=consensus, lateness=lateness)
    state = state_of(tmp_path_factory.mktemp("runs"), chosen, bucket_ms)
    play(state, predictions, labels, cuts, most)
    ledger, counts = expected(predictions, labels, chosen, bucket_ms)
    assert ledger_of(state) == {name: count for name, count in ledger.items() if count}
    assert state.ledger[0] == state.ledger[1:].sum() + state.waiting
    assert state.waiting == 0
    assert totals(state) == counts


def test_predictions_are_labelled_or_expired_and_nothing_stays(tmp_path: Path) -> None:
    predictions, labels = world(3)
    state = state_of(tmp_path, config())
    play(state, predictions, labels, 1, 20)
    assert state.pending.rows() == state.records.rows() == 0
    assert state.predictions == len(predictions) == state.labelled_rows + state.expired
    assert state.labelled == {}


def test_labels_wait_for_the_predictions_that_they_may_reach(tmp_path: Path) -> None:
    state = state_of(tmp_path, config())
    label = Label(1, 10 * MINUTE, 1, 0, 1, "", math.nan, math.nan)
    arrive(state, batch_of(0, [label], 1))
    arrive(state, batch_of(1, [Label(2, 30 * MINUTE, 1, 0, 1, "", math.nan, math.nan)], 1))
    list(apply_until(state, 10))
    assert (state.waiting, ledger_of(state)) == (2, {"messages": 2})
    prediction = Prediction(1, 0, 11 * MINUTE, 0.9)  # a minute after its label: within the allowance
    add_predictions(state, "1", ids_of([1]), np.array([prediction.time_ms]), rows_of([prediction]))
    list(apply_until(state, 30))
    assert (state.waiting, ledger_of(state)) == (1, {"messages": 2, "matched": 1})


def test_a_label_as_late_as_labels_may_be_finds_a_prediction_as_old_as_the_horizon(tmp_path: Path) -> None:
    state = state_of(tmp_path, config(lateness="90s"), bucket_ms=18_000)
    made_ms = 4 * MINUTE + 10_000
    prediction = Prediction(1, 0, made_ms, 0.9)
    add_predictions(state, "1", ids_of([1]), np.array([made_ms]), rows_of([prediction]))
    last = Label(1, made_ms + 20 * MINUTE, 1, 0, 1, "", math.nan, math.nan)
    first, other = (Label(2, time_ms, 1, 0, 1, "", math.nan, math.nan) for time_ms in (10 * MINUTE, 26 * MINUTE + 20_000))
    # The pane of the last label, 24, ends 80 s before the newest one: it is not late.
    arrive(state, batch_of(0, [first, other, last], 3))
    arrive(state, batch_of(1, [first, other], 2))
    list(apply_until(state, 30))
    assert ledger_of(state) == {"messages": 5, "matched": 1, "orphan": 4}


def test_rows_beyond_the_bound_are_evicted_oldest_first_and_counted(tmp_path: Path) -> None:
    state = state_of(tmp_path, config())
    state.pending = Runs(row_dtype(LAYOUT, False), 3 * MINUTE, tmp_path, "m/small/", 5)
    for minute in range(0, 12, 3):
        some = [Prediction(minute * 10 + i, 0, minute * MINUTE, 0.5) for i in range(2)]
        add_predictions(state, "1", ids_of([p.id for p in some]), np.array([p.time_ms for p in some]), rows_of(some))
    assert (state.pending.rows(), state.evicted, state.predictions) == (4, 4, 8)


def test_a_label_of_long_ago_does_not_have_every_pane_since_then_judged(tmp_path: Path) -> None:
    state = state_of(tmp_path, config(window="10m"))
    year = 365 * 24 * 60
    for minute in (0, year):
        prediction = Prediction(minute, 0, minute * MINUTE, 0.9)
        add_predictions(state, "1", ids_of([minute]), np.array([prediction.time_ms]), rows_of([prediction]))
        for partition in range(PARTITIONS):
            arrive(state, batch_of(partition, [Label(minute, (minute + 1) * MINUTE, 1, 0, 1, "", math.nan, math.nan)], minute + 1))
    judged = list(apply_until(state, year + 4))
    # A window is ten minutes in panes of two; the window before it is kept as well.
    assert 2 <= len(judged) <= 14
    assert ledger_of(state) == {"messages": 4, "matched": 2, "duplicate": 2}
    assert state.predictions == 2
    assert (state.expired, state.pending.rows()) == (0, 1), "the prediction of a year ago is gone, and had its label"


def test_many_small_polls_are_saved_as_one_part_and_taken_as_they_were(tmp_path: Path) -> None:
    state = state_of(tmp_path, config())
    for minute in range(50):
        arrive(state, batch_of(0, [Label(minute, minute * MINUTE, 1, 0, 1, "", math.nan, math.nan)], minute + 1))
    assert len(state.inbox.waiting[0]) == 50
    state.inbox.gather()
    assert len(state.inbox.waiting[0]) == 1
    assert state.inbox.take(-1) is None
    taken = state.inbox.take(9)
    assert taken is not None
    assert taken.time_ms.tolist() == [minute * MINUTE for minute in range(10)]
    assert state.waiting == 40


def test_a_review_corrects_a_label_and_does_not_take_it_out_and_an_audit_stays_when_the_truth_comes(tmp_path: Path) -> None:
    """Else the mistakes that review finds would be missing, and the audit sample would be of what is never labelled."""
    state = state_of(tmp_path, config())
    made = [Prediction(n, 0, 2 * MINUTE, 0.9) for n in (1, 2, 3)]
    add_predictions(state, "1", ids_of([1, 2, 3]), np.array([p.time_ms for p in made]), rows_of(made))

    def said(id_: int, minute: int, source: str) -> Label:
        return Label(id_, minute * MINUTE, 0, 0, 1, source, math.nan, math.nan)

    labels = [said(1, 3, ""), said(2, 3, "audit"), said(3, 3, "review"), said(1, 6, "review"), said(2, 6, "")]
    arrive(state, batch_of(0, labels, len(labels)))
    arrive(state, batch_of(1, [said(9, 19, "")], 1))
    list(apply_until(state, 18))
    labelled = {
        view: sum(int(outcome_counts(LAYOUT, pane, ("ALL",), [np.zeros(1, np.intp)]).labelled[0]) for pane in panes.settle().values())
        for view, panes in state.versions["1"].views.items()
    }
    assert labelled == {"prediction": 2, "label": 2, "audit": 1, "review": 1}
