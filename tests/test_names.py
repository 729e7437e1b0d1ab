"""What the documents name is there: keys of the configurations, metrics, alerts, options, events, files, addresses of the API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.config import Config
from monitor.config.model import ModelConfig
from monitor.config.types import Section, sections_in
from monitor.expose.catalogue import METRICS
from monitor.hook.config import HookConfig
from monitor.hook.metrics import FAMILIES
from tests.cli.parsers import parsers

ROOT = Path(__file__).resolve().parents[1]
WRITTEN = ("architecture", "canary", "detection", "labels", "retraining", "runbook")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs" / f"{name}.md" for name in WRITTEN)]
"""Those that are written by hand."""

CODE = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "monitor").rglob("*.py")))
FOLDERS = (ROOT, ROOT / "monitor", ROOT / "deploy", ROOT / "deploy" / "rollouts")

KEYS_OF_NO_CONFIGURATION = {
    "np.add.at", "profile.layout", "profile.table", "reliability.noise", "driftgauge.retraining.required", "evidence.training_data"
}  # fmt: skip
NO_FILES_OF_OURS = {"config.yaml", "hook.yaml", "hook/runs/RUN_ID/", "runs/RUN_ID/", "versions/N/"}
OPTIONS_OF_OTHERS = {"--hypothesis-profile"}


def keys(section: type[Section], path: str = "") -> Iterator[str]:
    for name, field in section.model_fields.items():
        key = f"{path}{field.alias or name}"
        yield key
        for inner in sections_in(field.annotation):
            yield from keys(inner, f"{key}.")


KEYS = {*keys(Config), *keys(ModelConfig), *keys(HookConfig)} | {key.removeprefix("start.http.") for key in keys(HookConfig)}
OPTIONS = {option for parser in parsers() for action in parser._actions for option in action.option_strings}
SERIES = {*METRICS, *(f"driftgauge_hook_{name}" for name in FAMILIES)}
NAMES = {*re.findall(r"^class (\w+)", CODE, re.MULTILINE)}
ALERTS = {*re.findall(r'"(Driftgauge[A-Z]\w+)"', CODE)}


def unknown(text: str) -> set[str]:
    """Names in a text that nothing has."""
    found = {name for name in re.findall(r"\bdriftgauge_\w+", text) if name not in SERIES}
    of_hook = {*re.findall(r"alert: (\w+)", text)}  # rules that are shown to be copied
    found |= {*re.findall(r"\bDriftgauge[A-Z]\w+", text)} - ALERTS - of_hook
    for span in re.findall(r"`([^`\n]+)`", text):
        found |= {*re.findall(r"(?<![\w-])--[a-z][a-z-]+", span)} - OPTIONS - OPTIONS_OF_OTHERS
        if re.fullmatch(r"[\w./-]+\.(py|yaml|yml|md|json|sh)|[\w./-]+/", span):
            if not span.startswith("/") and not any((folder / span).exists() for folder in FOLDERS):
                found |= {span} - NO_FILES_OF_OURS
        elif re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", span):
            found |= {span} - KEYS - KEYS_OF_NO_CONFIGURATION
        elif re.fullmatch(r"([A-Z][a-z]+){2,}", span):
            found |= {span} - NAMES - ALERTS
        elif address := re.match(r"/api/v1/([a-z-]+)", span):
            found |= set() if f'"{address[1]}"' in CODE or f"/api/v1/{address[1]}" in CODE else {span}
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_document_names_is_there(page):
    assert unknown(page.read_text(encoding="utf-8")) == set()


def test_a_name_that_nothing_has_is_found():
    text = (
        "`duplicates.max_ids` driftgauge_lost DriftgaugeLost `--no-such` `LostAndFound` `docs/none.md` `/api/v1/nosuch` `labels.pane`"
        " `--why` `CommitFailed` driftgauge_build_info DriftgaugeDown `docs/labels.md` `/api/v1/labels`"
    )
    lost = {"duplicates.max_ids", "driftgauge_lost", "DriftgaugeLost", "--no-such", "LostAndFound", "docs/none.md", "/api/v1/nosuch"}
    assert unknown(text) == lost
