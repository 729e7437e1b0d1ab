from __future__ import annotations

import gzip
import threading
from dataclasses import replace

from monitor.expose.published import MetricsPage, Published
from monitor.expose.self_metrics import SelfMetrics
from monitor.expose.snapshot import RiverAlarms
from tests.expose import outcomes
from tests.expose.exposition import series
from tests.expose.sample import running
from tests.expose.small import small

ROWS = "driftgauge_window_rows"
BASE = replace(running(), verdicts=(small(),), labels=())


def test_drift_series_are_rendered_once_per_evaluation_and_the_rest_at_each_scrape() -> None:
    verdicts = small()
    published = Published(replace(BASE, verdicts=(verdicts,)), SelfMetrics(), 1000)
    first = published.metrics().text
    verdicts.table.counts[:] = 0  # nobody may do this; it shows that the arrays are not read again
    later = replace(published.snapshot, taken_ms=BASE.taken_ms + 5000)
    published.publish(later)
    second = published.metrics().text
    assert series(second, ROWS) == series(first, ROWS)
    assert list(series(second, "driftgauge_loop_turned_timestamp_seconds").values()) == [(BASE.taken_ms + 5000) / 1000]
    published.publish(replace(later, verdicts=(small(),)))
    published.publish(replace(later, verdicts=(verdicts,)))
    assert set(series(published.metrics().text, ROWS).values()) == {0.0}


def test_new_alarms_are_shown_although_the_verdicts_are_the_same() -> None:
    published = Published(BASE, SelfMetrics(), 1000)
    assert b"driftgauge_river_drift_total{" not in published.metrics().text
    model = replace(BASE.models[0], river=(RiverAlarms("v1", "ALL", "age", "river.drift.ADWIN", 1, 0),))
    published.publish(replace(BASE, models=(model,)))
    assert b"driftgauge_river_drift_total{" in published.metrics().text


def test_new_labels_are_shown_although_the_verdicts_are_the_same() -> None:
    published = Published(replace(BASE, labels=()), SelfMetrics(), 100_000)
    assert b"driftgauge_performance{" not in published.metrics().text
    published.publish(replace(published.snapshot, labels=(outcomes.flights(),)))
    assert b"driftgauge_performance{" in published.metrics().text


def test_both_forms_of_a_scrape_hold_the_same_text() -> None:
    page = Published(BASE, SelfMetrics(), 1000).metrics()
    assert gzip.decompress(page.gzipped) == page.text


def test_scrapes_at_the_same_time_see_one_evaluation_each() -> None:
    """A page mixes no two evaluations: all its rows come from one of them."""
    one, two = small(), small()
    two.table.counts[:] *= 2
    published = Published(replace(BASE, verdicts=(one,)), SelfMetrics(), 1000)
    pages: list[MetricsPage] = []
    stop = threading.Event()

    def scrape() -> None:
        while not stop.is_set():
            pages.append(published.metrics())

    threads = [threading.Thread(target=scrape) for _ in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(100):
        published.publish(replace(BASE, verdicts=((one, two)[turn % 2],)))
    stop.set()
    for thread in threads:
        thread.join()
    assert pages
    assert {tuple(sorted(series(page.text, ROWS).values())) for page in pages} <= {(8.0, 100.0), (16.0, 200.0)}
