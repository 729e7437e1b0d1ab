"""What a scrape costs: rendering the drift series of one evaluation, and serving them.

    python benchmarks/expose.py [--segments 1000] [--features 50] [--series 100000]

Prints a row per step. ``verdicts`` makes verdicts of any size from random counts, for other benchmarks too.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from monitor.config.evaluation import STATISTICS
from monitor.config.root import Http
from monitor.evaluate.verdict import ShareVerdicts, Status, Verdicts, Window
from monitor.expose.drift_metrics import drift_page
from monitor.expose.published import Published
from monitor.expose.self_metrics import SelfMetrics
from monitor.expose.server import HttpServer
from monitor.expose.snapshot import ModelView, Phase, Snapshot
from monitor.profile.layout import Layout, SignalBins
from monitor.profile.table import CountTable
from monitor.telemetry import Telemetry

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
        status = np.where(value > 0.35, Status.DRIFTED, Status.STABLE).astype(np.uint8)
        blind = rng.random(shape[0]) < 0.05
        status[blind], value[blind] = Status.INSUFFICIENT_DATA, np.nan
        counts = rng.poisson(20, (segments, layout.cells)).astype(np.int64)
        share = ShareVerdicts(
            share=rng.dirichlet(np.ones(segments)),
            reference_share=rng.dirichlet(np.ones(segments)),
            noise=np.full(segments, 0.01),
            threshold=0.05,
            status=np.zeros(segments, np.uint8),
            since_ms=np.full(segments, -1),
        )
        judged = Verdicts(
            model="model",
            version="v1",
            window=Window(name, 0, HOUR_MS),
            reference=None,
            table=CountTable(layout, names, counts, np.zeros((segments, features, 2), np.int64)),
            statistics=STATISTICS,
            value=value,
            threshold=np.full(shape[1:], 0.1),
            noise=np.full(shape, 0.02),
            status=status,
            n_now=np.full(shape[:2], 1000),
            n_reference=np.full(shape[:2], 5000),
            unit_factor=np.full(shape[:2], np.nan),
            share=share,
            since_ms=np.where(status == Status.DRIFTED, 1_700_000_000_000, -1),
        )
        out.append(judged)
    return tuple(out)


def median_ms(action: Callable[[], object], clock: Callable[[], float] = time.perf_counter, repeat: int = 7) -> float:
    """Median time of an action by the wall, or by another clock."""
    times = []
    for _ in range(repeat):
        start = clock()
        action()
        times.append(clock() - start)
    return statistics.median(times) * 1000


def measure(segments: int, features: int, series: int) -> dict[str, float]:
    """Times in milliseconds of rendering and of one scrape over loopback, and sizes in bytes."""
    judged = verdicts(segments, features, seed=1)
    page = drift_page(judged, series)
    snapshot = Snapshot(time.time_ns() // 1_000_000, 0, "benchmark", Phase.RUNNING, (ModelView("model", "topic"),), judged)
    server = HttpServer(Http(port=0), Published(snapshot, SelfMetrics(), series), Telemetry())
    try:
        first = scrape(server.port)
        scrape_ms = median_ms(lambda: scrape(server.port))
    finally:
        server.stop()
    return {
        "render_ms": median_ms(lambda: drift_page(judged, series)),
        "render_cpu_ms": median_ms(lambda: drift_page(judged, series), time.process_time),
        "scrape_ms": scrape_ms,
        "scrape_bytes": len(first),
        "text_bytes": len(page.text),
        "series": page.exposed,
        "series_left_out": page.left_out,
    }


def scrape(port: int) -> bytes:
    """One scrape as Prometheus makes it, compressed."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request) as response:
        body: bytes = response.read()
    return body


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
