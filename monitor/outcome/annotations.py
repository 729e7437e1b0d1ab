"""What several labels of one prediction say about labelling itself, as counts that can be taken back.

An *item* is a prediction and, of each annotator who labelled it, the first label and the one that holds (the winner by label version
and time). What an item adds to the counts is a function of the item alone, so when one of its labels is restated the item's old
contribution is subtracted and the new one added, as with outcomes.

    pairs       [raters - 1, C, C]      of items with m = 2, 3, ... winners: ordered pairs of values of different annotators
    annotator   [annotators, 2]         winners that agree with the item's consensus, and that do not; items with 2 annotators or more
    two         [rater pairs, C, C]     value of the first annotator by that of the second, for the first few annotators
    ratings     [1]                     winners: labels that hold, one for each annotator of an item
    items       [2]                     items with 2 annotators or more: all the same, not all the same
    revised     [2, C, C]               first label by winner of an annotator who restated: under one label version, under another
    confidence  [cells + 1]             confidence of the winners in equal parts of [0, 1], and without one
    definition  [label versions, C]     consensus by the label version it was made under

Values are classes, or for regression the cells of the score. Codes are combination * cells + cell, as for outcomes, so rates come
by segment.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.outcome.sparse import SparseCounts

Int64 = NDArray[np.int64]

MAX_RATERS = 8
"""Winners of one item that enter ``pairs``; of more, those of the annotators with the smallest numbers."""

CONFIDENCE_CELLS = 20


@dataclass(frozen=True)
class AgreementLayout:
    """Places of the blocks; equal layouts have equal fields."""

    values: int  # C
    annotators: int  # numbers 0 ... annotators - 1; the last stands for all beyond
    label_versions: int  # the same for codes of label versions
    paired: int = 6  # annotators with numbers below this are compared two by two

    @property
    def sizes(self) -> dict[str, int]:
        """Cells of each block."""
        square = self.values**2
        return {
            "pairs": (MAX_RATERS - 1) * square,
            "annotator": self.annotators * 2,
            "two": self.paired * (self.paired - 1) // 2 * square,
            "ratings": 1,
            "items": 2,
            "revised": 2 * square,
            "confidence": CONFIDENCE_CELLS + 1,
            "definition": self.label_versions * self.values,
        }

    def first(self, block: str) -> int:
        """First cell of a block."""
        names = list(self.sizes)
        return sum(list(self.sizes.values())[: names.index(block)])

    @property
    def cells(self) -> int:
        """Cells in all."""
        return sum(self.sizes.values())


@dataclass(frozen=True, eq=False)
class Items:
    """Labelled predictions: I items, R ratings, one for each annotator of an item. Ratings sorted by (item, annotator)."""

    combination: Int64  # [I]
    consensus: Int64  # [I] value that holds
    definition: Int64  # [I] code of the label version that the consensus was made under
    item: Int64  # [R] rising
    annotator: Int64  # [R]
    value: Int64  # [R] the annotator's winner
    first_value: Int64  # [R] the annotator's first label; the winner itself where nothing was restated
    restated: Int64  # [R] 0: one label only, 1: restated under the same label version, 2: under another one
    confidence: NDArray[np.float64]  # [R] of the winner, NaN: none

    def __post_init__(self) -> None:
        order = np.lexsort((self.annotator, self.item))
        if (order != np.arange(len(order))).any():
            raise ValueError("expected ratings sorted by item, then annotator")
        if (np.bincount(self.item, minlength=len(self.combination)) < 1).any():
            raise ValueError("expected at least one rating of each item")


def annotation_codes(layout: AgreementLayout, items: Items) -> tuple[Int64, Int64]:
    """Codes of all that the items add, and the item [k] that each code comes from."""
    c, item, value = layout.values, items.item, items.value
    annotator = np.minimum(items.annotator, layout.annotators - 1)
    raters = np.bincount(item, minlength=len(items.combination))
    several = raters > 1
    # Position of each rating among those of its item.
    start = np.concatenate([[0], np.cumsum(raters)])[:-1]
    parts: list[tuple[str, Int64, Int64]] = []

    for m in range(2, MAX_RATERS + 1):
        chosen = np.flatnonzero(raters == m if m < MAX_RATERS else raters >= m)
        table = value[start[chosen][:, None] + np.arange(m)]  # [chosen, m]
        i, j = (np.array(places) for places in zip(*itertools.permutations(range(m), 2), strict=True))
        codes = ((m - 2) * c + table[:, i]) * c + table[:, j]
        parts.append(("pairs", codes.ravel(), np.repeat(chosen, len(i))))
    shared = several[item]
    wrong = (value != items.consensus[item]).astype(np.int64)
    parts.append(("annotator", (annotator * 2 + wrong)[shared], item[shared]))
    parts.append(("ratings", np.zeros(len(item), np.int64), item))
    parts += _two_by_two(layout, items, start, raters)
    same = np.maximum.reduceat(value, start) == np.minimum.reduceat(value, start) if len(start) else np.zeros(0, np.bool_)
    parts.append(("items", np.where(same, 0, 1)[several], np.flatnonzero(several)))
    again = np.flatnonzero(items.restated > 0)
    parts.append(("revised", ((items.restated[again] - 1) * c + items.first_value[again]) * c + value[again], item[again]))
    known = ~np.isnan(items.confidence)
    cell = np.clip(np.floor(np.where(known, items.confidence, 0.0) * CONFIDENCE_CELLS), 0, CONFIDENCE_CELLS - 1)
    parts.append(("confidence", np.where(known, cell, CONFIDENCE_CELLS).astype(np.int64), item))
    version = np.minimum(items.definition, layout.label_versions - 1)
    parts.append(("definition", version * c + items.consensus, np.arange(len(items.consensus))))

    sources = np.concatenate([source for _, _, source in parts])
    cells = np.concatenate([layout.first(block) + cell for block, cell, _ in parts])
    return items.combination[sources] * layout.cells + cells, sources


def _two_by_two(layout: AgreementLayout, items: Items, start: Int64, raters: Int64) -> list[tuple[str, Int64, Int64]]:
    """Ratings of the first few annotators side by side, [items, paired] with -1 where there is none."""
    few = items.annotator < layout.paired
    table = np.full((len(raters), layout.paired), -1, np.int64)
    table[items.item[few], items.annotator[few]] = items.value[few]
    parts = []
    for pair, (i, j) in enumerate(itertools.combinations(range(layout.paired), 2)):
        both = np.flatnonzero((table[:, i] >= 0) & (table[:, j] >= 0))
        parts.append(("two", (pair * layout.values + table[both, i]) * layout.values + table[both, j], both))
    return parts


@dataclass(frozen=True, eq=False)
class AgreementCounts:
    """Counts over some window. ``ratings``, ``items`` and ``revised`` by segment, the rest of the whole traffic."""

    layout: AgreementLayout
    segments: tuple[str, ...]  # [G]
    pairs: Int64  # [MAX_RATERS - 1, C, C]
    annotator: Int64  # [annotators, 2] agreed with the consensus, did not
    two: Int64  # [rater pairs, C, C]
    ratings: Int64  # [G] labels that hold
    items: Int64  # [G, 2] unanimous, not
    revised: Int64  # [G, 2, 2] restated under the same label version or another; to the same value or another
    flips: Int64  # [2, C, C] first value by winner
    confidence: Int64  # [CONFIDENCE_CELLS + 1]
    definition: Int64  # [label versions, C]


def agreement_counts(
    layout: AgreementLayout, counts: SparseCounts, segments: tuple[str, ...], places: Sequence[NDArray[np.intp]]
) -> AgreementCounts:
    """Sums of sparse counts; ``places`` [groupings, combinations] as ``Combinations.segments_of`` gives them."""
    combination, cell = np.divmod(counts.codes, layout.cells)
    c, g = layout.values, len(segments)

    def block(name: str) -> tuple[Int64, NDArray[np.bool_]]:
        place = cell - layout.first(name)
        return place, (place >= 0) & (place < layout.sizes[name])

    def whole(name: str, *shape: int) -> Int64:
        place, inside = block(name)
        table = np.zeros(layout.sizes[name], np.int64)
        np.add.at(table, place[inside], counts.counts[inside])
        return table.reshape(shape)

    ratings, items, revised = np.zeros(g, np.int64), np.zeros((g, 2), np.int64), np.zeros((g, 2, 2), np.int64)
    _, is_rating = block("ratings")
    in_items, is_item = block("items")
    in_revised, is_revised = block("revised")
    kind, first, winner = in_revised // (c * c), in_revised // c % c, in_revised % c
    for place in places:
        segment = place[combination]
        np.add.at(ratings, segment[is_rating], counts.counts[is_rating])
        np.add.at(items, (segment[is_item], in_items[is_item]), counts.counts[is_item])
        changed = (first != winner).astype(np.int64)
        np.add.at(revised, (segment[is_revised], kind[is_revised], changed[is_revised]), counts.counts[is_revised])
    return AgreementCounts(
        layout, segments, whole("pairs", MAX_RATERS - 1, c, c), whole("annotator", layout.annotators, 2),
        whole("two", layout.paired * (layout.paired - 1) // 2, c, c), ratings, items, revised, whole("revised", 2, c, c),
        whole("confidence", CONFIDENCE_CELLS + 1), whole("definition", layout.label_versions, c),
    )  # fmt: skip
