"""The join of a model as small values and blobs, and back.

Panes of outcomes that have not changed for a while are kept under the hash of their bytes and only named by later commits; those that
labels still restate are written anew each time.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.join.inbox import LabelRows
from monitor.join.names import Names
from monitor.join.state import LABEL_COLUMNS, LabelEntry, LabelState
from monitor.outcome.annotations import AgreementLayout
from monitor.outcome.layout import OutcomeLayout
from monitor.outcome.restated import pack_restated, unpack_restated
from monitor.outcome.sparse import unpack_sparse

_SETTLED = 16  # commits without a change, then a pane is likely to stay as it is


@dataclass(eq=False)
class SavedLabels:
    """Parts of a commit."""

    values: dict[str, Any] = field(default_factory=dict)
    now: dict[str, bytes] = field(default_factory=dict)  # replaced by every commit
    kept: dict[str, bytes] = field(default_factory=dict)  # those not in ``written``
    named: set[str] = field(default_factory=set)  # all kept ones
    files: dict[str, tuple[int, int]] = field(default_factory=dict)


_COUNTERS = ("offsets_lost", "idle_exclusions", "predictions", "labelled_rows", "expired", "evicted", "records_evicted", "revisions")


def save_labels(model: str, labels: LabelState, written: set[str]) -> SavedLabels:
    """Everything about the labels of a model. Raises ``StateError`` when files of rows cannot be written."""
    saved, prefix = SavedLabels(), f"{model}/labels"
    saved.values = {
        "topic": labels.config.topic,
        "pane_ms": [labels.clock.pane_ms, labels.config.pane_ms],
        "columns": list(labels.combinations.columns),
        "definition": _definition(labels),
        "layouts": {name: msgspec.to_builtins(labels.layout_of(name)) for name in labels.version_names},
        "agreement": msgspec.to_builtins(labels.agreement),
        "offsets": {str(partition): offset for partition, offset in labels.offsets.items()},
        "newest_ms": {str(partition): ms for partition, ms in labels.clock.newest_ms.items()},
        "idle": sorted(labels.clock.idle),
        "complete": labels.complete,
        "applied_pane": labels.applied_pane,
        "ledger": labels.ledger.tolist(),
        **{name: getattr(labels, name) for name in _COUNTERS},
        "version_names": list(labels.version_names),
        "label_versions": list(labels.label_versions),
        "annotators": [[number, name] for number, name in labels.annotators.items()],
        "combinations_folded": labels.combinations.folded,
        "labelled": [[bucket, rows] for bucket, rows in sorted(labels.labelled.items())],
        "inbox": [],
        "outcomes": {},
    }
    saved.now[f"{prefix}/combinations"] = msgspec.msgpack.encode(labels.combinations.values)
    labels.inbox.gather()
    for partition, parts in labels.inbox.waiting.items():
        for index, (arrived, rows) in enumerate(parts):
            saved.values["inbox"].append([partition, index])
            saved.now[f"{prefix}/inbox/{partition}/{index}"] = _pack_rows(arrived, rows)
    for version, counted in labels.versions.items():
        panes = []
        for view, of_view in counted.saved.items():
            for number, (data, times) in of_view.packed().items():
                name = f"{prefix}/outcome/{version}/{view}/{number}"
                if times > _SETTLED:
                    name = f"{prefix}/settled/{hashlib.sha256(data).hexdigest()[:32]}"
                    saved.named.add(name)
                    if name not in written:
                        saved.kept[name] = data
                else:
                    saved.now[name] = data
                panes.append([view, number, name])
        ends = {view: [of_view.end_pane, of_view.too_old] for view, of_view in counted.saved.items()}
        saved.values["outcomes"][version] = {"panes": panes, "ends": ends}
        saved.now[f"{prefix}/restated/{version}"] = pack_restated(counted.restated)
    for kind, runs in (("pending", labels.pending), ("records", labels.records)):
        flushed = runs.flush()
        saved.values[kind] = flushed.values
        saved.kept.update(flushed.blobs)
        saved.named |= flushed.named
        saved.files.update(flushed.files)
    return saved


def load_labels(labels: LabelState, model: str, values: Mapping[str, Any], blobs: Mapping[str, bytes]) -> list[str]:
    """Bring a new join to where ``save_labels`` was; returns what an operator should know.

    Raises ``ValueError`` or ``KeyError`` where the saved one cannot go on.
    """
    prefix = f"{model}/labels"
    if values["topic"] != labels.config.topic:
        raise ValueError(f"labels.topic was {values['topic']} and is {labels.config.topic}: offsets of one mean nothing in the other")
    panes = [labels.clock.pane_ms, labels.config.pane_ms]
    if values["pane_ms"] != panes:
        raise ValueError(f"panes of labels were {values['pane_ms']} ms and are {panes} ms wide: one cannot be added to the other")
    if values["columns"] != list(labels.combinations.columns):
        raise ValueError("segments.columns changed: predictions that wait for labels have no value for the new ones")
    definition = _definition(labels)
    changed = [name for name, value in definition.items() if values["definition"].get(name) != value]
    if changed:
        raise ValueError(f"labels.{changed[0]} changed: labels that were applied before cannot be restated under another one")
    if not _same_agreement(labels, values.get("agreement", labels.agreement)):
        raise ValueError("annotators, confidence or versions of labels changed: what labels said of each other cannot be restated")
    notices = [notice for name, saved in values["layouts"].items() for notice in _keep_cells(labels, model, name, saved)]
    labels.offsets = {int(partition): offset for partition, offset in values["offsets"].items()}
    labels.clock.newest_ms = {int(partition): ms for partition, ms in values["newest_ms"].items()}
    labels.clock.idle = set(values["idle"])
    labels.applied_pane, labels.complete = values["applied_pane"], values.get("complete", True)
    ledger = values["ledger"]
    labels.ledger = np.array([*ledger, *[0] * (LABEL_COLUMNS - len(ledger))], np.int64)
    for name in _COUNTERS:
        setattr(labels, name, values[name])
    labels.version_names, labels.label_versions = Names(values["version_names"]), Names(values["label_versions"])
    labels.annotators = dict(values["annotators"])
    labels.combinations.restore(msgspec.msgpack.decode(blobs[f"{prefix}/combinations"], type=list[tuple[str, ...]]))
    labels.combinations.folded = values["combinations_folded"]
    labels.labelled = dict(values["labelled"])
    for partition, index in values["inbox"]:
        labels.inbox.put(partition, *_unpack_rows(blobs[f"{prefix}/inbox/{partition}/{index}"]))
    for version, part in values["outcomes"].items():
        counted = labels.outcomes_of(version)
        for view, (end_pane, too_old) in part["ends"].items():
            counted.saved[view].end_pane, counted.saved[view].too_old = end_pane, too_old
        for view, number, name in part["panes"]:
            counted.saved[view].panes[number] = unpack_sparse(blobs[name])
        if restated := blobs.get(f"{prefix}/restated/{version}"):  # a state of before had none
            unpack_restated(restated, counted.restated)
    labels.pending.restore(values["pending"], blobs)
    labels.records.restore(values["records"], blobs)
    return notices


def _same_agreement(labels: LabelState, saved: Mapping[str, Any] | AgreementLayout | None) -> bool:
    now = labels.agreement
    was = msgspec.convert(saved, AgreementLayout | None) if not isinstance(saved, AgreementLayout) else saved
    if now is None or was is None or labels.config.task != "regression":
        return now == was
    return replace(was, values=now.values) == now  # values are cells of each version's own score


def _keep_cells(labels: LabelState, model: str, name: str, saved: Mapping[str, Any] | str) -> Iterator[str]:
    """A version goes on in the cells that it was counted in, though a reference that came since has others for its score.

    What waits for labels, and what labels may still take back, stands in these: anew, retractions would be of what was never counted.
    """
    now = labels.layout_of(name)
    if isinstance(saved, str):  # a state of before says only whether they are the same
        if saved != _fingerprint(now, labels.agreement_of(name)):
            raise ValueError(f"the cells of version {name} changed: labels of predictions counted in the old ones cannot be restated")
        return
    was = msgspec.convert(saved, OutcomeLayout)
    scale = now.scale if labels.config.target_scale else was.scale
    if was != replace(now, score=was.score, scale=scale):
        raise ValueError(f"the cells of version {name} changed: labels of predictions counted in the old ones cannot be restated")
    if was == now:
        return
    labels.kept[name] = was
    if name not in labels.layouts:
        return  # without a reference it was counted in cells of another version's, and now that is another one
    if was.task == "regression":
        effect = f"its errors are counted in units of {was.scale:g}, where the reference has {now.scale:g}: they are not compared"
    else:
        effect = "by score, nothing of it is compared with the reference: calibration, area under the curve, and the estimate by score"
    yield (
        f"version {name} of model {model} was counted with its labels before this reference came, and goes on in the cells of its score "
        f"that it began in, until the state is begun anew; {effect}"
    )


def _definition(labels: LabelState) -> dict[str, Any]:
    """What decides which label counts and how it is kept: none of it may change while rows wait."""
    config = labels.config
    return {
        "task": config.task,
        "classes": list(config.class_names),
        "consensus": config.consensus,
        "prediction": config.prediction is not None,
        "horizon": config.horizon_ms,
        "early_allowance": config.early_allowance_ms,
        "sources": "each",  # a prediction counts for each source of its labels; a state of before knew that of the last one
    }


def conserved(labels: LabelState) -> bool:
    """Whether every label message is accounted for."""
    return int(labels.ledger[LabelEntry.MESSAGES]) == int(labels.ledger[1:].sum()) + labels.waiting


def _fingerprint(layout: OutcomeLayout, agreement: AgreementLayout | None) -> str:
    content = [layout.task, layout.classes, layout.score.fingerprint, layout.scale, layout.kpi_max, layout.cells, agreement]
    return hashlib.sha256(msgspec.json.encode(content)).hexdigest()


def _pack_rows(arrived: NDArray[np.int64], rows: LabelRows) -> bytes:
    stream = io.BytesIO()
    for array in (arrived, *(getattr(rows, column.name) for column in fields(LabelRows) if column.name != "texts")):
        # Rows without fields cannot be written: only how many there are matters.
        np.save(stream, np.zeros(len(array), "u1") if array.dtype.names == () else array, allow_pickle=False)
    stream.write(msgspec.msgpack.encode(rows.texts.tolist()))
    return stream.getvalue()


def _unpack_rows(data: bytes) -> tuple[NDArray[np.int64], LabelRows]:
    stream = io.BytesIO(data)
    arrays = [np.load(stream, allow_pickle=False) for _ in range(len(fields(LabelRows)))]
    if arrays[-1].dtype.names is None:
        arrays[-1] = np.zeros(len(arrays[-1]), np.dtype([]))
    texts = np.full(len(arrays[0]), "", object)
    if written := stream.read():  # a state of before had no texts
        texts[:] = msgspec.msgpack.decode(written, type=list[str])
    return arrays[0], LabelRows(*[*arrays[1:], texts])
