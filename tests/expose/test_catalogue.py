from __future__ import annotations

import re
from pathlib import Path

from monitor.expose.catalogue import CATALOGUE, METRICS
from monitor.expose.docs import metrics_markdown
from monitor.expose.label_names import KINDS, LABEL_OUTCOMES, LABELS
from monitor.join.state import LabelEntry

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_names_follow_the_conventions_of_prometheus() -> None:
    for metric in CATALOGUE:
        assert re.fullmatch(r"(driftgauge|process)_[a-z][a-z_]*[a-z]", metric.name)
        assert metric.name.endswith("_total") == (metric.type == "counter"), metric.name
        assert metric.help.endswith("."), metric.name
        base = metric.name.removesuffix("_total")
        if metric.unit in ("seconds", "bytes", "ratio"):
            assert base.endswith(f"_{metric.unit}"), metric.name


def test_each_name_is_declared_once_and_each_label_is_explained() -> None:
    assert len(METRICS) == len(CATALOGUE)
    assert {label for metric in CATALOGUE for label in metric.labels} == set(LABELS)
    assert set(KINDS) == {metric.name for metric in CATALOGUE if "kind" in metric.labels}


def test_each_outcome_of_labels_is_explained() -> None:
    assert list(LABEL_OUTCOMES) == [entry.name.lower() for entry in LabelEntry if entry > LabelEntry.TOMBSTONES]


def test_the_documentation_is_the_one_that_the_catalogue_gives() -> None:
    assert DOCS.read_text(encoding="utf-8") == metrics_markdown(), "run: python -m monitor.expose.docs docs/metrics.md"


def test_the_documentation_has_a_row_for_every_metric() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| (gauge|counter|histogram) \|", metrics_markdown(), re.MULTILINE)
    assert rows == [
        (metric.name, metric.type)
        for group in ("drift", "detection", "performance", "canary", "retraining", "pipeline", "process")
        for metric in CATALOGUE
        if metric.group == group
    ]
