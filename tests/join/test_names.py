"""Names by number: each keeps its own, however many there are, and past the bound new ones share the last."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitor.join.names import Names
from monitor.join.record import version_order


class Counted(str):
    """A name that counts how often it is compared."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


@given(met=st.lists(st.text(max_size=2)), most=st.integers(1, 8))
def test_a_name_keeps_its_number_and_past_the_bound_new_names_share_the_last(met: list[str], most: int):
    names = Names(most=most)
    numbers = [names.number_of(name) for name in met]
    distinct = list(dict.fromkeys(met))
    assert numbers == [min(distinct.index(name), most - 1) for name in met]
    assert list(names) == distinct[:most]


@given(st.lists(st.text("v19.", max_size=3), unique=True))
def test_ranks_follow_the_names_that_were_added_since(met: list[str]):
    names = Names(met[:2])
    for count, name in enumerate(met, start=1):
        names.number_of(name)
        assert names.ranks.tolist() == version_order(met[: max(count, min(len(met), 2))]).tolist()


def test_looking_a_name_up_does_not_compare_it_with_all_others():
    names = Names(map(Counted, map(str, range(2_000))))
    Counted.compared = 0
    assert [names.number_of(Counted(number)) for number in range(2_000)] == list(range(2_000))
    assert Counted.compared < 10 * 2_000


def test_ranks_are_not_sorted_again_while_no_name_is_added():
    names = Names(["2", "10"])
    assert names.ranks is names.ranks
    before = names.ranks
    names.number_of("1")
    assert names.ranks is not before
