"""The retraining pipeline: ``python -m monitor.demo.loop.retrain --folder DIR``, which the hook starts, once a trigger.

It knows what the hook tells it on standard input: trigger and evidence. It trains on the data window that the evidence names, on
outcomes that were known by the window's end, makes the monitor's reference of the new version from the same flights, and
publishes both. It prints what it does, a line a step; the hook keeps that.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np

from monitor.demo import events
from monitor.demo.flights import Flights, load_flights
from monitor.demo.loop.folder import LoopFolder
from monitor.demo.loop.published import Published, next_version, publish, reference_of
from monitor.demo.model import auc, labels, score, train
from monitor.demo.prepare import build_reference_of

FEWEST_ROWS = 1_000


class Window(msgspec.Struct, frozen=True):
    """Data to train on, by scheduled departure: [start, end)."""

    start: datetime
    end: datetime


class Evidence(msgspec.Struct, frozen=True):
    """What the pipeline needs of a trigger's evidence."""

    version: str
    training_data: Window


class Asked(msgspec.Struct, frozen=True):
    """What the hook writes to standard input."""

    trigger_id: str
    evidence: Evidence


def known_by(flights: Flights, start_ms: int, end_ms: int) -> Flights:
    """Flights due to leave within [start, end) whose outcome was known by its end, or that never had one."""
    return flights.where((flights.time_ms >= start_ms) & (flights.time_ms < end_ms) & (flights.arrival_ms < end_ms))


def retrain(folder: LoopFolder, asked: Asked, flights: Flights) -> Published:
    """Train, build the reference, publish. Raises ``ValueError`` when the window holds too little, ``CalledProcessError``."""
    begun = time.monotonic()
    start_ms, end_ms = (int(at.timestamp() * 1000) for at in (asked.evidence.training_data.start, asked.evidence.training_data.end))
    chosen = known_by(flights, start_ms, end_ms)
    rows = int((~np.isnan(labels(chosen))).sum())
    if rows < FEWEST_ROWS:
        raise ValueError(f"expected at least {FEWEST_ROWS:,} flights with a known outcome from {start_ms} to {end_ms} ms, got {rows:,}")
    print(f"training on {rows:,} flights of {asked.evidence.training_data.start:%Y-%m-%d} to {asked.evidence.training_data.end:%Y-%m-%d}")
    model = train(chosen)
    scores = score(model, chosen)
    fitted = auc(labels(chosen), scores)
    version = next_version(folder.versions, asked.evidence.version)
    reference = reference_of(folder.versions, version)
    reference.parent.mkdir(parents=True, exist_ok=True)
    training = reference.with_name("training.ndjson")
    events.write_training(training, chosen, scores, version)
    print(f"AUC {fitted:.3f} on these; building the reference of version {version}")
    said = build_reference_of(training, folder.config, reference, f"flights known by {asked.evidence.training_data.end:%Y-%m-%d %H:%M}")
    training.unlink()
    published = Published(version, asked.trigger_id, rows, start_ms, end_ms, fitted, time.monotonic() - begun)
    publish(folder.versions, published, model)
    print(f"published version {version}, reference of {said}")
    return published


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what standard input asks for; returns the exit status, which tells the hook whether it is done."""
    parser = argparse.ArgumentParser(prog="python -m monitor.demo.loop.retrain", description="Train the model of make demo-loop anew.")
    parser.add_argument("--folder", type=Path, required=True, metavar="DIR", help="the folder of the demonstration")
    folder = LoopFolder(parser.parse_args(arguments).folder)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    folder.pipeline.write_text(str(os.getpid()), encoding="ascii")
    try:
        retrain(folder, msgspec.json.decode(sys.stdin.buffer.read(), type=Asked), load_flights())
    finally:
        folder.pipeline.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
