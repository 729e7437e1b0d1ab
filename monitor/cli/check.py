"""``driftgauge check``: everything that is wrong, at once, before it matters."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from monitor.checkpoint.store import check_writable
from monitor.cli.healthcheck import is_driftgauge
from monitor.cli.rules import example_lines
from monitor.config import Config, Http, Labels, ModelConfig, Secret, SourceConfig, State, format_duration, parse_config
from monitor.config.root import Surroundings, sound_surroundings
from monitor.config.types import Section
from monitor.config.yaml_tree import load_tree
from monitor.detect.leaves import LEAST_ROWS, leaves_of
from monitor.errors import ConfigError, DriftgaugeError, Mistake, ReferencesError, StateError
from monitor.expose.server import Certificates, listening
from monitor.reference.fit import load_references
from monitor.reference.reference import Reference
from monitor.sequential.labels import outcomes_told
from monitor.sequential.version import comparable
from monitor.source.check import Topics, check_source

_EXAMPLES = """\
examples:
  driftgauge check -c config.yaml
  driftgauge check -c config.yaml --offline     for another machine: what is there and on the broker is not looked at

exit codes: 0 no mistakes, 2 mistakes, 3 mistakes of references alone
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "check",
        help="validate configuration, references and broker",
        description="Validate the configuration, the secrets and references it names, and whether the broker and topics can be reached, the"
        " state be written and the address be listened on: what would keep `run` from starting. Every mistake is listed, with its path.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-c", "--config", type=Path, required=True, metavar="FILE", help="the configuration")
    parser.add_argument(
        "--offline", action="store_true", help="do not ask the broker, nor this machine for the folder of the state and the port"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check, and say what was found."""
    tree = load_tree(arguments.config)
    try:
        config = parse_config(tree, source=str(arguments.config), folder=arguments.config.parent)
    except ConfigError as error:
        sound = sound_surroundings(tree, arguments.config.parent)
        around, _ = look_around(sound, None, offline=arguments.offline)
        raise ConfigError(error.source, [*error.mistakes, *around]) from error
    sections = Surroundings(config.source, config.http, config.state)
    mistakes, topics = look_around(sections, config, offline=arguments.offline)
    try:
        references = load_references(config)
    except ReferencesError as error:
        raise (ConfigError if mistakes else ReferencesError)(str(arguments.config), [*mistakes, *error.mistakes]) from error
    if mistakes:
        raise ConfigError(str(arguments.config), mistakes)
    for model in config.models:
        versions = (
            ", ".join(f"{r.model_version} ({r.rows:,} rows)" for r in references[model.name]) or "none: verdicts will be NO_REFERENCE"
        )
        print(f"model {model.name}: {len(model.features)} features, {len(model.segments.groupings)} groupings, references: {versions}")
        for lines in (strange_groupings, detection_lines, policy_lines):
            for line in lines(model, references[model.name]):
                print(f"model {model.name}: {line}")
        if model.labels is not None:
            print(f"model {model.name}: {labels_line(model, model.labels, topics.partitions)}")
    for path, topic in config.written:
        if topic in topics.absent:
            print(f"{path}: topic {topic} is not there; make it, unless the broker makes topics by itself")
    for line in example_lines(config):
        print(line)
    reached = "not asked" if arguments.offline else "reached"
    print(f"{arguments.config}: no mistakes; source {config.source.client} {reached}")
    return 0


def look_around(sections: Surroundings, config: Config | None, *, offline: bool) -> tuple[list[Mistake], Topics]:
    """What is wrong with secrets, certificates, this machine and the broker, and what is there of the topics.

    ``config`` tells which topics; None: it has mistakes elsewhere, and they are not looked for.
    """
    mistakes: list[Mistake] = []
    topics = Topics()
    if sections.source is not None:
        mistakes += unreadable_secrets(sections.source, "source")
        files_of_no_topic = config is None and sections.source.client == "ndjson"
        if not offline and not mistakes and not files_of_no_topic:
            try:
                topics = topics_found(sections.source, config)
            except DriftgaugeError as error:
                mistakes.append(Mistake("source", str(error)))
    if sections.http is not None:
        mistakes += [*unreadable_secrets(sections.http, "http"), *unusable_certificates(sections.http)]
        mistakes += [] if offline else unbindable(sections.http)
    if sections.state is not None and not offline:
        mistakes += unwritable(sections.state)
    return mistakes, topics


def topics_found(source: SourceConfig, config: Config | None) -> Topics:
    """As ``check_source``, for the topics of a configuration. Raises ``SourceError`` when what is to be read is not there."""
    if config is None:
        return check_source(source, [])
    controls = None if config.controls is None else config.controls.topic
    return check_source(source, config.topics, controls, [topic for _, topic in config.written])


def unusable_certificates(http: Http) -> Iterator[Mistake]:
    """What keeps the server from encrypting."""
    try:
        if http.tls is not None:
            Certificates(http.tls)
    except ConfigError as error:
        yield from error.mistakes


def unwritable(state: State) -> Iterator[Mistake]:
    """A folder of the state that this machine refuses."""
    try:
        check_writable(state.directory)
    except StateError as error:
        yield Mistake("state.directory", str(error))


def unbindable(http: Http) -> Iterator[Mistake]:
    """An address that this machine refuses to listen on, unless a monitor answers there already."""
    try:
        listening(http).close()
    except ConfigError as error:
        if not is_driftgauge(http):
            yield from error.mistakes


def strange_groupings(model: ModelConfig, references: Sequence[Reference]) -> Iterator[str]:
    """Groupings that are watched and that a reference does not know: how their segments differ would look like drift."""
    for reference in references:
        strange = [f"[{', '.join(grouping)}]" for grouping in model.segments.groupings if grouping not in reference.groupings]
        if strange:
            yield (
                f"the reference of version {reference.model_version} has no segments of {' and '.join(strange)}: they are compared with all"
                " traffic, from which they may always have differed; build it again with this configuration"
            )


def detection_lines(model: ModelConfig, references: Sequence[Reference]) -> Iterator[str]:
    """What sequential detection will watch of each version, and what it cannot; nothing is said without a reference."""
    if not model.detection.enabled or not references:
        return
    allowed = model.detection.false_alarms
    at_most = f"{allowed.at_most:g} false trigger{'' if allowed.at_most == 1 else 's'} in {format_duration(allowed.per_ms)}"
    yield f"detection, at most {at_most} over all streams of a version"
    counted = {(), *model.segments.groupings}
    for reference in references:
        version = f"version {reference.model_version}"
        told = outcomes_told(model, reference)
        leaves = leaves_of(comparable(reference, counted, told), model.detection.max_streams)
        segments = len(leaves.streams)
        if not segments:
            yield f"{version} is not watched: its reference has fewer than {LEAST_ROWS} rows"
            continue
        outcomes = [name for name, row in (("error rate", "wrong"), ("label rate", "positive")) if row in told]
        more = f", {' and '.join(outcomes)}" if outcomes else ""
        place = "all traffic" if segments == 1 else f"all traffic and {segments - 1} segments"
        text = f"{version} is watched in {place}: {len(reference.layout.signals)} signals, their missing values{more}"
        if leaves.left_out:
            smaller = "1 smaller segment is" if leaves.left_out == 1 else f"{leaves.left_out} smaller segments are"
            text += f"; {smaller} not, as detection.max_streams is {model.detection.max_streams:,}"
        if reference.start_ms is None:
            text += "; its reference has no times, so thresholds are known only after an hour of rows"
        yield text


def policy_lines(model: ModelConfig, references: Sequence[Reference]) -> Iterator[str]:
    """Conditions of the policy that these references leave unknown: no mistake, since another may come."""
    if model.retraining is None:
        return
    wanted = [name for name in ("concept_drift", "data_drift", "estimated_loss") if getattr(model.retraining, name)]
    if wanted and not references:
        yield f"{_conditions(wanted)} not judged of any version until it has a reference"
    wanted = [name for name in wanted if name != "data_drift"]
    for reference in references:
        if wanted and reference.labels is None:
            version = f"version {reference.model_version}"
            yield f"{_conditions(wanted)} not judged of {version}: its reference has no labels; reference build --label makes one with them"


def _conditions(names: Sequence[str]) -> str:
    *first, last = [f"retraining.{name}" for name in names]
    return f"{', '.join(first)} and {last} are" if first else f"{last} is"


def labels_line(model: ModelConfig, labels: Labels, partitions: Mapping[str, int]) -> str:
    """How labels meet their predictions, in a sentence; partitions of topics are said when they are known."""
    topics = model.predictions.topic, labels.topic
    counts = [partitions.get(topic) for topic in topics]
    text = f"labels of {labels.topic}, {labels.task}"
    if labels.prediction is not None:
        return f"{text}, carry their predictions: nothing is joined"
    text += f", joined by id up to {format_duration(labels.horizon_ms)} after the prediction"
    if None in counts:
        return text
    sizes = ["1 partition" if count == 1 else f"{count} partitions" for count in counts]
    if counts[0] == counts[1]:
        alike = f"{topics[0]} and {topics[1]} have {sizes[0]} each: co-partitioned, if both are keyed by this id"
    else:
        alike = f"{topics[0]} has {sizes[0]}, {topics[1]} has {sizes[1]}: not co-partitioned"
    return f"{text}; {alike}. One process reads both topics, so that every label can find its prediction either way"


def unreadable_secrets(section: Section, path: str = "") -> Iterator[Mistake]:
    """Secrets that the configuration names and that cannot be read."""
    for name, field in type(section).model_fields.items():
        value, where = getattr(section, name), f"{path}.{field.alias or name}".lstrip(".")
        for place, each in [(f"{where}.{key}", one) for key, one in value.items()] if isinstance(value, dict) else [(where, value)]:
            if isinstance(each, Secret):
                try:
                    each.read()
                except ValueError as error:
                    yield Mistake(place, str(error))
            elif isinstance(each, Section):
                yield from unreadable_secrets(each, place)
