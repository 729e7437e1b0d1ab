"""What the documents show to be copied is taken: configurations by the configuration, commands by the command line."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.__main__ import build_parser
from monitor.config import parse_config
from monitor.rules import alerts
from tests.cli.parsers import parsers

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])

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


def spans(text: str) -> list[tuple[str, bool]]:
    """Commands of a page, and whether each is all there is to type: a line of a block is, a span may only name a command."""
    blocks = "\n".join(re.findall(r"^```(?!yaml|pycon)[^\n]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    typed = re.findall(r"^(?:\$ )?(driftgauge [a-z-].*?)(?:\s{2,}.*)?$", blocks, re.MULTILINE)
    outside = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    named = re.findall(r"`(driftgauge [a-z-][^`]*)`", outside)
    return [(command, True) for command in typed] + [(" ".join(command.split()), False) for command in named]


def helped() -> list[str]:
    """The examples that the commands themselves show."""
    return [
        command for parser in parsers() for command in re.findall(r"^  (driftgauge .*?)(?:\s{2,}.*)?$", parser.epilog or "", re.MULTILINE)
    ]


def annotated() -> list[str]:
    """Commands that alerts tell an operator, with a value for each template; a command is what an annotation ends with."""
    config = parse_config(completed({}))
    said = [alert.annotations(config.alerts)["description"] for alert in alerts(config)]
    return [
        re.sub(r"\{\{.*?\}\}", "x", text[place:])
        for text in said
        if (place := text.find("driftgauge control")) >= 0 or (place := text.find("driftgauge drill")) >= 0
    ]


def mistake_of(command: str, *, whole: bool = True) -> str | None:
    """What the command line says against a command; one without options that is not ``whole`` may also only name a command."""
    _, *given = shlex.split(re.sub(r"\[(.*?)\]", r"\1", command).split(" > ")[0].split(" | ")[0], comments=True)
    parser = build_parser()
    if not whole and not any(word.startswith("-") for word in given):
        given.append("--help")
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            parser.parse_args(given)
        except SystemExit as ended:
            return said.getvalue().splitlines()[-1] if ended.code else None
    return None


COMMANDS = [
    *((page.name, command, whole) for page in PAGES for command, whole in spans(page.read_text(encoding="utf-8"))),
    *(("--help", command, True) for command in helped()),
    *(("an alert", command, True) for command in annotated()),
]


def test_commands_are_found_wherever_they_are_shown():
    found = {where for where, *_ in COMMANDS}
    assert found >= {"README.md", "retraining.md", "runbook.md", "canary.md", "--help", "an alert"}
    assert sum(where == "an alert" for where, *_ in COMMANDS) == 3


@pytest.mark.parametrize(("where", "command", "whole"), COMMANDS, ids=[f"{where}: {command}" for where, command, _ in COMMANDS])
def test_a_command_that_is_shown_is_one_that_the_command_line_takes(where, command, whole):
    assert mistake_of(command, whole=whole) is None


def test_a_command_that_the_command_line_refuses_is_found():
    assert "required: -c/--config" in (mistake_of("driftgauge control rebaseline --why x") or "")
    assert "unrecognized arguments: --drifts" in (mistake_of("driftgauge drill -c config.yaml --drifts x") or "")
    assert "invalid choice: 'acknowledge'" in (mistake_of("driftgauge control acknowledge", whole=False) or "")
    assert mistake_of("driftgauge control ack", whole=False) is None
    assert mistake_of("driftgauge control ack") is not None
