"""Mistakes in the hook's configuration, all at once and with their paths."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from monitor.errors import ConfigError
from monitor.hook.config import load_hook_config, parse_hook_config

HTTP = {"url": "https://host/run", "body": {"id": "${trigger_id}"}}
ENV = {"env": "A"}
COMMAND = {"arguments": ["run"]}


def mistakes(tree) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        parse_hook_config(tree)
    return [str(mistake) for mistake in raised.value.mistakes]


def test_the_least_that_is_needed_is_what_is_started():
    config = parse_hook_config({"start": {"http": HTTP}})
    assert (config.listen.bind, config.listen.port, config.policy.cooldown_ms, config.policy.daily_maximum) == (
        "127.0.0.1",
        9465,
        86_400_000,
        3,
    )
    assert config.start.http is not None
    assert config.start.http.when_unsure == "stop"
    assert config.start.http.idempotency_header == "Idempotency-Key"


def test_every_mistake_is_told_with_its_path_and_unknown_keys_with_the_nearest():
    tree = {
        "listen": {"prot": 1},
        "policy": {"cooldown": 5, "daily_maximum": 0},
        "ledger": {"keep": "1d"},
        "monitor": {"url": "ftp://x"},
        "start": {"http": {**HTTP, "url": "https://${model}/x", "retries": 3}},
    }
    assert mistakes(tree) == [
        "listen.prot: unknown key; did you mean 'port'?",
        "monitor: url: expected http://HOST:PORT or https://HOST, perhaps with a path, got 'ftp://x'",
        "policy.cooldown: expected a duration with a unit such as 30s, 5m, 1h or 30d, got 5",
        "policy.daily_maximum: expected greater than or equal to 1, got 0",
        "ledger: keep: expected at least 7d, since a trigger that is forgotten while its alert still fires would start again",
        "start.http.url: expected http:// or https:// and a host without user or placeholder, got 'https://${model}/x'",
        "start.http.retries: unknown key; did you mean 'retry'?",
    ]


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ({}, "start: expected exactly one of http, command, kafka"),
        ({"http": HTTP, "command": COMMAND}, "start: expected exactly one of http, command, kafka"),
        ({"http": {**HTTP, "body": {"x": "${modle}"}}}, "start.http.body: expected one of trigger_id,"),
        ({"http": {**HTTP, "url": "http://user:pass@host/"}}, "a host without user or placeholder"),
        ({"http": {**HTTP, "url": "https://host/a b"}}, "expected a percent-encoded address without blanks"),
        ({"http": {**HTTP, "url": "https://hòst/"}}, "expected a percent-encoded address without blanks"),
        ({"http": {**HTTP, "headers": {"Content-Length": "1"}}}, "expected the name of a header that the request does not have anyway"),
        ({"http": {**HTTP, "headers": {"Authorization": "x"}}}, "expected the name of a header that the request does not have anyway"),
        ({"http": {**HTTP, "headers": {"a b": "x"}}}, "expected the name of a header"),
        ({"http": {**HTTP, "headers": {"X-A": "x"}, "secret_headers": {"x-a": {"env": "A"}}}}, "expected each header only once"),
        ({"http": {**HTTP, "headers": {"idempotency-key": "x"}}}, "expected each header only once"),
        ({"http": {**HTTP, "bearer_token": ENV, "secret_headers": {"Authorization": ENV}}}, "expected one of bearer_token"),
        ({"http": {**HTTP, "bearer_token": "s3cret"}}, "start.http.bearer_token: expected"),
        ({"http": {**HTTP, "when_unsure": "ask"}}, "expected lookup exactly with `when_unsure: ask`"),
        ({"http": {**HTTP, "lookup": {"url": "http://host/"}}}, "expected lookup exactly with `when_unsure: ask`"),
        ({"http": {**HTTP, "tls": {"cert_file": "x"}}}, "expected cert_file and key_file together"),
        ({"command": {"arguments": []}}, "start.command.arguments: expected"),
        ({"command": {"arguments": ["${model}"]}}, "arguments[0]: expected the program itself"),
        ({"command": {"arguments": ["run", "${reason}"]}}, "arguments[1]: expected something before ${reason}, such as --name=${reason}"),
        ({"command": {"arguments": ["run", "${labels.x}y"]}}, "arguments[1]: expected something before ${labels.x}"),
        ({"command": {**COMMAND, "environment": {"A-B": "x"}}}, "expected letters, digits and _"),
        ({"command": {**COMMAND, "timeout": "0s"}}, "timeout: expected more than 0s"),
        ({"kafka": {"brokers": [], "topic": "t", "value": {}}}, "start.kafka.brokers: expected"),
    ],
)  # fmt: skip
def test_a_start_that_cannot_work_is_a_mistake(start, said):
    assert said in "\n".join(mistakes({"start": start}))


@pytest.mark.parametrize("bind", ["0.0.0.0", "::", "10.1.2.3", "host"])
def test_beyond_loopback_credentials_are_required(bind):
    start = {"http": HTTP}
    [said] = mistakes({"listen": {"bind": bind}, "start": start})
    assert said.startswith(f"listen: expected bearer_token or basic_auth, since {bind} can be reached from other machines")
    for guarded in ({"bearer_token": {"env": "T"}}, {"anonymous": True}):
        parse_hook_config({"listen": {"bind": bind, **guarded}, "start": start})


@pytest.mark.parametrize("bind", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
def test_on_loopback_they_are_not(bind):
    parse_hook_config({"listen": {"bind": bind}, "start": {"http": HTTP}})


def test_every_path_is_relative_to_the_file(tmp_path):
    tree = {
        "listen": {"bearer_token": {"file": "a"}, "tls": {"cert_file": "b", "key_file": "/abs/c"}},
        "ledger": {"path": "d/e.sqlite"},
        "start": {"command": {**COMMAND, "secret_environment": {"T": {"file": "f"}}, "directory": "g", "runs": "h"}},
    }
    (tmp_path / "hook.yaml").write_text(yaml.safe_dump(tree))
    config = load_hook_config(tmp_path / "hook.yaml")
    command = config.start.command
    assert command is not None
    assert config.listen.bearer_token is not None
    assert config.listen.tls is not None
    found = [config.listen.bearer_token.file, config.listen.tls.cert_file, config.ledger.path, command.directory, command.runs]
    assert found == [tmp_path / name for name in ("a", "b", "d/e.sqlite", "g", "h")]
    assert config.listen.tls.key_file == Path("/abs/c")
    assert command.secret_environment["T"].file == tmp_path / "f"


@pytest.mark.parametrize(
    ("text", "said"), [("- 1", "expected a mapping with start, got list"), ("a: [", "expected YAML"), ("", "got NoneType")]
)
def test_a_file_that_is_no_configuration_is_said(tmp_path, text, said):
    (tmp_path / "hook.yaml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_hook_config(tmp_path / "hook.yaml")
