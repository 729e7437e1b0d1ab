"""``driftgauge control``: decisions of operators, written to the control topic."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from monitor.cli.named import NAMING, mistakes_of, near, notes_of
from monitor.config import Config, ModelConfig, load_config
from monitor.decide.control import KINDS, ControlError, control_message, control_schema, kind_of, parse_control
from monitor.errors import ConfigError, DriftgaugeError, Mistake, SinkError
from monitor.reference.fit import load_references
from monitor.reference.reference import Reference
from monitor.sink import Sink

_EXAMPLES = """\
examples:
  driftgauge control hold -c config.yaml --why "data centre moves" --until 2026-03-02T06:00Z
  driftgauge control release -c config.yaml --why "moved"
  driftgauge control ack -c config.yaml --trigger 4f1c0de57a3b9d2286e4a01bb7c95f30 --why "retraining job 41"
  driftgauge control accept -c config.yaml --signal price --segment country=FR --why "new tariff, see wiki"
  driftgauge control rebaseline -c config.yaml --why "the new sensor is calibrated"
  driftgauge control assign -c config.yaml --failure-mode 385c00f4aa6b788f --owner bob --why "on call"
  driftgauge control schema                                    JSON Schema of the messages, for other tools

Who decided, when and why is part of the record. Every running process reads it, and a replay of the log reads it again.
"""

_OPTIONS: dict[str, tuple[tuple[str, bool, dict[str, Any]], ...]] = {
    "hold": (("until", False, {"help": "event time at which it ends by itself, such as 2026-03-02T06:00Z"}),),
    "accept": (
        ("version", False, {"help": "of this model version only"}),
        ("signal", False, {"help": "of this feature or metric only"}),
        ("segment", False, {"help": "of this segment only, such as country=FR"}),
        (
            "until",
            False,
            {"help": "event time at which it ends; otherwise with the drift that is there now, or if there is none, with the next"},
        ),
    ),
    "withdraw": (("control", True, {"help": "id of the acceptance, as printed by accept and shown in /api/v1/triggers"}),),
    "rebaseline": (
        ("version", False, {"help": "of this model version only"}),
        ("signal", False, {"help": "of this feature only"}),
        ("segment", False, {"help": "of this segment only"}),
    ),
    "ack": (("trigger", True, {"help": "id of the trigger", "dest": "trigger_id"}),),
    "switch_reference": (
        ("version", True, {"help": "model version to compare"}),
        ("reference", True, {"help": "fingerprint of a configured reference, or at least its first 8 letters"}),
    ),
    "assign": (
        ("failure-mode", True, {"help": "id of the failure mode, as in /api/v1/failure-modes", "dest": "failure_mode"}),
        ("owner", False, {"help": "who looks after it"}),
        ("fix-version", False, {"help": "model version that is to fix it", "dest": "fix_version"}),
    ),
}


def add_parser(subparsers: Any) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "control",
        help="write an operator's decision to the control topic",
        description="Write an operator's decision to the control topic, which every running process reads.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="DECISION")
    for kind in KINDS:
        name = kind_of(kind)
        one = kinds.add_parser(name.replace("_", "-"), help=kind.summary, description=kind.__doc__)
        one.add_argument("-c", "--config", type=Path, required=True, metavar="FILE", help="the configuration")
        one.add_argument("--model", help="name of the model; may be left out when there is only one")
        one.add_argument("--why", required=True, help="the reason, for those who read the record")
        one.add_argument("--by", help="who decides; the user of this system when absent")
        one.add_argument("--print", action="store_true", help="print the message and write nothing")
        for option, needed, more in _OPTIONS.get(name, ()):
            one.add_argument(f"--{option}", required=needed, **more)
        one.set_defaults(run=run, decision=kind)
    schema = kinds.add_parser("schema", help="print the JSON Schema of the messages", description="Print the JSON Schema of the messages.")
    schema.set_defaults(run=_schema)


def run(arguments: argparse.Namespace) -> int:
    """Write the control and return when the brokers have it. Raises ``ConfigError`` and ``SinkError``."""
    config = load_config(arguments.config)
    if config.controls is None:
        raise ConfigError(str(arguments.config), [Mistake("controls", "expected a section with the topic to write to, got none")])
    name = kind_of(arguments.decision)
    fields: dict[str, Any] = {"id": uuid.uuid4().hex, "model": _model(config, arguments), "by": _who(arguments), "why": arguments.why}
    fields["time_ms"] = time.time_ns() // 1_000_000
    for option, _, more in _OPTIONS.get(name, ()):
        value = getattr(arguments, more.get("dest", option))
        if value is not None and option == "until":
            fields["until_ms"] = _time(value)
        elif value is not None:
            fields[more.get("dest", option)] = value
    message = control_message(arguments.decision(**fields))
    try:
        control = parse_control(message)  # what nobody would read is not written
    except ControlError as error:
        raise ConfigError(f"control {name}", [Mistake("", str(error))]) from error
    model = config.model(fields["model"])
    references = _references(config, model) if isinstance(control, NAMING) else []
    if mistakes := mistakes_of(control, model, references):
        raise ConfigError(f"control {name}", mistakes)
    for note in notes_of(control, references):
        print(f"driftgauge: {note}", file=sys.stderr)
    if arguments.print:
        print(message.decode())
        return 0
    if not config.source.brokers:
        what = (
            f"expected brokers to write to, got none; with --print, append the line to the file {config.controls.topic}.ndjson of a source"
        )
        raise ConfigError(f"control {name}", [Mistake("source.brokers", f"{what} of files, which is read at the start")])
    sink = Sink(config.source)
    try:
        sink.send(config.controls.topic, fields["model"].encode(), message, [("content-type", b"application/json")])
        sink.flush(config.source.connect_timeout_ms)
    except SinkError as error:
        said = f"{error}; whether the decision is in the topic is not known, and nothing tries again once this command has ended: repeat it"
        raise SinkError(said) from error
    finally:
        sink.close()
    print(f"{name.replace('_', ' ')} of {fields['model']} by {fields['by']} is in {config.controls.topic}, id {fields['id']}")
    return 0


def _schema(_arguments: argparse.Namespace) -> int:
    print(json.dumps(control_schema(), indent=2))
    return 0


def _references(config: Config, model: ModelConfig) -> list[Reference]:
    try:
        return load_references(config.model_copy(update={"models": (model,)}))[model.name]
    except DriftgaugeError:
        return []  # the process that decides has them, and says what is wrong with them


def _model(config: Config, arguments: argparse.Namespace) -> str:
    names = [model.name for model in config.models]
    if arguments.model is None and len(names) == 1:
        return names[0]
    if arguments.model not in names:
        known = ", ".join(names) if arguments.model is None else near(arguments.model, names)
        got = "none" if arguments.model is None else repr(arguments.model)
        raise ConfigError(str(arguments.config), [Mistake("models", f"expected --model with one of {known}, got {got}")])
    return str(arguments.model)


def _who(arguments: argparse.Namespace) -> str:
    if arguments.by is not None:
        return str(arguments.by)
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:  # a container's user has no name
        raise ConfigError("control", [Mistake("--by", "expected a name, since this system's user has none")]) from error


def _time(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"expected a time such as 2026-03-02T06:00Z, got {text!r}"
        raise ConfigError("control", [Mistake("--until", message)]) from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
