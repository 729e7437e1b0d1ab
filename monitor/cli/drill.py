"""``driftgauge drill``: a fire drill, a planted drift in recent traffic, to see whether and how fast it would be caught."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from monitor.cli.replay import add_history, of_history, wanted_of
from monitor.config import Config, load_config
from monitor.config.drill import EFFECTS, STANDARD, Drill, PlantedDrift
from monitor.config.mistakes import explain
from monitor.drill.drill import Drilling, drill
from monitor.drill.said import as_json, lines, views
from monitor.errors import ConfigError, Mistake, SinkError
from monitor.expose.drill_metrics import drill_text
from monitor.reference.fit import load_references
from monitor.replay.history import history

MISSED_EXIT_CODE = 11

_EXAMPLES = f"""\
examples:
  driftgauge drill -c config.yaml                                        the drifts under drill.drifts, or the standard ones
  driftgauge drill -c config.yaml --since 3d --feature price --shift 0.5sd
  driftgauge drill -c config.yaml --feature price --missing 0.1 --segment country=FR --exit-code
  driftgauge drill -c config.yaml --from events.ndjson --labels labels.ndjson --wrong-labels 0.05
  driftgauge drill -c config.yaml --textfile /var/lib/node_exporter/driftgauge_drill.prom

Recent traffic is played through the code that runs live, once as it was and once with each drift in it; what is said only with the
drift, the drift has caused. Nothing is saved, sent, committed or served. Drifts begin at --since, or where the warm-up ends. The section
drill: of the configuration lets `driftgauge run` do this at regular times.

standard drifts: {", ".join(f"{drift.name} ({drift.effect} {drift.size:g})" for drift in STANDARD)};
each in the first feature that it fits

exit codes: 0 done; with --exit-code {MISSED_EXIT_CODE} when a drift was missed; 2 configuration or usage, 3 reference, 4 traffic that
cannot be read or has nothing to plant a drift into, 130 interrupted
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "drill",
        help="plant a drift into recent traffic and see whether it is caught",
        description="A fire drill: plant drifts into recent traffic, and tell whether, how fast and by what each would have been caught.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_history(parser)
    parser.add_argument("--drift", action="append", metavar="NAME", help="only this one of the configured or standard drifts; repeatable")
    one = parser.add_argument_group("one drift instead of those")
    one.add_argument("--feature", help="the feature, or score; the first that the drift fits when absent")
    one.add_argument("--segment", help="only in this segment, such as country=FR")
    one.add_argument("--shift", metavar="SD", help="numeric: add so many standard deviations of the reference, such as 0.5sd")
    one.add_argument("--spread", metavar="FACTOR", help="numeric: stretch about the reference's mean")
    one.add_argument("--missing", metavar="SHARE", help="so many values go missing, such as 0.1")
    one.add_argument("--moved", metavar="SHARE", help="categorical: so many rows go from the first category to the second")
    one.add_argument("--unseen", metavar="SHARE", help="categorical: so many values become a category nobody has seen")
    one.add_argument("--wrong-labels", metavar="SHARE", help="so many labels say another class")
    parser.add_argument("--background", action="store_true", help="run at the lowest priority")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--textfile", type=Path, metavar="FILE", help="write metrics for the text file collector of a node exporter")
    parser.add_argument("--exit-code", action="store_true", help=f"exit with {MISSED_EXIT_CODE} when a drift was missed")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Drill, and say what would have been caught."""
    if arguments.background:
        os.nice(19)
    config = load_config(arguments.config)
    drifts = drifts_of(config, arguments)
    if arguments.since is None and arguments.predictions is None and config.source.client != "ndjson":
        # A topic may hold a year; a drill is about now.
        arguments.since = f"{(config.drill or Drill()).traffic_ms}ms"
    drillings = list(_drillings(config, arguments, drifts))
    drills = [each for drilling in drillings for each in drilling.drills]
    if not drills:
        left_out = [Mistake("", text) for drilling in drillings for text in drilling.left_out]
        raise ConfigError("drill", left_out or [Mistake("", "expected a drift that fits a model, got none")])
    if arguments.textfile is not None:
        _write(arguments.textfile, drill_text(views(drills), time.time_ns() // 1_000_000))
    if arguments.json:
        sys.stdout.buffer.write(as_json(drillings))
    else:
        for drilling in drillings:
            for line in lines(drilling):
                print(line)
    return MISSED_EXIT_CODE if arguments.exit_code and any(each.first is None for each in drills) else 0


def _drillings(config: Config, arguments: argparse.Namespace, drifts: Sequence[PlantedDrift]) -> Iterator[Drilling]:
    names = [model.name for model in config.models] if arguments.model is None else [arguments.model]
    wanted = wanted_of(arguments)
    for name in names:
        chosen = history(config, name, arguments.predictions, arguments.labels, arguments.controls)
        references = load_references(chosen.config)
        with ExitStack() as stack:

            def played(what: str) -> Callable[[int, int, int], None]:
                stack.close()  # the bar before it is done
                return stack.enter_context(of_history(chosen, f"{name}, {what}"))  # noqa: B023

            yield drill(chosen, references, wanted, drifts, played)


def drifts_of(config: Config, arguments: argparse.Namespace) -> tuple[PlantedDrift, ...]:
    """What is planted. Raises ``ConfigError``."""
    configured = STANDARD if config.drill is None else config.drill.drifts
    given = {effect: value for effect in EFFECTS if (value := getattr(arguments, effect)) is not None}
    if given:
        if arguments.drift:
            raise ConfigError("drill", [Mistake("--drift", "expected either --drift or a drift of its own, got both")])
        about = {"feature": arguments.feature, "segment": arguments.segment}
        sizes = {effect: value.removesuffix("sd") if effect == "shift" else value for effect, value in given.items()}
        try:
            return (PlantedDrift.model_validate({"name": " ".join(given), **sizes, **about}),)
        except ValidationError as error:
            raise ConfigError("drill", explain(error, PlantedDrift)) from error
    if arguments.feature is not None or arguments.segment is not None:
        options = ", ".join(f"--{effect.replace('_', '-')}" for effect in EFFECTS)
        raise ConfigError("drill", [Mistake("", f"expected one of {options} with --feature or --segment, got none")])
    if not arguments.drift:
        return configured
    unknown = sorted(set(arguments.drift) - {drift.name for drift in configured})
    if unknown:
        known = ", ".join(drift.name for drift in configured)
        raise ConfigError("drill", [Mistake("--drift", f"expected one of {known}, got {', '.join(unknown)}")])
    return tuple(drift for drift in configured if drift.name in arguments.drift)


def _write(path: Path, content: bytes) -> None:
    """Write a file at once, so that nobody reads half of it. Raises ``SinkError``."""
    if path.exists() and not path.is_file():  # it would take the place of what was there
        raise SinkError(f"{path}: expected a file to write metrics to, got a folder, device or pipe")
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        new.write_bytes(content)
        new.replace(path)
    except OSError as error:
        raise SinkError(f"{path}: cannot be written: {error.strerror}") from error
