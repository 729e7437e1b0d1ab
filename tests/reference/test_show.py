"""What people are told about a reference, and about the difference of two."""

from __future__ import annotations

import argparse
import json
import math
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from monitor.cli import reference as command
from monitor.errors import ConfigError, DriftgaugeError, ReferenceFileError
from monitor.profile.layout import SignalBins
from monitor.reference.diff import diff, psi
from monitor.reference.format import read_reference
from monitor.reference.summary import quantile
from tests.reference.data import flat_rows, write_csv, write_ndjson

CONFIG = """
source: {client: ndjson, path: predictions.ndjson}
models:
  - name: churn
    predictions: {topic: predictions, id: id, time: {path: ts}, model_version: version, score: prediction.score}
    features:
      - {name: amount, type: numeric, path: features.amount}
      - {name: plan, type: categorical, path: features.plan}
    segments: {columns: {country: country}, groupings: [[country]]}
"""


def run(*words: str | Path) -> int:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers(required=True))
    args = parser.parse_args(["reference", *map(str, words)])
    return int(args.run(args))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a configuration, data, and two references of different rows."""
    folder = tmp_path_factory.mktemp("show")
    (folder / "config.yaml").write_text(CONFIG)
    rows = flat_rows(2_000)
    write_ndjson(folder / "predictions.ndjson", rows)
    moved = [
        row | {"amount": row["amount"] and row["amount"] * 2, "plan": row["plan"] and row["plan"].replace("team", "gold")} for row in rows
    ]
    write_csv(folder / "moved.csv", moved)
    config = ["-c", folder / "config.yaml"]
    assert run("build", *config, "--data", folder / "predictions.ndjson", "-o", folder / "a.gz", "--dataset-version", "d1") == 0
    assert run("build", *config, "--data", folder / "moved.csv", "-o", folder / "b.gz", "--label", "truth", "--pipeline-version", "p7") == 0
    return folder


def test_build_says_what_it_built(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / "c.gz"
    assert run("build", "-c", folder / "config.yaml", "--data", folder / "predictions.ndjson", "-o", out) == 0
    printed = capsys.readouterr()
    fingerprint = read_reference(out).fingerprint[:12]
    assert printed.out == f"{out}: churn 3, 2,000 rows, 3 signals, 4 segments, {out.stat().st_size:,} bytes, fingerprint {fingerprint}\n"
    said = printed.err.splitlines()
    assert said[-1] == "note: the configuration does not name it yet: under churn, references: [c.gz] has it used"
    assert said[0].startswith("pass 1 of 2, finding cells ######################## 100 %  2,000 rows")
    assert said[1].startswith("pass 2 of 2, counting ######################## 100 %  2,000 rows")


def test_a_reference_that_the_configuration_names_needs_no_word(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for references in ("[named.json.gz]", "['named*.json.gz']"):
        config = folder / "named.yaml"
        config.write_text(CONFIG.replace("  - name: churn\n", f"  - name: churn\n    references: {references}\n"))
        assert references in config.read_text()
        assert run("build", "-c", config, "--data", folder / "predictions.ndjson", "-o", folder / "named.json.gz") == 0
        assert "does not name it" not in capsys.readouterr().err


def test_learn_writes_a_reference_of_the_first_hours(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / "learned.gz"
    assert run("learn", "-c", folder / "config.yaml", "--hours", "3", "--from", "2023-11-15T02:00Z", "-o", out) == 0
    assert read_reference(out).rows == 180
    assert ": churn 3, 180 rows" in capsys.readouterr().out


def test_show_tells_identity_signals_and_segments(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", folder / "b.gz") == 0
    lines = capsys.readouterr().out.splitlines()
    reference = read_reference(folder / "b.gz")
    assert lines[:6] == [
        "model        churn, version 3",
        "dataset      no version given",
        "pipeline     p7",
        "rows         2,000, 2023-11-15 00:00 UTC to 2023-11-16 09:19 UTC",
        "season       hour of day, 3 segments",
        "clustering   measured in blocks of 5m, 15m, 1h, 4h, 1d",
    ]
    assert re.fullmatch(r"labels       2,000 rows: auc 0\.7\d+, brier 0\.1\d+, log_loss 0\.5\d+, positive_rate 0\.2\d+", lines[6])
    assert lines[7] == f"fingerprint  {reference.fingerprint}"
    assert lines[9].startswith("amount  numeric      missing 9.") and "mean" in lines[9]
    assert lines[10].startswith("plan    categorical  missing ") and "3 values: free " in lines[10]
    assert lines[13] == "all traffic: 1 segment: ALL 2,000"
    assert lines[14].startswith("country: 3 segments: country=FR 1,")


def test_show_as_json_has_the_same_facts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", "--json", folder / "a.gz") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["model"], facts["dataset_version"], facts["rows"], facts["season"]) == ("churn", "d1", 2_000, "hour of day")
    assert facts["segments"]["ALL"] == 2_000
    amount = np.array([row["amount"] for row in flat_rows(2_000) if row["amount"] is not None])
    assert math.isclose(facts["signals"][0]["quantiles"]["0.5"], np.median(amount), rel_tol=0.01)
    assert math.isclose(facts["signals"][0]["mean"], amount.mean())


def test_equal_references_have_no_difference(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("diff", folder / "a.gz", folder / "a.gz") == 0
    assert capsys.readouterr().out == "the same\n"


def test_a_difference_is_named_signal_by_signal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("diff", folder / "a.gz", folder / "b.gz") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["dataset_version: d1 -> None", "pipeline_version: None -> p7", "labels: unknown -> known"]
    amount = next(line for line in lines if line.startswith("signal amount: edges "))
    assert 0.3 < float(amount.rpartition("PSI ")[2]) < 3
    plan = next(line for line in lines if line.startswith("signal plan: "))
    assert "lost team; gained gold; PSI" in plan
    assert not any(line.startswith("signal score") for line in lines)


def test_a_share_of_another_type_is_named(folder: Path, tmp_path: Path) -> None:
    rows = flat_rows(2_000)
    for row in rows[::4]:
        row["amount"] = "12,5"
    write_ndjson(tmp_path / "texts.ndjson", rows)
    assert run("build", "-c", folder / "config.yaml", "--data", tmp_path / "texts.ndjson", "-o", tmp_path / "c.gz") == 0
    amount = next(line for line in diff(read_reference(folder / "a.gz"), read_reference(tmp_path / "c.gz")) if "amount" in line)
    assert "; invalid 0.00% -> 25.00%; PSI" in amount


def test_signals_and_segments_that_came_or_went_are_named(folder: Path) -> None:
    a, b = read_reference(folder / "a.gz"), read_reference(folder / "learned.gz")
    assert any(line.startswith("rows: 2000 -> 180") for line in diff(a, b))


def test_what_was_read_elsewhere_is_named(folder: Path) -> None:
    a = read_reference(folder / "a.gz")
    first = {**a.schema[0], "path": "elsewhere", "required": True}
    b = replace(a, schema=(first, *a.schema[1:]), fingerprint="b" * 64)
    name = first["name"]
    assert diff(a, b) == [f"feature {name}: path {a.schema[0]['path']} -> elsewhere", f"feature {name}: required False -> True"]


def test_a_content_that_differs_without_a_figure_is_named_by_its_part(folder: Path) -> None:
    a = read_reference(folder / "a.gz")
    (line,) = diff(a, replace(a, stds=a.stds * 2, fingerprint="b" * 64))
    assert "another content of stds " in line


def test_psi_of_counts_is_that_of_the_formula() -> None:
    bins = SignalBins("x", "categorical", categories=("a", "b"))
    old, new = np.array([0, 0, 0, 500, 500, 0, 0, 0]), np.array([9, 0, 0, 900, 100, 0, 0, 0])
    # (0.9 - 0.5) ln(0.9 / 0.5) + (0.1 - 0.5) ln(0.1 / 0.5), up to the half rows in empty cells.
    assert math.isclose(psi(bins, old, bins, new) or 0, 0.4 * math.log(1.8) - 0.4 * math.log(0.2), rel_tol=0.02)
    assert psi(bins, old, bins, old) == 0.0
    assert psi(bins, old, bins, np.zeros(8, int)) is None


def test_psi_of_the_same_rows_on_other_edges_is_small() -> None:
    values = np.random.default_rng(1).normal(size=50_000)
    sides = []
    for quantiles in (np.linspace(0, 1, 11), np.linspace(0, 1, 26)):
        edges = tuple(np.quantile(values, quantiles))
        counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
        sides += [SignalBins("x", "numeric", edges=edges), np.concatenate([[0, 0, 0], counts])]
    assert (psi(*sides) or 1) < 0.02


def test_psi_of_whole_numbers_with_cells_of_their_own_is_small_where_the_other_reference_has_wider_ones() -> None:
    ages = np.random.default_rng(1).gamma(9, 4.6, 40_000).round()
    edges = [[edge for value in values for edge in (value, math.nextafter(value, math.inf))] for values in (range(25, 50), range(28, 48))]
    sides = []
    for each, rows in zip(edges, (ages[:30_000], ages[30_000:]), strict=True):
        bins = SignalBins("age", "numeric", edges=(18.0, 21.0, 24.0, *each, 52.0, 60.0, 72.0))
        cells = np.searchsorted(bins.edges, rows, side="right")
        sides += [bins, np.concatenate([[0, 0, 0], np.bincount(cells, minlength=len(bins.edges) + 1)])]
    assert 0 <= (psi(*sides) or 0) < 0.02
    assert 0 <= (psi(*sides[2:], *sides[:2]) or 0) < 0.02


def test_quantiles_are_exact_for_values_with_cells_of_their_own() -> None:
    bins = SignalBins("x", "numeric", edges=(0.0, 1.0, 5.0, 6.0))
    counts, means = np.array([4, 0, 0, 0, 60, 20, 20, 0]), np.array([np.nan] * 4 + [0.0, 1.0, 5.5, np.nan])
    assert quantile(bins, counts, means, 0.5) == 0.0
    assert quantile(bins, counts, means, 0.8) == 1.0
    assert quantile(bins, counts, means, 0.9) == 5.5
    assert quantile(bins, np.zeros(8, int), means, 0.5) is None


def test_mistakes_of_the_user_are_said_before_the_data_is_read(folder: Path) -> None:
    config = ["-c", folder / "config.yaml"]
    data = ["--data", folder / "predictions.ndjson"]
    with pytest.raises(ReferenceFileError, match=r"expected a folder to write the reference into, got none at .*nowhere; create it first"):
        run("build", *config, *data, "-o", folder / "nowhere" / "r.gz")
    with pytest.raises(ReferenceFileError, match=r"expected a file to write the reference to, got a folder"):
        run("build", *config, *data, "-o", folder)
    os.mkfifo(folder / "pipe")
    with pytest.raises(ReferenceFileError, match=r"expected a file to write the reference to, got a device or pipe"):
        run("build", *config, *data, "-o", folder / "pipe")
    assert (folder / "pipe").is_fifo(), "what is written takes the place of a file alone"
    with pytest.raises(ConfigError, match="expected --model with one of churn, got 'other'"):
        run("build", *config, *data, "-o", folder / "r.gz", "--model", "other")
    with pytest.raises(DriftgaugeError, match="expected a data file"):
        run("build", *config, "--data", folder / "none.csv", "-o", folder / "r.gz")
    for words in (["--hours", "-1"], ["--hours", "x"], ["--from", "yesterday"], ["--max-spool-mb", "-4"]):
        with pytest.raises(SystemExit) as stopped:
            run("learn", *config, "-o", folder / "r.gz", *words)
        assert stopped.value.code == 2


def test_of_many_segments_five_are_shown_and_where_the_rest_is(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = CONFIG.replace(
        "segments: {columns: {country: country}, groupings: [[country]]}",
        "segments: {columns: {country: country, plan: features.plan}, groupings: [[country, plan]]}",
    )
    (tmp_path / "config.yaml").write_text(config)
    out = tmp_path / "many.gz"
    assert run("build", "-c", tmp_path / "config.yaml", "--data", folder / "predictions.ndjson", "-o", out) == 0
    capsys.readouterr()
    assert run("show", out, "--json") == 0
    every = [key for key in json.loads(capsys.readouterr().out)["segments"] if key != "ALL"]
    assert run("show", out) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"country x plan: {len(every)} segments: ")
    assert last.endswith(f", {len(every) - 5} more (--json names all)")
    assert sum(key in last for key in every) == 5
