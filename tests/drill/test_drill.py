"""``driftgauge drill``: what is caught, by what and how fast, what is missed, and that nothing else plays a part."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from monitor.__main__ import main
from monitor.config.drill import STANDARD
from tests.drill.world import START_MS, STEP_MS, made
from tests.expose.exposition import series


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Path:
    return made(tmp_path_factory.mktemp("drill"))


def drill(config: Path, *more: str, capsys) -> tuple[int, dict]:
    code = main(["drill", "-c", str(config), "--json", *more])
    said = capsys.readouterr()
    assert said.out, said.err
    return code, json.loads(said.out)


def test_the_standard_drifts_are_planted_and_each_says_what_caught_it(config, capsys):
    code, found = drill(config, capsys=capsys)
    assert code == 0
    assert [each["drift"] for each in found["drills"]] == [drift.name for drift in STANDARD]
    by_name = {each["drift"]: each for each in found["drills"]}
    assert [by_name[name]["signal"] for name in ("shift", "missing", "moved", "unseen", "wrong_labels")] == [
        "price", "price", "plan", "plan", "label",
    ]  # fmt: skip
    assert found["left_out"] == []
    for name in ("shift", "spread", "missing", "moved", "unseen"):
        each = by_name[name]
        [first, *_] = each["catches"]
        assert each["caught"], name
        assert first["kind"] in ("window", "detector", "warning")
        assert {"window", "detector"} <= {catch["kind"] for catch in each["catches"]}, "the detectors trigger too"
        assert first["signal"] == each["signal"], "nothing else moved, so nothing else may have been said"
        assert 0 < first["delay_predictions"] <= each["predictions"]
        # One prediction every ten seconds, and the delay is a number of whole panes.
        assert first["delay_seconds"] == pytest.approx(first["delay_predictions"] * STEP_MS / 1000)
        assert first["delay_seconds"] % 300 == 0
    assert {each["signal"] for each in by_name["wrong_labels"]["catches"]} & {"accuracy", "error", "expected_cost", "precision[1]"}


def test_a_segment_is_named(config, capsys):
    _, found = drill(config, "--feature", "price", "--shift", "1.5sd", "--segment", "country=DE", capsys=capsys)
    [each] = found["drills"]
    assert each["segment"] == "country=DE"
    assert each["catches"][0]["segment"] == "country=DE"


def test_a_drift_that_is_too_small_is_missed_and_the_exit_code_says_so(config, capsys):
    code, found = drill(config, "--shift", "0.002sd", "--exit-code", capsys=capsys)
    assert (code, found["missed"]) == (11, ["churn/shift"])
    assert found["drills"][0]["catches"] == []
    code, _ = drill(config, "--drift", "shift", "--exit-code", capsys=capsys)
    assert code == 0
    assert main(["drill", "-c", str(config), "--shift", "0.002sd"]) == 0
    assert "MISSED: nothing was said that is not said without it" in capsys.readouterr().out


def test_it_begins_where_the_warm_up_ends_or_where_it_is_told(config, capsys):
    _, found = drill(config, "--drift", "missing", capsys=capsys)
    # Two hours until the long window is full: 720 events of ten seconds.
    assert found["drills"][0]["planted"] == "2023-11-15T02:00:00.000Z"
    assert found["drills"][0]["catches"][0]["time"] > "2023-11-15T02:00:00.000Z"
    _, found = drill(config, "--drift", "missing", "--since", "2023-11-15T05:00Z", capsys=capsys)
    assert found["drills"][0]["planted"] == "2023-11-15T05:00:00.000Z"


def test_it_ends_where_it_is_told(config, capsys):
    _, found = drill(config, "--drift", "missing", "--until", "2023-11-15T03:00Z", capsys=capsys)
    [one] = found["drills"]
    # An hour from 02:00 on, an event every ten seconds.
    assert (one["until"], one["predictions"]) == ("2023-11-15T03:00:00.000Z", 360)
    assert all(each["time"] <= one["until"] for each in one["catches"])


def test_metrics_for_a_node_exporter(config, tmp_path, capsys):
    drill(config, "--drift", "missing", "--drift", "shift", "--textfile", str(tmp_path / "drill.prom"), capsys=capsys)
    text = (tmp_path / "drill.prom").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["drill.prom"]
    caught = {dict(labels)["drift"]: value for labels, value in series(text, "driftgauge_drill_caught").items()}
    assert caught == {"shift": 1, "missing": 1}
    [delay] = [value for labels, value in series(text, "driftgauge_drill_delay_events").items() if dict(labels)["drift"] == "missing"]
    assert delay > 0
    drill(config, "--shift", "0.002sd", "--textfile", str(tmp_path / "drill.prom"), capsys=capsys)
    text = (tmp_path / "drill.prom").read_bytes()
    assert list(series(text, "driftgauge_drill_caught").values()) == [0]
    assert series(text, "driftgauge_drill_delay_events") == {}, "a drift that was not caught has no delay"


def test_a_policy_that_would_have_asked_for_retraining_is_in_the_account(tmp_path, capsys):
    from tests.drill.world import MODEL

    policy = {
        "performance": [{"metric": "accuracy", "floor": 0.85}],
        "persistence": {"evaluations": 1},
        "min_fresh_labels": 10,
    }
    config = made(tmp_path, models=[{**MODEL, "retraining": policy}])
    capsys.readouterr()
    _, found = drill(config, "--wrong-labels", "0.3", capsys=capsys)
    trigger = next(catch for catch in found["drills"][0]["catches"] if catch["kind"] == "trigger")
    assert (trigger["by"], trigger["signal"], trigger["segment"]) == ("performance", "accuracy", "ALL")
    assert found["shown"][0]["triggered"]


def refused(*arguments: str, capsys) -> str:
    code = main(["drill", *arguments])
    said = capsys.readouterr()
    assert said.out == ""
    return f"{code}: {said.err.strip().splitlines()[-1].strip()}"


def test_what_cannot_be_drilled_is_said(config, tmp_path, capsys):
    c = ("-c", str(config))
    assert refused(*c, "--feature", "price", capsys=capsys).startswith("2: expected one of --shift, --spread, --missing")
    assert refused(*c, "--shift", "much", capsys=capsys).startswith("2: shift")
    assert refused(*c, "--shift", "1", "--drift", "shift", capsys=capsys).endswith("got both")
    assert "expected one of shift, spread" in refused(*c, "--drift", "storm", capsys=capsys)
    assert refused(*c, "--shift", "1", "--feature", "plan", capsys=capsys).endswith("which is categorical, got shift")
    said = refused(*c, "--shift", "1", "--warm-up", "3d", capsys=capsys)
    assert said.startswith("4: driftgauge: expected traffic after 2023-11-18 00:00 to plant a drift into, and it ends at 2023-11-15")
    said = refused(*c, "--shift", "1", "--from", str(tmp_path / "no.ndjson"), capsys=capsys)
    assert said.startswith("4: driftgauge: cannot open")
    said = refused(*c, "--drift", "shift", "--textfile", str(tmp_path / "no" / "x.prom"), capsys=capsys)
    assert said.startswith("4: driftgauge:")
    os.mkfifo(tmp_path / "pipe")
    said = refused(*c, "--drift", "shift", "--textfile", str(tmp_path / "pipe"), capsys=capsys)
    assert said.endswith("pipe: expected a file to write metrics to, got a folder, device or pipe")
    assert (tmp_path / "pipe").is_fifo()
    assert START_MS == 1_700_006_400_000
