"""The whole configuration, and reading it from a file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field, ValidationError, model_validator

from monitor.config.drill import Drill
from monitor.config.model import ModelConfig
from monitor.config.retraining import Controls
from monitor.config.source import SourceConfig
from monitor.config.types import Duration, Secret, Section, below, duration
from monitor.config.yaml_tree import load_tree
from monitor.errors import ConfigError, Mistake


class BasicAuth(Section):
    """HTTP basic authentication."""

    username: str = Field(min_length=1, description="User name.")
    password: Secret = Field(description="Password.")


class Tls(Section):
    """Certificate of the HTTP server."""

    cert_file: Path = Field(description="PEM file of the certificate chain.")
    key_file: Path = Field(description="PEM file of the private key.")


class Listen(Section):
    """Where an HTTP server listens, and who may use it."""

    section: ClassVar[str] = "http"  # its place in the configuration

    bind: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 in a container.")
    port: int = Field(9464, ge=0, le=65_535, description="Port; 0 takes a free one.")
    tls: Tls | None = Field(None, description="Serve HTTPS.")
    bearer_token: Secret | None = Field(None, description="Required in `Authorization: Bearer`; health endpoints stay open.")
    basic_auth: BasicAuth | None = Field(None, description="Required user and password; health endpoints stay open.")


class Http(Listen):
    """The HTTP server: status page, metrics, health and API."""

    max_series: int = Field(100_000, ge=1_000, description="Most series of drift and performance on /metrics; the worst first.")


class State(Section):
    """Where counts, offsets and everything else that must survive a restart are kept."""

    directory: Path = Field(Path("state"), description="Folder of the state, relative to this file; on a volume that survives the process.")
    commit_every_ms: Duration = Field(duration("10s"), alias="commit_every", description="Wall time between commits.")
    keep_epochs: int = Field(3, ge=2, le=100, description="Older commits kept to fall back on.")


EXAMPLE_RUNBOOK_URL = "https://example.org/driftgauge/docs/runbook.md"
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ALERT_LABELS = frozenset(
    {
        "alertname",
        "severity",
        "job",
        "instance",
        "model",
        "version",
        "window",
        "segment",
        "signal",
        "kind",
        "topic",
        "action",
        "reason",
        "trigger_id",
        "view",
        "metric",
        "class",
        "outcome",
        "drift",
    }
)


class Alerts(Section):
    """Parameters of the generated alert rules."""

    pending_ms: Duration = Field(duration("5m"), alias="pending", description="How long a drift must last before its alert fires (`for`).")
    keep_firing_ms: Duration = Field(
        duration("10m"), alias="keep_firing", description="How long a drift alert is held after the series is gone."
    )
    stale_after_ms: Duration = Field(duration("30m"), alias="stale_after", description="No evaluation for this long is an alert.")
    max_lag_records: int = Field(1_000_000, ge=1, description="More unread records than this is an alert.")
    max_rejected_ratio: float = Field(0.01, gt=0, lt=1, description="A larger share of rejected messages of a topic is an alert.")
    blind_ratio: float = Field(0.5, gt=0, le=1, description="A larger share of segments without enough data is an alert.")
    labels_stale_after_ms: Duration = Field(
        duration("2d"),
        alias="labels_stale_after",
        description="Labels that end, or are joined, this far behind predictions are an alert.",
    )
    min_label_coverage: float = Field(
        0.01, ge=0, lt=1, description="A smaller share of the labels window's predictions with a label is an alert; 0: never."
    )
    max_label_coverage_drop: float = Field(
        0.3,
        gt=0,
        le=1,
        description="Fewer labels by a larger share than had come at the same age the window before are an alert; 1: never.",
    )
    max_orphan_ratio: float = Field(0.05, gt=0, lt=1, description="A larger share of labels without a prediction is an alert.")
    max_late_label_ratio: float = Field(0.05, gt=0, lt=1, description="A larger share of labels that came too late is an alert.")
    runbook_url: str = Field(EXAMPLE_RUNBOOK_URL, description="Address of the runbook; the alert's heading is added.")
    labels: dict[str, str] = Field(default_factory=dict, description="Labels added to each alert, such as team.")

    @model_validator(mode="after")
    def _usable_texts(self) -> Self:
        for name in self.labels:
            if not _LABEL.fullmatch(name) or name.startswith("__"):
                raise ValueError(f"labels: expected a label name of letters, digits and _, got {name!r}")
            if name in _ALERT_LABELS:
                raise ValueError(f"labels: expected another name than {name!r}, which tells alerts apart")
        for path, text in (("runbook_url", self.runbook_url), *((f"labels.{name}", text) for name, text in self.labels.items())):
            if "{{" in text:  # Prometheus would expand it, or refuse the rules
                raise ValueError(f"{path}: expected plain text, got a template: {text!r}")
        return self


class Config(Section):
    """The configuration of one driftgauge process."""

    source: SourceConfig = Field(description="Where messages come from.")
    models: tuple[ModelConfig, ...] = Field(min_length=1, description="The monitored models.")
    http: Http = Field(default_factory=Http, description="The HTTP server.")
    state: State = Field(default_factory=State, description="What survives a restart.")
    alerts: Alerts = Field(default_factory=Alerts, description="Parameters of the alert rules.")
    controls: Controls | None = Field(None, description="Decisions of operators; absent: none are read.")
    drill: Drill | None = Field(None, description="Fire drills beside `run`; absent: none but by hand.")

    def _distinct_names(self) -> Iterator[str]:
        for index, name in enumerate(names := [model.name for model in self.models]):
            if name in names[:index]:
                yield f"models[{index}].name: expected each only once, got {name!r} again"

    def _topics_apart(self) -> Iterator[str]:
        read: dict[str, str] = {}
        for path, topic in self._paths_and_topics():
            if topic in read:
                yield f"{path}: expected each only once, got {topic!r} again, which is {read[topic]}"
            read[topic] = path
        for path, topic in self.written:
            if topic in read:
                yield f"{path}: expected a topic that is not read, got {topic!r}, which is {read[topic]}"

    def _brokers_to_write_to(self) -> Iterator[str]:
        for path, _ in self.written:
            if not self.source.brokers:
                yield f"{path}: expected source.brokers to send it to, got none"

    def _fitting_drifts(self) -> Iterator[str]:
        if self.drill is None or "drifts" not in self.drill.model_fields_set:  # of the standard ones those are planted that fit
            return
        for index, drift in enumerate(self.drill.drifts):
            if not any(drift.fits(model) for model in self.models):
                about = "".join(f" of {what} {name}" for what, name in (("feature", drift.feature), ("model", drift.model)) if name)
                yield f"drill.drifts[{index}]: expected a drift that fits a model's features or its labels, got {drift.effect}{about}"

    checks = (_distinct_names, _topics_apart, _brokers_to_write_to, _fitting_drifts)

    @property
    def topics(self) -> list[str]:
        """All topics of events, of predictions and of labels."""
        return [topic for _, topic in self._events()]

    @property
    def written(self) -> list[tuple[str, str]]:
        """Path and name of each topic that is written to."""
        return [each for index, model in enumerate(self.models) for each in _written(f"models[{index}]", model)]

    def _paths_and_topics(self) -> Iterator[tuple[str, str]]:
        yield from self._events()
        if self.controls is not None:
            yield "controls.topic", self.controls.topic

    def _events(self) -> Iterator[tuple[str, str]]:
        for index, model in enumerate(self.models):
            yield f"models[{index}].predictions.topic", model.predictions.topic
            if model.labels is not None:
                yield f"models[{index}].labels.topic", model.labels.topic

    def model(self, name: str) -> ModelConfig:
        """The model of that name. Raises ``KeyError``."""
        return next(model for model in self.models if model.name == name)


def _written(path: str, model: ModelConfig) -> Iterator[tuple[str, str]]:
    for name, section in (("predictions", model.predictions), ("labels", model.labels)):
        if section is not None and section.dead_letter_topic is not None:
            yield f"{path}.{name}.dead_letter_topic", section.dead_letter_topic
    if model.labels is not None and model.labels.review is not None and model.labels.review.topic is not None:
        yield f"{path}.labels.review.topic", model.labels.review.topic
    if model.retraining is not None and model.retraining.topic is not None:
        yield f"{path}.retraining.topic", model.retraining.topic


def load_config(path: Path) -> Config:
    """Read a YAML configuration. Raises ``ConfigError`` with every mistake and its path.

    Relative paths of files are taken from the configuration's folder.
    """
    return parse_config(load_tree(path), source=str(path), folder=path.parent)


def parse_config(tree: Any, *, source: str = "configuration", folder: Path = Path()) -> Config:
    """Validate a parsed configuration. Raises ``ConfigError`` with every mistake and its path."""
    if not isinstance(tree, dict):
        raise ConfigError(source, [Mistake("", f"expected a mapping with source and models, got {type(tree).__name__}")])
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        from monitor.config.across import mistakes_across
        from monitor.config.mistakes import explain

        raise ConfigError(source, [*explain(error, Config), *mistakes_across(Config, tree)]) from error
    resolved: Config = below(folder, config)
    return resolved


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The sections about what surrounds the process, on which no model depends; None: one that is not right by itself."""

    source: SourceConfig | None
    http: Http | None
    state: State | None


def sound_surroundings(tree: Any, folder: Path) -> Surroundings:
    """What is right by itself in a configuration that as a whole is not."""
    from monitor.config.across import right_fields

    right = right_fields(Config, tree) if isinstance(tree, dict) else {}
    return Surroundings(*(below(folder, right.get(name)) for name in ("source", "http", "state")))
