"""From rows to a reference, in two readings and bounded memory.

1. The survey: a uniform sample for the edges, exact extents, frequent categories and segments, times, versions.
2. The tally: every row into its cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Batch, RejectReason
from monitor.config.model import ModelConfig
from monitor.decode import Decoder
from monitor.errors import SourceError
from monitor.profile.layout import FAULT_CELLS, Role
from monitor.reference.classes import check_classes
from monitor.reference.format import with_fingerprint
from monitor.reference.labels import LABEL
from monitor.reference.mapping import data_model, with_columns, with_fallback_version, with_time_at, without_times
from monitor.reference.read import Rows
from monitor.reference.reference import Reference
from monitor.reference.sample import SAMPLE_ROWS
from monitor.reference.survey import Survey, survey_decoder
from monitor.reference.tally import Tally
from monitor.segment import ALL

MANY_INVALID = 0.01
"""A share of values of another type from which on it is said."""

Part = Callable[[str, int | None], Callable[[int, int], None]]
"""Told what begins and what it adds up to; gives what is then told of how much more is done, and of how many more rows."""


def unwatched(_label: str, _total: int | None) -> Callable[[int, int], None]:
    """A ``Part`` that nobody looks at."""
    return lambda _done, _rows: None


@dataclass(frozen=True, slots=True)
class Options:
    """What the data does not say of itself."""

    model_version: str | None = None  # None: the one version that the rows name, or the configured one
    dataset_version: str | None = None
    pipeline_version: str | None = None
    label: str | None = None  # path of the true class in the data
    label_time: str | None = None  # path of the time at which it was known, in the unit of the prediction's time
    seed: int = 0
    sample_rows: int = SAMPLE_ROWS  # rows that edges are chosen from


@dataclass(frozen=True, slots=True)
class Built:
    """A reference, and what a person should know about how it came about."""

    reference: Reference
    notes: tuple[str, ...]


def build_reference(model: ModelConfig, rows: Rows, options: Options, part: Part = unwatched) -> Built:
    """Read the rows twice and count them.

    ``part`` is told of each reading, whose bytes add up to ``rows.size``. Raises ``SourceError`` when
    no row can be used, the rows are of several versions and none was chosen, or no label or predicted class can be understood.
    """
    mapping = with_fallback_version(model if rows.as_produced else data_model(model), options.model_version or model.version)
    has_times = _has_times(mapping, rows)
    if not has_times:
        mapping = without_times(mapping)
    if options.label is not None:
        mapping = with_columns(mapping, {LABEL: options.label})
    survey = Survey(mapping, options.model_version, options.seed, options.sample_rows)
    reasons: dict[RejectReason, str] = {}
    advance = part("pass 1 of 2, finding cells", rows.size)
    for batch, done in _decoded(rows, survey_decoder(mapping), reasons):
        survey.add(batch)
        advance(done, len(batch))
    version = _version(survey, options.model_version, reasons)
    of_classes: tuple[str, ...] = ()
    if options.label is not None:
        of_classes = tuple(check_classes(model, options.label, survey.labels.counts, survey.predicted))

    tally = Tally(survey, survey.layout(), version, has_times)
    decoder = Decoder(mapping, tally.vocabulary)
    when_labelled = None if options.label_time is None or not has_times else Decoder(with_time_at(mapping, options.label_time), {})
    advance = part("pass 2 of 2, counting", rows.size)
    for raws, done in rows.read():
        batch, _ = decoder.decode(raws)
        tally.add(batch, None if when_labelled is None else _lag_ms(batch, when_labelled.decode(raws)[0]))
        advance(done, len(batch))
    table = tally.table()
    moments = tally.sums.moments(table.counts[table.index[ALL]])
    reference = Reference(
        model=model.name,
        model_version=version,
        dataset_version=options.dataset_version,
        pipeline_version=options.pipeline_version,
        rows=tally.rows,
        start_ms=survey.start_ms if has_times else None,
        end_ms=survey.end_ms if has_times else None,
        schema=tuple(feature.model_dump(mode="json") for feature in model.features),
        groupings=model.segments.groupings,
        table=table,
        bin_means=moments.bin_means,
        means=moments.means,
        stds=moments.stds,
        hours=None if tally.hours is None else tally.hours.slots_by_segment(),
        blocks=None if tally.blocks is None else tally.blocks.moments(),
        labels=_labels(tally, options),
        fingerprint="",
    )
    return Built(with_fingerprint(reference), (*_notes(model, reference, survey, reasons), *_told_the_truth(model, options), *of_classes))


def _labels(tally: Tally, options: Options) -> dict[str, Any] | None:
    if tally.labels is None:
        return None
    found = {"path": options.label, **tally.labels.content(ALL)}
    if tally.outcomes is None:
        return found
    numbers = {"performance": tally.outcomes.errors(ALL)} if tally.outcomes.layout.task == "regression" else {}
    return {**found, **numbers, "outcomes": tally.outcomes.content()}


def _decoded(rows: Rows, decoder: Decoder, reasons: dict[RejectReason, str]) -> Iterator[tuple[Batch, int]]:
    for raws, done in rows.read():
        batch, rejections = decoder.decode(raws)
        for rejection in rejections:
            reasons.setdefault(rejection.reason, f"{rejection.topic}, row {rejection.offset}: {rejection.detail}")
        yield batch, done


def _lag_ms(batch: Batch, labelled: Batch) -> NDArray[np.float64]:
    """[rows] label time minus prediction time; NaN for rows whose label time cannot be read. Ids are row numbers, each once."""
    order = np.argsort(labelled.ids[:, 0], kind="stable")
    ids = labelled.ids[order, 0]
    lag_ms = np.full(len(batch), np.nan)
    if len(ids):
        place = np.minimum(np.searchsorted(ids, batch.ids[:, 0]), len(ids) - 1)
        known = ids[place] == batch.ids[:, 0]
        lag_ms[known] = (labelled.time_ms[order][place] - batch.time_ms)[known]
    return lag_ms


def _has_times(model: ModelConfig, rows: Rows) -> bool:
    """Whether any of the first rows has a time; those that cannot be read at all say nothing."""
    decoder = survey_decoder(model)
    for raws, _ in rows.read():
        batch, rejections = decoder.decode(raws)
        if len(batch) or any(rejection.reason is not RejectReason.NO_TIME for rejection in rejections):
            return True
        if rejections:
            return False
    return True


def _version(survey: Survey, chosen: str | None, reasons: dict[RejectReason, str]) -> str:
    if not survey.rows:
        found = ", ".join(survey.versions.most(5))
        why = f"; they are of version {found}, not {chosen}" if found else "".join(f"; {reason}" for reason in reasons.values())
        raise SourceError(f"expected rows to count, got none that can be used{why}")
    versions = survey.versions.most(6)
    if chosen is None and len(versions) > 1:
        raise SourceError(f"expected rows of one model version, got {', '.join(versions)}; choose one with --model-version")
    return chosen or versions[0]


def _notes(model: ModelConfig, reference: Reference, survey: Survey, reasons: dict[RejectReason, str]) -> Iterator[str]:
    for reason, rejected in sorted(survey.rejected.items()):
        yield f"{rejected:,} rows rejected as {reason.label} (first: {reasons.get(reason, 'unknown')})"
    others = sum(rows for name, rows in survey.versions.counts.items() if name != reference.model_version)
    if others:
        yield f"{others:,} rows of other model versions left out"
    if reference.start_ms is None:
        yield f"no row has a time at {model.predictions.time.path}: season unknown, clustering not measured"
    elif reference.blocks is None:
        yield "the rows are not in the order of their times: clustering not measured; sort the data by time and build again"
    yield from _faults(reference)
    if any(seen.error for seen in survey.leaves):
        yield "too many different segments to count each: those with counts of their own were chosen by estimated sizes"


def _told_the_truth(model: ModelConfig, options: Options) -> Iterator[str]:
    """Features that are the label: production has none of it, so that all of it would be missing there."""
    for feature in model.features:
        if options.label is not None and options.label in (feature.name, feature.where):
            yield f"the label {options.label} is the feature {feature.name} too: production does not know it yet; take it out of features"


def _faults(reference: Reference) -> Iterator[str]:
    """Signals without a value, and those of which many are of another type: these are values neither here nor in production."""
    table = reference.table
    total = table.counts[table.index[ALL]]
    for place, signal in enumerate(table.layout.signals):
        counts = total[table.layout.span(place)]
        invalid, rows = int(counts[Role.INVALID]), max(int(counts.sum()), 1)
        if invalid >= MANY_INVALID * rows:
            found = "no number, such as one written as text" if signal.kind == "numeric" else "a list or an object"
            yield f"{signal.name}: {invalid:,} of {rows:,} rows have {found}: they count as invalid, and not among its values"
        elif not counts[FAULT_CELLS:].sum():
            yield f"{signal.name}: no row has a value; is its path right?"
