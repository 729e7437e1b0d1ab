"""``driftgauge init``: a first configuration from a user's own events."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path
from typing import Any

from monitor.config import load_config
from monitor.errors import ConfigError, Mistake, SourceError
from monitor.init.column import Column, columns_of, unnamed_keys
from monitor.init.labels import assign_labels, may_hold_truth
from monitor.init.names import FEW_CLASSES
from monitor.init.roles import assign
from monitor.init.sample import SAMPLE_ROWS, read_sample
from monitor.init.text import Origin, config_text
from monitor.reference.read import file_kind
from monitor.source.ndjson import partition_files

_MAX_TOPIC = 249
_TOPIC_FILE = re.compile(r"([A-Za-z0-9._-]{1,249}?)\.ndjson(?:\.gz)?")

_EXAMPLES = """examples:
  driftgauge init --data events.ndjson
  driftgauge init --data events.ndjson --labels labels.ndjson
  driftgauge init --data train.parquet --model churn --topic churn.predictions -o churn.yaml
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``init`` to the command line."""
    parser = subparsers.add_parser(
        "init",
        help="write a first configuration from a sample of your events",
        description=f"Look at the first {SAMPLE_ROWS:,} rows of a file and write an annotated configuration that runs.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="events: .ndjson, .csv or .parquet")
    parser.add_argument(
        "--labels", type=Path, help="label events, likewise: their mapping is written too, else it is proposed as a comment"
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("config.yaml"), help="configuration to write (default config.yaml)")
    parser.add_argument("--model", help="name of the model; default: the one in the events, or the name of the data file")
    parser.add_argument("--topic", help="topic of the prediction events; default: the name of the model")
    parser.add_argument("--force", action="store_true", help="overwrite an existing configuration")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the configuration and say what to do next."""
    if args.output.exists() and not args.force:
        raise ConfigError(str(args.output), [Mistake("", "exists already; choose another file with -o or overwrite it with --force")])
    events, columns = _sample(args.data)
    roles, labels = assign(columns, len(events)), None
    if args.labels is not None:
        label_events, label_columns = _sample(args.labels)
        labels = assign_labels(label_columns, len(label_events), roles)
    if labels is not None and labels.label is not None:
        truth = labels.label.column
        classes = frozenset(truth.values) if truth.kind == "text" and 2 <= truth.distinct <= FEW_CLASSES else frozenset[str]()
        roles = assign(columns, len(events), truth.name, classes)
    stem = re.sub(r"[^A-Za-z0-9_.:/-]", "_", args.data.name.split(".")[0]).lstrip("0123456789.:/-")
    model = args.model or roles.model or stem[:100] or "model"
    topic = args.topic or model
    label_topic, source = topic[: _MAX_TOPIC - 7] + ".labels", None
    if labels is not None and (topics := _folder_topics(args.data, args.labels)) is not None and args.topic in (None, topics[0]):
        (topic, label_topic), source = topics, os.path.relpath(args.data.parent, args.output.parent)
    elif labels is None and file_kind(args.data) == "ndjson":
        source = os.path.relpath(args.data, args.output.parent)
    origin = Origin(os.path.relpath(args.data, args.output.parent), source, str(args.output), model, topic, label_topic)
    text = config_text(roles, origin, labels, unnamed_keys(events))
    try:
        args.output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(str(args.output), [Mistake("", f"cannot be written: {error.strerror}")]) from error
    config = load_config(args.output)
    watched = config.models[0]
    told = "" if watched.labels is None else f", labels of {watched.labels.topic} ({watched.labels.task})"
    for chosen in (chosen for chosen in roles.left_out if chosen is roles.truth):
        print(f"note: {chosen.column.path} was left out of the features: {chosen.why}", file=sys.stderr)
    if labels is None and may_hold_truth(roles):
        print(
            f"note: nothing is called like the true outcome. If {args.data} is training data, one of the {len(roles.features)} features is"
            f" it, and no input: take it out of features in {args.output}, or give label events that name it with --labels",
            file=sys.stderr,
        )
    print(
        f"{args.output}: model {watched.name}, {len(watched.features)} features, segments by "
        f"{', '.join(watched.segments.columns) or 'nothing'}{told}. Check the comments in it, then: driftgauge check -c {args.output}"
    )
    return 0


def _folder_topics(data: Path, labels: Path) -> tuple[str, str] | None:
    """The topics as which the ndjson source reads both files from their folder; None when it would not read just these."""
    found = [_TOPIC_FILE.fullmatch(path.name) for path in (data, labels)]
    if found[0] is None or found[1] is None or data.parent.resolve() != labels.parent.resolve():
        return None
    topics = found[0][1], found[1][1]
    try:
        files = partition_files(data.parent, topics)
    except SourceError:
        return None
    return topics if sorted(file.name for file in files.values()) == sorted([data.name, labels.name]) else None


def _sample(path: Path) -> tuple[list[dict[str, Any]], list[Column]]:
    """The first rows of a file, and their columns."""
    rows, others = read_sample(path)
    columns = columns_of(rows)
    if not columns:
        raise SourceError(f"{path}: expected events as JSON objects, one a line, or rows with columns; got none")
    if others:
        print(f"note: {others:,} lines of {path} are no JSON objects and were left out", file=sys.stderr)
    return rows, columns
