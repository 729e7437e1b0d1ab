"""Configuration of where messages come from."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from monitor.config.types import Broker, Duration, Secret, Section, duration


class Security(Section):
    """How to talk to the broker: encryption and authentication."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field("PLAINTEXT", description="Kafka's name of the transport.")
    ca_file: Path | None = Field(
        None, description="PEM file of the authorities that may sign the broker's certificate; the system's when absent."
    )
    cert_file: Path | None = Field(None, description="PEM file of the client certificate, for mutual TLS.")
    key_file: Path | None = Field(None, description="PEM file of the client's private key.")
    key_password: Secret | None = Field(None, description="Password of the private key.")
    check_hostname: bool = Field(True, description="Whether the broker's certificate must name its host.")
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = Field(None, description="SASL mechanism.")
    username: str | None = Field(None, description="SASL user, for PLAIN and SCRAM.")
    password: Secret | None = Field(None, description="SASL password, for PLAIN and SCRAM.")
    token: Secret | None = Field(None, description="OAUTHBEARER: a file (or variable) with a JWT, read again at each authentication.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.protocol.startswith("SASL") != (self.mechanism is not None):
            raise ValueError(
                f"expected a mechanism exactly when the protocol is SASL_*, got protocol {self.protocol} and mechanism {self.mechanism}"
            )
        if self.mechanism == "OAUTHBEARER" and self.token is None:
            raise ValueError("expected token with the mechanism OAUTHBEARER")
        if self.mechanism not in (None, "OAUTHBEARER") and (self.username is None or self.password is None):
            raise ValueError(f"expected username and password with the mechanism {self.mechanism}")
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("expected cert_file and key_file together")
        return self


class SourceConfig(Section):
    """Where messages come from: a Kafka cluster by one of two clients, or a file."""

    client: Literal["kafka-python", "librdkafka", "ndjson"] = Field(
        "kafka-python",
        description="kafka-python (built in), librdkafka (extra `driftgauge[librdkafka]`; from broker to counts it was measured to read 2.3"
        " times as many events a CPU second) or ndjson (a file).",
    )
    brokers: tuple[Broker, ...] = Field((), description="Bootstrap addresses, host:port.")
    path: Path | None = Field(
        None,
        description="ndjson: a file, one event a line, which may end in .gz; with labels or several topics the folder that has"
        " `<topic>.ndjson` for each topic, and for a control topic, if there is one, `<control topic>.ndjson`.",
    )
    group: str = Field(
        "driftgauge", min_length=1, description="Consumer group; its committed offsets serve lag dashboards, not correctness."
    )
    static_member: str | None = Field(
        None, description="group.instance.id, for instance the pod's name: a restart then moves no partitions."
    )
    security: Security = Field(default_factory=Security, description="Encryption and authentication.")
    start: Literal["earliest", "latest"] = Field("earliest", description="Where to begin a partition of which nothing is saved.")
    isolation: Literal["read_committed", "read_uncommitted"] = Field(
        "read_committed", description="Whether aborted transactions are left out."
    )
    poll_timeout_ms: Duration = Field(duration("500ms"), alias="poll_timeout", description="How long one poll waits.")
    max_poll_records: int = Field(10_000, ge=1, le=1_000_000, description="Most records one poll returns.")
    session_timeout_ms: Duration = Field(
        duration("45s"), alias="session_timeout", description="After this silence the group expels the member."
    )
    connect_timeout_ms: Duration = Field(
        duration("30s"), alias="connect_timeout", description="Most time to reach the cluster, TLS handshake included."
    )
    stuck_after_ms: Duration = Field(
        duration("2m"), alias="stuck_after", description="A partition that stands still this long though it has more is reconnected."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.client == "ndjson" and self.path is None:
            raise ValueError("expected path with the client ndjson")
        if self.client != "ndjson" and not self.brokers:
            raise ValueError(f"expected brokers (host:port) with the client {self.client}")
        return self
