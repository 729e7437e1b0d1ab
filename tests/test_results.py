"""benchmarks/results.json is shared by the benches: none drops what another measured."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.__main__ import write


def test_figures_of_other_benches_survive_a_run(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write({"evaluate_ms": 1.0}, path)
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"canary": {"coverage": []}}), encoding="utf-8")
    write({"evaluate_ms": 2.0, "large": {}}, path)
    assert json.loads(path.read_text(encoding="utf-8")) == {"evaluate_ms": 2.0, "canary": {"coverage": []}, "large": {}}
