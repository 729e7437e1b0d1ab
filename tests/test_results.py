"""benchmarks/results.json is shared by the benches: none drops what another measured."""

from __future__ import annotations

import json
import re
from pathlib import Path

from benchmarks.__main__ import write
from monitor.config import SourceConfig
from monitor.source import librdkafka

ROOT = Path(__file__).parents[1]


def test_figures_of_other_benches_survive_a_run(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write({"evaluate_ms": 1.0}, path)
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"canary": {"coverage": []}}), encoding="utf-8")
    write({"evaluate_ms": 2.0, "large": {}}, path)
    assert json.loads(path.read_text(encoding="utf-8")) == {"evaluate_ms": 2.0, "canary": {"coverage": []}, "large": {}}


def test_how_much_cheaper_a_client_is_said_to_be_is_what_the_readme_measured() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = {
        name: re.search(rf"^\| {name}, broker to counts.*?\| ([0-9,]+) \(", text, re.MULTILINE) for name in ("librdkafka", "kafka-python")
    }
    fast, slow = (float(rows[name][1].replace(",", "")) for name in ("librdkafka", "kafka-python"))  # type: ignore[index]
    for said in (SourceConfig.model_fields["client"].description, librdkafka.__doc__):
        assert re.findall(r"(\d\.\d) times", said or "")[0] == f"{fast / slow:.1f}"
