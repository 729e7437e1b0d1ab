"""The alert rules: valid, tested by promtool, on metrics that exist, explained in the runbook, and as generated."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.config import Config, parse_config
from monitor.errors import ConfigError
from monitor.rules import alerts, render_rules, render_tests
from tests.deploy import promql

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "prometheus" / "driftgauge.rules.yml"
TESTS = ROOT / "deploy" / "prometheus" / "driftgauge.rules.test.yml"
RUNBOOK = ROOT / "docs" / "runbook.md"


def model(name: str) -> dict[str, Any]:
    topic = re.sub("[/:]", "-", name)  # what a model may be called and a topic may not
    return {
        "name": name,
        "predictions": {"topic": topic, "id": "id", "score": "score"},
        "features": [{"name": "x", "type": "numeric"}],
        "labels": {"topic": f"{topic}-labels", "id": "id", "label": "label"},
    }


def config(*names: str, **settings: Any) -> Config:
    return parse_config({"source": {"brokers": ["localhost:9092"]}, "models": [model(n) for n in names or ("m",)], "alerts": settings})


def without_labels() -> Config:
    bare = {key: value for key, value in model("bare").items() if key != "labels"}
    return parse_config({"source": {"brokers": ["localhost:9092"]}, "models": [model("m"), bare]})


SETTINGS = {
    "a model without labels": without_labels(),
    "defaults": config(),
    "two models with awkward names": config("flights", "a/b.c:d-1"),
    "at once": config(pending="0s", keep_firing="0s"),
    "smallest": config(
        pending="250ms",
        stale_after="1s",
        max_lag_records=1,
        max_rejected_ratio=0.0001,
        blind_ratio=0.001,
        labels_stale_after="1s",
        max_orphan_ratio=0.0001,
        max_late_label_ratio=0.0001,
    ),
    "largest": config(
        pending="70m",
        keep_firing="90m",
        stale_after="3h",
        max_rejected_ratio=0.999,
        blind_ratio=1,
        labels={"team": "ml"},
        labels_stale_after="3d",
        min_label_coverage=0.9,
        max_orphan_ratio=0.99,
    ),
}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False)


def expressions(rules: str) -> list[tuple[str, str]]:
    """Name and expression of every rule, the queries inside annotations among them."""
    found: list[tuple[str, str]] = []
    for group in yaml.safe_load(rules)["groups"]:
        for rule in group["rules"]:
            name = rule.get("alert") or rule["record"]
            found.append((name, rule["expr"]))
            for text in rule.get("annotations", {}).values():
                found += [(name, query.replace("%q", '"x"')) for query in re.findall(r"printf `([^`]+)`", text)]
    return found


def records(rules: str) -> dict[str, frozenset[str]]:
    """Recorded series and the labels that their sources have."""
    found: dict[str, frozenset[str]] = {}
    for group in yaml.safe_load(rules)["groups"]:
        for rule in group["rules"]:
            if "record" in rule:
                labels = [promql.series_labels(selector.name) for selector in promql.selectors(rule["expr"])]
                found[rule["record"]] = frozenset.union(*labels)
    return found


def test_committed_rules_and_their_tests_pass_promtool(promtool: str) -> None:
    checked = run(promtool, "check", "rules", "--lint-fatal", str(RULES))
    assert checked.returncode == 0, checked.stdout
    tested = run(promtool, "test", "rules", str(TESTS))
    assert tested.returncode == 0, tested.stdout


def test_prometheus_reads_the_committed_configuration(promtool: str, tmp_path: Path) -> None:
    committed = shutil.copytree(ROOT / "deploy" / "prometheus", tmp_path / "prometheus")
    (committed / "hook").mkdir()
    (committed / "hook" / "token").write_text("token of the hook, which is mounted there")
    checked = run(promtool, "check", "config", str(committed / "prometheus.yml"))
    assert checked.returncode == 0, checked.stdout


def one_by_one(folder: Path, rules: str, tests: str) -> list[str]:
    """Files of tests, each of one alert or record: beside it stand all that are recorded, and no other alert.

    promtool evaluates every rule at every minute of every test, also those that no expectation names: ten times the work. What all rules
    together say is in the test of the committed ones.
    """
    tree, whole = yaml.safe_load(rules), yaml.safe_load(tests)
    by_name: dict[str, list[dict[str, Any]]] = {}
    for test in whole["tests"]:
        by_name.setdefault(test["name"].split(" ")[0], []).append(test)
    files = []
    for number, (name, its_tests) in enumerate(by_name.items()):
        kept = [{**group, "rules": [rule for rule in group["rules"] if rule.get("alert", name) == name]} for group in tree["groups"]]
        (folder / f"{number}.yml").write_text(json.dumps({"groups": [group for group in kept if group["rules"]]}), encoding="utf-8")
        files.append(str(folder / f"{number}.test.yml"))
        Path(files[-1]).write_text(json.dumps({**whole, "rule_files": [f"{number}.yml"], "tests": its_tests}), encoding="utf-8")
    return files


def test_no_rule_reads_what_another_alert_says() -> None:
    """So each alert can be tested without the others."""
    assert not [name for settings in SETTINGS.values() for name, query in expressions(render_rules(settings)) if "ALERTS" in query]


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_rules_of_any_settings_pass_lint_and_their_own_tests(promtool: str, tmp_path: Path, settings: Config) -> None:
    rules = render_rules(settings)
    tested = run(promtool, "test", "rules", *one_by_one(tmp_path, rules, render_tests(settings, "rules.yml")))
    assert tested.returncode == 0, tested.stdout
    (tmp_path / "rules.yml").write_text(rules, encoding="utf-8")
    checked = run(promtool, "check", "rules", "--lint-fatal", str(tmp_path / "rules.yml"))
    assert checked.returncode == 0, checked.stdout


def broken(rules: str, expression: str) -> str:
    """The rules with another expression in every alert."""
    tree = yaml.safe_load(rules)
    for group in tree["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                rule["expr"] = expression
    return yaml.safe_dump(tree)


def failed(output: str) -> set[str]:
    return set(re.findall(r"name: (\w+) (?:fires|stays silent),", output))


def test_an_alert_that_never_fires_fails_its_tests(promtool: str, tmp_path: Path) -> None:
    settings = config()
    files = one_by_one(tmp_path, broken(render_rules(settings), "vector(1) > 2"), render_tests(settings, "rules.yml"))
    assert failed(run(promtool, "test", "rules", *files).stdout) == {alert.name for alert in alerts(settings)}


def test_an_alert_that_always_fires_fails_on_its_look_alike(promtool: str, tmp_path: Path) -> None:
    settings = config()
    tests = yaml.safe_load(render_tests(settings, "rules.yml"))
    tests["tests"] = [test for test in tests["tests"] if test["name"].endswith("stays silent")]
    files = one_by_one(tmp_path, broken(render_rules(settings), "vector(1)"), yaml.safe_dump(tests))
    # The watchdog has no look-alike: it always fires.
    assert failed(run(promtool, "test", "rules", *files).stdout) == {alert.name for alert in alerts(settings)} - {"DriftgaugeWatchdog"}


def test_every_case_tells_its_incident() -> None:
    text = render_tests(config(), "rules.yml")
    cases = len(yaml.safe_load(text)["tests"])
    assert len(re.findall(r"\n\n  # \S.+\n  - name: ", text)) == cases - 1
    assert text.count("\n  # ") == cases


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_every_metric_and_label_of_a_rule_is_in_the_catalogue(settings: Config) -> None:
    rules = render_rules(settings)
    known = records(rules)
    assert len(expressions(rules)) > len(alerts(settings))
    assert {name: promql.mistakes(query, known) for name, query in expressions(rules) if promql.mistakes(query, known)} == {}


def test_a_name_that_is_not_in_the_catalogue_is_found() -> None:
    assert promql.mistakes("sum by (modle) (driftgauge_window_row)") == [
        "unknown metric driftgauge_window_row",
        "no metric of the expression has the label modle",
    ]
    assert promql.mistakes('driftgauge_window_rows{signal="x"}') == ["driftgauge_window_rows has no label signal"]
    assert promql.mistakes("driftgauge_evaluation_duration_seconds") == ["unknown metric driftgauge_evaluation_duration_seconds"]
    assert promql.mistakes("sum by (le) (driftgauge_evaluation_duration_seconds_bucket)") == []


def anchors(text: str) -> set[str]:
    """Anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_runbook_address_leads_to_a_heading() -> None:
    settings = config(runbook_url="https://runbooks.example/driftgauge.md")
    tree = yaml.safe_load(render_rules(settings))
    addresses = [rule["annotations"]["runbook_url"] for group in tree["groups"] for rule in group["rules"] if "alert" in rule]
    assert {address.partition("#")[0] for address in addresses} == {"https://runbooks.example/driftgauge.md"}
    assert {address.partition("#")[2] for address in addresses} - anchors(RUNBOOK.read_text(encoding="utf-8")) == set()


def test_the_runbook_has_no_heading_of_an_alert_that_does_not_exist() -> None:
    named = set(re.findall(r"^#+ (Driftgauge\w+)$", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE))
    assert named == {alert.name for alert in alerts(config())}


def test_every_section_of_the_runbook_answers_the_same_four_questions() -> None:
    sections = re.split(r"^### (?=Driftgauge)", RUNBOOK.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    questions = ["Meaning", "How to see it", "What to do", "What it is not"]
    assert {section.split("\n")[0]: re.findall(r"^\*\*(.+?)\.\*\*", section, re.MULTILINE) for section in sections} == {
        section.split("\n")[0]: questions for section in sections
    }


def test_drift_warns_and_never_asks_for_retraining() -> None:
    tree = yaml.safe_load(render_rules(config()))
    drift = {"DriftgaugeDataDrift", "DriftgaugeScoreDrift", "DriftgaugeUnitChange", "DriftgaugeDataQuality", "DriftgaugeSegmentShare"}
    rules = {rule["alert"]: rule for group in tree["groups"] for rule in group["rules"] if "alert" in rule}
    assert {rules[name]["labels"]["severity"] for name in drift} == {"warning"}
    asks = {name: rule["labels"]["action"] for name, rule in rules.items() if "action" in rule["labels"]}
    assert asks == {"DriftgaugeRetrainRequired": "retrain"}
    assert rules["DriftgaugeRetrainRequired"]["for"] == "0s"
    assert not any(metric in rules["DriftgaugeRetrainRequired"]["expr"] for metric in ("drift_statistic", "signals_drifted"))
    assert {name for name, rule in rules.items() if rule["labels"]["severity"] == "critical"} == {"DriftgaugeDown", "DriftgaugeStalled"}


def test_only_a_model_with_labels_has_rules_about_them() -> None:
    groups = {group["name"]: group for group in yaml.safe_load(render_rules(without_labels()))["groups"]}
    named = {name: {rule.get("alert", "") for rule in group["rules"]} for name, group in groups.items()}
    about = {"DriftgaugePerformance", "DriftgaugeLabelCoverage", "DriftgaugeLabelsSilent"}
    assert about <= named["driftgauge-model-m"]
    assert not about & named["driftgauge-model-bare"]


def test_settings_reach_the_rules() -> None:
    settings = config(
        pending="7m",
        keep_firing="11m",
        stale_after="45m",
        max_lag_records=1234,
        max_rejected_ratio=0.02,
        blind_ratio=0.6,
        labels_stale_after="3d",
        min_label_coverage=0.3,
        max_orphan_ratio=0.11,
        max_late_label_ratio=0.12,
        labels={"team": "ml"},
    )
    tree = yaml.safe_load(render_rules(settings))
    rules = {rule["alert"]: rule for group in tree["groups"] for rule in group["rules"] if "alert" in rule}
    assert (rules["DriftgaugeDataDrift"]["for"], rules["DriftgaugeDataDrift"]["keep_firing_for"]) == ("7m", "11m")
    assert rules["DriftgaugeLag"]["expr"].endswith("> 1234")
    assert "> 2700" in rules["DriftgaugeStalled"]["expr"]
    assert 'ratio_rate10m{model="m"} > 0.02' in rules["DriftgaugeRejectedRows"]["expr"]
    assert rules["DriftgaugeBlindSegments"]["expr"].endswith("> 0.6")
    assert rules["DriftgaugeLabelsBehind"]["expr"].endswith("> 259200")
    assert rules["DriftgaugeLabelsSilent"]["expr"].count("> 259200") == 2
    assert rules["DriftgaugeLabelCoverage"]["expr"].endswith("< 0.3")
    assert "> 0.11\n" in rules["DriftgaugeLabelOrphans"]["expr"]
    assert "> 0.12\n" in rules["DriftgaugeLabelsLate"]["expr"]
    assert "> 0.02\n" in rules["DriftgaugeRejectedLabels"]["expr"]
    assert {rule["labels"]["team"] for rule in rules.values()} == {"ml"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("severity", "alerts: labels: expected another name than 'severity', which tells alerts apart"),
        ("model", "alerts: labels: expected another name than 'model', which tells alerts apart"),
        ("cost-centre", "alerts: labels: expected a label name of letters, digits and _, got 'cost-centre'"),
        ("__name__", "alerts: labels: expected a label name of letters, digits and _, got '__name__'"),
    ],
)
def test_a_label_that_prometheus_would_refuse_or_that_tells_alerts_apart_is_a_mistake(name: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        config(labels={name: "x"})
    assert [str(mistake) for mistake in error.value.mistakes] == [message]


@pytest.mark.parametrize(
    ("alerts", "path"), [({"labels": {"team": "{{ $labels.x"}}, "labels.team"), ({"runbook_url": "https://{{ wiki }}"}, "runbook_url")]
)
def test_a_text_that_prometheus_would_take_for_a_template_is_a_mistake(alerts: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError) as error:
        config(**alerts)
    [mistake] = error.value.mistakes
    assert str(mistake).startswith(f"alerts: {path}: expected plain text, got a template: ")


def test_nothing_newer_than_prometheus_2_42_is_used() -> None:
    tree = yaml.safe_load(render_rules(config()))
    assert {key for group in tree["groups"] for key in group} == {"name", "rules"}
    keys = {key for group in tree["groups"] for rule in group["rules"] for key in rule}
    assert keys == {"record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"}
