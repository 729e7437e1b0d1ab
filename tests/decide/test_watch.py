"""How long a condition must hold, and be clear, before it counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.config.retraining import Persistence
from monitor.decide.reading import Reading, Reason, Vote
from monitor.decide.watch import vote
from tests.decide.make import HOUR, PATIENT

VOTES = {"o": Vote.OVER, ".": Vote.BETWEEN, "c": Vote.CLEAR}


def reading(letter: str, since_ms: int | None = None) -> Reading:
    return Reading(Reason.COST, "cost", "ALL", VOTES[letter], None, None, None, None, None, None, since_ms)


def watched(votes: str, persistence: Persistence):
    """State after each vote: - nothing, p pending, A active; and the last watch. A blank casts no vote."""
    watch, states = None, ""
    for hour, letter in enumerate(votes):
        if letter != " ":
            watch = vote(watch, reading(letter), hour * HOUR, persistence)
        states += "-" if watch is None else "A" if watch.active else "p"
    return states, watch


@pytest.mark.parametrize(
    ("evaluations", "of", "votes", "states"),
    [
        # One is enough, to hold and to be over.
        (1, 1, "co.cc", "-AA--"),
        # Two of three: the picture in the module.
        (2, 3, "cocccooo..coc", "-ppp-pAAAAAA-"),
        # Between the levels nothing begins and nothing ends.
        (2, 2, "....", "----"),
        (2, 2, "oo........", "pAAAAAAAAA"),
        # ... but one vote beyond the limit is not forgotten because of it, within the window.
        (2, 3, "o.o", "ppA"),
        (2, 2, "o.oo", "pppA"),
        # A single clear evaluation among bad ones ends nothing.
        (2, 3, "oocooco", "pAAAAAA"),
        # Votes from before it became active do not count towards its end.
        (2, 3, "oco.oc", "ppAAAA"),
        # Unknown evaluations are no votes.
        (2, 2, "o    o", "pppppA"),
        (2, 2, "oo c  c", "pAAAAA-"),
    ],
)
def test_k_of_n(evaluations, of, votes, states):
    persistence = Persistence.model_validate({"evaluations": evaluations, "of": of})
    assert watched(votes, persistence)[0] == states


@pytest.mark.parametrize(
    ("votes", "states"),
    [
        # Three hours beyond the limit; an evaluation each hour.
        ("ooooo", "pppAA"),
        # Between the levels the clock goes on, but only a vote beyond the limit makes it count.
        ("o...o", "ppppA"),
        ("o.....", "pppppp"),
        # A clear evaluation starts the clock anew.
        ("ooocoooo", "ppp-pppA"),
        # It is over after as long a time clear, without a break.
        ("oooocccc", "pppAAAA-"),
        ("ooooccccoc", "pppAAAA-p-"),
        ("ooooccc.cccc", "pppAAAAAAAA-"),
    ],
)
def test_a_duration(votes, states):
    assert watched(votes, Persistence.model_validate({"lasting": "3h"}))[0] == states


def test_the_onset_is_the_first_vote_beyond_the_limit_that_still_counted():
    #  hour   0  1  2  3  4  5
    #  votes  o  c  c  c  o  o     two of three: the vote of hour 0 had left the window
    _, watch = watched("occcoo", Persistence.model_validate({"evaluations": 2, "of": 3}))
    assert watch.onset_ms == watch.began_ms == 4 * HOUR


def test_what_the_first_vote_rests_on_began_before_it():
    persistence = Persistence.model_validate({"evaluations": 2})
    watch = vote(None, reading("o", since_ms=-5 * HOUR), 0, persistence)
    watch = vote(watch, reading("o", since_ms=-4 * HOUR), HOUR, persistence)
    assert (watch.since_ms, watch.onset_ms) == (-5 * HOUR, 0)


persistences = st.one_of(
    st.tuples(st.integers(1, 4), st.integers(0, 3)).map(lambda p: Persistence.model_validate({"evaluations": p[0], "of": p[0] + p[1]})),
    st.integers(0, 4).map(lambda hours: Persistence.model_validate({"lasting": f"{hours}h"})),
)


@PATIENT
@given(persistences, st.text("o.c ", max_size=40), st.text(".o ", max_size=40))
def test_once_active_it_stays_so_until_something_is_clear(persistence, before, after):
    states, watch = watched(before + "oooooo" + after, persistence)
    assert states.endswith("A" * (len(after) + 1))
    assert len(watch.votes) <= persistence.window


@PATIENT
@given(persistences, st.text(".c ", max_size=40))
def test_nothing_begins_below_the_limit(persistence, votes):
    assert set(watched(votes, persistence)[0]) <= {"-"}


@PATIENT
@given(persistences, st.text("o.c ", max_size=60))
def test_it_becomes_active_only_on_a_vote_beyond_the_limit_and_ends_only_on_a_clear_one(persistence, votes):
    states, _ = watched(votes, persistence)
    for place in range(1, len(votes)):
        if states[place] == "A" != states[place - 1]:
            assert votes[place] == "o"
        if states[place] != "A" == states[place - 1]:
            assert votes[place] == "c"
