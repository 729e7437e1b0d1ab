"""A model's state as small values and blobs, and back.

Only what defines counts is compared when a state is loaded: a signal whose bins changed starts anew, a grouping that is no
longer configured is dropped, and everything else goes on as it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np

from monitor.batch import Int64
from monitor.canary.trial import CanaryState
from monitor.decide.docket import pack_docket, unpack_docket
from monitor.decisions import choose_reference
from monitor.detections import watch_version
from monitor.evaluate.evaluate import evaluate
from monitor.label_estimates import from_values, to_values
from monitor.performance.backlog import ModeState
from monitor.profile.grouping import Base
from monitor.profile.packed import pack_array, pack_table, unpack_array, unpack_table
from monitor.profile.pane import Leaf, OpenPane
from monitor.profile.table import CountTable
from monitor.profile.windows import Kept
from monitor.river import pack_river, unpack_river
from monitor.segment import OTHER, parse_key
from monitor.sequential.saved import PARTS, load_sequential, pack_sequential
from monitor.state import LEDGER_COLUMNS, ModelState, VersionState, new_version_state
from monitor.window import Window


@dataclass(eq=False)
class Saved:
    """Parts of a commit."""

    values: dict[str, Any] = field(default_factory=dict)
    now: dict[str, bytes] = field(default_factory=dict)  # replaced by every commit
    kept: dict[str, bytes] = field(default_factory=dict)  # written once


def save_model(model: ModelState) -> Saved:
    """Everything about a model but its remembered ids."""
    saved = Saved()
    saved.values = {
        "topic": model.config.predictions.topic,
        "offsets": {str(partition): offset for partition, offset in model.offsets.items()},
        "newest_ms": {str(partition): ms for partition, ms in model.clock.newest_ms.items()},
        "idle": sorted(model.clock.idle),
        "closed_panes": model.clock.closed_panes,
        "pane_ms": model.clock.pane_ms,
        "evaluated_pane": model.evaluated_pane,
        "unjudged_pane": model.unjudged_pane,
        "rows_folded": model.rows_folded,
        "ledger": model.ledger.tolist(),
        "offsets_lost": model.offsets_lost,
        "idle_exclusions": model.idle_exclusions,
        "complete": model.complete,
        "ids_evicted": model.seen.evicted,
        "bases": [base.columns for base in model.bases],
        "estimates": {name: to_values(history) for name, history in model.estimates.items()},
        "chosen": model.chosen,
        "canary": None if model.canary is None else model.canary.to_values(),
        "backlog": [msgspec.to_builtins(mode) for mode in model.backlog.values()],
        "versions": {name: _save_version(model, version, saved) for name, version in model.versions.items()},
        "sequential": sorted(model.sequential),
    }
    for name, sequential in model.sequential.items():
        saved.now.update({f"{_detection_prefix(model, name)}/{part}": data for part, data in pack_sequential(sequential).items()})
    saved.now[_docket_blob(model)] = pack_docket(model.docket)
    return saved


def _detection_prefix(model: ModelState, version: str) -> str:
    return f"{hashlib.sha256(msgspec.json.encode([model.config.name, version])).hexdigest()[:24]}/detection"


def _docket_blob(model: ModelState) -> str:
    return f"{hashlib.sha256(model.config.name.encode()).hexdigest()[:24]}/docket"


def _save_version(model: ModelState, version: VersionState, saved: Saved) -> dict[str, Any]:
    windows, name = version.windows, _prefix(model, version)
    for kind, parts in (("pane", windows.panes), ("block", windows.blocks)):
        saved.kept.update({f"{name}/{kind}/{number}": packed for number, packed in parts})
    for (partition, pane), opened in version.open.items():
        saved.now[f"{name}/open/{partition}/{pane}"] = _pack_open(opened, model.bases)
    saved.now[f"{name}/filling"] = pack_table(windows.block.total)
    saved.now[f"{name}/river"] = pack_river(version.river)
    judged = {window: v for window, v in version.verdicts.items() if v.window.end_ms != windows.end_pane * model.clock.pane_ms}
    saved.now.update({f"{name}/judged/{window}": pack_table(v.table) for window, v in judged.items()})
    return {
        "prefix": name,
        "panes": [number for number, _ in windows.panes],
        "blocks": [number for number, _ in windows.blocks],
        "block_number": windows.block_number,
        "block_panes": windows.block_panes,
        "end_pane": windows.end_pane,
        "open": [[partition, pane, opened.rows, opened.folded] for (partition, pane), opened in version.open.items()],
        "admitted": sorted(version.admitted),
        "judged": {window: [v.window.start_ms, v.window.end_ms] for window, v in judged.items()},  # where it is not the present window
        "onsets": {
            window: [list(v.segments), list(v.signals), list(v.statistics), pack_array(v.since_ms), pack_array(v.share.since_ms)]
            for window, v in version.verdicts.items()
        },
    }


def _prefix(model: ModelState, version: VersionState) -> str:
    """Blobs of other bins, groupings or blocks have other names, so a changed configuration never finds old bytes under them."""
    groupings = [[grouping.columns for grouping in base.groupings] for base in model.bases]
    blocks = version.windows.block_panes
    definition = msgspec.json.encode([model.config.name, version.version, version.layout.fingerprint, groupings, blocks])
    return hashlib.sha256(definition).hexdigest()[:24]


def _pack_open(opened: OpenPane, bases: tuple[Base, ...]) -> bytes:
    opened.fold()
    leaves = [msgspec.json.encode([bases[base].columns, values]).decode() for base, values in opened.places]
    size = len(opened.places)
    return pack_table(CountTable(opened.layout, tuple(leaves), opened.counts[:size].astype(np.int64), opened.tails[:size]))


def load_model(model: ModelState, values: Mapping[str, Any], blobs: Mapping[str, bytes]) -> list[str]:
    """Bring a new model state to where ``save_model`` was; returns what of it could not go on, and why.

    Raises ``ValueError`` or ``KeyError`` for values it never wrote.
    """
    if values["topic"] != model.config.predictions.topic:
        raise ValueError(
            f"predictions.topic was {values['topic']} and is {model.config.predictions.topic}: offsets of one mean nothing in the other"
        )
    model.offsets = {int(partition): offset for partition, offset in values["offsets"].items()}
    model.ledger = _ledger(values["ledger"])
    model.offsets_lost, model.idle_exclusions = values["offsets_lost"], values["idle_exclusions"]
    model.seen.evicted = values["ids_evicted"]
    model.clock.newest_ms = {int(partition): ms for partition, ms in values["newest_ms"].items()}
    model.clock.idle = set(values["idle"])
    if values["pane_ms"] != model.clock.pane_ms:
        raise ValueError(f"windows.pane was {values['pane_ms']} ms and is {model.clock.pane_ms} ms: panes of another width cannot be added")
    model.clock.closed_panes, model.evaluated_pane = values["closed_panes"], values["evaluated_pane"]
    model.unjudged_pane, model.complete = values.get("unjudged_pane"), values.get("complete", True)
    # A state of before counted what was folded by version.
    model.rows_folded = values.get("rows_folded", sum(part.get("rows_folded", 0) for part in values["versions"].values()))
    model.estimates = {name: from_values(history) for name, history in values.get("estimates", {}).items()}
    if _docket_blob(model) in blobs:  # a state of before decided nothing
        model.docket = unpack_docket(blobs[_docket_blob(model)])
    if model.canary is not None and values.get("canary") is not None:  # a state of before, or another configuration, had no trial
        model.canary = CanaryState.from_values(values["canary"])
    modes = [msgspec.convert(mode, ModeState) for mode in values.get("backlog", ())]
    model.backlog = {mode.id: mode for mode in modes}
    configured = {reference.fingerprint for reference in model.configured}
    for name, fingerprint in values.get("chosen", {}).items():
        if fingerprint in configured:
            choose_reference(model, name, fingerprint)
    for name, part in values["versions"].items():
        version = model.versions[name] = new_version_state(model, name)
        _load_version(model, version, part, blobs)
    model.clock.first_pane = min((pane for version in model.versions.values() for _, pane in version.open), default=None)
    return [notice for name in values.get("sequential", ()) for notice in _load_detection(model, name, blobs)]


def _load_detection(model: ModelState, name: str, blobs: Mapping[str, bytes]) -> list[str]:
    """A state of before has none: then detection begins with the next row."""
    sequential = watch_version(model, name)
    if sequential is None:
        return []
    prefix = _detection_prefix(model, name)
    reason = load_sequential(sequential, {part: blobs[f"{prefix}/{part}"] for part in PARTS})
    if reason is None:
        return []
    sequential.because = f"the saved evidence could not go on: {reason}"
    return [f"detection of version {name} of model {model.config.name} begins anew: {reason}"]


def _ledger(saved: list[int]) -> Int64:
    """The ledger; columns that came after it was saved, which are appended, are zero."""
    if len(saved) > LEDGER_COLUMNS:
        raise ValueError(f"expected a ledger of at most {LEDGER_COLUMNS} columns, got {len(saved)}: a later driftgauge saved it")
    return np.array(saved + [0] * (LEDGER_COLUMNS - len(saved)), np.int64)


def _load_version(model: ModelState, version: VersionState, part: Mapping[str, Any], blobs: Mapping[str, bytes]) -> None:
    prefix, same = part["prefix"], part["prefix"] == _prefix(model, version)
    groupings = {grouping.columns for base in model.bases for grouping in base.groupings}

    def table_of(name: str) -> CountTable:
        table = unpack_table(blobs[f"{prefix}/{name}"], version.layout)
        kept = [row for row, segment in enumerate(table.segments) if parse_key(segment)[0] in groupings]
        return CountTable(version.layout, tuple(table.segments[row] for row in kept), table.counts[kept], table.tails[kept])

    def kept(kind: str, numbers: list[int]) -> list[Kept]:
        return [(n, blobs[f"{prefix}/{kind}/{n}"] if same else pack_table(table_of(f"{kind}/{n}"))) for n in numbers]

    blocks, filling, number = kept("block", part["blocks"]), pack_table(table_of("filling")), part["block_number"]
    if part["block_panes"] != version.windows.block_panes:
        parts = blocks if number is None else [*blocks, (number * part["block_panes"], filling)]
        blocks, filling, number = version.windows.reblocked(parts, part["end_pane"])
    version.windows.restore(kept("pane", part["panes"]), blocks, filling, number, part["end_pane"])
    version.admitted = set(part["admitted"])
    version.river = unpack_river(blobs[f"{prefix}/river"], model.config.detectors)
    for partition, pane, rows, folded in part["open"]:
        table = unpack_table(blobs[f"{prefix}/open/{partition}/{pane}"], version.layout)
        version.open[partition, pane] = _load_open(model, version, table, rows, folded)
    views = {window.name: (window, table) for window, table in version.windows.views()}
    for name, (start_ms, end_ms) in part.get("judged", {}).items():
        views[name] = Window(name, start_ms, end_ms), table_of(f"judged/{name}")
    for name, (segments, signals, statistics, since, share_since) in part["onsets"].items():
        _restore_onset(model, version, views[name], (segments, signals, statistics), (unpack_array(since), unpack_array(share_since)))


def _load_open(model: ModelState, version: VersionState, table: CountTable, rows: int, folded: int) -> OpenPane:
    opened = OpenPane(version.layout, model.leaves, 2 * model.config.segments.max_segments + 64, rows, folded)
    opened.count_rows(0)  # 32 bits would not hold what 64 held
    had = {tuple(msgspec.json.decode(leaf)[0]) for leaf in table.segments}
    for row, text in enumerate(table.segments):
        columns, values = msgspec.json.decode(text)
        for leaf in _leaves_now(model.bases, had, tuple(columns), values):
            target, _ = opened.enter(leaf)
            opened.counts[target] += table.counts[row].astype(opened.counts.dtype)
            opened.tails[target] += table.tails[row]
    return opened


def _leaves_now(bases: tuple[Base, ...], had: set[tuple[str, ...]], columns: tuple[str, ...], values: list[str]) -> list[Leaf]:
    """Where a leaf belongs under the present groupings: each base takes all its rows from the old base nearest to it."""
    known = dict(zip(columns, values, strict=True))
    return [
        (index, tuple(known.get(column, OTHER) for column in base.columns))
        for index, base in enumerate(bases)
        if columns == max(sorted(had), key=lambda old: len(set(old) & set(base.columns)))
    ]


def _restore_onset(
    model: ModelState, version: VersionState, judged: tuple[Window, CountTable], axes: tuple[list[str], ...], since: tuple[Any, Any]
) -> None:
    """Judge again the counts that were judged (the same counts give the same verdicts) and put back since when they have drifted."""
    window, table = judged
    name, settings = window.name, model.config.evaluation
    verdicts = evaluate(
        table,
        window,
        version.reference,
        version.baseline_of(name, table.segments, settings),
        settings,
        model=model.config.name,
        version=version.version,
        partial=not model.complete,
    )
    places = []
    for names, axis in zip((verdicts.segments, verdicts.signals, verdicts.statistics), axes, strict=True):
        old = {name: place for place, name in enumerate(axis)}
        places.append([(place, old[name]) for place, name in enumerate(names) if name in old])
    onset = np.full(verdicts.value.shape, -1, np.int64)
    now, then = (np.ix_(*([pair[side] for pair in axis] for axis in places)) for side in (0, 1))
    onset[now] = since[0].reshape([len(axis) for axis in axes])[then]
    share = np.full(len(verdicts.segments), -1, np.int64)
    share[[a for a, _ in places[0]]] = since[1][[b for _, b in places[0]]]
    version.verdicts[name] = replace(verdicts, since_ms=onset, share=replace(verdicts.share, since_ms=share))
