"""The tables of docs/detection.md, from the runs."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.detection.null import promised_warnings
from benchmarks.detection.peer import DETECTORS
from benchmarks.detection.scenario import NULLS, SCENARIOS

Row = dict[str, Any]

ROOT = Path(__file__).parents[2]
DOCS, SUMMARY = ROOT / "docs" / "detection.md", ROOT / "benchmarks" / "results.json"
BEGIN, END = "<!-- bench: begin {} -->", "<!-- bench: end {} -->"
_LATE = 10**9


def write(rows: list[Row]) -> None:
    """Put the tables between their marks in the document, and the summary into benchmarks/results.json."""
    if DOCS.exists():
        text = DOCS.read_text(encoding="utf-8")
        for name, lines in _parts(rows).items():
            begin, end = BEGIN.format(name), END.format(name)
            if begin in text and end in text:
                text = text[: text.index(begin) + len(begin)] + "\n" + "\n".join(lines) + "\n" + text[text.index(end) :]
        DOCS.write_text(text, encoding="utf-8")
    summary = json.loads(SUMMARY.read_text(encoding="utf-8")) if SUMMARY.exists() else {}
    costs = [row for row in rows if row["part"] == "cost"]
    if costs:
        summary |= {name: value for name, value in costs[-1].items() if name != "part"}
    summary["detection"] = {
        "delays": {name: figures for name, figures in ((s.name, _figures(rows, s.name)) for s in SCENARIOS) if figures},
        "false_triggers": {name: figures for name, figures in ((name, _null(rows, name)) for name in NULLS) if figures},
    }
    SUMMARY.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def tables(rows: list[Row]) -> str:
    """All of them, to be read in a terminal."""
    return "\n\n".join("\n".join(lines) for lines in _parts(rows).values())


def _parts(rows: list[Row]) -> dict[str, list[str]]:
    return {"delays": _delays(rows), "variants": _variants(rows), "nulls": _nulls(rows), "peers": _peers(rows), "cost": _cost(rows)}


def _table(head: list[str], lines: list[list[str]]) -> list[str]:
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return ["| " + " | ".join(line) + " |" for line in (head, rule, *lines)]


def _by_variant(rows: list[Row], scenario: str, part: str, figure: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for row in rows:
        if row["part"] == part and row["scenario"] == scenario:
            value = row.get(figure)
            found.setdefault(row["variant"], []).append(_LATE if value is None else value)
    return found


def _medians(rows: list[Row], scenario: str, part: str, figure: str) -> float | None:
    """Median over the variants of the medians over the runs."""
    found = [median(values) for values in _by_variant(rows, scenario, part, figure).values()]
    return median(found) if found and median(found) < _LATE else None


def _figures(rows: list[Row], scenario: str) -> dict[str, Any]:
    mine = [row for row in rows if row["part"] == "delay" and row["scenario"] == scenario]
    if not mine:
        return {}
    delays = sorted(_LATE if row["events"] is None else row["events"] for row in mine)
    tenths = quantiles(delays, n=10, method="inclusive") if len(delays) > 1 else delays * 9
    found = [row for row in mine if row["events"] is not None]
    return {
        "wanted": next(s.wanted for s in SCENARIOS if s.name == scenario),
        "median": _medians(rows, scenario, "delay", "events"),
        "oracle": _medians(rows, scenario, "bound", "oracle"),
        "first_order": _medians(rows, scenario, "bound", "first_order"),
        "ninth_tenth": tenths[8] if tenths[8] < _LATE else None,
        "warned": _medians(rows, scenario, "delay", "warned"),
        "named": sum(row["named"] for row in found) / len(mine),
        "start_error": median(abs(row["start"]) for row in found) if found else None,
        "false": sum(row["false"] for row in mine),
        "runs": len(mine),
    }


def _whole(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _delays(rows: list[Row]) -> list[str]:
    lines = []
    for scenario in SCENARIOS:
        f = _figures(rows, scenario.name)
        if f:
            measured = _whole(f["median"]) + ("" if f["median"] is not None and f["median"] <= f["wanted"] else " **missed**")
            lines.append(
                [
                    scenario.title, _whole(f["wanted"]), measured, _whole(f["oracle"]), _whole(f["first_order"]), _whole(f["ninth_tenth"]),
                    _whole(f["warned"]), f"{f['named']:.0%}", _whole(f["start_error"]), str(f["runs"]),
                ]
            )  # fmt: skip
    head = ["change", "wanted", "trigger", "oracle", "log c / KL", "9 of 10 by", "warning", "named", "start off by", "runs"]
    return _table(head, lines)


def _variants(rows: list[Row]) -> list[str]:
    lines = []
    for scenario in SCENARIOS:
        ours = _by_variant(rows, scenario.name, "delay", "events")
        oracles = _by_variant(rows, scenario.name, "bound", "oracle")
        cells = []
        for name, values in ours.items():
            known = median(oracles[name]) if name in oracles else _LATE
            delay = median(values)
            cells.append(f"{name} {_whole(delay if delay < _LATE else None)} ({_whole(known if known < _LATE else None)})")
        if cells:
            lines.append([scenario.title, "; ".join(cells)])
    return _table(["change", "median delay by variant, the oracle's in brackets"], lines)


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
        "warnings_allowed": promised_warnings(events),
        "highest": max(row["highest"] for row in mine),
    }


def _nulls(rows: list[Row]) -> list[str]:
    lines = []
    for name, title in NULLS.items():
        f = _null(rows, name)
        if f:
            rate = f"{f['triggers'] / f['events'] * 1e6:.2g}"
            counts = [str(f["references"]), str(f["triggers"]), rate, str(f["warnings"]), f"{f['warnings_allowed']:,.0f}"]
            lines.append([title, f"{f['events'] / 1e6:,.1f} M", *counts, f"{10 ** f['highest']:.2g}"])
    head = ["null", "events", "references", "false triggers", "per million", "warnings", "allowed", "highest M / c"]
    return _table(head, lines)


def _peers(rows: list[Row]) -> list[str]:
    nulls = ("nothing", "cycle", "sessions")
    head = ["detector", *(f"{name}: alarms per million" for name in nulls), *(s.name for s in SCENARIOS)]
    ours = [
        "this one, trigger",
        *(f"{f['triggers'] / f['events'] * 1e6:.2g}" if (f := _null(rows, name)) else "–" for name in nulls),
        *(_whole(_medians(rows, s.name, "delay", "events")) for s in SCENARIOS),
    ]
    lines = [ours]
    for detector in DETECTORS:
        mine = [row for row in rows if row["part"] == "peer" and row["detector"] == detector]
        if not mine:
            continue
        cells = [detector]
        for name in nulls:
            rates = [row["per_million"] for row in mine if row["stream"] == name]
            cells.append(f"{sum(rates) / len(rates):,.0f}" if rates else "–")
        for scenario in SCENARIOS:
            delays = [row["delays"] for row in mine if row["stream"] == scenario.name]
            by_variant = [median([_LATE if d is None else d for d in one]) for one in zip(*delays, strict=True)]
            middle = median(by_variant) if by_variant else _LATE
            cells.append(_whole(middle if middle < _LATE else None))
        lines.append(cells)
    return _table(head, lines)


def _cost(rows: list[Row]) -> list[str]:
    costs = [row for row in rows if row["part"] == "cost"]
    if not costs:
        return []
    f = costs[-1]
    return [
        f"{f['detector_us_per_stream_pane']} µs of CPU per stream and pane (wanted: 5) with {f['detector_streams']} streams, "
        f"{f['detector_doubles_per_stream']} doubles of state each at most."
    ]
