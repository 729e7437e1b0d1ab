"""What each column of a sample probably is: id, time, score, feature, segment. Every choice comes with its reason."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from monitor.init.column import FEW_VALUES, MAX_CATEGORIES, Chosen, Column, shown, words_of
from monitor.init.names import (
    CLASS_WORDS,
    CODE_WORDS,
    TIME_WORDS,
    is_confidence,
    is_constant,
    is_named_id,
    is_named_score,
    is_nearly_unique,
    is_output,
    is_time_of_truth,
    is_truth,
)
from monitor.init.segments import segments

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/-]{0,99}")
"""What a model may be called."""

_PROBABILITY = re.compile(r"^(?:p|prob|proba|probability)_")
_CONTAINERS = {"features", "feature", "inputs", "input", "instance", "instances", "x"}
# Seconds from 2001 to 2100: numbers of that size are times and little else.
_FIRST_S, _LAST_S = 978_307_200, 4_102_444_800
_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


@dataclass(eq=False)
class Roles:
    """All columns of a sample by role; each is in ``features`` or ``left_out`` at most once."""

    rows: int
    model: str | None = None  # the model's name, where all events say the same
    id: Chosen | None = None
    time: Chosen | None = None
    version: Chosen | None = None
    score: Chosen | None = None
    predicted_class: Chosen | None = None
    probabilities: dict[str, Column] = field(default_factory=dict)  # of each predicted class, where all of them have one
    truth: Chosen | None = None  # the true outcome, which training rows hold; left out too
    segments: list[Chosen] = field(default_factory=list)
    other_segments: list[Chosen] = field(default_factory=list)  # columns that could be segments too
    features: list[Chosen] = field(default_factory=list)
    left_out: list[Chosen] = field(default_factory=list)


def assign(columns: Sequence[Column], rows: int, label: str | None = None, classes: frozenset[str] = frozenset()) -> Roles:
    """Give every column of a sample of ``rows`` rows its role.

    ``label``: the name of the truth in the label events; ``classes``: its values, where they are few texts.
    """
    roles = Roles(rows)
    taken: set[str] = set()

    def take(chosen: Chosen | None) -> Chosen | None:
        if chosen is not None:
            taken.add(chosen.column.path)
        return chosen

    def free() -> list[Column]:
        return [column for column in columns if column.path not in taken]

    roles.model = _model(columns)
    roles.time = take(time_of([column for column in free() if not is_time_of_truth(column)]) or time_of(free()))
    roles.id = take(_id(free(), rows))
    roles.version = take(_version(free()))
    inside = [column for column in columns if _in_container(column)]
    outside = [column for column in free() if column not in inside]
    roles.score = take(_score(outside))
    roles.predicted_class = take(_predicted_class([column for column in outside if column.path not in taken], roles.score, classes))
    said = None if roles.predicted_class is None else roles.predicted_class.column
    if roles.score is None and said is not None:
        sure = [column for column in outside if column.path not in taken and is_confidence(column, said)]
        roles.score = take(Chosen(sure[0], "the confidence in the predicted class, between 0 and 1", "probability") if sure else None)
    roles.probabilities = {} if said is None else _probabilities([c for c in outside if c.path not in taken], said)
    taken |= {column.path for column in roles.probabilities.values()}
    truths = {column.path for column in free() if is_truth(column, label) or (said is not None and _says_the_same(column, said))}
    for column in free():
        chosen, is_feature = _feature(column, rows, not inside or column in inside, label)
        if is_feature and column.path in truths:
            chosen, is_feature = (
                Chosen(column, "has the values of the predicted class: the true outcome, which is no input?", chosen.detail),
                False,
            )
        if roles.truth is None and column.path in truths:
            roles.truth = chosen
        (roles.features if is_feature else roles.left_out).append(chosen)
    # An event of which nothing looks like an input still has to give a configuration that runs.
    if not roles.features and roles.left_out:
        typed = [chosen for chosen in roles.left_out if chosen.detail]
        usable = [chosen for chosen in typed if chosen is not roles.truth] or typed or roles.left_out[:1]
        roles.features = [Chosen(c.column, c.why, c.detail or "categorical string") for c in usable]
        roles.left_out = [chosen for chosen in roles.left_out if chosen not in usable]
    if not roles.features:
        roles.features = [Chosen(columns[0], "no other column: an input is needed", _type(columns[0]) or "categorical string")]
    roles.segments, roles.other_segments = segments([column for column in free() if column.path not in truths], rows)
    return roles


def _in_container(column: Column) -> bool:
    return any(key.lower() in _CONTAINERS for key in column.keys[:-1]) or (
        column.path.endswith("]") and column.keys[-1].lower() in _CONTAINERS
    )


def time_unit(column: Column) -> str | None:
    """``iso8601``, or the unit since 1970 in which all numbers are plausible; None when the values are no times."""
    if column.kind == "time" or (column.kind == "text" and all(_is_time(value) for value in column.values)):
        return "iso8601"
    if column.kind in ("integer", "number"):
        for unit, factor in _UNITS.items():
            if all(_FIRST_S * factor <= value < _LAST_S * factor for value in column.values):
                return unit
    return None


def _is_time(text: object) -> bool:
    if isinstance(text, date):
        return True
    try:
        datetime.fromisoformat(str(text))
    except ValueError:
        return False
    # Bare digits such as 20130101 are read as a date too, but may be anything.
    return not str(text).isdigit()


def time_of(columns: Sequence[Column]) -> Chosen | None:
    """The column that is most likely the time of the event, with its unit as detail."""
    found = [(column, unit) for column in columns if (unit := time_unit(column))]
    found.sort(key=lambda pair: (not pair[0].words & TIME_WORDS, len(pair[0].keys)))
    if not found:
        return None
    column, unit = found[0]
    shape = "text like a date" if unit == "iso8601" else f"of the size of {unit} since 1970"
    others = [other.path for other, _ in found[1:4]]
    more = f"; others that look like a time: {', '.join(others)}" if others else ""
    return Chosen(column, f"all values are {shape}, such as {shown(column)}{more}", unit)


def _id(columns: Sequence[Column], rows: int) -> Chosen | None:
    unique = [
        column
        for column in columns
        if is_nearly_unique(column, rows) and (column.kind == "text" or (column.kind == "integer" and is_named_id(column)))
    ]
    unique.sort(
        key=lambda column: (not is_named_id(column), _in_container(column), -column.distinct, len(column.keys), column.kind != "text")
    )
    if not unique:
        return None
    column = unique[0]
    if column.distinct == rows:
        return Chosen(column, f"different in each of {rows:,} rows, such as {shown(column)}")
    repeated, missing = len(column.values) - column.distinct, rows - len(column.values)
    told = [f"{repeated:,} repeat one, as deliveries may"] * bool(repeated) + [f"{missing:,} have none"] * bool(missing)
    return Chosen(column, f"{column.distinct:,} different in {rows:,} rows ({', '.join(told)}), such as {shown(column)}")


def _model(columns: Sequence[Column]) -> str | None:
    for column in columns:
        words = words_of("_".join(column.keys[-2:]))
        if words in (["model"], ["model", "name"]) and column.kind == "text" and column.distinct == 1 and NAME.fullmatch(column.values[0]):
            return str(column.values[0])
    return None


def _version(columns: Sequence[Column]) -> Chosen | None:
    named = [column for column in columns if "version" in column.words and column.values and column.kind in ("text", "integer")]
    named.sort(key=lambda column: ("model" not in " ".join(column.keys).lower(), len(column.keys)))
    if not named:
        return None
    return Chosen(named[0], f"named like a version, {named[0].distinct} different in the sample, such as {shown(named[0])}")


def _score(columns: Sequence[Column]) -> Chosen | None:
    named = [column for column in columns if column.kind in ("number", "integer") and is_named_score(column)]
    named = [column for column in named if column.kind == "number" or column.distinct > 20]
    named.sort(key=lambda column: (not _within_unit(column), not is_output(column), column.kind != "number", len(column.keys)))
    if not named:
        return None
    if _within_unit(named[0]):
        return Chosen(named[0], "named like a score, and all values lie between 0 and 1", "probability")
    return Chosen(named[0], f"named like a prediction, values from {min(named[0].values):g} to {max(named[0].values):g}")


def _within_unit(column: Column) -> bool:
    return all(0 <= value <= 1 for value in column.values)


def _says_the_same(column: Column, said: Column) -> bool:
    return column.kind == said.kind == "text" and column.distinct > 1 and set(column.values) == set(said.values)


def _probabilities(columns: Sequence[Column], said: Column) -> dict[str, Column]:
    """The column of each class's probability: one named like it, as ``barolo`` under ``probabilities``, or ``p_barolo``."""
    classes = sorted(set(said.values)) if said.kind == "text" and 3 <= said.distinct <= FEW_VALUES else []
    inside = [column for column in columns if column.kind in ("number", "integer") and _within_unit(column)]
    found: dict[str, Column] = {}
    for name in classes:
        named = [column for column in inside if column.name == name or _PROBABILITY.sub("", column.name.lower()) == name.lower()]
        if len(named) == 1:
            found[name] = named[0]
    return found if len(found) == len(classes) else {}


def _predicted_class(columns: Sequence[Column], score: Chosen | None, classes: frozenset[str]) -> Chosen | None:
    found = []
    for column in columns:
        beside = score is not None and len(column.keys) > 1 and column.keys[:-1] == score.column.keys[:-1]
        predicted = beside or is_output(column) or bool(column.words & {"predicted", "prediction", "pred", "decision"})
        few = column.kind in ("text", "integer", "boolean") and column.distinct <= MAX_CATEGORIES
        if predicted and few and column.words & CLASS_WORDS:
            found.append(column)
    if not found:
        alike = [column for column in columns if column.kind == "text" and column.distinct > 1 and set(column.values) <= classes]
        return Chosen(alike[0], f"its {alike[0].distinct} values are labels too") if alike else None
    return Chosen(found[0], f"named like a predicted class, {found[0].distinct} different in the sample")


def _feature(column: Column, rows: int, expected: bool, label: str | None) -> tuple[Chosen, bool]:
    """A column as a feature, with its type as detail, and whether it should be one."""
    kind, doubt = _type(column), _doubt(column, rows, expected, label)
    if doubt is not None:
        return Chosen(column, doubt, kind), False
    missing, others = rows - column.present, column.present - len(column.values)
    why = f"missing in {missing / rows:.1%} of the sample" if missing else "never missing in the sample"
    why += f", {others:,} of another type" if others else ""
    distinct = column.distinct
    if column.kind in ("integer", "number"):
        why += f", from {min(column.values):.10g} to {max(column.values):.10g}"
        if column.kind == "integer" and distinct <= FEW_VALUES:
            why += f"; {distinct} different: a number or a code?"
    elif column.kind == "text":
        why += f", {distinct} different"
    return Chosen(column, why, kind), True


def _doubt(column: Column, rows: int, expected: bool, label: str | None) -> str | None:
    """Why a column should be no feature; None when it may be one."""
    distinct = column.distinct
    kinds = ", ".join(f"{kind} {len(values):,}" for kind, values in sorted(column.of_kind.items()))
    # A text is a category when values come again.
    free_text = column.kind == "text" and (distinct > MAX_CATEGORIES or distinct > max(len(column.values) // 2, 2))
    doubts = (
        (not column.values, "no value in the sample"),
        (is_truth(column, label), "named like the true outcome, which is no input"),
        (not expected, "stands beside the features"),
        (is_constant(column, rows), f"always {shown(column)} in the sample: a constant tells a model nothing"),
        (column.kind == "time" or (column.whole and time_unit(column) is not None), "looks like another time"),
        (column.kind == "mixed", f"values of several types: {kinds}"),
        (free_text, f"{distinct:,} different texts in {len(column.values):,} rows: an id or free text?"),
    )
    return next((why for applies, why in doubts if applies), None)


def _type(column: Column) -> str:
    if column.kind == "integer":
        codes = column.distinct <= 2 or (column.distinct <= FEW_VALUES and bool(column.words & CODE_WORDS))
        return "categorical integer" if codes else "numeric"
    return {"boolean": "categorical boolean", "number": "numeric", "text": "categorical string"}.get(column.kind, "")
