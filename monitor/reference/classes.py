"""What the classes of labels and of predictions in the data are called in a reference.

With ``labels`` in the configuration they are its classes, found by the tables that decode production's events: each spelling counts as
the class it means, and the positive class is the configured one. Without, each text is a class, and the positive one is guessed by name.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from monitor.config.labels import Labels
from monitor.config.model import PREDICTED_CLASS, ModelConfig
from monitor.decode.classes import class_index
from monitor.errors import SourceError
from monitor.profile.layout import Vocabulary
from monitor.reference.labels import positive_class
from monitor.segment import MISSING, clean_value

THRESHOLD_CLASSES = ("0", "1")
"""What decoding calls the classes below and from the threshold on."""

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Classes:
    """Names of classes; ``spellings`` and ``of_text`` are None where the configuration names none."""

    names: tuple[str, ...]  # the most frequent label first
    positive: str | None
    predicted: tuple[str, ...]  # by code of the predicted class
    spellings: dict[str, int] | None  # every configured spelling and the index of its class
    of_text: dict[str, str] | None  # label as the second reading has it, cut as segment values are, to the name of its class

    def label(self, text: str) -> str:
        """The class that a label means; ``MISSING`` for one that production would reject."""
        return text if self.of_text is None else self.of_text.get(text, MISSING)

    def value(self, text: str, classes: Sequence[str]) -> float:
        """The number that a label means: the place in ``classes``, or without any itself; NaN for none."""
        if classes:
            name = self.label(text)
            return float(classes.index(name)) if name in classes else math.nan
        return _number(text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def classes_of(model: ModelConfig, labels: Mapping[str, int], by_frequency: Sequence[str], known: Vocabulary) -> Classes:
    """Classes of rows with ``labels`` (rows by text; ``by_frequency`` their texts, the most frequent first) and predictions ``known``.

    Raises ``SourceError`` where two configured classes cannot be told apart once cut.
    """
    texts = known.get(PREDICTED_CLASS, ())
    given = _named(model)
    if given is None:
        return _classes_by_text(model, by_frequency, texts)
    names, spellings = given.class_names, given.class_indices
    rows = [sum(n for text, n in labels.items() if spellings.get(text) == index) for index in range(len(names))]
    frequent = sorted(range(len(names)), key=lambda index: -rows[index])
    predicted = [
        text if math.isnan(index) else names[int(index)] for text, index in zip(texts, class_index(model, known)[:-1].tolist(), strict=True)
    ]
    positive = names[1] if given.task == "binary" else None
    of_text = _cut(given, model.segments.max_value_length)
    return Classes(tuple(names[index] for index in frequent), positive, tuple(predicted), spellings, of_text)


def _named(model: ModelConfig) -> Labels | None:
    """The configured labels, when they are of classes."""
    return None if model.labels is None or model.labels.task == "regression" else model.labels


def _classes_by_text(model: ModelConfig, names: Sequence[str], texts: Sequence[str]) -> Classes:
    positive = positive_class(names)
    if texts and model.predictions.predicted_class is None and positive is not None:
        # A class derived from a threshold has no name of its own: it has those of the labels.
        named = dict(zip(THRESHOLD_CLASSES, sorted(names, key=lambda label: label == positive), strict=True))
        texts = [named[text] for text in texts]
    return Classes(tuple(names), positive, tuple(texts), None, None)


def _cut(labels: Labels, length: int) -> dict[str, str]:
    found: dict[str, str] = {}
    for text, index in labels.class_indices.items():
        name, cut = labels.class_names[index], clean_value(text, length)
        if found.setdefault(cut, name) != name:
            raise SourceError(
                f"expected classes that differ within segments.max_value_length, {length} letters, got {found[cut]!r} and {name!r}; "
                "set segments.max_value_length higher"
            )
    return found


def check_classes(model: ModelConfig, path: str, labels: Mapping[str, int], predicted: Mapping[str, int]) -> Iterator[str]:
    """Notes on rows whose ``labels`` at ``path`` or ``predicted`` classes (rows by text) are not what they should be.

    Raises ``SourceError`` where there is no label, where a number would be cut, and where none of the labels, or of the predicted
    classes, is a configured class: everything that the reference said of performance would be wrong.
    """
    if not labels:
        raise SourceError(f"expected labels at {path}, got none in any row; correct the path, or build without --label")
    if model.labels is not None and model.labels.task == "regression":
        numbers = (text for text in labels if math.isfinite(_number(text)))
        longest, length = max(numbers, key=len, default=""), model.segments.max_value_length
        if len(longest) > length:  # cut, it would be another number
            raise SourceError(
                f"expected numbers at {path} within segments.max_value_length, {length} letters, as they are read by segment, got"
                f" {longest[:40]!r}; set segments.max_value_length to {len(longest)} or more"
            )
    given, where = _named(model), model.predictions.predicted_class
    if given is None:
        classes = sorted(labels)
        if where is not None and predicted and not labels.keys() & predicted.keys() and model.labels is None:
            yield (
                f"labels at {path} are {_shown(classes)} and predicted classes at {where} {_shown(sorted(predicted))}: they share no name, "
                "so every answer counts as wrong; name both in labels.positive and labels.negative of the configuration and build again"
            )
        return
    wanted = "labels.positive and labels.negative" if given.task == "binary" else "labels.classes"
    expected = f"{wanted} ({_shown(list(given.class_indices))})"
    for what, place, rows in (("labels", path, labels), ("predicted classes", where, predicted)):
        if place is None or not rows:
            continue
        unknown = sorted(text for text in rows if text not in given.class_indices)
        if len(unknown) == len(rows):
            raise SourceError(
                f"expected {what} at {place} out of {expected}, got only {_shown(unknown)}; "
                "write in the configuration how the data spells its classes, or correct the path"
            )
        if unknown:
            effect = "count as no label, as production rejects them" if what == "labels" else "count as wrong"
            n = sum(rows[text] for text in unknown)
            yield f"{n:,} rows with {what} at {place} outside {expected}, such as {_shown(unknown)}: they {effect}"


def _shown(names: Sequence[str]) -> str:
    return ", ".join(repr(name[:40]) for name in names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def misread(held: Mapping[str, object], model: ModelConfig) -> str | None:
    """What in the ``labels`` of a reference means another thing by the configuration than it did when it was built; None when nothing.

    References built before configured spellings were followed say nothing of these (``spellings``): there the counts tell.
    """
    given = _named(model)
    if given is None or given.task != "binary":
        return None
    indices, positive = given.class_indices, held.get("positive")
    if isinstance(positive, str) and indices.get(positive) == 0:
        return f"expected labels with the positive class {given.positive[0]!r}, got performance for {positive!r}"
    spellings = held.get("spellings")
    if isinstance(spellings, Mapping):
        turned = [name for name, index in spellings.items() if indices.get(name, index) != index]
        return f"expected labels with {turned[0]!r} as {_side(indices[turned[0]])}, got the opposite" if turned else None
    confusion = held.get("confusion")
    if not isinstance(confusion, Mapping):
        return None
    names, counts = confusion["classes"], confusion["counts"]
    for true, row in zip(names, counts, strict=True):
        if true not in indices:
            continue
        for place, (predicted, n) in enumerate(zip(names, row, strict=True)):
            other = place == len(names) - 1  # classes that no label has
            same = not other and true != predicted and indices[true] == indices.get(predicted)
            if n and (same or other):
                got = f"{predicted!r} for {true!r}" if same else f"other spellings for {true!r}"
                return f"expected predicted classes spelled as the labels, got {n:,} rows with {got} counted as wrong"
    return None


def _side(index: int) -> str:
    return "labels.positive" if index else "labels.negative"
