"""``driftgauge reference build | learn | show | diff``."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from monitor.cli.progress import parts
from monitor.config import ModelConfig, load_config
from monitor.errors import ConfigError, Mistake, ReferenceFileError
from monitor.reference.build import Built, Options, build_reference
from monitor.reference.diff import diff
from monitor.reference.files import reference_files
from monitor.reference.format import read_reference, write_reference
from monitor.reference.learn import Stretch, learn_reference
from monitor.reference.mapping import data_model
from monitor.reference.read import open_files
from monitor.reference.show import show
from monitor.reference.summary import summarize

_EXAMPLES = """examples:
  driftgauge reference build -c driftgauge.yaml --data train.parquet --dataset-version 2026-03 -o reference.json.gz
  driftgauge reference build -c driftgauge.yaml --data train-*.csv --label churned -o reference.json.gz
  driftgauge reference learn -c driftgauge.yaml --hours 24 -o reference.json.gz
  driftgauge reference learn -c driftgauge.yaml --model-version 8 --from 2026-03-01T00:00Z -o version-8.json.gz
  driftgauge reference show reference.json.gz
  driftgauge reference show reference.json.gz --json
  driftgauge reference diff old.json.gz new.json.gz
"""


_SHOW = "Show what a reference holds; of each grouping the five largest segments, and all of them with --json."


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``reference`` and its four parts to the command line."""
    parser = subparsers.add_parser(
        "reference",
        help="build, learn, show or compare references",
        description="References: what the training data looked like, which production is compared with.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parts = parser.add_subparsers(dest="part", required=True, metavar="PART")

    build = parts.add_parser(
        "build", help="from a file of training data", **_said("Build a reference from files, in constant memory.", "build")
    )
    build.add_argument(
        "--data",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help=".ndjson with events as in production, or .csv or .parquet with a column for each feature; several are read as one",
    )
    build.add_argument("--label", metavar="PATH", help="path (or column) of the true class: adds validation performance")
    build.add_argument("--label-time", metavar="PATH", help="path (or column) of the time the label was known: adds how late labels come")
    _add_common(build)
    build.set_defaults(run=_build)

    learn = parts.add_parser(
        "learn", help="from production itself", **_said("Learn a reference from the first hours that the topic holds now.", "learn")
    )
    learn.add_argument("--hours", type=_hours, default=24.0, help="event time to learn from (default 24)")
    learn.add_argument(
        "--from",
        dest="start",
        type=_time,
        metavar="TIME",
        help="where to begin, such as 2026-03-01T00:00Z (default: the first event, which of a new version is too early)",
    )
    learn.add_argument("--max-spool-mb", type=_megabytes, default=4096, help="most disk space for the events meanwhile (default 4096)")
    _add_common(learn)
    learn.set_defaults(run=_learn)

    shown = parts.add_parser("show", help="what a reference holds", **_said(_SHOW, "show"))
    shown.add_argument("file", type=Path, help="reference file")
    shown.add_argument("--json", action="store_true", help="as JSON, with every segment")
    shown.set_defaults(run=_show)

    compared = parts.add_parser(
        "diff", help="what differs between two", **_said("Compare two references. Exits with 1 if they differ.", "diff")
    )
    compared.add_argument("old", type=Path, help="reference file")
    compared.add_argument("new", type=Path, help="reference file")
    compared.set_defaults(run=_diff)


def _said(description: str, part: str) -> dict[str, Any]:
    """What the help of a part says beside its options."""
    examples = [line for line in _EXAMPLES.splitlines() if f" reference {part} " in line]
    epilog = "\n".join(["examples:", *examples])
    return {"description": description, "epilog": epilog, "formatter_class": argparse.RawDescriptionHelpFormatter}


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-c", "--config", type=Path, required=True, help="configuration file")
    parser.add_argument("-o", "--output", type=Path, required=True, help="reference file to write, such as reference.json.gz")
    parser.add_argument("--model", help="name of the model, when the configuration has several")
    parser.add_argument("--model-version", help="version the reference is for; rows of other versions are left out")
    parser.add_argument("--dataset-version", help="version of the data, kept in the reference")
    parser.add_argument("--pipeline-version", help="version of the feature pipeline, kept in the reference")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample that edges come from (default 0)")


def _hours(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 24 * 366:
        raise argparse.ArgumentTypeError(f"expected hours above 0, and {24 * 366} at most, got {text}")
    return value


def _megabytes(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a whole number of megabytes from 1 on, got {text}")
    return int(text)


def _time(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected a time such as 2026-03-01T00:00Z, got {text!r}") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _model(args: argparse.Namespace) -> ModelConfig:
    models = load_config(args.config).models
    names = [model.name for model in models]
    if args.model is None and len(models) == 1:
        return models[0]
    if args.model not in names:
        got = "none" if args.model is None else repr(args.model)
        raise ConfigError(str(args.config), [Mistake("models", f"expected --model with one of {', '.join(names)}, got {got}")])
    return models[names.index(args.model)]


def _options(args: argparse.Namespace, label: str | None = None, label_time: str | None = None) -> Options:
    return Options(args.model_version, args.dataset_version, args.pipeline_version, label, label_time, args.seed)


def _build(args: argparse.Namespace) -> int:
    model = _model(args)
    _check_output(args.output)
    rows = open_files(args.data, data_model(model), [path for path in (args.label, args.label_time) if path is not None])
    with parts() as part:
        built = build_reference(model, rows, _options(args, args.label, args.label_time), part)
    return _write(built, args.output, model, args.config)


def _learn(args: argparse.Namespace) -> int:
    model = _model(args)
    _check_output(args.output)
    stretch = Stretch(args.hours, args.start, args.max_spool_mb << 20)
    with parts() as part:
        built = learn_reference(load_config(args.config).source, model, stretch, _options(args), part)
    return _write(built, args.output, model, args.config)


def _check_output(path: Path) -> None:
    # Found out before the data is read, not after.
    if not path.parent.is_dir():
        raise ReferenceFileError(f"{path}: expected a folder to write the reference into, got none at {path.parent}; create it first")
    if path.exists() and not path.is_file():  # what is written takes the place of what was there
        what = "a folder" if path.is_dir() else "a device or pipe"
        raise ReferenceFileError(f"{path}: expected a file to write the reference to, got {what}")


def _write(built: Built, path: Path, model: ModelConfig, config: Path) -> int:
    write_reference(built.reference, path)
    for note in built.notes:
        print(f"note: {note}", file=sys.stderr)
    reference = built.reference
    print(
        f"{path}: {reference.model} {reference.model_version}, {reference.rows:,} rows, {len(reference.layout.signals)} signals, "
        f"{len(reference.table.segments)} segments, {path.stat().st_size:,} bytes, fingerprint {reference.fingerprint[:12]}"
    )
    named = {file.resolve() for each in model.references for file in reference_files(each)}
    if path.resolve() not in named:
        near = os.path.relpath(path, config.parent)
        print(f"note: the configuration does not name it yet: under {model.name}, references: [{near}] has it used", file=sys.stderr)
    return 0


def _show(args: argparse.Namespace) -> int:
    reference = read_reference(args.file)
    if args.json:
        print(msgspec.json.format(msgspec.json.encode(summarize(reference)), indent=2).decode())
    else:
        print(show(reference), end="")
    return 0


def _diff(args: argparse.Namespace) -> int:
    differences = diff(read_reference(args.old), read_reference(args.new))
    print("\n".join(differences) if differences else "the same")
    return 1 if differences else 0
