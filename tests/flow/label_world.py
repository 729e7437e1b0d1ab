"""The small world with labels: most predictions get one, some get several, some none, and some labels cannot be used."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from monitor.batch import RawBatch
from monitor.checkpoint.saved_labels import conserved
from monitor.config import ModelConfig
from monitor.decode import Decoder, LabelDecoder
from monitor.labels import LabelsEvaluated, LabelsOwned
from monitor.outcome.cohorts import CELLS
from monitor.pipeline import Owned, advance
from monitor.profile.layout import Layout, SignalBins
from monitor.profile.table import CountTable
from monitor.reference.format import with_fingerprint
from monitor.reference.reference import Reference
from monitor.state import ModelState, new_model_state
from tests.flow import world
from tests.flow.world import MINUTE, Message

SECTION: dict[str, Any] = {
    "topic": "l", "id": "id", "time": {"path": "ts"}, "label": "y", "annotator": "who", "label_version": "rev", "source": "why",
    "kpi": "worth", "horizon": "20m", "lateness": "5m", "early_allowance": "2m", "pane": "10m", "window": "1h", "min_labelled": 20,
}  # fmt: skip
PREDICTIONS = {**world.CONFIG["models"][0]["predictions"], "threshold": 0.5}
BAD = (
    b"",
    b"{",
    b'{"id": "q", "ts": 1700000000000}',
    b'{"id": "q", "ts": 1700000000000, "y": "perhaps"}',
    b'{"id": 1.5, "ts": 1, "y": 1}',
    None,
)


def model_config(**changes: Any) -> ModelConfig:
    """The model of the small world, with labels."""
    return world.model_config(**{"predictions": PREDICTIONS, "labels": {**SECTION, **changes}})


def reference() -> Reference:
    """The small world's reference, with the predicted class."""
    plain = world.reference()
    layout = Layout((*plain.layout.signals, SignalBins("predicted_class", "categorical", categories=("0", "1"))))
    counts = np.zeros((len(plain.table.segments), layout.cells), np.int64)
    counts[:, : plain.layout.cells] = plain.table.counts
    counts[:, plain.layout.cells + 3 : plain.layout.cells + 5] = 600
    tails = np.zeros((len(counts), len(layout.signals), 2), np.int64)
    means = np.concatenate([plain.bin_means, np.full(layout.cells - plain.layout.cells, np.nan)])
    made = replace(
        plain,
        table=CountTable(layout, plain.table.segments, counts, tails),
        bin_means=means,
        means=np.append(plain.means, np.nan),
        stds=np.append(plain.stds, np.nan),
    )
    return with_fingerprint(made)


def log(predictions: Sequence[Sequence[Message]], seed: int, partitions: int = 2) -> list[list[Message]]:
    """Labels of the predictions of a log, in their own partitions, nearly in the order of their times."""
    random = np.random.default_rng(seed)
    found: list[tuple[float, bytes | None]] = []
    for message in (message for messages in predictions for message in messages):
        try:
            event = json.loads(message.value or b"null")
            id_, ts = event["id"], int(event["ts"])
        except (ValueError, TypeError, KeyError):
            continue
        for _ in range(int(random.choice([0, 1, 1, 1, 2]))):
            at = ts + int(random.choice([-1, 0.5, 3, 10, 18, 25]) * MINUTE)
            label = {
                "id": id_ if random.random() < 0.95 else f"no-{id_}",
                "ts": at,
                "y": int(random.random() < event.get("score", 0.5)),
                "who": str(random.choice(["ann", "ben"])),
                "rev": int(random.choice([1, 2])),
                "why": str(random.choice(["", "", "", "review", "audit"])),
                "worth": round(float(random.normal(10, 3)), 2),
            }
            value = json.dumps(label).encode()
            delay = 9 if random.random() < 0.03 else random.uniform(0, 3)
            found += [(at + delay * MINUTE, value)] * int(random.choice([1, 1, 1, 2]))
            if random.random() < 0.05:
                found.append((at, BAD[int(random.integers(len(BAD)))]))
    found.sort(key=lambda each: each[0])
    logs: list[list[Message]] = [[] for _ in range(partitions)]
    for _, value in found:
        partition = int(random.integers(partitions))
        logs[partition].append(Message(partition, len(logs[partition]), value))
    return logs


def raw(messages: Sequence[Message]) -> RawBatch:
    """One label partition's messages as a poll returns them."""
    batch = world.raw(messages)
    return RawBatch("l", batch.partition, batch.values, batch.offsets, batch.timestamps_ms)


def fresh(folder: Path, config: ModelConfig | None = None, partitions: int = 3, label_partitions: int = 2) -> ModelState:
    """A state that owns all partitions of both topics."""
    state = new_model_state(config or model_config(), [reference()], folder)
    advance(state, Owned(frozenset(range(partitions)), complete=True))
    advance(state, LabelsOwned(frozenset(range(label_partitions)), complete=True))
    return state


def polls(
    predictions: Sequence[Sequence[Message]], labels: Sequence[Sequence[Message]], random: np.random.Generator, most: int
) -> Iterator[RawBatch]:
    """Both logs, cut and interleaved at random: one batch of one partition at a time."""
    left = [("t", messages) for messages in predictions] + [("l", messages) for messages in labels]
    at = [0] * len(left)
    while any(at[i] < len(messages) for i, (_, messages) in enumerate(left)):
        i = int(random.integers(len(left)))
        topic, messages = left[i]
        part = messages[at[i] : at[i] + int(random.integers(1, most + 1))]
        if part:
            at[i] += len(part)
            yield world.raw(part) if topic == "t" else raw(part)


def play(state: ModelState, each: Iterator[RawBatch]) -> list[LabelsEvaluated]:
    """Decode and advance; returns what was judged of labels."""
    decoders = {"t": Decoder(state.config, state.vocabulary), "l": LabelDecoder(state.config)}
    evaluated = []
    for batch in each:
        evaluated += [e for e in advance(state, decoders[batch.topic].decode([batch])[0]) if isinstance(e, LabelsEvaluated)]
    return evaluated


def facts(state: ModelState) -> dict[str, Any]:
    """Everything that must not depend on cuts, interleaving or restarts."""
    labels = state.labels
    assert labels is not None
    assert conserved(labels)
    everything = {**world.facts(state), "labels": labels.ledger.tolist(), "waiting": labels.waiting, "applied": labels.applied_pane}
    for name in ("predictions", "labelled_rows", "expired", "evicted", "revisions", "labelled"):
        everything[f"labels {name}"] = getattr(labels, name)
    names = labels.combinations.values
    for version, counted in sorted(labels.versions.items()):
        for view, panes in counted.views.items():
            for number, counts in sorted(panes.settle().items()):
                combination, cell = np.divmod(counts.codes, counted.layout.cells)
                cells = zip((names[c] for c in combination.tolist()), cell.tolist(), counts.counts.tolist(), strict=True)
                everything[f"{version} {view} {number}"] = sorted(cells)
        for view, restated in counted.restated.items():
            for number, pane in sorted(restated.panes.items()):
                rows = zip((names[c] for c in pane.combination.tolist()), pane.revision.tolist(), pane.last_ms.tolist(), strict=True)
                everything[f"{version} restated {view} {number}"] = sorted(rows)
        for number, counts in sorted(counted.revised.settle().items()):
            combination, cell = np.divmod(counts.codes, counted.layout.cells)
            cells = zip((names[c] for c in combination.tolist()), cell.tolist(), counts.counts.tolist(), strict=True)
            everything[f"{version} revised {number}"] = sorted(cells)
        for number, counts in sorted(counted.cohorts.counts.settle().items()):
            combination, cell = np.divmod(counts.codes, CELLS)
            rows = zip((names[c] for c in combination.tolist()), cell.tolist(), counts.counts.tolist(), strict=True)
            everything[f"{version} cohort {number}"] = sorted(rows)
    everything["rows"] = (sorted(labels.pending.rows_by_bucket().items()), sorted(labels.records.rows_by_bucket().items()))
    return everything


def judged(evaluated: Sequence[LabelsEvaluated]) -> dict[int, list[Any]]:
    """Evaluations by event time, to the bit. Of a step that led to several there is the newest: which those are depends on the cuts."""
    every = {}
    for each in evaluated:
        found = every[each.event_ms] = list[Any]()
        for one in each.verdicts:
            for view in (one.by_prediction, one.by_label, one.audited):
                arrays = (view.value, view.low, view.high, view.n, view.reference, view.metric_status, view.status, view.predictions)
                found.append((each.event_ms, one.version, view.view, view.window, view.segments, [array.tobytes() for array in arrays]))
                restatement = view.restatement
                assert restatement is not None
                first = restatement.first_value
                found.append((restatement.revision.tobytes(), restatement.last_ms.tobytes(), None if first is None else first.tobytes()))
            found.append([(pane.start_ms, pane.revision.tobytes(), pane.last_ms.tobytes()) for pane in one.restated_panes])
            found.append(one.reviewed.confusion.tobytes())
            quality, cover = one.quality, one.coverage
            assert quality is not None
            for estimate in (quality.fleiss, quality.krippendorff, quality.disagreement, quality.flip_rate, quality.redefined_flip_rate):
                found.append((estimate.value.tobytes(), estimate.n.tobytes()))
            if cover is not None:
                found.append((cover.share.value.tobytes(), cover.pending.tobytes(), cover.oldest_pending_ms.tobytes()))
            found.append((one.shortages, one.modes.rows.tobytes(), one.modes.impact.tobytes(), one.modes.trend.tobytes()))
        found.append(each.backlog)
    return every


def event_of(message: Message) -> dict[str, Any] | None:
    """What a message holds that can be used."""
    try:
        event = json.loads(message.value or b"null")
    except ValueError:
        return None
    return event if isinstance(event, dict) and {"id", "ts"} <= event.keys() and ("y" in event or "score" in event) else None
