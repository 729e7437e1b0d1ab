"""Configuration of what the hook can start."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from monitor.config.root import BasicAuth
from monitor.config.source import Security
from monitor.config.types import Broker, Duration, Secret, Section, Topic, duration
from monitor.hook import template

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_HOST = re.compile(r"https?://[^/?#@\s$]+(?=[/?]|$)")
_PRINTABLE = re.compile(r"[!-~]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OWN_HEADERS = frozenset({"host", "content-length", "content-type", "transfer-encoding", "connection", "authorization"})
_SAFE_START = frozenset({"trigger_id", "run_id", "model"})


def _checked(tree: Any) -> Any:
    template.check(tree)
    return tree


def _address(text: str) -> str:
    template.check(text)
    if not _HOST.match(text):
        raise ValueError(f"expected http:// or https:// and a host without user or placeholder, got {text[:80]!r}")
    if not _PRINTABLE.fullmatch(text):
        raise ValueError(f"expected a percent-encoded address without blanks, got {text[:80]!r}")
    return text


Text = Annotated[str, Field(max_length=4_000), AfterValidator(_checked)]
"""A text with placeholders."""

Tree = Annotated[Any, AfterValidator(_checked)]
"""A JSON tree with placeholders in its texts."""

Address = Annotated[str, Field(max_length=2_000), AfterValidator(_address)]
"""A URL with placeholders after the host; values are percent-encoded."""

Status = Annotated[int, Field(ge=200, le=599)]


class ClientTls(Section):
    """Certificates of an HTTPS client."""

    ca_file: Path | None = Field(None, description="PEM file of the authorities that may sign the server's; the system's when absent.")
    cert_file: Path | None = Field(None, description="PEM file of the client's certificate, for mutual TLS.")
    key_file: Path | None = Field(None, description="PEM file of the client's private key.")

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("expected cert_file and key_file together")
        return self


class Retry(Section):
    """When an attempt is made again: after `first`, then twice as long each time."""

    first_ms: Duration = Field(duration("1s"), alias="first", description="Wait after the first attempt.")
    longest_ms: Duration = Field(duration("5m"), alias="longest", description="Longest wait, also of a Retry-After.")
    give_up_after_ms: Duration = Field(
        duration("6h"), alias="give_up_after", description="Time after the first attempt at which the trigger fails for good."
    )


class Login(Section):
    """A request for a bearer token before each attempt: POST {username, password}, as JSON."""

    url: Address = Field(description="Address of the request.")
    username: str = Field(min_length=1, description="User name.")
    password: Secret = Field(description="Password.")
    token_field: str = Field("access_token", min_length=1, description="Field of the answer that holds the token.")


class Lookup(Section):
    """A GET that shows whether a run is there already."""

    url: Address = Field(description="Address of the request; credentials are those of the start.")
    query: dict[str, Text] = Field(default_factory=dict, description="Parameters, percent-encoded.")
    found: Text = Field("${run_id}", min_length=1, description="The run is there when the answer (200) contains this text.")


class HttpTarget(Section):
    """An HTTP POST with a JSON body. Redirects are not followed, and no proxy is used."""

    url: Address = Field(description="Address; ${} after the host.")
    body: Tree = Field(description="JSON body; ${} in its texts.")
    headers: dict[str, Text] = Field(default_factory=dict, description="Further headers; ${} in their values.")
    secret_headers: dict[str, Secret] = Field(default_factory=dict, description="Headers whose whole value is a secret.")
    bearer_token: Secret | None = Field(None, description="Sent in `Authorization: Bearer`; read anew for each attempt.")
    basic_auth: BasicAuth | None = Field(None, description="User and password.")
    login: Login | None = Field(None, description="Where to get a bearer token first.")
    idempotency_header: str | None = Field("Idempotency-Key", description="Header that carries the trigger id; null: none.")
    already: tuple[Status, ...] = Field((), description="Statuses by which the target says that this run is there already, such as 409.")
    not_taken: tuple[Status, ...] = Field(
        (401, 403, 429, 503), description="Statuses after which nothing was started for sure; always tried again."
    )
    when_unsure: Literal["stop", "ask", "repeat"] = Field(
        "stop",
        description="Without a clear answer (none in time, another 5xx, the hook was killed): `stop` and fail, `ask` by lookup first,"
        " or `repeat`, which is right where the target recognises the second request.",
    )
    lookup: Lookup | None = Field(None, description="How to ask.")
    timeout_ms: Duration = Field(duration("5s"), alias="timeout", description="Time for one request, connecting included.")
    max_body_bytes: int = Field(60_000, ge=1_000, le=10_000_000, description="A larger body is sent without its evidence.")
    tls: ClientTls = Field(default_factory=ClientTls, description="Certificates of HTTPS.")
    retry: Retry = Field(default_factory=Retry, description="When to try again.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in (*self.headers, *self.secret_headers, *([self.idempotency_header] if self.idempotency_header else [])):
            own = name.lower() in _OWN_HEADERS - ({"authorization"} if name in self.secret_headers else set())
            if not _TOKEN.fullmatch(name) or own:
                raise ValueError(f"headers: expected the name of a header that the request does not have anyway, got {name!r}")
        given = [name.lower() for name in (*self.headers, *self.secret_headers, self.idempotency_header or "")]
        if len(set(given)) != len(given):
            raise ValueError("headers, secret_headers: expected each header only once")
        if sum((self.bearer_token is not None, self.basic_auth is not None, self.login is not None, "authorization" in given)) > 1:
            raise ValueError("expected one of bearer_token, basic_auth, login and a secret header Authorization")
        if (self.when_unsure == "ask") != (self.lookup is not None):
            raise ValueError("expected lookup exactly with `when_unsure: ask`")
        if not self.timeout_ms:
            raise ValueError("timeout: expected more than 0s")
        return self


class CommandTarget(Section):
    """A local command, run without a shell. It gets the trigger and its evidence as JSON on standard input."""

    arguments: tuple[Text, ...] = Field(
        min_length=1, max_length=100, description="Program and arguments, each passed on as it is; with ${}."
    )
    environment: dict[str, Text] = Field(default_factory=dict, description="Variables; ${} in their values.")
    secret_environment: dict[str, Secret] = Field(default_factory=dict, description="Variables whose value is a secret.")
    pass_environment: tuple[str, ...] = Field(
        ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"), description="Variables of the hook that the command gets too; no other."
    )
    directory: Path = Field(Path(), description="Folder in which it runs.")
    timeout_ms: Duration = Field(
        duration("10m"), alias="timeout", description="After this it is ended, by SIGTERM, ten seconds later SIGKILL."
    )
    runs: Path = Field(Path("runs"), description="Folder in which each run's output and exit status are kept, as long as `ledger.keep`.")
    max_output_bytes: int = Field(
        1_000_000, ge=0, le=1_000_000_000, description="Output kept, of each of the two streams; the rest is read and dropped."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if "${" in self.arguments[0]:
            raise ValueError("arguments[0]: expected the program itself, without ${}")
        for place, argument in enumerate(self.arguments):
            first = next(iter(template.names(argument)), "") if argument.startswith("${") else "run_id"
            if first not in _SAFE_START:
                raise ValueError(
                    f"arguments[{place}]: expected something before ${{{first}}}, such as --name=${{{first}}}, since a value that begins"
                    " with a hyphen would be taken for an option"
                )
        for name in (*self.environment, *self.secret_environment):
            if not _VARIABLE.fullmatch(name):
                raise ValueError(f"environment: expected letters, digits and _ in the name of a variable, got {name!r}")
        if not self.timeout_ms:
            raise ValueError("timeout: expected more than 0s")
        return self


class KafkaTarget(Section):
    """A CloudEvent in a topic, in binary mode; its id is the trigger's, so that a consumer recognises a second delivery."""

    brokers: tuple[Broker, ...] = Field(min_length=1, description="Bootstrap addresses, host:port.")
    security: Security = Field(default_factory=Security, description="Encryption and authentication.")
    topic: Topic = Field(description="Topic; it must exist.")
    key: Text = Field("${model}", description="Key of the message.")
    value: Tree = Field(description="JSON value; ${} in its texts.")
    type: str = Field("driftgauge.retrain.required.v1", min_length=1, description="The event's type (header `ce_type`).")
    source: str = Field("driftgauge-hook", min_length=1, description="The event's source (header `ce_source`).")
    timeout_ms: Duration = Field(duration("10s"), alias="timeout", description="Time for the brokers to confirm the event.")
    max_body_bytes: int = Field(500_000, ge=1_000, le=900_000, description="A larger value is sent without its evidence.")
    retry: Retry = Field(default_factory=Retry, description="When to try again.")
