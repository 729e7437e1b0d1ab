"""Which versions are compared, since when, and what happens when panes go."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.canary.losses import PaneLosses
from monitor.canary.trial import Trial, advanced
from monitor.config import parse_config
from monitor.config.canary import Canary
from monitor.errors import ConfigError
from tests.flow import label_world, world

KEPT = 100


def losses(**served: range) -> dict[str, dict[int, PaneLosses]]:
    none = np.zeros(0)
    return {name[1:]: {pane: PaneLosses(none.astype(np.int64), none, none, none, 5) for pane in panes} for name, panes in served.items()}


def play(config: Canary, *steps: tuple[int, dict[str, dict[int, PaneLosses]]], trial: Trial | None = None) -> Trial:
    found = Trial() if trial is None else trial
    for end_pane, each in steps:
        found = advanced(found, config, each, end_pane, KEPT)
    return found


def test_the_newest_two_are_those_that_appeared_last_and_roles_do_not_change_when_panes_go():
    first = play(Canary(), (10, losses(v9=range(0, 10), v10=range(4, 10))))
    assert (first.champion, first.candidate, first.first_pane) == ("9", "10", 4)
    # Both have been there from the oldest pane that is kept; the names alone would not tell.
    later = play(Canary(), (90, losses(v9=range(0, 90), v10=range(4, 90))), trial=first)
    assert later == first
    # Names without an order, such as hashes: time decides.
    named = play(Canary(), (10, losses(vffff=range(0, 10), v0a0a=range(5, 10))))
    assert (named.champion, named.candidate) == ("ffff", "0a0a")


def test_versions_that_appear_together_are_told_apart_by_number():
    trial = play(Canary(), (10, losses(v10=range(0, 10), v9=range(0, 10))))
    assert (trial.champion, trial.candidate) == ("9", "10")


def test_a_third_version_is_a_new_trial_against_the_second():
    trial = play(Canary(), (10, losses(v3=range(0, 10), v4=range(5, 10))), (20, losses(v3=range(0, 12), v4=range(5, 20), v5=range(15, 20))))
    assert (trial.champion, trial.candidate, trial.first_pane, trial.number) == ("4", "5", 15, 1)


def test_a_trial_begins_where_both_serve():
    trial = play(Canary(), (10, losses(v3=range(0, 5), v4=range(5, 10))))
    assert (trial.champion, trial.candidate, trial.first_pane) == ("3", "4", None)
    trial = play(Canary(champion="4", candidate="3"), (10, losses(v3=range(0, 7), v4=range(5, 10))))
    assert (trial.champion, trial.candidate, trial.first_pane) == ("4", "3", 5)


def test_a_trial_that_outlasts_the_kept_panes_begins_anew_and_is_counted():
    trial = play(Canary(), (10, losses(v3=range(0, 10), v4=range(5, 10))))
    trial = play(Canary(), (5 + KEPT, losses(v3=range(5, 5 + KEPT), v4=range(5, 5 + KEPT))), trial=trial)
    assert (trial.first_pane, trial.number) == (5, 1), "its first pane is still there"
    trial = play(Canary(), (6 + KEPT, losses(v3=range(6, 6 + KEPT), v4=range(6, 6 + KEPT))), trial=trial)
    assert (trial.first_pane, trial.number) == (6 + KEPT, 2)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"canary": {}}, "canary: expected labels beside it, got none"),
        ({"canary": {"champion": "3"}, "labels": label_world.SECTION}, "expected both champion and candidate"),
        ({"canary": {"champion": "3", "candidate": "3"}, "labels": label_world.SECTION}, "expected two versions, got '3'"),
        ({"canary": {"margin": -1}, "labels": label_world.SECTION}, "canary.margin"),
        ({"canary": {}, "labels": {**label_world.SECTION, "task": "regression"}}, "expected labels with task binary or multiclass"),
    ],
)
def test_a_configuration_that_cannot_be_judged_is_refused(changes, said):
    model = {**world.CONFIG["models"][0], "predictions": label_world.PREDICTIONS, **changes}
    with pytest.raises(ConfigError, match=said.replace("(", r"\(")):
        parse_config({**world.CONFIG, "models": [model]})
