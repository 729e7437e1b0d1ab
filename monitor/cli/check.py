"""``driftgauge check``: everything that is wrong, at once, before it matters."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from monitor.config import Secret, load_config
from monitor.config.types import Section
from monitor.errors import ConfigError, DriftgaugeError, Mistake
from monitor.reference.fit import load_references
from monitor.source.check import check_source

_EXAMPLES = """\
examples:
  driftgauge check -c config.yaml
  driftgauge check -c config.yaml --offline     without asking the broker
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "check",
        help="validate configuration, references and broker",
        description="Validate the configuration, the secrets and references it names, and whether the broker and topics can be reached."
        " Every mistake is listed, with its path.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-c", "--config", type=Path, required=True, metavar="FILE", help="the configuration")
    parser.add_argument("--offline", action="store_true", help="do not ask the broker")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check, and say what was found."""
    config = load_config(arguments.config)
    mistakes = [*unreadable_secrets(config)]
    try:
        references = load_references(config)
    except ConfigError as error:
        references = {}
        mistakes += error.mistakes
    if not arguments.offline and not any(mistake.path.startswith("source") for mistake in mistakes):
        try:
            check_source(config.source, [model.predictions.topic for model in config.models])
        except DriftgaugeError as error:
            mistakes.append(Mistake("source", str(error)))
    if mistakes:
        raise ConfigError(str(arguments.config), mistakes)
    for model in config.models:
        versions = (
            ", ".join(f"{r.model_version} ({r.rows:,} rows)" for r in references[model.name]) or "none: verdicts will be NO_REFERENCE"
        )
        print(f"model {model.name}: {len(model.features)} features, {len(model.segments.groupings)} groupings, references: {versions}")
    reached = "not asked" if arguments.offline else "reached"
    print(f"{arguments.config}: no mistakes; source {config.source.client} {reached}")
    return 0


def unreadable_secrets(section: Section, path: str = "") -> Iterator[Mistake]:
    """Secrets that the configuration names and that cannot be read."""
    for name, field in type(section).model_fields.items():
        value, where = getattr(section, name), f"{path}.{field.alias or name}".lstrip(".")
        if isinstance(value, Secret):
            try:
                value.read()
            except ValueError as error:
                yield Mistake(where, str(error))
        elif isinstance(value, Section):
            yield from unreadable_secrets(value, where)
