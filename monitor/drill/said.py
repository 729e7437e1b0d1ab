"""What came of a drill in words, as JSON for whoever started it, and as what is shown of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from monitor.drill.caught import Catch, Drilled
from monitor.drill.drill import Drilling
from monitor.expose.snapshot import DrillView
from monitor.expose.text import clock, iso, span
from monitor.replay.said import KINDS, printable


def lines(drilling: Drilling) -> Iterator[str]:
    """Whether and how fast each drift would have been caught, for a terminal."""
    for note in (*drilling.notes, *drilling.left_out):
        yield f"note: {printable(note)}"
    told = ""
    for each in drilling.drills:
        head = f"{each.model}: drift planted at {clock(each.start_ms)} (event time, UTC), traffic to {clock(each.end_ms)}"
        if head != told:
            told = head
            yield f"{head}, {each.events:,} predictions"
        yield f"  {printable(_planted(each))}"
        if each.first is None:
            yield "      MISSED: nothing was said that is not said without it"
        if each.restless:
            which = "1 stream is beyond its threshold" if each.restless == 1 else f"{each.restless:,} streams are beyond their thresholds"
            yield f"      {which} without it too, and cannot catch it"
        for catch in each.catches:
            yield f"      {printable(_catch(catch))}"


def _planted(each: Drilled) -> str:
    where = "labels" if not each.signal else each.signal if each.segment == "ALL" else f"{each.signal} in {each.segment}"
    return f"{each.drift} ({where})"


def _catch(catch: Catch) -> str:
    kind = "TRIGGER" if catch.kind == "trigger" else KINDS.get(catch.kind, catch.kind)
    after = f"after {catch.delay_events:,} predictions, {span(catch.delay_ms)}"
    return f"{kind} {catch.by.replace('_', ' ')}: {catch.signal} of {catch.segment}, {after}"


def views(drills: Sequence[Drilled]) -> tuple[DrillView, ...]:
    """What is shown."""
    return tuple(
        DrillView(
            model=each.model,
            drift=each.drift,
            caught=each.first is not None,
            triggered=each.trigger is not None,
            events=each.events,
            delay_events=None if each.first is None else each.first.delay_events,
            delay_ms=None if each.first is None else each.first.delay_ms,
        )
        for each in drills
    )


def as_json(drillings: Sequence[Drilling]) -> bytes:
    """Everything, as one JSON object. ``shown`` is what ``shown_of`` reads."""
    drills = [each for drilling in drillings for each in drilling.drills]
    answer = {
        "missed": [f"{each.model}/{each.drift}" for each in drills if each.first is None],
        "drills": [_fields(each) for each in drills],
        "left_out": [text for drilling in drillings for text in drilling.left_out],
        "notes": [text for drilling in drillings for text in drilling.notes],
        "shown": views(drills),
    }
    return msgspec.json.encode(answer) + b"\n"


def _fields(each: Drilled) -> dict[str, Any]:
    return {
        "model": each.model,
        "drift": each.drift,
        "signal": each.signal or "label",
        "segment": each.segment,
        "planted": iso(each.start_ms),
        "until": iso(each.end_ms),
        "predictions": each.events,
        "restless_streams": each.restless,
        "caught": each.first is not None,
        "catches": [
            {
                "kind": catch.kind,
                "by": catch.by,
                "segment": catch.segment,
                "signal": catch.signal,
                "time": iso(catch.time_ms),
                "delay_seconds": catch.delay_ms / 1000,
                "delay_predictions": catch.delay_events,
            }
            for catch in each.catches
        ],
    }


class _Answer(msgspec.Struct):
    shown: tuple[DrillView, ...]


def shown_of(answer: bytes) -> tuple[DrillView, ...]:
    """What is shown, from the JSON of a drill. Raises ``ValueError`` for anything else."""
    return msgspec.json.decode(answer, type=_Answer).shown
