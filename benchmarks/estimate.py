"""Accuracy without labels in thirteen scenarios, over many seeds: the error table alone (binned CBPE) and the rectified estimate.

    python -m benchmarks.estimate [--seeds 60] [--minutes 30] [--again]

50,000 predictions a day; labels come after a lognormal delay with a median of 10,000 events; 100,000 validation rows; see
``tests/estimate/world.py``. At event 80,000 one thing changes. Judged are windows of the newest 10,000 and 50,000 predictions at four
times from 40,000 events after the change on, and the newest 10,000 in the hard moments right after it.

"bound" is the mean absolute error of whoever knows what changed and when, and the truth up to one level shared by all predictions, which
must be learnt from the labels since the change (or, where P(wrong | score, segment) did not change, also from the validation rows). In
the hard moments it is at least what two hypotheses "nothing changed" and "it changed" leave to be confused: gap x Phi(-d/2), d their
distance in standard deviations (Le Cam's two-point bound).

A seed takes 13 seconds of CPU. What is measured is kept as it comes (benchmarks/.cache/estimate.jsonl) and not measured again by the same
code, so a run may be cut short and gone on with. Prints two tables over the seeds that are whole; puts them under ``estimate`` in
benchmarks/results.json and into docs/labels.md.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import hashlib
import json
import math
import sys
import time
from pathlib import Path

from benchmarks.estimate_streams import measure_seed
from benchmarks.estimate_table import into, summaries, table
from tests.estimate.world import SCENARIOS

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results.json"
PARTS = ROOT / "benchmarks" / ".cache" / "estimate.jsonl"
PAGE = ROOT / "docs" / "labels.md"
STREAMS = ROOT / "benchmarks" / "estimate_streams.py"


def fingerprint() -> str:
    """Of all code that the figures depend on; words in it do not matter."""
    paths = [*sorted((ROOT / "monitor" / "estimate").glob("*.py")), ROOT / "tests" / "estimate" / "world.py", STREAMS]
    return hashlib.sha256("".join(ast.dump(_wordless(path)) for path in paths).encode()).hexdigest()[:16]


def _wordless(path: Path) -> ast.Module:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            del node.body[0]
    return tree


def kept(path: Path, code: str) -> dict[tuple[str, int], list[dict[str, float]]]:
    """What this code measured before, by scenario and seed. A last line that was cut short is left out."""
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        with contextlib.suppress(json.JSONDecodeError):
            part = json.loads(line)
            if part["code"] == code:
                found[part["scenario"], part["seed"]] = part["records"]
    return found


def measure(path: Path, seeds: int, minutes: float) -> dict[tuple[str, int], list[dict[str, float]]]:
    """Measure what is not kept yet, seed by seed, for so long."""
    code, end = fingerprint(), time.monotonic() + 60 * minutes
    found = kept(path, code)
    path.parent.mkdir(parents=True, exist_ok=True)
    cut_short = path.exists() and not path.read_bytes().endswith(b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" if cut_short else "")
        for seed in range(seeds):
            left = [scenario for scenario in SCENARIOS if (scenario.name, seed) not in found]
            for scenario in left:
                if time.monotonic() > end:
                    return found
                records = found[scenario.name, seed] = measure_seed(scenario, seed)
                part = {"code": code, "scenario": scenario.name, "seed": seed, "records": records}
                file.write(json.dumps(part, default=float) + "\n")
                file.flush()
            if left:
                print(f"seed {seed}: done", file=sys.stderr, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop then, with the seeds that are whole")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    asked = parser.parse_args()
    if asked.again:
        PARTS.unlink(missing_ok=True)
    found = summaries(measure(PARTS, asked.seeds, asked.minutes), asked.seeds, [scenario.name for scenario in SCENARIOS])
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps({**results, "estimate": found}, indent=2) + "\n", encoding="utf-8")
    PAGE.write_text(into(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    main()
