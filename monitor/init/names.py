"""Rules by name, and thresholds on values: what a column of a given role is usually called and holds."""

from __future__ import annotations

from monitor.init.column import Column, words_of

ID_WORDS = {"id", "uuid", "guid", "key"}
MIN_DISTINCT_SHARE = 0.98
"""An id differs in nearly all rows: a delivery may be repeated, a row may have none."""

TIME_WORDS = {"time", "timestamp", "ts", "date", "datetime", "at", "when", "day"}
SCORE_WORDS = {"score", "prob", "proba", "probability", "prediction", "predicted", "pred", "yhat", "pd", "likelihood"}
SCORE_NAMES = {"p"}
CONFIDENCE_WORDS = {"confidence", "certainty"}
CLASS_WORDS = {"class", "label", "decision", "predicted", "prediction", "outcome"}
OUTPUT_WORDS = {"output", "outputs", "prediction", "predictions", "response", "result", "answer"}
INPUT_WORDS = {"features", "feature", "inputs", "input", "ext", "external"}
"""A score that stands under one of these is another's: an input."""

TRUTH_NAMES = {"label", "target", "actual", "truth", "y", "outcome"}
_EVENTS = {"defaulted", "churned", "converted", "clicked", "purchased", "repaid", "fraud"}
"""What a model predicts is often called so, and a feature may be too: the truth only with two values."""

SEGMENT_WORDS = {
    "country", "region", "device", "platform", "channel", "carrier", "segment", "tier", "market", "language", "locale",
    "origin", "brand", "store", "tenant", "customer", "plan", "browser", "os", "city", "state", "product",
}  # fmt: skip
# A part of the time is no slice of traffic: each window holds others of them.
CALENDAR_WORDS = {"weekday", "day", "month", "hour", "dow", "year", "quarter", "week", "season"}
CODE_WORDS = {"code", "type", "class", "category", "zip", "id", "flag", "status", "level"}

MIN_CONSTANT_ROWS, _MIN_CONSTANT_SHARE = 20, 0.9
"""From how many rows on one value is no chance."""

FEW_CLASSES = 20
"""A column of a label event with at most so many values may be the truth."""

POSITIVE_WORDS = {"1", "true", "yes", "y", "positive", "pos", "fraud", "bad", "late", "churn", "churned", "spam", "default", "buy"}


def is_named_id(column: Column) -> bool:
    """Whether it is called an id."""
    return bool(column.words & ID_WORDS) or column.name.lower().endswith("id")


def is_nearly_unique(column: Column, rows: int) -> bool:
    """Whether nearly all of ``rows`` rows have a value of their own."""
    return column.distinct >= MIN_DISTINCT_SHARE * rows


def is_truth(column: Column, label: str | None = None) -> bool:
    """Whether it is called like the true outcome; ``label``: what the label events call it."""
    name, many = column.name.lower(), column.kind in ("integer", "number") and column.distinct > FEW_CLASSES
    of_labels = column.name == label and (column.distinct == 2 or many)  # a few codes may be an input beside a number of that name
    return bool(column.values) and (name in TRUTH_NAMES or (column.distinct == 2 and name in _EVENTS) or of_labels)


def is_constant(column: Column, rows: int) -> bool:
    """Whether one value is in nearly all of ``rows`` rows, which are enough to say so."""
    return rows >= MIN_CONSTANT_ROWS and column.distinct == 1 and len(column.values) >= _MIN_CONSTANT_SHARE * rows


def is_named_score(column: Column) -> bool:
    """Whether it is called a score and is not said to be an input."""
    named = bool(column.words & SCORE_WORDS) or column.name.lower() in SCORE_NAMES
    return named and (is_output(column) or not way_words(column) & INPUT_WORDS)


def is_output(column: Column) -> bool:
    """Whether it stands under a key for what the model said."""
    return any(words_of(key)[-1:] and words_of(key)[-1] in OUTPUT_WORDS for key in column.keys[:-1])


def is_label_version(column: Column) -> bool:
    """Whether it is the number of a label's revision; the version of the model is another thing."""
    words = way_words(column)
    return column.kind == "integer" and "model" not in words and (bool(words & {"revision", "rev"}) or {"label", "version"} <= words)


def way_words(column: Column) -> set[str]:
    """The words of all keys on the way."""
    return {word for key in column.keys for word in words_of(key)}


def is_confidence(column: Column, said: Column) -> bool:
    """Whether it is the confidence in a predicted class of several, ``said``: it stands beside that or is said to be an output."""
    beside = column.keys[:-1] == said.keys[:-1] or is_output(column)
    named = beside and column.kind == "number" and bool(column.words & CONFIDENCE_WORDS)
    return named and said.kind == "text" and said.distinct > 2 and all(0 <= value <= 1 for value in column.values)


def is_time_of_truth(column: Column) -> bool:
    """Whether it is called like the time at which the truth became known: ``label_time`` of training rows."""
    return bool(column.words & TRUTH_NAMES) and column.words - TRUTH_NAMES <= TIME_WORDS | {"s", "ms", "us", "ns"}
