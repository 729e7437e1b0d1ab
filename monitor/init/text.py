"""The roles of a sample's columns as an annotated configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from monitor.config.model import PREDICTED_CLASS, RESERVED, SCORE
from monitor.init.column import Chosen
from monitor.init.labels import LabelRoles, has_probabilities, labels_lines
from monitor.init.roles import Roles
from monitor.init.yaml_text import comment, quoted, scalar

_MAX_NAME = 100

_CONTROLS = (
    "",
    "# Decisions of operators (driftgauge control). To acknowledge a trigger, re-arm an alarm or accept a drift, make the topic (one",
    "# partition, retention.ms=-1, not compacted) and uncomment this.",
    "# controls: {topic: driftgauge-controls}",
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the sample is and where the configuration will be."""

    data: str  # path of the sample, as it is written in the configuration
    source: str | None  # path that the ndjson source reads: the sample, or the folder of it and its labels; None: Kafka
    config: str
    model: str
    topic: str
    label_topic: str


def config_text(roles: Roles, origin: Origin, labels: LabelRoles | None = None, unnamed: Sequence[str] = ()) -> str:
    """YAML that ``load_config`` accepts. Comments say why each thing was chosen and what to check; ``unnamed``: see ``unnamed_keys``."""
    return "\n".join([*_lines(roles, origin, labels, unnamed), *labels_lines(roles, labels, origin.label_topic), *_CONTROLS]) + "\n"


def name_of(path: str, used: set[str]) -> str:
    """A name for a path that is not used yet, and marks it as used.

    >>> name_of("features.distance", set()), name_of('inputs[3]."a b"', set()), name_of("x[0]", set()), name_of("a.x", {"x"})
    ('distance', 'a_b', 'x_0', 'a_x')
    """
    steps = [step for step in re.split(r'[.\[\]"]+', path) if step]
    last = next((at for at in range(len(steps) - 1, -1, -1) if not steps[at].isdigit()), 0)
    start = last
    while True:
        name = re.sub(r"[^A-Za-z0-9_]+", "_", "_".join(steps[start:])).strip("_") or "feature"
        name = (name if name[0].isalpha() else f"f_{name}")[:_MAX_NAME]
        if name not in used and name not in RESERVED:
            break
        if start == 0:
            name = next(numbered for n in range(2, 10_000) if (numbered := f"{name[: _MAX_NAME - 6]}_{n}") not in used)
            break
        start -= 1
    used.add(name)
    return name


def _lines(roles: Roles, origin: Origin, labels: LabelRoles | None, unnamed: Sequence[str]) -> Iterator[str]:
    yield f"# Written by `driftgauge init` from the first {roles.rows:,} rows of {comment(origin.data)}."
    yield "# Every choice below is a guess with its reason. Check them, then:"
    yield f"#   driftgauge check -c {comment(origin.config)}"
    yield f"#   driftgauge reference build -c {comment(origin.config)} --data <training data> -o reference.json.gz"
    yield f"#   driftgauge run -c {comment(origin.config)}"
    yield ""
    yield from _source(origin, keyed=roles.id is None, labelled=labels is not None)
    yield ""
    yield "models:"
    yield f"  - name: {quoted(origin.model)}"
    yield "    # Without a reference everything is counted and nothing can be judged: build one, then uncomment this."
    yield "    # references: [reference.json.gz]"
    yield from _predictions(roles, origin, labels)
    yield from _features(roles)
    for key in unnamed:
        yield f"      # left out: {comment(key)}  # no path can name a key that is empty, begins with $ or has a quote in it"
    yield from _segments(roles)
    yield "    windows:  # event time; more rows a window show smaller drifts"
    yield "      pane: 5m"
    yield "      short: 1h"
    yield "      long: 24h"


def _source(origin: Origin, *, keyed: bool, labelled: bool) -> Iterator[str]:
    kafka = ["client: kafka-python", "brokers: [localhost:9092]  # your bootstrap addresses", "group: driftgauge"]
    yield "source:"
    if origin.source is None:
        if labelled:
            files = f"{origin.topic}.ndjson and {origin.label_topic}.ndjson"
            yield f"  # To try it without Kafka: put the samples, as NDJSON, into one folder as {comment(files)},"
            yield "  # and replace the three lines below by: client: ndjson, and path: the folder."
        yield from (f"  {line}" for line in kafka)
        return
    what = "The samples themselves, each a topic of its file's name" if labelled else "The sample itself"
    if keyed:
        yield f"  # {what}: it has no keys of messages to be ids, so all of it would be rejected (no_id)."
        yield "  # Map another id below, or replace these two lines by the three below and read from Kafka."
    else:
        yield f"  # {what}, so that this runs as it is. For Kafka replace these two lines by the three below"
        yield f"  # and name your {'topics' if labelled else 'topic'} further down."
    yield "  client: ndjson"
    yield f"  path: {quoted(origin.source)}"
    yield from (f"  # {line}" for line in kafka)


def _predictions(roles: Roles, origin: Origin, labels: LabelRoles | None) -> Iterator[str]:
    yield "    predictions:"
    yield f"      topic: {quoted(origin.topic)}  # the topic of the prediction events"
    yield from _path("id", roles.id, "$key", "no column is different in each row: the key of the message is assumed to be the id")
    yield "      time:"
    if roles.time is None:
        yield "        path: $timestamp  # no column looks like a time: the record's own timestamp is taken"
    else:
        yield f"        path: {quoted(roles.time.column.path)}  # {comment(roles.time.why)}"
        yield f"        unit: {roles.time.detail}"
        if roles.time.detail == "iso8601":
            yield "        zone: UTC  # of times that name none"
    if roles.version is not None:
        yield from _path("model_version", roles.version, "", "")
    if roles.score is not None:
        yield from _path("score", roles.score, "", "")
        if roles.predicted_class is None and roles.score.detail:
            yield "      # threshold: 0.5  # score from which on the model decides for the positive class"
    if roles.predicted_class is not None:
        yield from _path("predicted_class", roles.predicted_class, "", "")
    if roles.probabilities:
        off = "" if has_probabilities(roles, labels) else "# "
        yield f"      {off}probabilities:  # of each class" + ("" if not off else "; of exactly the classes of labels: uncomment with them")
        for name, column in sorted(roles.probabilities.items()):
            yield f"      {off}  {quoted(name)}: {quoted(column.path)}"


def _path(key: str, chosen: Chosen | None, otherwise: str, why: str) -> Iterator[str]:
    if chosen is None:
        yield f"      {key}: {otherwise}  # {why}"
    else:
        yield f"      {key}: {quoted(chosen.column.path)}  # {comment(chosen.why)}"


def _features(roles: Roles) -> Iterator[str]:
    yield "    # Inputs of the model. `range: [low, high]` or `categories: [...]` make what lies outside count as out of range;"
    yield "    # `required: true` makes each missing value worth a warning."
    yield "    features:"
    used = {SCORE, PREDICTED_CLASS}
    for feature in roles.features:
        yield f"      - {_feature(feature, used)}  # {comment(feature.why)}"
    for column in roles.left_out:
        text = _feature(column, used) if column.detail else quoted(column.column.path)
        yield f"      # left out: {text}  # {comment(column.why)}"


def _feature(chosen: Chosen, used: set[str]) -> str:
    kind, _, written = chosen.detail.partition(" ")
    parts = [f"name: {scalar(name_of(chosen.column.path, used))}", f"type: {kind}"]
    if written in ("integer", "boolean"):
        parts.append(f"values: {written}")
    return "{" + ", ".join([*parts, f"path: {quoted(chosen.column.path)}"]) + "}"


def _segments(roles: Roles) -> Iterator[str]:
    if not roles.segments:
        yield "    # segments: no column with a few different values was found; drift is judged on the whole traffic."
        yield from _other_segments(roles)
        return
    used: set[str] = set()
    names = [(scalar(name_of(segment.column.path, used)), segment) for segment in roles.segments]
    yield "    segments:  # slices that are judged apart; each needs some hundred rows a window"
    yield "      columns:"
    for name, segment in names:
        yield f"        {name}: {quoted(segment.column.path)}  # {comment(segment.why)}"
    yield f"      groupings: [{', '.join(f'[{name}]' for name, _ in names)}]"
    if len(names) > 1:
        yield f"      # Crossed, for drift that only a combination shows: [{names[0][0]}, {names[1][0]}]"
    yield from _other_segments(roles)


def _other_segments(roles: Roles) -> Iterator[str]:
    for segment in roles.other_segments:
        yield f"    # could be a segment too: {quoted(segment.column.path)}  # {comment(segment.why)}"
