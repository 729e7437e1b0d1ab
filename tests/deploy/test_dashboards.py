"""The dashboards: as generated, valid by Grafana's own types, clean by lint, and every query answered by a real Prometheus."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from monitor import events
from monitor.config import Http
from monitor.dashboards import Dashboard, dashboards
from monitor.dashboards.__main__ import render, write
from monitor.evaluate.verdict import Verdicts
from monitor.expose.catalogue import METRICS
from monitor.expose.published import Published
from monitor.expose.self_metrics import SelfMetrics
from monitor.expose.server import HttpServer
from monitor.expose.snapshot import DrillView, RiverAlarms, Snapshot
from monitor.profile.layout import Layout
from monitor.review.item import Kind, Reason
from monitor.telemetry import Telemetry
from tests.deploy import promql
from tests.deploy.dashboard_lint import lint, panels, queries
from tests.deploy.execute import EmptyQuery, answer, execute_dashboard
from tests.expose import trials
from tests.expose.sample import running
from tests.hook import world
from tests.prometheus import Alerting, Prometheus, wait_for

ROOT = Path(__file__).resolve().parents[2]
GRAFANA = ROOT / "grafana"
SCHEMA = json.loads((Path(__file__).parent / "schema" / "grafana.schema.json").read_text(encoding="utf-8"))
KIND = {"state-timeline": "statetimeline"}


def errors(dashboard: Dashboard) -> list[str]:
    """Mistakes by the schema: the dashboard, then each panel's options and its kind's own field settings."""
    found = [_said(error) for error in _validator("Dashboard").iter_errors(dashboard)]
    for panel in panels(dashboard):
        kind = KIND.get(panel["type"], panel["type"])
        found += [f"{panel['title']}: {_said(error)}" for error in _validator(f"{kind}.Options").iter_errors(panel["options"])]
        custom = panel["fieldConfig"]["defaults"].get("custom", {})
        found += [f"{panel['title']}: {_said(error)}" for error in _validator(f"{kind}.FieldConfig").iter_errors(custom)]
    return found


def _validator(definition: str) -> Any:
    return jsonschema.Draft7Validator({"$ref": f"#/definitions/{definition}", "definitions": SCHEMA["definitions"]})


def _said(error: jsonschema.ValidationError) -> str:
    return f"{error.json_path}: {error.message[:200]}"


BOARDS = dashboards()
each_board = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
OF_MONITOR = {name: board for name, board in BOARDS.items() if name != "hook.json"}
each_of_the_monitor = pytest.mark.parametrize("board", OF_MONITOR.values(), ids=OF_MONITOR)


def test_every_dashboard_is_written_and_no_file_is_left_of_an_old_one(tmp_path: Path) -> None:
    write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "overview.json",
        "drift.json",
        "alarms.json",
        "quality.json",
        "performance.json",
        "labels.json",
        "review.json",
        "retraining.json",
        "hook.json",
        "pipeline.json",
    }
    assert {path.name: path.read_text() for path in (GRAFANA / "dashboards").iterdir()} == {
        path.name: path.read_text() for path in tmp_path.iterdir()
    }


NOT_SHOWN = {
    "driftgauge_signal_segments": "the same conclusions as driftgauge_segment_status, finer than is looked at",
    "driftgauge_window_end_timestamp_seconds": "the watermark is shown, on which windows end",
    "driftgauge_detection_end_timestamp_seconds": "likewise, of panes",
    "driftgauge_segment_share_threshold": "of one value; what it decides is shown",
    "driftgauge_river_last_drift_timestamp_seconds": "alarms are shown where they were counted",
    "driftgauge_series_exposed": "series left out are shown",
    "driftgauge_performance_rows": "labelled rows of the segment are shown, and intervals",
    "driftgauge_reference_rows": "constant; the page of the model says it",
    "driftgauge_partition_next_offset": "the lag is shown",
    "driftgauge_label_idle_exclusions_total": "what waits for a partition is shown by the watermark of labels",
    "driftgauge_idle_exclusions_total": "partitions that are silent are shown",
    "process_virtual_memory_bytes": "resident memory is shown, which counts",
    "process_open_fds": "of every process; the dashboards of hosts show it",
    "process_max_fds": "of every process; the dashboards of hosts show it",
}
"""Metrics that no dashboard shows and no rule asks for, and why."""


def test_every_metric_is_on_a_dashboard_or_in_a_rule_or_left_out_for_a_reason() -> None:
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "driftgauge.rules.yml").read_text(encoding="utf-8"))
    asked = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    asked += [target["expr"] for board in BOARDS.values() for _, target in queries(board)]
    variables = [each for board in BOARDS.values() for each in board["templating"]["list"] if each["type"] == "query"]
    asked += [each["query"]["query"].removeprefix("label_values(").rpartition(",")[0] for each in variables]
    used = {family.name for text in asked for each in promql.selectors(text) if (family := promql.family(each.name)) is not None}
    assert (set(METRICS) | set(promql.HOOK)) - used == set(NOT_SHOWN)


@each_board
def test_a_dashboard_has_the_types_that_grafana_declares(board: Dashboard) -> None:
    assert errors(json.loads(render(board))) == []


@each_board
def test_a_dashboard_is_clean_by_lint(board: Dashboard) -> None:
    assert lint(board) == []


def test_identifiers_of_dashboards_differ() -> None:
    assert len({board["uid"] for board in BOARDS.values()}) == len(BOARDS)
    assert len({board["title"] for board in BOARDS.values()}) == len(BOARDS)


def test_links_between_dashboards_lead_to_one_with_these_variables() -> None:
    text = json.dumps(BOARDS["overview.json"])
    assert '"/d/driftgauge-drift?' in text
    named = {part.split("=")[0] for part in text.split("/d/driftgauge-drift?")[1].split('"')[0].split("&") if part.startswith("var-")}
    variables = {f"var-{variable['name']}" for variable in BOARDS["drift.json"]["templating"]["list"]}
    assert named == {"var-model", "var-version", "var-window", "var-segment"}
    assert named <= variables


def defects() -> dict[str, tuple[Any, str]]:
    """What can be wrong: a change of the overview and a part of the sentence that must follow."""

    def panel(board: Dashboard, kind: str) -> dict[str, Any]:
        return next(panel for panel in panels(board) if panel["type"] == kind)

    def set_query(expression: str) -> Any:
        return lambda board: panel(board, "stat")["targets"][0].update(expr=expression)

    chosen = 'job=~"$job",instance=~"$instance"'
    return {
        "not PromQL": (set_query("sum(("), "is not PromQL"),
        "unknown metric": (set_query(f"sum(driftgauge_rows{{{chosen}}})"), "unknown metric driftgauge_rows"),
        "unknown label": (set_query(f'driftgauge_window_rows{{{chosen},signal="x"}}'), "has no label signal"),
        "unknown grouping": (set_query(f"sum by (segmnt) (driftgauge_window_rows{{{chosen}}})"), "has the label segmnt"),
        "unknown variable": (set_query(f'driftgauge_window_rows{{{chosen},segment="$segment"}}'), "unknown variable $segment"),
        "any job": (set_query('driftgauge_ready{instance=~"$instance"}'), "not limited to the chosen job"),
        "raw counter": (set_query(f"sum(driftgauge_rows_counted_total{{{chosen}}})"), "counts up for ever"),
        "rate of a gauge": (set_query(f"rate(driftgauge_window_rows{{{chosen}}}[$__rate_interval])"), "gauge inside rate"),
        "fixed interval": (set_query(f"rate(driftgauge_rows_counted_total{{{chosen}}}[5m])"), "fixed interval"),
        "hidden emptiness": (set_query(f"driftgauge_ready{{{chosen}}} or vector(0)"), "hides an empty answer"),
        "no description": (lambda board: panel(board, "table").update(description=""), "has no description"),
        "unit": (lambda board: panel(board, "stat")["fieldConfig"]["defaults"].update(unit="seconds"), "has the unit 'seconds'"),
        "fixed data source": (lambda board: panel(board, "stat").update(datasource={"uid": "abc"}), "data source variable"),
        "overlap": (lambda board: board["panels"][1]["gridPos"].update(x=0), "lies over"),
        "id": (lambda board: board["panels"][1].update(id=1), "id twice"),
        "editable": (lambda board: board.update(editable=True), "is editable"),
        "old variable": (lambda board: board["templating"]["list"][1].update(refresh=1), "not renewed"),
    }


@pytest.mark.parametrize("defect", defects())
def test_lint_finds(defect: str) -> None:
    change, sentence = defects()[defect]
    board = copy.deepcopy(BOARDS["overview.json"])
    change(board)
    assert [said for said in lint(board) if sentence in said]


@pytest.mark.parametrize(
    ("place", "key", "value"),
    [
        ("stat", ("options", "colorMode"), "rainbow"),
        ("stat", ("options", "colour"), "value"),
        ("timeseries", ("fieldConfig", "defaults", "custom", "drawStyle"), "circles"),
        ("stat", ("fieldConfig", "defaults", "thresholds", "steps", 1, "value"), "10"),
        ("table", ("gridPos", "w"), "wide"),
        ("table", ("heading",), "x"),
    ],
)
def test_the_schema_finds(place: str, key: tuple[Any, ...], value: Any) -> None:
    board = copy.deepcopy(BOARDS["overview.json"])
    target: Any = next(panel for panel in panels(board) if panel["type"] == place)
    for step in key[:-1]:
        target = target[step]
    target[key[-1]] = value
    assert errors(board) != []


def test_provisioning_names_the_data_source_and_the_folder() -> None:
    source = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yaml").read_text(encoding="utf-8"))
    provider = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "driftgauge.yaml").read_text(encoding="utf-8"))
    scrape = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))["global"]["scrape_interval"]
    assert source["datasources"][0]["jsonData"]["timeInterval"] == scrape
    assert provider["providers"][0]["allowUiUpdates"] is False
    mounts = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))["services"]["grafana"]["volumes"]
    assert f"../grafana/dashboards:{provider['providers'][0]['options']['path']}:ro" in mounts


def with_range(verdicts: Verdicts) -> Verdicts:
    """The verdicts as if temperatures below 8 degrees had been declared out of range, and became a hundredth more."""
    layout = verdicts.table.layout
    temperature = layout.names.index("temperature")
    signals = tuple(replace(signal, range=(8.0, 71.0)) if place == temperature else signal for place, signal in enumerate(layout.signals))
    value = verdicts.value.copy()
    value[:, temperature, verdicts.statistics.index("out_of_range_rate")] = 0.01
    return replace(verdicts, table=replace(verdicts.table, layout=Layout(signals)), value=value)


def eventful() -> Snapshot:
    """A process to which everything has happened that a panel shows, so that no answer may be empty."""
    snapshot = running()
    alarm = RiverAlarms("2013-02", "ALL", "score", "river.drift.ADWIN", 3, snapshot.models[0].watermark_ms or 0)
    return replace(
        snapshot,
        models=(replace(snapshot.models[0], river=(alarm,), canary=True, review_items={(Kind.AUDIT, Reason.AUDIT_SAMPLE): 9}),),
        drills=(DrillView("flights", "shift", True, True, 9_000, 700, 3_600_000), DrillView("flights", "missing", False, False, 9_000)),
        drilled_ms=snapshot.taken_ms,
        labels=tuple(replace(each, canary=trials.BETTER) for each in snapshot.labels),
        verdicts=tuple(with_range(verdicts) for verdicts in snapshot.verdicts),
    )


@pytest.fixture(scope="module")
def scraped(alerting: Alerting) -> Iterator[Prometheus]:
    """Prometheus, scraping a real server of driftgauge that shows an eventful process."""
    self_metrics = SelfMetrics()
    self_metrics.observe(events.WindowsEvaluated("flights", 0, 0.08, 3, 200))
    published = Published(eventful(), self_metrics, 100_000)
    server = HttpServer(Http(bind="127.0.0.1", port=0), published, Telemetry())
    try:
        alerting.prometheus.scrape("eventful", f"127.0.0.1:{server.port}")
        # Rates need two scrapes.
        started = time.monotonic()
        while not answer(alerting.prometheus.url, 'rate(driftgauge_rows_counted_total{job="eventful"}[1m])', instant=True):
            assert time.monotonic() - started < 30
            time.sleep(0.1)
        yield alerting.prometheus
    finally:
        alerting.prometheus.forget("eventful")
        server.stop()


@each_of_the_monitor
def test_every_query_of_a_dashboard_is_answered(board: Dashboard, scraped: Prometheus) -> None:
    assert execute_dashboard(scraped.url, board, choices={"job": ["eventful"], "segment": ["carrier=DL"]}) == []


@each_of_the_monitor
def test_every_query_of_a_dashboard_is_answered_for_several_segments(board: Dashboard, scraped: Prometheus) -> None:
    several = {"job": ["eventful"], "segment": ["ALL", "origin=JFK,carrier=DL", "carrier=DL"]}
    assert execute_dashboard(scraped.url, board, choices=several) == []


def test_every_query_about_the_hook_is_answered_by_one_that_has_started_something_and_waits_for_the_rest(
    alerting: Alerting, tmp_path: Path
) -> None:
    with world.serving() as api, world.running(world.config_of(tmp_path, world.http_start(api.url))) as hook:
        hook.send(world.alert("started"))
        hook.until("started", "started")
        api.respond = lambda _: (503, {})
        hook.send(world.alert("waits"))
        alerting.prometheus.scrape("hook", f"127.0.0.1:{hook.port}")
        try:
            asked = 'rate(driftgauge_hook_attempts_failed_total{job="hook"}[5m])'
            wait_for("two scrapes of a failed attempt", lambda: answer(alerting.prometheus.url, asked, instant=True))
            assert execute_dashboard(alerting.prometheus.url, BOARDS["hook.json"], choices={"job": ["hook"]}) == []
        finally:
            alerting.prometheus.forget("hook")


def test_a_query_without_an_answer_is_named(scraped: Prometheus) -> None:
    board = copy.deepcopy(BOARDS["overview.json"])
    panel = next(panels(board))
    panel["targets"][0]["expr"] = 'driftgauge_rebuilt_since_timestamp_seconds{job=~"$job",instance=~"$instance"}'
    empty = execute_dashboard(scraped.url, board, choices={"job": ["eventful"]})
    assert [query.panel for query in empty] == [panel["title"]]
    assert empty[0].expression.startswith('driftgauge_rebuilt_since_timestamp_seconds{job=~"eventful"')
    assert (
        execute_dashboard(scraped.url, board, choices={"job": ["eventful"]}, may_be_absent={"driftgauge_rebuilt_since_timestamp_seconds"})
        == []
    )


def test_a_variable_without_values_is_named(scraped: Prometheus) -> None:
    board = copy.deepcopy(BOARDS["overview.json"])
    variable = next(variable for variable in board["templating"]["list"] if variable["name"] == "window")
    variable["query"]["query"] = 'label_values(driftgauge_segment_status{model="none"}, window)'
    assert EmptyQuery("variable window", 'label_values(driftgauge_segment_status{model="none"}, window)') in execute_dashboard(
        scraped.url, board, choices={"job": ["eventful"]}
    )


def test_a_query_that_prometheus_refuses_is_an_error_with_its_reason(scraped: Prometheus) -> None:
    with pytest.raises(ValueError, match="parse error"):
        answer(scraped.url, "sum((", instant=True)
