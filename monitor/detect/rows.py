"""Rows in memory as the columns that production decodes from messages, and a reference made of them.

The counting, the edges, the hour slots, the block moments and the tables of labels are those of ``monitor.reference`` and
``monitor.profile``: a reference from arrays is the reference that a file with the same rows would give.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.batch import UNSEEN, Batch, Span
from monitor.config.labels import Labels as LabelsConfig
from monitor.config.model import PREDICTED_CLASS, ModelConfig
from monitor.decode.arrays import as_text, is_numeric, numbers_of, texts_of
from monitor.decode.identity import hash_ids
from monitor.detect.events import Events, milliseconds, same_length
from monitor.profile.layout import Vocabulary
from monitor.reference.classes import THRESHOLD_CLASSES
from monitor.reference.format import with_fingerprint
from monitor.reference.labels import LABEL
from monitor.reference.mapping import with_columns
from monitor.reference.reference import Reference
from monitor.reference.survey import CATEGORY_OF, Survey, is_category, survey_model
from monitor.reference.tally import Tally
from monitor.segment import ALL, MISSING, clean_value, named_value

_AT_ONCE = 65_536


def model_of(events: Events, groupings: Sequence[tuple[str, ...]] | None, threshold: float | None, lateness_ms: int) -> ModelConfig:
    """A model whose features are the columns: numeric where they hold numbers, categorical otherwise.

    ``groupings`` None: each segment column by itself. Raises ``ValueError`` for columns that do not fit together, and for names that a
    configuration would refuse.
    """
    if not events.features:
        raise ValueError("expected at least one feature, got none")
    predictions: dict[str, Any] = {"topic": "memory", "id": "id"}
    if events.score is not None:
        predictions |= {"score": "score", "threshold": threshold}
    if events.predicted is not None:
        predictions["predicted_class"] = "predicted"
    own = groupings if groupings is not None else [(column,) for column in events.segments]
    return ModelConfig.model_validate(
        {
            "name": "memory",
            "predictions": predictions,
            "features": [{"name": name, "type": "numeric" if is_numeric(c) else "categorical"} for name, c in events.features.items()],
            "segments": {"columns": {column: column for column in events.segments}, "groupings": [list(grouping) for grouping in own]},
            "windows": {"lateness": f"{lateness_ms}ms"},
        }
    )


def _check_columns(model: ModelConfig, events: Events) -> None:
    """Raises ``ValueError`` where rows lack a column of the model."""
    given = {*events.features, *events.segments}
    wanted = [feature.name for feature in model.features] + [name for name in model.segments.columns if name != LABEL]
    missing = [name for name in wanted if name not in given and not is_category(name)]
    missing += ["score"] * (model.predictions.score is not None and events.score is None)
    missing += ["predicted"] * (model.predictions.predicted_class is not None and events.predicted is None)
    if missing:
        raise ValueError(f"expected the columns of the reference, got none for {', '.join(missing)}; fill with NaN or None what is missing")


def batch_of(model: ModelConfig, events: Events, known: Vocabulary, first_row: int = 0, labels: Any = None) -> Batch:
    """The batch that decoding the same rows would give; ``known`` are the categories that have codes.

    Rows of several partitions are grouped by partition, in their order. ``labels`` [n] fill the segment column of that name. Raises
    ``ValueError`` for columns that do not fit together, are left out, or hold no numbers where the reference has numbers.
    """
    _check_columns(model, events)
    events = _by_partition(events)
    rows = len(events)
    times = milliseconds(events.time_ms).astype(np.int64)
    signals = [_signal(f.name, events.features[f.name], f.type, known.get(f.name, ())) for f in model.features]
    if model.predictions.score is not None:
        signals.append(numbers_of(events.score, "score"))
    if model.predictions.has_class:
        classes = _classes(model, events)
        signals.append(_signal(PREDICTED_CLASS, classes, "categorical", known.get(PREDICTED_CLASS, ())))
    values = np.stack(signals, axis=1) if rows else np.zeros((0, len(signals)))
    infinite = np.isinf(values)
    fault_rows, fault_columns = np.nonzero(infinite)
    values[infinite] = np.nan
    segment_values, codes = [], np.zeros((rows, len(model.segments.columns)), np.int32)
    for place, column in enumerate(model.segments.columns):
        texts = labels if column == LABEL else _text_column(model, events, column)
        distinct, codes[:, place] = _coded(texts, rows, model.segments.max_value_length, verbatim=is_category(column))
        segment_values.append(distinct)
    partitions = np.zeros(rows, np.int64) if events.partition is None else np.asarray(events.partition, np.int64)
    starts = np.flatnonzero(np.concatenate([[True], partitions[1:] != partitions[:-1]])) if rows else np.zeros(0, np.intp)
    ends = [*starts[1:].tolist(), rows]
    ids = [str(first_row + row) for row in range(rows)] if events.ids is None else ids_of(events.ids)
    return Batch(
        model=model.name,
        spans=tuple(Span(int(partitions[start]), start, end, 0) for start, end in zip(starts.tolist(), ends, strict=False)),
        time_ms=times,
        record_time_ms=times,
        ids=hash_ids(ids, "ids")[0],
        versions=(model.version,),
        version=np.zeros(rows, np.int32),
        values=values,
        fault_rows=fault_rows.astype(np.int32),
        fault_columns=fault_columns.astype(np.int32),
        fault_kinds=np.full(len(fault_rows), 2, np.uint8),
        segment_values=tuple(segment_values),
        segments=codes,
        messages=rows,
    )


def ids_of(column: Any) -> list[str]:
    """[n] texts of ids. Raises ``ValueError`` for one that is missing: rows without an id would all be repeats of each other."""
    texts: list[str] = texts_of(column).tolist()
    if None in texts:
        raise ValueError(f"expected an id in every row, got none in row {next(i for i, text in enumerate(texts) if text is None)} of ids")
    return texts


def _by_partition(events: Events) -> Events:
    if events.partition is None:
        return events
    partitions = np.asarray(events.partition)
    if (partitions[1:] >= partitions[:-1]).all():
        return events
    return events.rows(np.argsort(partitions, kind="stable"))


def _classes(model: ModelConfig, events: Events) -> Any:
    if events.predicted is not None:
        return events.predicted
    score = numbers_of(events.score, "score")
    named = np.where(score >= (model.predictions.threshold or 0.0), THRESHOLD_CLASSES[1], THRESHOLD_CLASSES[0]).astype(object)
    named[np.isnan(score)] = None
    return named


def _signal(name: str, column: Any, kind: str, known: Sequence[str]) -> NDArray[np.float64]:
    if kind == "numeric":
        return numbers_of(column, name)
    codes = {value: float(code) for code, value in enumerate(known)}
    texts = texts_of(column, codes).tolist()
    found = {text: np.nan if text is None else codes.get(text, UNSEEN) for text in set(texts)}
    return np.array([found[text] for text in texts], np.float64)


def _text_column(model: ModelConfig, events: Events, column: str) -> Any:
    """A segment column, or the text of a categorical signal, which the survey of a reference asks for."""
    if column in events.segments:
        return events.segments[column]
    name = column.removeprefix(CATEGORY_OF)
    return _classes(model, events) if name == PREDICTED_CLASS else events.features[name]


def _coded(texts: Any, rows: int, most: int, *, verbatim: bool) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    if texts is None:
        return (MISSING,), np.zeros(rows, np.int32)
    raw = texts_of(texts).tolist()
    number = {value: code for code, value in enumerate(dict.fromkeys(raw))}
    codes = np.array([number[value] for value in raw], np.int32)
    cleaned = [named_value(value, most, verbatim=verbatim) for value in number]
    distinct = tuple(dict.fromkeys(cleaned))
    place = np.array([distinct.index(text) for text in cleaned], np.int32)
    return distinct, place[codes] if rows else codes


def _true_classes(labels: Any, events: Events) -> NDArray[np.object_]:
    """[n] labels as texts, as predictions write them. Raises ``ValueError`` when they have no class in common: all would be errors."""
    predicted = set() if events.predicted is None else set(texts_of(events.predicted).tolist()) - {None}
    found = texts_of(labels, predicted)
    named = set(found.tolist()) - {None}
    if named and predicted and not named & predicted:
        shown = [", ".join(map(repr, sorted(names)[:5])) for names in (named, predicted)]
        raise ValueError(f"expected the classes of predicted in labels, got {shown[0]}; those of predicted are {shown[1]}")
    return found


def _with_positive(model: ModelConfig, labels: Any, positive: Any) -> ModelConfig:
    """The model with labels of two classes of which ``positive`` is one, as a configuration names them."""
    if labels is None:
        raise ValueError("expected labels with positive, got None")
    classes = dict.fromkeys(clean_value(text, 1_000) for text in labels.tolist() if text is not None)
    wanted = clean_value(as_text(positive, classes), 1_000)
    if wanted not in classes or len(classes) != 2:
        shown = ", ".join(map(repr, sorted(classes)[:5])) or "none"
        raise ValueError(f"expected positive to be one of the two classes of labels, got {wanted!r}; labels are {shown}")
    named = {"positive": [wanted], "negative": [name for name in classes if name != wanted]}
    section = LabelsConfig.model_validate({"topic": "labels", "id": "id", "label": "label", **named})
    return model.model_copy(update={"labels": section})


def reference_of(model: ModelConfig, events: Events, labels: Any = None, label_time_ms: Any = None, positive: Any = None) -> Reference:
    """The reference of rows in memory, in the order of their times.

    ``labels`` [n] true classes (None: unknown) and ``label_time_ms`` [n] when they were known. ``positive`` is the class whose
    probability the score is; None: by its name, as ``positive_class`` says. Raises ``ValueError`` without rows, for labels of which there
    are more or fewer, and for a positive class that is none of two.
    """
    if not len(events):
        raise ValueError("expected rows to make a reference of, got none")
    same_length(len(events), {"labels": labels, "label_time_ms": label_time_ms})
    if labels is None and label_time_ms is not None:
        raise ValueError("expected labels with label_time_ms, got None")
    order = np.argsort(milliseconds(events.time_ms), kind="stable")
    truth = None if labels is None else _true_classes(labels, events)[order]
    events = events.rows(order)
    lag_ms = None if label_time_ms is None else milliseconds(label_time_ms)[order] - milliseconds(events.time_ms)
    named = model if positive is None else _with_positive(model, truth, positive)
    mapping = model if truth is None else with_columns(named, {LABEL: "label"})
    survey = Survey(mapping, None)
    surveyed = survey_model(mapping)
    parts = [slice(start, start + _AT_ONCE) for start in range(0, len(events), _AT_ONCE)]
    for part in parts:
        survey.add(batch_of(surveyed, events.rows(part), {}, part.start, None if truth is None else truth[part]))
    tally = Tally(survey, survey.layout(), model.version, True)
    for part in parts:
        batch = batch_of(mapping, events.rows(part), tally.vocabulary, part.start, None if truth is None else truth[part])
        tally.add(batch, None if lag_ms is None else lag_ms[part])
    table = tally.table()
    moments = tally.sums.moments(table.counts[table.index[ALL]])
    assert tally.hours is not None and tally.blocks is not None
    return with_fingerprint(
        Reference(
            model=model.name, model_version=model.version, dataset_version=None, pipeline_version=None, rows=tally.rows,
            start_ms=survey.start_ms, end_ms=survey.end_ms, schema=tuple(feature.model_dump(mode="json") for feature in model.features),
            groupings=model.segments.groupings, table=table, bin_means=moments.bin_means, means=moments.means, stds=moments.stds,
            hours=tally.hours.slots_by_segment(), blocks=tally.blocks.moments(),
            labels=None if tally.labels is None else {"path": "label", **tally.labels.content(ALL)}, fingerprint="",
        )
    )  # fmt: skip


__all__ = ["Events", "batch_of", "model_of", "reference_of"]
