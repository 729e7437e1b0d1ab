"""benchmarks/results.json is shared by the benches: none drops what another measured."""

from __future__ import annotations

import json
import re
from pathlib import Path

from benchmarks.__main__ import RESULTS, table, write
from monitor.config import SourceConfig
from monitor.source import librdkafka

ROOT = Path(__file__).parents[1]


def test_figures_of_other_benches_survive_a_run(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write({"evaluate_ms": 1.0}, path)
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"canary": {"coverage": []}}), encoding="utf-8")
    write({"evaluate_ms": 2.0, "large": {}}, path)
    assert json.loads(path.read_text(encoding="utf-8")) == {"evaluate_ms": 2.0, "canary": {"coverage": []}, "large": {}}


def test_every_figure_that_is_published_is_there() -> None:
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    of_a_client = ("events_per_cpu_second", "floor_events_per_cpu_second", "ratio", "events_per_cpu_second_dedup")
    figures = [found["ingest"][client][name] for client in ("kafka-python", "librdkafka") for name in of_a_client]
    figures += [found["segments"][number] for number in ("10", "100", "1000")]
    figures += [found[name] for name in ("evaluate_ms", "render_ms", "scrape_ms", "scrape_bytes", "rss_mb", "rss_growth_mb")]
    assert all(type(figure) in (int, float) for figure in figures)
    assert table(found), "what the bench prints from the file is there too"


def test_how_much_cheaper_a_client_is_said_to_be_is_what_the_readme_measured() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = {
        name: re.search(rf"^\| {name}, broker to counts.*?\| ([0-9,]+) \(", text, re.MULTILINE) for name in ("librdkafka", "kafka-python")
    }
    fast, slow = (float(rows[name][1].replace(",", "")) for name in ("librdkafka", "kafka-python"))  # type: ignore[index]
    for said in (SourceConfig.model_fields["client"].description, librdkafka.__doc__):
        assert re.findall(r"(\d\.\d) times", said or "")[0] == f"{fast / slow:.1f}"
