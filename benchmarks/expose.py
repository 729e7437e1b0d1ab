"""What a scrape costs: rendering the drift series of one evaluation, and serving them.

    python benchmarks/expose.py [--segments 1000] [--features 50] [--series 100000]

Prints a row per step. ``verdicts`` makes verdicts of any size from random counts, for other benchmarks too.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from monitor.config.model import STATISTICS
from monitor.evaluate.verdict import ShareVerdicts, Status, Verdicts, Window
from monitor.expose.drift_metrics import drift_page, gzip_joined
from monitor.profile.layout import Layout, SignalBins
from monitor.profile.table import CountTable

HOUR_MS = 3_600_000


def verdicts(segments: int, features: int, seed: int, windows: tuple[str, ...] = ("short", "long")) -> tuple[Verdicts, ...]:
    """Verdicts about random counts: about 5 % drifted, 5 % without enough data."""
    rng = np.random.default_rng(seed)
    layout = Layout(tuple(SignalBins(f"feature_{i}", "numeric", tuple(np.arange(24.0)), (0.0, 23.0)) for i in range(features)))
    names = ("ALL", *sorted(f"country=C{i % 40},device=d{i // 40}" for i in range(segments - 1)))
    shape = (segments, features, len(STATISTICS))
    out = []
    for name in windows:
        value = rng.gamma(0.5, 0.05, shape)
        threshold = np.full(shape[1:], 0.1)
        status = np.where(value > 0.35, Status.DRIFTED, Status.STABLE).astype(np.uint8)
        blind = rng.random(shape[0]) < 0.05
        status[blind], value[blind] = Status.INSUFFICIENT_DATA, np.nan
        counts = rng.poisson(20, (segments, layout.cells)).astype(np.int64)
        share = ShareVerdicts(
            rng.dirichlet(np.ones(segments)), rng.dirichlet(np.ones(segments)), np.full(segments, 0.01), 0.05,
            np.zeros(segments, np.uint8), np.full(segments, -1),
        )  # fmt: skip
        out.append(
            Verdicts(
                "model", "v1", Window(name, 0, HOUR_MS), None, CountTable(layout, names, counts, np.zeros((segments, features, 2), np.int64)),
                STATISTICS, value, threshold, np.full(shape, 0.02), status, np.full(shape[:2], 1000), np.full(shape[:2], 5000),
                np.full(shape[:2], np.nan), share, np.where(status == Status.DRIFTED, 1_700_000_000_000, -1),
            )  # fmt: skip
        )
    return tuple(out)


def median_ms(action: Callable[[], object], repeat: int = 7) -> float:
    """Median wall time of an action."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def measure(segments: int, features: int, series: int) -> dict[str, float]:
    """Render and scrape times in milliseconds, and sizes in bytes."""
    judged = verdicts(segments, features, seed=1)
    page = drift_page(judged, series)
    crc, tail = zlib.crc32(page.text), b"# the monitor's own metrics\n" * 100
    return {
        "render_ms": median_ms(lambda: drift_page(judged, series)),
        "join_ms": median_ms(lambda: gzip_joined(page, crc, tail)),
        "series": page.exposed,
        "series_left_out": page.left_out,
        "text_bytes": len(page.text),
        "gzip_bytes": len(page.deflated),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segments", type=int, default=1000)
    parser.add_argument("--features", type=int, default=50)
    parser.add_argument("--series", type=int, default=100_000)
    chosen = parser.parse_args()
    for name, value in measure(chosen.segments, chosen.features, chosen.series).items():
        print(f"{name:>16} {value:>14,.1f}")


if __name__ == "__main__":
    main()
