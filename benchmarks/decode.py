"""What decoding costs: messages of 600 bytes with 20 features to columns, beside the bare parsers.

    python benchmarks/decode.py [--events 20000] [--nulls 0.0]

CPU time, and of each batch the best of many runs in turn: on a shared machine that is the one least disturbed.
``events`` makes such messages for other benchmarks too.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from monitor.batch import RawBatch
from monitor.config.model import ModelConfig
from monitor.decode import Decoder
from monitor.decode.mapping import tree_of, uses_of
from monitor.decode.shape import shape_of

NUMERIC = tuple(f"numeric_{i:02d}" for i in range(15))
CATEGORICAL = tuple(f"category_{i}" for i in range(5))
CATEGORIES = tuple(sorted(("economy", "business", "leisure", "group", "crew", "unknown")))
POLL = 5_000
ALONE = "typed decode alone (msgspec)"
VOCABULARY = dict.fromkeys(CATEGORICAL, CATEGORIES)


def model() -> ModelConfig:
    """Two segment columns, text ids, times in milliseconds."""
    return ModelConfig.model_validate(
        {
            "name": "benchmark",
            "predictions": {
                "topic": "predictions",
                "id": "id",
                "time": {"path": "ts", "unit": "ms"},
                "model_version": "model.version",
                "score": "prediction.score",
            },
            "features": [
                *({"name": name, "type": "numeric", "path": f"features.{name}"} for name in NUMERIC),
                *({"name": name, "type": "categorical", "path": f"features.{name}"} for name in CATEGORICAL),
            ],
            "segments": {"columns": {"country": "context.country", "device": "context.device"}},
        }
    )


def events(count: int, seed: int = 0, nulls: float = 0.0, start_ms: int = 1_700_000_000_000) -> list[bytes]:
    """Messages a second of event time apart for each thousand; ``nulls`` is the share of numeric features that are null."""
    rng = random.Random(seed)
    encode = msgspec.json.Encoder().encode
    made = []
    for i in range(count):
        features: dict[str, object] = {name: None if rng.random() < nulls else round(rng.gauss(100.0, 20.0), 3) for name in NUMERIC}
        features |= {name: rng.choice(CATEGORIES) for name in CATEGORICAL}
        event = {
            "id": f"{rng.getrandbits(64):016x}",
            "ts": start_ms + i,
            "model": {"name": "benchmark", "version": "3"},
            "context": {"country": rng.choice(("DE", "FR", "GB", "US")), "device": rng.choice(("android", "ios", "web"))},
            "features": features,
            "prediction": {"score": rng.random()},
        }
        made.append(encode(event))
    return made


def best_us(actions: dict[str, Callable[[RawBatch], object]], raws: Sequence[RawBatch], repeat: int) -> dict[str, float]:
    """Microseconds of CPU for each event, per action; the actions take turns, and of each batch the best run counts."""
    best = {name: [float("inf")] * len(raws) for name in actions}
    for _ in range(repeat):
        for index, raw in enumerate(raws):
            for name, action in actions.items():
                begin = time.process_time()
                action(raw)
                best[name][index] = min(best[name][index], time.process_time() - begin)
    return {name: sum(seconds) / sum(map(len, raws)) * 1e6 for name, seconds in best.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--nulls", type=float, default=0.0)
    parser.add_argument("--repeat", type=int, default=30)
    chosen = parser.parse_args()
    messages = events(chosen.events, nulls=chosen.nulls)
    raws = [_raw(messages[i : i + POLL], i) for i in range(0, len(messages), POLL)]
    decoder = Decoder(model(), VOCABULARY)
    typed = msgspec.json.Decoder(shape_of(tree_of(uses_of(model())), VOCABULARY).struct).decode
    actions: dict[str, Callable[[RawBatch], object]] = {
        ALONE: lambda raw: _each(typed, raw.values),
        "decode to columns": lambda raw: decoder.decode([raw]),
    }
    try:
        import orjson

        actions["orjson.loads"] = lambda raw: _each(orjson.loads, raw.values)
    except ImportError:
        print("orjson is not installed: its row is left out")
    gc.freeze()
    taken = best_us(actions, raws, chosen.repeat)
    print(f"{np.mean([len(message) for message in messages]):.0f} bytes, {len(messages)} events, nulls {chosen.nulls:.0%}")
    for name, us in taken.items():
        print(f"{name:32s} {us:7.3f} us/event {us / taken[ALONE]:6.2f} x")


def _raw(values: Sequence[bytes], start: int) -> RawBatch:
    n = len(values)
    return RawBatch("predictions", 0, values, np.arange(start, start + n), np.full(n, 1_800_000_000_000, np.int64))


def _each(function: Callable[[bytes], object], messages: Sequence[bytes | None]) -> None:
    for start in range(0, len(messages), 1_000):
        list(map(function, messages[start : start + 1_000]))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
