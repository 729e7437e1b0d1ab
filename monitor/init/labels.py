"""The section of labels: mapped from a sample of label events, or proposed as a comment from the predictions alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from monitor.config.labels import MAX_CLASSES, MIN_CLASSES
from monitor.config.types import EventTime
from monitor.init.column import Chosen, Column, shown
from monitor.init.names import (
    CONFIDENCE_WORDS,
    FEW_CLASSES,
    POSITIVE_WORDS,
    TRUTH_NAMES,
    is_label_version,
    is_named_id,
    is_truth,
    way_words,
)
from monitor.init.roles import Roles, time_of
from monitor.init.sides import high_class, high_label, spelling
from monitor.init.yaml_text import comment, quoted

_DEFAULT_POSITIVE, _DEFAULT_NEGATIVE = ("1", "true"), ("0", "false")
_MAX_CLASS_NAME = 100
_WORDS = {
    "annotator": {"annotator", "reviewer", "labeler", "labeller", "rater", "analyst"},
    "confidence": CONFIDENCE_WORDS,
    "source": {"source", "origin"},
    "kpi": {"kpi", "revenue", "profit"},
}
_NUMBERS = ("number", "integer")


@dataclass(frozen=True, slots=True)
class LabelRoles:
    """The columns of a sample of label events by role; those that nothing looks like are absent."""

    rows: int
    id: Chosen | None
    time: Chosen | None
    label: Chosen | None
    others: dict[str, Chosen]  # key of the configuration to column


def assign_labels(columns: Sequence[Column], rows: int, predictions: Roles) -> LabelRoles:
    """Give the columns of ``rows`` label events their roles. Ids are recognised by those of the predictions."""
    free = list(columns)

    def take(chosen: Chosen | None) -> Chosen | None:
        if chosen is not None:
            free.remove(chosen.column)
        return chosen

    ids = take(_id(free, predictions))
    time = take(time_of(free))
    label = take(_label(free, predictions))
    others = {key: chosen for key in _WORDS if (chosen := take(_named(key, free))) is not None}
    if (version := take(_label_version(free))) is not None:
        others["label_version"] = version
    if label is None:
        label = take(_few_values(free) or _only_one(free))
    return LabelRoles(rows, ids, time, label, others)


def _id(columns: Sequence[Column], predictions: Roles) -> Chosen | None:
    known = set() if predictions.id is None else {str(value) for value in predictions.id.column.values}
    found = []
    for column in columns:
        if column.kind in ("text", "integer"):
            values = {str(value) for value in column.values}
            share = len(values & known) / len(values)
            named = is_named_id(column)
            if share > 0 or named:
                found.append((share, named, column))
    if not found:
        return None
    share, _, column = max(found, key=lambda each: each[:2])
    why = (
        f"{share:.0%} of its values are ids of the predictions' sample"
        if share
        else "named like an id, but no prediction of the sample has it"
    )
    return Chosen(column, f"{why}, such as {shown(column)}")


def _label(columns: Sequence[Column], predictions: Roles) -> Chosen | None:
    named = [column for column in columns if is_truth(column, None if predictions.truth is None else predictions.truth.column.name)]
    named.sort(key=lambda column: column.name.lower() not in TRUTH_NAMES)
    if named:
        return Chosen(named[0], f"named like the truth, {named[0].distinct} different in the sample, such as {shown(named[0])}")
    classes = set() if predictions.predicted_class is None else set(_texts(predictions.predicted_class.column))
    alike = [column for column in columns if column.values and classes and set(_texts(column)) <= classes]
    return Chosen(alike[0], "its values are predicted classes too") if alike else None


def _few_values(columns: Sequence[Column]) -> Chosen | None:
    """The truth as the column with a few values that is nothing else; the comment names others that may be it."""
    few = [column for column in columns if 2 <= column.distinct <= FEW_CLASSES and not way_words(column) & {"model", "version"}]
    few.sort(key=lambda column: (not way_words(column) & TRUTH_NAMES, column.distinct))
    if not few:
        return None
    others = [other.path for other in few[1:4]]
    why = f"also possible: {', '.join(others)}" if others else "no other column has a few values"
    return Chosen(few[0], f"{few[0].distinct} different in the sample, such as {shown(few[0])}; {why}")


def _only_one(columns: Sequence[Column]) -> Chosen | None:
    usable = [column for column in columns if column.values and column.kind in (*_NUMBERS, "text", "boolean")]
    if len(usable) != 1:
        return None
    return Chosen(
        usable[0], f"the only column that is nothing else, {usable[0].distinct:,} different in the sample, such as {shown(usable[0])}"
    )


def _label_version(columns: Sequence[Column]) -> Chosen | None:
    named = [column for column in columns if is_label_version(column)]
    return Chosen(named[0], f"named like it, whole numbers such as {shown(named[0])}") if named else None


def _named(key: str, columns: Sequence[Column]) -> Chosen | None:
    kinds = _NUMBERS if key in ("confidence", "kpi") else ("text", "integer")
    for column in columns:
        named = column.words & _WORDS[key] and column.kind in kinds
        if named and (key != "confidence" or all(0 <= value <= 1 for value in column.values)):
            return Chosen(column, f"named like it, {column.distinct} different in the sample, such as {shown(column)}")
    return None


def may_hold_truth(roles: Roles) -> bool:
    """Whether an unknown one of the features may be the true outcome: a number, where nothing tells of classes."""
    of_classes = roles.predicted_class is not None or (roles.score is not None and bool(roles.score.detail))
    numbers = any(chosen.detail == "numeric" and chosen.column.distinct > FEW_CLASSES for chosen in roles.features)
    return roles.truth is None and not of_classes and numbers


def labels_lines(predictions: Roles, labels: LabelRoles | None, topic: str) -> Iterator[str]:
    """The lines of the section; ``topic``: that of the label events.

    Commented out without a sample of labels, or when predictions have nothing to compare labels with.
    """
    told = "" if labels is None else f" of the first {labels.rows:,} rows of the sample"
    yield f"    # Labels{told}: what turned out to be true, joined to predictions by id. With them performance is judged beside drift."
    comparable = predictions.score is not None or predictions.predicted_class is not None
    if not comparable:
        yield "    # They need predictions.score or predictions.predicted_class, which was not found above."
    elif labels is None:
        yield "    # No label events were looked at (driftgauge init --labels): map them, then uncomment."
    prefix = "    " if labels is not None and comparable else "    # "
    for line in _section(predictions, labels, topic):
        yield prefix + line


def _section(predictions: Roles, labels: LabelRoles | None, topic: str) -> Iterator[str]:
    yield "labels:"
    yield f"  topic: {quoted(topic)}  # the topic of the label events"
    if labels is None:
        path = "$key" if predictions.id is None else quoted(predictions.id.column.path)
        yield f"  id: {path}  # where a label event has the id of its prediction"
        truth = predictions.truth
        yield "  time:  # when the truth became known"
        yield f"    path: {EventTime.model_fields['path'].default}"
        found = "" if truth is None else ", as in the sample of predictions"
        yield f"  label: {'label' if truth is None else quoted(truth.column.path)}  # where a label event has the truth{found}"
    else:
        yield from _mapped("id", labels.id, "$key", "no column looks like an id: the key of the message is assumed to be it")
        yield "  time:"
        if labels.time is None:
            yield "    path: $timestamp  # no column looks like a time: the record's own timestamp is taken"
        else:
            yield f"    path: {quoted(labels.time.column.path)}  # {comment(labels.time.why)}"
            yield f"    unit: {labels.time.detail}"
            if labels.time.detail == "iso8601":
                yield "    zone: UTC  # of times that name none"
        yield from _mapped("label", labels.label, "label", "no column looks like the truth: name it")
        for key, chosen in labels.others.items():
            yield from _mapped(key, chosen, "", "")
    truth = predictions.truth if labels is None else labels.label
    told = truth is not None and (labels is not None or truth.column.distinct <= FEW_CLASSES)
    ids = None if labels is None or labels.id is None else labels.id.column
    # Labels without ids are not joined; a truth in the predictions' own rows is.
    high = high_label(predictions, truth.column, ids) if truth is not None and (labels is None or ids is not None) else None
    yield from _task(predictions, truth.column if truth is not None and told else None, high)
    yield "  horizon: 30d  # how long after its prediction a label still counts"


def _mapped(key: str, chosen: Chosen | None, otherwise: str, why: str) -> Iterator[str]:
    yield f"  {key}: {otherwise}  # {why}" if chosen is None else f"  {key}: {quoted(chosen.column.path)}  # {comment(chosen.why)}"


def _task(predictions: Roles, label: Column | None, high: str | None) -> Iterator[str]:
    """What is predicted, from the predicted classes and those of the labels; ``high``: the label of high scores."""
    chosen = predictions.predicted_class
    if chosen is None:
        few = label is not None and (label.kind not in _NUMBERS or label.distinct <= 2)
        if predictions.score is None or predictions.score.detail or few:
            yield "  task: binary  # of a score, taken for a probability; multiclass needs predictions.predicted_class"
            yield from _binary([] if label is None else _texts(label))
        else:
            yield "  task: regression  # the score is no probability, and there is no predicted class"
        return
    spoken = _texts(chosen.column)
    found = spoken if label is None else _texts(label)
    names, two_sides = sorted({*spoken, *found}), _two_sides(spoken, found)
    if MIN_CLASSES <= len(names) <= MAX_CLASSES and not two_sides:
        yield f"  task: multiclass  # {len(names)} classes in the sample"
        yield f"  classes: [{', '.join(map(quoted, names))}]  # all that there are, as events write them"
        return
    yield f"  task: binary  # {len(names)} spellings in the sample; multiclass takes {MIN_CLASSES} to {MAX_CLASSES}"
    both_told = len(_positive(spoken)) == 1 == len(_positive(found))
    if two_sides and found and not both_told and not {*spoken} & {*found}:
        # Whether "reject" means "yes" cannot be told from the words, but scores may tell.
        said = high_class(predictions)
        if said is not None and high is not None and {said} <= {*spoken} and {high} <= {*found}:
            yield f"  # In the sample scores are high where labels say {comment(high)} and predictions {comment(said)}."
            yield from _spelled([high, said], [*found, *spoken])
            return
        yield f"  # Predictions say {comment(' or '.join(spoken))}: add the one that means the positive class to positive,"
        yield "  # the other to negative."
        names = found
    yield from _binary(names)


def _two_sides(spoken: list[str], found: list[str]) -> bool:
    return len(spoken) <= 2 and len(found) <= 2 and (not {*spoken} & {*found} or len({*spoken, *found}) <= 2)


def has_probabilities(predictions: Roles, labels: LabelRoles | None) -> bool:
    """Whether the probabilities are of exactly the classes that the section of labels names."""
    if labels is None or labels.label is None or predictions.predicted_class is None or not predictions.probabilities:
        return False
    spoken, found = _texts(predictions.predicted_class.column), _texts(labels.label.column)
    return {*spoken, *found} == predictions.probabilities.keys() and not _two_sides(spoken, found)


def _binary(names: list[str]) -> Iterator[str]:
    if {*names} <= {*_DEFAULT_POSITIVE, *_DEFAULT_NEGATIVE}:
        yield '  positive: [1, true]  # however an event writes them; quote "yes" and "no"'
        yield "  negative: [0, false]"
        return
    positive = _positive(names) or names[-1:]
    yield from _spelled(positive, names)


def _spelled(positive: list[str], names: list[str]) -> Iterator[str]:
    negative = [name for name in names if name not in positive][:MAX_CLASSES] or ["0"]
    yield f"  positive: [{', '.join(map(quoted, positive))}]  # a guess: which of the classes are the positive one?"
    yield f"  negative: [{', '.join(map(quoted, negative))}]"


def _positive(names: list[str]) -> list[str]:
    return [name for name in names if name.lower() in POSITIVE_WORDS]


def _texts(column: Column) -> list[str]:
    """The distinct values as texts that can name a class, in order."""
    found = {spelling(value) for value in column.values}
    return sorted(text for text in found if text.isprintable() and len(text) <= _MAX_CLASS_NAME)
