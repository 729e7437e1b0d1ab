"""From the runs to their summary in benchmarks/results.json, and from that to the tables of docs/detection.md."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.detection.null import promised_warnings
from benchmarks.detection.peer import DETECTORS
from benchmarks.detection.scenario import NULLS, SCENARIOS

Row = dict[str, Any]
Summary = Mapping[str, Any]

ROOT = Path(__file__).parents[2]
PAGE, RESULTS = ROOT / "docs" / "detection.md", ROOT / "benchmarks" / "results.json"
BEGIN, END = "<!-- bench: begin {} -->", "<!-- bench: end {} -->"
COST_WANTED_US = 5.0  # of CPU per stream and evidence pane
PEER_NULLS = ("nothing", "cycle", "sessions")
_LATE = 10**9  # of a run without an alarm


def write(rows: list[Row]) -> None:
    """Put the summary into benchmarks/results.json, beside what other benches have there, and the tables into the page."""
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    results |= summary(rows)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    PAGE.write_text(into(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")


def into(page: str, results: Summary) -> str:
    """The page with the tables of ``results`` between its marks. Raises ``ValueError`` for a page without them."""
    for name, lines in _parts(results).items():
        begin, end = BEGIN.format(name), END.format(name)
        if page.count(begin) != 1 or page.count(end) != 1:
            raise ValueError(
                f"expected the marks {begin} and {end} once each in docs/detection.md, got {page.count(begin)}, {page.count(end)}"
            )
        page = page[: page.index(begin) + len(begin)] + "\n" + "\n".join(lines) + "\n" + page[page.index(end) :]
    return page


def tables(results: Summary) -> str:
    """All of them, to be read in a terminal."""
    return "\n\n".join("\n".join(lines) for lines in _parts(results).values())


def _parts(results: Summary) -> dict[str, list[str]]:
    found = results["detection"]
    return {
        "delays": _delays(found["delays"]), "variants": _variants(found["delays"]), "nulls": _nulls(found["false_triggers"]),
        "peers": _peers(found), "cost": _cost(results),
    }  # fmt: skip


# --- from runs to figures --------------------------------------------------------------------------------------------------------


def summary(rows: list[Row]) -> dict[str, Any]:
    """Every figure of the page, under the keys that it has in benchmarks/results.json."""
    costs = [row for row in rows if row["part"] == "cost"]
    found = {name: value for name, value in costs[-1].items() if name != "part"} if costs else {}
    delays = ((scenario.name, _figures(rows, scenario.name)) for scenario in SCENARIOS)
    nulls = ((name, _null(rows, name)) for name in NULLS)
    peers = ((detector, _peer(rows, detector)) for detector in DETECTORS)
    return found | {
        "detection": {
            "delays": {name: figures for name, figures in delays if figures},
            "false_triggers": {name: figures for name, figures in nulls if figures},
            "peers": {name: figures for name, figures in peers if figures},
        }
    }


def _middle(values: Iterable[float | None]) -> float | None:
    """Median, where None is later than every number; None when that is in the middle."""
    found = median(_LATE if value is None else value for value in values)
    return found if found < _LATE / 2 else None


def _figures(rows: list[Row], scenario: str) -> dict[str, Any]:
    mine = [row for row in rows if row["part"] == "delay" and row["scenario"] == scenario]
    if not mine:
        return {}
    bounds = {row["variant"]: row for row in rows if row["part"] == "bound" and row["scenario"] == scenario}
    tenths = quantiles([_LATE if row["events"] is None else row["events"] for row in mine], n=10, method="inclusive")
    found = [row for row in mine if row["events"] is not None]
    variants: dict[str, dict[str, float | None]] = {}
    for name in dict.fromkeys(row["variant"] for row in mine):
        own = [row for row in mine if row["variant"] == name]
        bound = bounds.get(name, {})
        variants[name] = {
            "median": _middle(row["events"] for row in own),
            "oracle": bound.get("oracle"),
            "first_order": _rounded(bound.get("first_order")),
            "warned": _middle(row.get("warned") for row in own),
        }

    def of_variants(figure: str) -> float | None:
        return _middle(variant[figure] for variant in variants.values())

    return {
        "wanted": next(s.wanted for s in SCENARIOS if s.name == scenario),
        **{figure: of_variants(figure) for figure in ("median", "oracle", "first_order", "warned")},
        "ninth_tenth": _rounded(tenths[8]) if tenths[8] < _LATE / 2 else None,
        "named": round(sum(row["named"] for row in found) / len(mine), 3),
        "start_error": median(abs(row["start"]) for row in found) if found else None,
        "false": sum(row["false"] for row in mine),
        "runs": len(mine),
        "variants": variants,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _null(rows: list[Row], name: str) -> dict[str, Any]:
    mine = [row for row in rows if row["part"] == "null" and row["null"] == name]
    if not mine:
        return {}
    events = sum(row["events"] for row in mine)
    return {
        "events": events,
        "references": len(mine),
        "triggers": sum(len(row["triggers"]) for row in mine),
        "warnings": sum(row["warnings"] for row in mine),
        "warnings_allowed": round(promised_warnings(events), 1),
        "highest": float(f"{10 ** max(row['highest'] for row in mine):.2g}"),
    }


def _peer(rows: list[Row], detector: str) -> dict[str, Any]:
    mine = [row for row in rows if row["part"] == "peer" and row["detector"] == detector]
    rates = {name: [row["per_million"] for row in mine if row["stream"] == name] for name in PEER_NULLS}
    delays: dict[str, float | None] = {}
    for scenario in SCENARIOS:
        runs = [row["delays"] for row in mine if row["stream"] == scenario.name]
        if runs:
            delays[scenario.name] = _middle(_middle(variant) for variant in zip(*runs, strict=True))
    per_million = {name: round(sum(found) / len(found)) for name, found in rates.items() if found}
    return {"per_million": per_million, "delays": delays} if mine else {}


# --- from figures to tables ------------------------------------------------------------------------------------------------------


def _table(head: Sequence[str], lines: Sequence[Sequence[str]], texts: bool = False) -> list[str]:
    rule = ["---"] + [("---" if texts else "---:")] * (len(head) - 1)
    return ["| " + " | ".join(line) + " |" for line in (head, rule, *lines)]


def _whole(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _delays(found: Summary) -> list[str]:
    lines = []
    for scenario in SCENARIOS:
        f = found.get(scenario.name)
        if f:
            met = f["median"] is not None and f["median"] <= f["wanted"]
            measured = _whole(f["median"]) if met else f"**{_whole(f['median'])}**"
            lines.append(
                [
                    scenario.title, _whole(f["wanted"]), measured, _whole(f["oracle"]), _whole(f["first_order"]), _whole(f["ninth_tenth"]),
                    _whole(f["warned"]), f"{f['named']:.0%}", _whole(f["start_error"]), str(f["false"]), str(f["runs"]),
                ]
            )  # fmt: skip
    head = ["change", "wanted", "trigger", "oracle", "log c / KL", "9 of 10 by", "warning", "named", "start off by", "false", "runs"]
    return _table(head, lines)


def _variants(found: Summary) -> list[str]:
    lines = []
    for scenario in SCENARIOS:
        variants = found.get(scenario.name, {}).get("variants", {})
        if variants:
            cells = [f"{name} {_whole(f['median'])} ({_whole(f['oracle'])})" for name, f in variants.items()]
            lines.append([scenario.title, "; ".join(cells)])
    return _table(["change", "median delay by variant, the oracle's in brackets"], lines, texts=True)


def _nulls(found: Summary) -> list[str]:
    lines = []
    for name, title in NULLS.items():
        f = found.get(name)
        if f:
            counts = [str(f["references"]), str(f["triggers"]), str(f["warnings"]), _whole(f["warnings_allowed"])]
            lines.append([title, f"{f['events'] / 1e6:,.1f} M", *counts, f"{f['highest']:.2g}"])
    return _table(["null", "events", "references", "false triggers", "warnings", "allowed", "highest M / c"], lines)


def _peers(found: Summary) -> list[str]:
    """Changes down, detectors across, and the false alarms above them."""
    peers = found["peers"]
    nulls = {name: f["triggers"] / f["events"] * 1e6 for name, f in found["false_triggers"].items()}
    ours = {"per_million": nulls, "delays": {name: f["median"] for name, f in found["delays"].items()}}
    columns = {"driftgauge": ours, **peers}
    lines = []
    for name in PEER_NULLS:
        rates = (column["per_million"].get(name) for column in columns.values())
        lines.append([f"false alarms in 10^6 events: {name}", *("–" if rate is None else f"{rate:,.0f}" for rate in rates)])
    for scenario in SCENARIOS:
        lines.append([scenario.title, *(_whole(column["delays"].get(scenario.name)) for column in columns.values())])
    return _table(["", *columns], lines)


def _cost(results: Summary) -> list[str]:
    if "detector_us_per_stream_pane" not in results:
        return []
    return [
        f"{results['detector_us_per_stream_pane']} µs of CPU per stream and pane (wanted: {COST_WANTED_US:g}) with "
        f"{results['detector_streams']} streams, {results['detector_doubles_per_stream']} doubles of state each at most."
    ]
