"""The hook's configuration: one YAML file of its own, validated at once, frozen from then on."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, ValidationError, model_validator

from monitor.config.mistakes import explain
from monitor.config.root import BasicAuth, Listen
from monitor.config.types import Duration, Secret, Section, below, duration
from monitor.config.yaml_tree import load_tree
from monitor.errors import ConfigError, Mistake
from monitor.hook.target.config import ClientTls, CommandTarget, HttpTarget, KafkaTarget

_ADDRESS = re.compile(r"https?://[^/?#@\s]+(/[^?#\s]*)?")


class HookListen(Listen):
    """Where Alertmanager posts its notifications, to the path /webhook."""

    section: ClassVar[str] = "listen"

    port: int = Field(9465, ge=0, le=65_535, description="Port; 0 takes a free one.")
    anonymous: bool = Field(
        False, description="Whether to listen beyond loopback without credentials. Whoever reaches the port can then start pipelines."
    )
    max_body_bytes: int = Field(1_000_000, ge=10_000, le=100_000_000, description="Larger notifications are refused unread.")
    max_connections: int = Field(32, ge=1, le=1_000, description="Connections at a time; further ones are answered 503.")
    read_timeout_ms: Duration = Field(duration("10s"), alias="read_timeout", description="Time for a client to send its request.")

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if not (self.bearer_token or self.basic_auth or self.anonymous or _is_loopback(self.bind)):
            raise ValueError(
                f"expected bearer_token or basic_auth, since {self.bind} can be reached from other machines and whoever posts here starts"
                " pipelines; `anonymous: true` allows it nevertheless"
            )
        return self


class AlertFilter(Section):
    """Which alerts are triggers. The label `action` must be `retrain`, and `trigger_id` and `model` must be there."""

    name: str = Field("DriftgaugeRetrainRequired", min_length=1, description="The alert's name.")
    models: tuple[str, ...] = Field((), description="Only triggers of these models are taken; empty: of all.")


class MonitorAccess(Section):
    """Where the evidence of a trigger is fetched: GET {url}/api/v1/triggers/{id}."""

    url: str = Field(description="Address of the monitor, such as http://driftgauge:9464.")
    evidence: Literal["optional", "required"] = Field(
        "optional", description="`optional`: start without evidence when it cannot be had, and say so; `required`: then the trigger fails."
    )
    wait_ms: Duration = Field(duration("1m"), alias="wait", description="How long the evidence is asked for, again and again.")
    timeout_ms: Duration = Field(duration("5s"), alias="timeout", description="Time for one request.")
    max_bytes: int = Field(256_000, ge=1_000, le=10_000_000, description="Larger evidence counts as not to be had.")
    bearer_token: Secret | None = Field(None, description="Sent in `Authorization: Bearer`.")
    basic_auth: BasicAuth | None = Field(None, description="User and password.")
    tls: ClientTls = Field(default_factory=ClientTls, description="Certificates of HTTPS.")

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if not _ADDRESS.fullmatch(self.url):
            raise ValueError(f"url: expected http://HOST:PORT or https://HOST, perhaps with a path, got {self.url!r}")
        if self.bearer_token and self.basic_auth:
            raise ValueError("expected bearer_token or basic_auth, not both")
        return self


class Policy(Section):
    """How often a pipeline may be started, in wall time, over restarts of the hook."""

    cooldown_ms: Duration = Field(
        duration("24h"), alias="cooldown", description="Time after a start in which further triggers of the same model are skipped."
    )
    daily_maximum: int = Field(3, ge=1, le=10_000, description="Most starts in any 24 hours, of all models; further triggers are skipped.")


class LedgerFile(Section):
    """The file that remembers every trigger: what makes it start once, and the audit log."""

    path: Path = Field(Path("hook.sqlite"), description="SQLite file, on a local disk that survives the process; not on NFS.")
    keep_ms: Duration = Field(
        duration("400d"), alias="keep", description="A trigger that is done and not heard of for this long is forgotten; at least 7d."
    )
    max_pending: int = Field(1_000, ge=1, le=100_000, description="Most triggers that wait; with more, Alertmanager is told to come again.")

    @model_validator(mode="after")
    def _long_enough(self) -> Self:
        if self.keep_ms < 7 * 86_400_000:
            raise ValueError("keep: expected at least 7d, since a trigger that is forgotten while its alert still fires would start again")
        return self


class Start(Section):
    """What is started: exactly one of these."""

    http: HttpTarget | None = Field(None, description="An HTTP POST.")
    command: CommandTarget | None = Field(None, description="A local command.")
    kafka: KafkaTarget | None = Field(None, description="An event in a Kafka topic.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(each is not None for each in (self.http, self.command, self.kafka)) != 1:
            raise ValueError("expected exactly one of http, command, kafka")
        return self


class HookConfig(Section):
    """The configuration of one `driftgauge hook` process."""

    listen: HookListen = Field(default_factory=HookListen, description="The HTTP server.")
    alert: AlertFilter = Field(default_factory=AlertFilter, description="Which alerts are triggers.")
    monitor: MonitorAccess | None = Field(None, description="Where evidence is fetched; absent: none is.")
    policy: Policy = Field(default_factory=Policy, description="How often a pipeline may be started.")
    ledger: LedgerFile = Field(default_factory=LedgerFile, description="What survives a restart.")
    start: Start = Field(description="What is started.")


def load_hook_config(path: Path) -> HookConfig:
    """Read the hook's YAML configuration. Raises ``ConfigError`` with every mistake and its path."""
    return parse_hook_config(load_tree(path), source=str(path), folder=path.parent)


def parse_hook_config(tree: Any, *, source: str = "configuration", folder: Path = Path()) -> HookConfig:
    """Validate a parsed configuration; paths of files are relative to ``folder``. Raises ``ConfigError``."""
    if not isinstance(tree, dict):
        raise ConfigError(source, [Mistake("", f"expected a mapping with start, got {type(tree).__name__}")])
    try:
        config = HookConfig.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(source, explain(error, HookConfig)) from error
    resolved: HookConfig = below(folder, config)
    return resolved


def _is_loopback(bind: str) -> bool:
    if bind == "localhost":
        return True
    try:
        return ipaddress.ip_address(bind).is_loopback
    except ValueError:
        return False
