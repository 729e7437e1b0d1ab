"""Each recipe of configs/hook/ against a server that checks a request as the real API does.

What the servers check is taken from: GitHub's REST description (repos/create-dispatch-event and
actions/list-workflow-runs-for-repo), the documentation of Argo Events' webhook, Airflow's OpenAPI descriptions v1 (2.10) and
v2 (3.3) with the model TriggerDAGRunPostBody and the default of allowed_run_id_pattern, and kfp-server-api 2.17 (V2beta1Run,
V2beta1Filter).
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from monitor.hook.config import load_hook_config
from tests.broker.process import ROOT
from tests.hook.world import Api, Asked, Reply, Running, alert, running, serving
from tests.prometheus import wait_for

RECIPES = ROOT / "configs" / "hook"
TOKEN = "t0ken"
EVIDENCE = {"id": "t-1", "segments": [{"name": "country=FR", "drop": 0.2}]}


class Github:
    """Repository dispatches, and the workflow runs that come of them, named as the recipe says."""

    def __init__(self) -> None:
        self.runs: list[str] = []

    def __call__(self, asked: Asked) -> Reply:
        headers = asked.headers
        if headers.get("authorization") != f"Bearer {TOKEN}" or not headers.get("user-agent"):
            return 401, {"message": "Bad credentials"}
        if headers.get("accept") != "application/vnd.github+json" or headers.get("x-github-api-version") != "2022-11-28":
            return 415, {}
        target = urlsplit(asked.path)
        if asked.method == "GET" and target.path == "/repos/OWNER/REPO/actions/runs":
            query = parse_qs(target.query)
            if not set(query) <= {"actor", "branch", "event", "status", "per_page", "page", "created", "head_sha"}:
                return 422, {}
            shown = [{"event": "repository_dispatch", "display_title": f"retrain {name}"} for name in self.runs]
            return 200, {"total_count": len(shown), "workflow_runs": shown if query["event"] == ["repository_dispatch"] else []}
        if asked.method != "POST" or target.path != "/repos/OWNER/REPO/dispatches":
            return 404, {"message": "Not Found"}
        body = asked.json
        payload = body.get("client_payload", {})
        well = set(body) <= {"event_type", "client_payload"} and 1 <= len(body["event_type"]) <= 100
        if not well or len(payload) > 10 or len(json.dumps(payload)) >= 65_535:
            return 422, {"message": "Invalid request."}
        self.runs.append(payload["run_id"])
        return 204, None


class ArgoEvents:
    """A webhook EventSource with authSecret, and a Sensor that names the Workflow after the run id."""

    def __init__(self) -> None:
        self.runs: list[str] = []

    def __call__(self, asked: Asked) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return 400, b"Invalid auth token"
        if asked.method != "POST" or asked.path != "/retrain":
            return 404, b""
        name = asked.json["run_id"]
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name)
        if name not in self.runs:  # the API server of Kubernetes refuses a second object of a name
            self.runs.append(name)
        return 200, b"success"


class Airflow2:
    """The stable API, with basic authentication."""

    def __init__(self) -> None:
        self.runs: list[str] = []

    def __call__(self, asked: Asked) -> Reply:
        if asked.headers.get("authorization") != "Basic " + base64.b64encode(f"driftgauge:{TOKEN}".encode()).decode():
            return 401, {"title": "Unauthorized"}
        if asked.method != "POST" or asked.path != "/api/v1/dags/retrain/dagRuns":
            return 404, {"title": "DAG not found"}
        return self.create(
            asked.json, {"dag_run_id", "logical_date", "execution_date", "data_interval_start", "data_interval_end", "conf", "note"}
        )

    def create(self, body: dict[str, Any], known: set[str]) -> Reply:
        if not set(body) <= known or not isinstance(body["conf"], dict):
            return 422, {"detail": [{"type": "extra_forbidden"}]}
        if not re.fullmatch(r"[A-Za-z0-9_.~:+-]+", body["dag_run_id"]) or len(body["dag_run_id"]) > 250:
            return 400, {"title": "Bad Request"}
        if body["dag_run_id"] in self.runs:
            return 409, {
                "title": "Conflict",
                "detail": f"DAGRun with DAG ID: 'retrain' and DAGRun ID: '{body['dag_run_id']}' already exists",
            }
        self.runs.append(body["dag_run_id"])
        return 200, {"dag_id": "retrain", "dag_run_id": body["dag_run_id"], "state": "queued"}


class Airflow3(Airflow2):
    """The API of Airflow 3: a token first, and a strict body."""

    def __call__(self, asked: Asked) -> Reply:
        if asked.path == "/auth/token":
            right = asked.headers["content-type"] == "application/json" and asked.json == {"username": "driftgauge", "password": TOKEN}
            return (201, {"access_token": "j.w.t"}) if right else (401, {"detail": "Invalid credentials"})
        if asked.headers.get("authorization") != "Bearer j.w.t":
            return 401, {"detail": "Not authenticated"}
        if asked.method != "POST" or asked.path != "/api/v2/dags/retrain/dagRuns":
            return 404, {"detail": "Not Found"}
        body = asked.json
        if "logical_date" not in body or body["logical_date"] is not None:
            return 422, {"detail": [{"type": "missing", "loc": ["body", "logical_date"]}]}
        known = {"dag_run_id", "data_interval_start", "data_interval_end", "logical_date", "run_after", "conf", "note", "partition_key"}
        return self.create(body, known)


class Kubeflow:
    """Runs of Kubeflow Pipelines; names may repeat, and can be listed by a filter."""

    def __init__(self) -> None:
        self.runs: list[str] = []

    def __call__(self, asked: Asked) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {"code": 16}
        target = urlsplit(asked.path)
        query = parse_qs(target.query)
        if target.path != "/apis/v2beta1/runs" or query["experiment_id"] != ["EXPERIMENT_ID"]:
            return 404, {"code": 5}
        if asked.method == "GET":
            [predicate] = json.loads(query["filter"][0])["predicates"]
            assert (predicate["operation"], predicate["key"], set(predicate)) == (
                "EQUALS",
                "display_name",
                {"operation", "key", "string_value"},
            )
            found = [{"run_id": str(n), "display_name": name} for n, name in enumerate(self.runs) if name == predicate["string_value"]]
            return 200, {"runs": found, "total_size": len(found)} if found else {}
        body = asked.json
        known = {
            "experiment_id", "display_name", "description", "pipeline_version_id", "pipeline_spec", "pipeline_version_reference",
            "runtime_config", "service_account",
        }  # fmt: skip
        well = set(body) <= known and set(body["pipeline_version_reference"]) == {"pipeline_id", "pipeline_version_id"}
        if not well or not set(body["runtime_config"]) <= {"parameters", "pipeline_root"}:
            return 400, {"code": 3}
        self.runs.append(body["display_name"])
        return 200, {"run_id": "0001", "display_name": body["display_name"], "state": "PENDING"}


APIS: dict[str, Callable[[], Any]] = {
    "github": Github, "argo-events": ArgoEvents, "airflow2": Airflow2, "airflow3": Airflow3, "kubeflow": Kubeflow,
}  # fmt: skip


@contextlib.contextmanager
def recipe(name: str, folder: Path, api: Api, monitor: Api) -> Iterator[Running]:
    """A hook with the recipe as it is, but for addresses, ports, secrets and shorter waits."""
    text = (RECIPES / f"{name}.yaml").read_text(encoding="utf-8")
    text = re.sub(r"https?://(api\.github\.com|airflow\.example\.org|[a-z.-]*argo[a-z.-]*:12000|ml-pipeline\.kubeflow:8888)", api.url, text)
    tree = yaml.safe_load(text)
    assert json.dumps(tree).count(api.url) >= 1
    tree["listen"] = {"port": 0}
    tree["monitor"]["url"] = monitor.url
    tree["start"]["http"]["retry"] = {"first": "50ms", "longest": "100ms"}
    (folder / "secrets").mkdir()
    for secret in re.findall(r"secrets/[a-z-]+", text):
        (folder / secret).write_text(TOKEN + "\n")
    (folder / "hook.yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")
    with running(load_hook_config(folder / "hook.yaml")) as hook:
        yield hook


@pytest.mark.parametrize("name", APIS)
def test_the_api_takes_the_request(name, tmp_path):
    fake = APIS[name]()
    with serving(fake) as api, serving(lambda _: (200, EVIDENCE)) as monitor, recipe(name, tmp_path, api, monitor) as hook:
        hook.send(alert("t-1"))
        shown = hook.until("t-1", "started", "failed")
        assert (shown["state"], shown["reason"]) == ("started", "accepted"), shown
        assert fake.runs == [shown["run_id"]]
        assert b"country=FR" in api.requests[-1].body, "with its evidence"
        assert b'"performance"' in api.requests[-1].body


@pytest.mark.parametrize("name", APIS)
def test_when_the_answer_is_lost_there_is_one_run_all_the_same(name, tmp_path):
    fake = APIS[name]()
    lost: list[Asked] = []

    def losing(asked: Asked) -> Reply:
        answer: Reply = fake(asked)
        if asked.method == "POST" and "/auth/" not in asked.path and not lost:
            lost.append(asked)
            return 0, None
        return answer

    with serving(losing) as api, serving(lambda _: (200, EVIDENCE)) as monitor, recipe(name, tmp_path, api, monitor) as hook:
        hook.send(alert("t-1"))
        shown = hook.until("t-1", "started", "failed")
        expected = {
            "github": "found",
            "argo-events": "accepted",
            "airflow2": "already_there",
            "airflow3": "already_there",
            "kubeflow": "found",
        }
        assert (shown["state"], shown["reason"]) == ("started", expected[name]), shown
        assert lost
        assert fake.runs == [shown["run_id"]]


@pytest.mark.parametrize("name", [*APIS, "command", "kafka"])
def test_a_recipe_is_a_valid_configuration_as_it_stands(name):
    config = load_hook_config(RECIPES / f"{name}.yaml")
    assert config.listen.bearer_token is not None
    assert config.policy.daily_maximum == 3
    assert config.ledger.path == RECIPES / "state" / "hook.sqlite", "relative to the file"


def test_a_token_that_is_refused_is_read_anew_for_the_next_attempt(tmp_path):
    fake = Kubeflow()
    with serving(fake) as api, serving(lambda _: (200, EVIDENCE)) as monitor, recipe("kubeflow", tmp_path, api, monitor) as hook:
        (tmp_path / "secrets" / "kubeflow-token").write_text("expired")
        hook.send(alert("t-1"))
        wait_for("an attempt", lambda: api.requests)
        (tmp_path / "secrets" / "kubeflow-token").write_text(TOKEN)
        assert hook.until("t-1", "started")["attempts"] > 1
        assert len(fake.runs) == 1
