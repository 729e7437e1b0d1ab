"""What the documents show to be copied is taken: configurations by the configuration, commands by the command line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.config import parse_config

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])

MODEL: dict[str, Any] = {
    "name": "churn",
    "predictions": {"topic": "p", "id": "id", "score": "score", "threshold": 0.5},
    "labels": {"topic": "l", "id": "id", "label": "y", "annotator": "by"},
    "features": [{"name": "price", "type": "numeric"}],
    "segments": {"columns": {"country": "country"}, "groupings": [["country"]]},
}
"""What stands around a part of a configuration that a document shows."""

ANOTHER_PROGRAMS = ("# alertmanager.yml", "# hook.rules.yml")
"""First lines of blocks that are not for driftgauge; tests/hook has them read by the programs they are for."""


def yaml_blocks(text: str) -> list[str]:
    return [block for block in re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE) if not block.startswith(ANOTHER_PROGRAMS)]


def completed(shown: dict[str, Any]) -> dict[str, Any]:
    """A configuration of what is shown and, where it shows less than all of it, what stands around it."""
    parts = dict(shown)
    models = [MODEL | {key: value for key, value in model.items() if value != {"...": None}} for model in parts.pop("models", [{}])]
    if "retraining" in parts:
        models[0] = models[0] | {"retraining": parts.pop("retraining")}
    return {"source": {"brokers": ["kafka:9092"]}, "models": models} | parts


BLOCKS = [(page, block) for page in PAGES for block in yaml_blocks(page.read_text(encoding="utf-8"))]


def test_documents_show_configurations():
    assert {page.name for page, _ in BLOCKS} >= {"README.md", "canary.md", "retraining.md"}


@pytest.mark.parametrize(("page", "block"), BLOCKS, ids=[f"{page.name}-{block.split()[0]}{n}" for n, (page, block) in enumerate(BLOCKS)])
def test_a_configuration_that_a_document_shows_is_taken(page, block):
    parse_config(completed(yaml.safe_load(block)), source=page.name)
