"""A small world for the flow: a model, its reference, and logs of events, some of them bad, late or repeated."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from monitor.batch import RawBatch
from monitor.config import ModelConfig, parse_config
from monitor.decode import Decoder
from monitor.evaluate.verdict import Verdicts
from monitor.pipeline import Evaluated, Owned, advance
from monitor.profile.layout import Layout, SignalBins
from monitor.profile.table import CountTable
from monitor.reference.format import with_fingerprint
from monitor.reference.reference import Reference
from monitor.sequential.saved import pack_sequential
from monitor.state import Entry, ModelState, new_model_state

MINUTE = 60_000
START = 1_700_000_040_000 // MINUTE * MINUTE
EDGES = tuple(np.linspace(-2, 2, 9).tolist())

CONFIG: dict[str, Any] = {
    "source": {"client": "ndjson", "path": "none"},
    "models": [
        {
            "name": "m",
            "predictions": {"topic": "t", "id": "id", "time": {"path": "ts"}, "model_version": "v", "score": "score"},
            "features": [
                {"name": "x", "type": "numeric"},
                {"name": "y", "type": "numeric"},
                {"name": "c", "type": "categorical"},
            ],
            "segments": {
                "columns": {"country": "country", "device": "device"},
                "groupings": [["country"], ["device"], ["country", "device"]],
            },
            "windows": {"pane": "1m", "short": "5m", "long": "1h", "lateness": "2m"},
            "evaluation": {"min_rows": 20},
            "detectors": [{"river": "river.drift.ADWIN", "signal": "x", "segments": "every"}],
        }
    ],
}


def model_config(**changes: Any) -> ModelConfig:
    """The model of CONFIG with some of its sections replaced."""
    return parse_config({**CONFIG, "models": [{**CONFIG["models"][0], **changes}]}).models[0]


def reference(edges: Sequence[float] = EDGES, version: str = "1") -> Reference:
    """A reference made by hand: uniform counts, means in the middle of the cells."""
    layout = Layout(
        (
            SignalBins("x", "numeric", edges=tuple(edges)),
            SignalBins("y", "numeric", edges=EDGES),
            SignalBins("c", "categorical", categories=("a", "b")),
            SignalBins("score", "numeric", edges=(0.25, 0.5, 0.75)),
        )
    )
    segments = ("ALL", "country=FR", "country=FR,device=ios", "device=ios")
    counts = np.full((len(segments), layout.cells), 40, np.int64)
    for index in range(len(layout.signals)):  # every row has one cell in each signal
        counts[:, layout.span(index)] = 0
        cells = layout.span(index)
        counts[:, cells.start + 3 : cells.stop] = 1200 // (cells.stop - cells.start - 3)
        counts[:, cells.start + 3] += 1200 - counts[:, cells].sum(axis=1)
    means = np.full(layout.cells, np.nan)
    for index, signal in enumerate(layout.signals):
        if signal.kind == "numeric":
            inner = [
                signal.edges[0] - 0.5,
                *[(a + b) / 2 for a, b in zip(signal.edges, signal.edges[1:], strict=False)],
                signal.edges[-1] + 0.5,
            ]
            means[layout.span(index).start + 3 : layout.span(index).stop] = inner
    table = CountTable(layout, segments, counts, np.zeros((len(segments), len(layout.signals), 2), np.int64))
    made = Reference(
        model="m", model_version=version, dataset_version=None, pipeline_version=None, rows=1200, start_ms=None, end_ms=None, schema=(),
        groupings=(("country",), ("device",), ("country", "device")), table=table, bin_means=means,
        means=np.array([0.0, 0.0, np.nan, 0.5]), stds=np.array([1.0, 1.0, np.nan, 0.25]),
        hours=None, blocks=None, labels=None, fingerprint="",
    )  # fmt: skip
    return with_fingerprint(made)  # as it is read from a file


@dataclass(frozen=True)
class Message:
    """One message of a partition's log."""

    partition: int
    offset: int
    value: bytes | None


def event(number: int, minute: float, random: np.random.Generator, shift: float = 0.0) -> dict[str, Any]:
    """One prediction."""
    return {
        "id": f"p{number}",
        "ts": START + int(minute * MINUTE),
        "v": "1" if random.random() < 0.9 else "2",
        "x": None if random.random() < 0.05 else round(float(random.normal() + shift), 6),
        "y": float(random.normal()),
        "c": str(random.choice(["a", "b", "new"])),
        "country": str(random.choice(["FR", "DE", "US"])),
        "device": str(random.choice(["ios", "web"])),
        "score": float(random.random()),
    }


BAD = (b"", b"{", b"[1]", b'{"id": "q"}', b'{"ts": 1700000000000}', b"\xff\xfe", b'{"id": "q", "ts": "soon"}', None)


def log(seed: int, partitions: int = 3, minutes: int = 90, per_minute: int = 8, shift_from: int = 45) -> list[list[Message]]:
    """A log with a shift of x, bad messages, late rows, and repeats within and across partitions."""
    random = np.random.default_rng(seed)
    logs: list[list[Message]] = [[] for _ in range(partitions)]

    def put(partition: int, value: bytes | None) -> None:
        logs[partition].append(Message(partition, len(logs[partition]), value))

    number = 0
    for minute in range(minutes):
        for partition in range(partitions):
            for _ in range(per_minute):
                number += 1
                late = -6 if random.random() < 0.03 else 0
                jitter = random.uniform(-1.5, 0.99)
                row = event(number, minute + jitter + late, random, 1.5 if minute >= shift_from else 0.0)
                if random.random() < 0.03:
                    row["y"] = "text"
                value = json.dumps(row).encode()
                put(partition, value)
                if random.random() < 0.05:
                    put(partition, value)  # delivered again
                if random.random() < 0.02:
                    put(partition, BAD[int(random.integers(len(BAD)))])
    return logs


def raw(messages: Sequence[Message]) -> RawBatch:
    """One partition's messages as a poll returns them."""
    times = np.full(len(messages), START + 24 * 60 * MINUTE, np.int64)
    return RawBatch(
        "t",
        messages[0].partition,
        [message.value for message in messages],
        np.array([message.offset for message in messages], np.int64),
        times,
    )


def fresh(config: ModelConfig | None = None, references: Sequence[Reference] | None = None, partitions: int = 3) -> ModelState:
    """A state that owns all partitions."""
    state = new_model_state(config or model_config(), [reference()] if references is None else references)
    advance(state, Owned(frozenset(range(partitions)), complete=True))
    return state


def polls(logs: Sequence[Sequence[Message]], random: np.random.Generator, most: int) -> Iterator[list[RawBatch]]:
    """The logs, cut and interleaved at random; order within a partition is kept."""
    at = [0] * len(logs)
    while any(at[p] < len(messages) for p, messages in enumerate(logs)):
        raws = []
        for p in random.permutation(len(logs)).tolist():
            size = int(random.integers(0, most + 1))
            if size and at[p] < len(logs[p]):
                raws.append(raw(logs[p][at[p] : at[p] + size]))
                at[p] += size
        if raws:
            yield raws


def play(state: ModelState, each: Iterator[list[RawBatch]]) -> list[Evaluated]:
    """Decode and advance."""
    decoder = Decoder(state.config, state.vocabulary)
    evaluated = []
    for raws in each:
        batch, _ = decoder.decode(raws)
        evaluated += [found for found in advance(state, batch) if isinstance(found, Evaluated)]
    return evaluated


def facts(state: ModelState) -> dict[str, Any]:
    """Everything that must not depend on cuts, interleaving or restarts, in a form that can be compared."""
    facts: dict[str, Any] = {
        "ledger": state.ledger.tolist(),
        "closed": state.clock.closed_panes,
        "newest": dict(sorted(state.clock.newest_ms.items())),
        "ids": sorted(zip(state.seen.low[state.seen.low > 0].tolist(), state.seen.high[state.seen.low > 0].tolist(), strict=True)),
    }
    for name, version in sorted(state.versions.items()):
        facts[f"{name} open"] = {
            where: (
                pane.rows,
                sorted((leaf, counts.tolist(), tails.tolist()) for leaf, counts, tails in pane.counted()),
            )
            for where, pane in sorted(version.open.items())
        }
        facts[f"{name} windows"] = [(w, t.segments, t.counts.tolist(), t.tails.tolist()) for w, t in version.windows.views()]
        facts[f"{name} verdicts"] = [verdict_facts(v) for _, v in sorted(version.verdicts.items())]
        facts[f"{name} river"] = {key: (w.alarms, w.last_alarm_ms) for key, w in sorted(version.river.watched.items())}
    for name, sequential in sorted(state.sequential.items()):
        facts[f"{name} detection"] = pack_sequential(sequential)
    return facts


def verdict_facts(v: Verdicts) -> Any:
    """A verdict's arrays, to the bit."""
    arrays = (
        v.value,
        v.threshold,
        v.noise,
        v.status,
        v.n_now,
        v.n_reference,
        v.unit_factor,
        v.since_ms,
        v.share.share,
        v.share.status,
        v.share.since_ms,
    )
    return v.window, v.segments, [array.tobytes() for array in arrays]


def conserved(state: ModelState) -> bool:
    """Whether every message is accounted for."""
    entries = state.ledger
    return int(entries[Entry.MESSAGES]) == int(entries[1:].sum())
