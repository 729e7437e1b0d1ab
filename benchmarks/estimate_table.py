"""What ``benchmarks/estimate.py`` measured, over its seeds: figures, and the tables in docs/labels.md that show them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Records = Sequence[Mapping[str, float]]

BEGIN, END = "<!-- python -m benchmarks.estimate writes this -->", "<!-- until here -->"


def summary(records: Records, seeds: int) -> dict[str, float]:
    """Means over records, those of a seed together. ``mae_se``: standard error of ``mae``, over seeds."""
    column = {name: np.array([record[name] for record in records], float) for name in records[0]}
    by_seed = np.abs(column["error"]).reshape(seeds, -1).mean(axis=1)
    return {
        "windows": len(records),
        "accuracy": round(float(column["truth"].mean()), 2),
        "labelled_share": round(float(column["labelled"].mean()), 3),
        "labelled_since_onset": round(float(column["since_onset"].mean())),
        "table_mae": round(float(np.abs(column["alone"]).mean()), 3),
        "table_coverage": round(float(column["alone_covered"].mean()), 3),
        "mae": round(float(by_seed.mean()), 3),
        "mae_se": round(float(by_seed.std() / max(seeds - 1, 1) ** 0.5), 3),
        "bias": round(float(column["error"].mean()), 3),
        "coverage": round(float(column["covered"].mean()), 3),
        "half_width": round(float(column["half_width"].mean()), 3),
        "bound": round(float(column["bound"].mean()), 3),
    }


def summaries(found: Mapping[tuple[str, int], Records], seeds: int, scenarios: Sequence[str]) -> dict[str, Any]:
    """Both tables, over the seeds below ``seeds`` of which every scenario was measured."""
    whole = [seed for seed in range(seeds) if all((scenario, seed) in found for scenario in scenarios)]
    if not whole:
        raise SystemExit("expected at least one seed of which every scenario was measured, got none: give it more time (--minutes)")
    steady: dict[str, dict[str, Any]] = {}
    hard: dict[str, dict[str, Any]] = {}
    for scenario in scenarios:
        groups: dict[tuple[bool, int], list[Mapping[str, float]]] = defaultdict(list)
        for seed in whole:
            for record in found[scenario, seed]:
                groups[bool(record["hard"]), int(record["since" if record["hard"] else "window"])].append(record)
        for (is_hard, key), records in groups.items():
            (hard if is_hard else steady).setdefault(scenario, {})[str(key)] = summary(records, len(whole))
    return {"seeds": len(whole), "steady": steady, "hard": hard}


def table(found: Mapping[str, Any]) -> str:
    """The tables as Markdown, in points of accuracy."""
    windows = sum(row["windows"] for row in next(iter(found["steady"].values())).values()) // 2
    lines = [
        f"{found['seeds']} worlds of each scenario, {windows} windows a line. In points of accuracy: mean absolute error, and how often",
        "the 95 % interval held the truth.",
        "",
        "| scenario | window | accuracy | scores alone: error, coverage | estimate: error, coverage | half width | bound |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, by_window in found["steady"].items():
        for window, row in by_window.items():
            lines.append(
                f"| {name} | {int(window):,} | {row['accuracy']:.1f} | {row['table_mae']:.2f}, {100 * row['table_coverage']:.0f} % "
                f"| **{row['mae']:.2f}, {100 * row['coverage']:.1f} %** | {row['half_width']:.2f} | {row['bound']:.2f} |"
            )
    lines += [
        "",
        "| right after | events since | labels since | scores alone: error | estimate: error, coverage | half width | bound |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, moments in found["hard"].items():
        for since, row in moments.items():
            lines.append(
                f"| {name} | {int(since):,} | {row['labelled_since_onset']:,} | {row['table_mae']:.2f} "
                f"| {row['mae']:.2f}, {100 * row['coverage']:.0f} % | {row['half_width']:.2f} | {row['bound']:.2f} |"
            )
    return "\n".join(lines)


def into(page: str, found: Mapping[str, Any]) -> str:
    """The page with these tables between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table(found)}\n\n{END}{after}"
