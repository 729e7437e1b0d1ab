"""The shape of the code: where imports may point, what pure modules may not know, how long a module may be."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "monitor"
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))

# Left to right, the way of a message. A stage may import itself, what stands left of it, and the vocabulary.
VOCABULARY = (
    "errors", "config", "events", "drift_events", "label_events",
    "decision_events", "process_events", "batch", "number", "segment", "window", "profile.layout", "profile.table", "profile.bare",
)  # fmt: skip
STAGES = (
    ("source",), ("decode",), ("clock", "duplicates", "profile"), ("outcome",), ("reference",), ("join",),
    ("evaluate", "performance", "estimate"), ("canary",), ("detect",), ("river",), ("decide",), ("sequential",),
    ("label_estimates",), ("review",), ("state",), ("versions",), ("detections",),
    ("label_verdicts", "mode_samples", "labels"), ("facts",), ("decisions",), ("pipeline",),
    ("stream",),
    ("checkpoint",), ("telemetry", "sink"), ("expose",), ("view", "changes"), ("headway",),
    ("partitions", "portions", "letters", "triggers", "control_topic"), ("replay",), ("drill",), ("app",), ("hook",),
    ("threads",), ("cli", "__main__"),
)  # fmt: skip
ALLOWED_BACK = {("checkpoint", "evaluate"), ("source", "telemetry"), ("expose", "telemetry")}
PURE = (
    "batch", "number", "segment", "window", "clock", "duplicates", "pipeline", "state", "versions", "view", "profile", "decode", "evaluate",
    "labels", "label_verdicts", "mode_samples", "review", "stream", "facts", "decisions",
    "outcome", "performance", "estimate", "canary", "detect", "decide", "sequential", "detections", "headway",
)  # fmt: skip
PURE_IN_EDGES = ("hook.alert", "hook.policy", "hook.template", "hook.target.outcome")
EDGES = {"time", "socket", "logging", "threading", "kafka", "confluent_kafka", "subprocess", "requests", "urllib", "os", "datetime.now"}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names if node.module == "monitor"}
    return found


def stage(name: str) -> int | None:
    if name.startswith(VOCABULARY):
        return None
    top = name.split(".", maxsplit=1)[0]
    return next((place for place, names in enumerate(STAGES) if top in names), None)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_left_or_to_the_vocabulary(path):
    name = name_of(path)
    here = stage(name)
    if here is None:
        assert name.startswith((*VOCABULARY, "init", "demo", "rules", "dashboards", "generate")) or name == "__init__", (
            f"{name}: which stage is it?"
        )
        return
    for imported in sorted(imports(path)):
        if not imported.startswith("monitor.") or imported.removeprefix("monitor.").startswith(VOCABULARY):
            continue
        other = imported.removeprefix("monitor.")
        there = stage(other)
        if there is not None and there > here and (name.split(".")[0], other.split(".")[0]) not in ALLOWED_BACK:
            pytest.fail(f"{name} imports {other}, which stands right of it")


def is_pure(path: Path) -> bool:
    name = name_of(path)
    return name.split(".")[0] in PURE or name in PURE_IN_EDGES


@pytest.mark.parametrize("path", [path for path in MODULES if is_pure(path)], ids=name_of)
def test_pure_modules_know_no_clock_network_or_log(path):
    outside = {module.split(".")[0] for module in imports(path)} & EDGES
    assert not outside, f"{name_of(path)} imports {sorted(outside)}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_stays_under_300_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


def test_no_module_is_named_after_a_mechanism():
    unwanted = {"utils", "helpers", "common", "manager", "handler", "processor", "service", "data", "info", "misc"}
    assert not [name_of(path) for path in MODULES if unwanted & set(name_of(path).split("."))]


def test_nothing_is_left_undone():
    marks = ("TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error")
    found = [f"{path.name}: {mark}" for path in MODULES for mark in marks if mark in path.read_text(encoding="utf-8")]
    assert not found
