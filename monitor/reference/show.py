"""A reference as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from monitor.config.types import format_duration
from monitor.reference.reference import Reference
from monitor.reference.summary import segments_of, summarize
from monitor.segment import shown_category

_SHOWN_SEGMENTS = 5


def show(reference: Reference) -> str:
    """The reference on about a screen: identity, extent, a line for each signal and each grouping."""
    return "\n".join(_lines(reference, summarize(reference))) + "\n"


def _lines(reference: Reference, facts: dict[str, Any]) -> Iterator[str]:
    yield f"model        {facts['model']}, version {facts['model_version']}"
    yield f"dataset      {facts['dataset_version'] or 'no version given'}"
    yield f"pipeline     {facts['pipeline_version'] or 'no version given'}"
    span = "" if facts["start"] is None else f", {facts['start']} to {facts['end']}"
    yield f"rows         {facts['rows']:,}{span}"
    season = facts["season"]
    yield f"season       {season if season == 'unknown' else season + _plural(facts['season_segments'], ' segment', ', ')}"
    lengths = facts["block_lengths_ms"]
    yield f"clustering   {'measured in blocks of ' + ', '.join(map(format_duration, lengths)) if lengths else 'not measured'}"
    yield f"labels       {_labels(facts['labels'])}"
    yield f"fingerprint  {facts['fingerprint']}"
    yield ""
    width = max(len(signal["name"]) for signal in facts["signals"])
    for signal in facts["signals"]:
        yield f"{signal['name']:<{width}}  {signal['type']:<11}  {_faults(signal)}  {_values(signal)}"
    yield ""
    for grouping in ((), *reference.groupings):
        segments = segments_of(reference, tuple(grouping))
        largest = ", ".join(f"{key} {rows:,}" for key, rows in segments[:_SHOWN_SEGMENTS])
        more = f", {len(segments) - _SHOWN_SEGMENTS} more (--json names all)" if len(segments) > _SHOWN_SEGMENTS else ""
        yield f"{' x '.join(grouping) or 'all traffic'}: {_plural(len(segments), 'segment')}: {largest}{more}"


def _plural(number: int, noun: str, before: str = "") -> str:
    return f"{before}{number:,} {noun.strip()}{'' if number == 1 else 's'}"


def _faults(signal: dict[str, Any]) -> str:
    parts = [f"missing {_percent(signal['missing'])}"]
    for name in ("invalid", "non_finite", "out_of_range"):
        if signal[name]:
            parts.append(f"{name.replace('_', ' ')} {_percent(signal[name])}")
    return ", ".join(parts)


def _percent(share: float) -> str:
    return f"{share:.2%}" if share else "0 %"


def _values(signal: dict[str, Any]) -> str:
    if signal["type"] == "categorical":
        most = list(signal["top"].items())[:_SHOWN_SEGMENTS]
        top = ", ".join(f"{shown_category(name)} {_percent(share)}" for name, share in most)
        return f"{_plural(signal['categories'], 'value')}: {top}" if top else "no values"
    if signal["mean"] is None:
        return "no values"
    quantiles = "  ".join(f"{float(q):.0%}: {value:.5g}" for q, value in signal["quantiles"].items() if value is not None)
    return f"{quantiles}  mean {signal['mean']:.5g}" + ("" if signal["std"] is None else f"  sd {signal['std']:.5g}")


def _labels(labels: dict[str, Any] | None) -> str:
    if labels is None:
        return "none"
    figures = ", ".join(f"{name} {value:.4g}" for name, value in labels["performance"].items() if value is not None)
    return f"{labels['rows']:,} rows: {figures}"
