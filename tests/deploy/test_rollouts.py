"""Recipes for rollout tools: what they ask is asked of a running monitor, and answered as they expect."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from monitor.__main__ import main
from monitor.canary.comparison import CanaryVerdict
from monitor.canary.trial import CanaryResult
from monitor.config.root import Http
from monitor.expose.published import Published
from monitor.expose.self_metrics import SelfMetrics
from monitor.expose.server import HttpServer
from monitor.telemetry import Telemetry
from tests.broker.process import ROOT
from tests.expose.trials import BETTER, EQUAL, FEW, WORSE, snapshot, trial
from tests.prometheus import Alerting, get_json

FOLDER = ROOT / "deploy" / "rollouts"
SCHEMAS = json.loads((ROOT / "tests" / "deploy" / "schema" / "rollouts.json").read_text())
DOCUMENTS = [each for path in sorted(FOLDER.glob("*.yaml")) for each in yaml.safe_load_all(path.read_text())]
BY_NAME = {(each["kind"], each["metadata"]["name"]): each for each in DOCUMENTS}
NOT_WORSE = trial(0.005, rows=400)
CASES = [(BETTER, "Successful"), (NOT_WORSE, "Successful"), (WORSE, "Failed"), (EQUAL, "Inconclusive"), (FEW, "Inconclusive"),
         (None, "Inconclusive")]  # fmt: skip


@pytest.fixture(scope="module")
def shown() -> Iterator[tuple[Published, str]]:
    """What is published, and the address it is served at."""
    published = Published(snapshot(WORSE), SelfMetrics(), 10_000)
    server = HttpServer(Http(port=0), published, Telemetry(()))
    yield published, server.address.rstrip("/")
    server.stop()


def filled(text: str, values: dict[str, str], name: str = "args") -> str:
    """A template with its ``{{args.x}}`` filled in; one that is not known stays and is noticed."""
    return re.sub(rf"{{{{ ?{name}\.(\w+) ?}}}}", lambda found: values[found[1]], text)


def metric(name: str) -> tuple[dict[str, Any], set[str]]:
    [found] = BY_NAME["AnalysisTemplate", name]["spec"]["metrics"]
    return found, {each["name"] for each in BY_NAME["AnalysisTemplate", name]["spec"]["args"]}


def phase(asked: dict[str, Any], result: object) -> str:
    """As Argo Rollouts judges a measurement; its expressions are Python's too."""
    failed, good = (eval(asked[name], {"__builtins__": {}}, {"result": result}) for name in ("failureCondition", "successCondition"))
    return "Failed" if failed else "Successful" if good else "Inconclusive"


def measured(asked: dict[str, Any], values: dict[str, str]) -> object:
    with urllib.request.urlopen(
        filled(asked["provider"]["web"]["url"], values), timeout=asked["provider"]["web"]["timeoutSeconds"]
    ) as reply:
        found = json.load(reply)
    path = asked["provider"]["web"]["jsonPath"]
    assert re.fullmatch(r"\{\$(\.\w+|\[\d+\])+\}", path)
    for key, index in re.findall(r"\.(\w+)|\[(\d+)\]", path):
        found = found[key] if key else found[int(index)]
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
def test_each_document_has_only_fields_that_its_kind_knows(document):
    assert [error.message for error in Draft202012Validator(SCHEMAS[document["kind"]]).iter_errors(document)] == []


def test_the_schema_refuses_a_misspelt_field():
    document = json.loads(json.dumps(BY_NAME["AnalysisTemplate", "driftgauge-canary"]))
    document["spec"]["metrics"][0]["failurelimit"] = 0
    assert list(Draft202012Validator(SCHEMAS["AnalysisTemplate"]).iter_errors(document))


@pytest.mark.parametrize(("result", "expected"), CASES)
def test_argo_asks_and_judges_the_answer(shown, result: CanaryResult | None, expected: str):
    published, url = shown
    published.publish(snapshot(result))
    asked, args = metric("driftgauge-canary")
    values = {"model": "m", "candidate": "4", "champion": "3", "url": url}
    assert set(values) == args
    assert phase(asked, measured(asked, values)) == expected
    assert phase(asked, measured(asked, {**values, "candidate": "5"})) == "Inconclusive", "a rollout that has just begun"


def test_argo_knows_every_verdict_and_ends_inconclusive_at_the_latest():
    asked, _ = metric("driftgauge-canary")
    phases = {each.label: phase(asked, each.label) for each in CanaryVerdict}
    assert phases == {
        "insufficient_data": "Inconclusive", "undecided": "Inconclusive",
        "not_worse": "Successful", "better": "Successful", "worse": "Failed",
    }  # fmt: skip
    # One success ends it well, one failure badly; inconclusive ones must not end it before its time.
    assert (asked["consecutiveSuccessLimit"], asked["failureLimit"]) == (1, 0)
    assert asked["inconclusiveLimit"] >= asked["count"]


@pytest.mark.parametrize(("result", "code"), [(BETTER, 0), (WORSE, 1), (EQUAL, 2)])
def test_the_job_runs_the_gate(shown, result, code, capsys):
    published, url = shown
    published.publish(snapshot(result))
    asked, args = metric("driftgauge-canary-job")
    job = asked["provider"]["job"]["spec"]
    [container] = job["template"]["spec"]["containers"]
    values = {"model": "m", "candidate": "4", "champion": "3", "url": url}
    assert set(values) == args
    given = [filled(each, values) for each in container["args"]]
    waits = given.index("--wait") + 1
    assert (given[0], given[waits]) == ("gate", "2h")
    assert job["activeDeadlineSeconds"] > 2 * 3_600, "the gate ends before the job is ended"
    assert job["backoffLimit"] == 0, "an answer is not asked for again"
    given[waits] = "1ms"  # not two hours
    assert main(given) == code


def test_the_rollout_names_its_template_and_all_its_arguments():
    steps = BY_NAME["Rollout", "churn"]["spec"]["strategy"]["canary"]["steps"]
    analyses = [step["analysis"] for step in steps if "analysis" in step]
    assert len(analyses) == 2
    for each in analyses:
        [template] = each["templates"]
        spec = BY_NAME["AnalysisTemplate", template["templateName"]]["spec"]
        needed = {arg["name"] for arg in spec["args"] if "value" not in arg}
        assert {arg["name"] for arg in each["args"]} == needed
        assert all(isinstance(arg["value"], str) for arg in each["args"])


@pytest.mark.parametrize(("result", "go"), [(BETTER, True), (NOT_WORSE, True), (WORSE, False), (EQUAL, False), (FEW, False)])
def test_flagger_promotes_only_what_is_better_or_not_worse(shown, result, go):
    published, url = shown
    published.publish(snapshot(result))
    [hook] = BY_NAME["Canary", "churn"]["spec"]["analysis"]["webhooks"]
    assert hook["type"] == "confirm-promotion"
    command = hook["metadata"]["cmd"].replace("http://driftgauge.monitoring:9464", url).replace("model=churn", "model=m")
    assert url in command
    assert (subprocess.run(["bash", "-c", command], timeout=30, check=False).returncode == 0) == go


def test_flagger_rolls_back_what_is_worse(shown, alerting: Alerting):
    published, url = shown
    spec = BY_NAME["Canary", "churn"]["spec"]["analysis"]
    [asked] = spec["metrics"]
    template = BY_NAME["MetricTemplate", asked["templateRef"]["name"]]["spec"]
    assert asked["templateVariables"] == {"model": "churn"}

    def within(model: str = "m") -> bool:
        query = filled(template["query"], {"model": model}, "variables")
        [series] = get_json(f"{alerting.prometheus.url}/api/v1/query", query=query)["data"]["result"]  # Flagger takes the last of several
        return float(series["value"][1]) <= asked["thresholdRange"]["max"]

    published.publish(snapshot(WORSE))
    alerting.prometheus.scrape("rollout", urllib.parse.urlsplit(url).netloc)
    try:
        deadline = time.monotonic() + 60
        while within():
            assert time.monotonic() < deadline, "Prometheus never saw that the candidate is worse"
            time.sleep(0.2)
        assert within("other"), "no series is no objection"
        published.publish(snapshot(BETTER))
        while not within():
            assert time.monotonic() < deadline
            time.sleep(0.2)
    finally:
        alerting.prometheus.forget("rollout")
