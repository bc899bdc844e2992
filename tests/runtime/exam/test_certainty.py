"""How sure an exam is: of what every rival lost to, of a robot that walks well, and of nothing else."""

from __future__ import annotations

import contextlib
import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from gaitway_runtime.exam.alternatives import Alternative, rivals
from gaitway_runtime.exam.certainty import SURE, Contest, decide, sureness, sureness_off_balance
from gaitway_runtime.exam.conventions import GRAVITY as GRAVITY_TERM
from gaitway_runtime.exam.conventions import Conventions, ExamTerm
from gaitway_runtime.exam.labels import GAINS, GRAVITY, JOINTS, POSE, SCALE, SCAN, SEEN, SHOWN, known_orders, label_of
from gaitway_runtime.exam.search import Searcher
from gaitway_runtime.exam.subject import spec_of, task_for
from gaitway_runtime.exam.trials import Score, Trials
from gaitway_runtime.exam.wiring import FeatureLayout

from . import strangers

TASK = task_for("anymal_c", None, None, 12)
SPEC = spec_of(TASK)
FOUND = Conventions(
    terms=(ExamTerm(quantity=GRAVITY_TERM),),
    joints=tuple(range(12)),
    action_scale=(0.5,) * 12,
    action_pose=SPEC.default_joint_pos,
    observed_pose=SPEC.default_joint_pos,
)
RIVAL = Alternative(GRAVITY, "the other sign", FOUND.scaled(GRAVITY_TERM, -1.0))


def score(total: float, *, spread: float = 0.0, follow: float = 0.95) -> Score:
    totals = total + spread * np.linspace(-1, 1, 8)
    return Score(total=total, alive=1.0, follow=follow, jitter=0.0, totals=tuple(totals.tolist()))


def certainty(*contests: Contest, own: float = 0.93, whole: Score | None = None) -> str:
    return decide(GRAVITY, FOUND, score(own), whole or score(own), contests, SPEC).sure


LOST = Contest(rival=RIVAL, margin=0.4, sure="sure")
NEAR = Contest(rival=RIVAL, margin=0.05, sure="probable", better=0.88)
LEVEL = Contest(rival=RIVAL, margin=0.0, sure="open", better=0.93)
UNPLAYED = Contest(rival=RIVAL, margin=None, sure="probable")


def test_only_what_every_rival_lost_to_is_sure() -> None:
    assert certainty(LOST, LOST) == "sure"
    assert certainty(LOST, NEAR) == "probable"
    assert certainty(LOST, NEAR, LEVEL) == "open"


def test_a_rival_that_there_was_no_time_for_leaves_it_probable() -> None:
    assert certainty(LOST, UNPLAYED) == "probable"
    decision = decide(GRAVITY, FOUND, score(0.93), score(0.93), [LOST, UNPLAYED], SPEC)
    assert (decision.rivals, decision.played) == (2, 1)
    assert decision.settles


def test_nothing_is_sure_of_a_robot_that_walks_less_well_than_a_policy_does_under_its_own_conventions() -> None:
    assert certainty(LOST, own=0.8) == "probable"
    assert certainty(LOST, whole=score(0.7)) == "probable"  # well in eight worlds, not in sixteen
    assert certainty(LOST, whole=score(0.5, follow=0.2)) == "open"


def test_a_score_is_better_where_all_worlds_agree() -> None:
    own = score(0.9)
    assert sureness(own, score(0.9 - SURE - 0.01)) == "sure"
    assert sureness(own, score(0.86)) == "probable"
    assert sureness(own, score(0.86, spread=0.2)) == "open"


def test_what_makes_up_for_another_convention_is_a_rival_of_both() -> None:
    found = list(rivals(FOUND, SPEC))
    assert len({rival.conventions for rival in found}) == len(found)
    pairs = {(rival.convention, *rival.also) for rival in found}
    assert {(SCALE, POSE), (SCALE, SHOWN), (SCALE, GAINS), (POSE, SHOWN)} <= pairs
    zero = (0.0,) * 12
    wanted = dataclasses.replace(FOUND, action_scale=(1.0,) * 12, observed_pose=zero)
    (pair,) = (rival for rival in found if rival.conventions == wanted)
    assert pair.of(SCALE) and pair.of(POSE) and not pair.of(GAINS)


@pytest.mark.parametrize("frame", ["wxyz", "xyzw"])
def test_the_order_of_a_quaternion_is_a_rival(frame: str) -> None:
    seen = dataclasses.replace(FOUND, terms=(ExamTerm(quantity="orientation", frame=frame),))
    others = [rival.conventions.terms[0] for rival in rivals(seen, SPEC) if rival.convention == GRAVITY]
    inverse = tuple(1.0 if number == "w" else -1.0 for number in frame)
    assert [(term.frame, term.scales) for term in others] == [
        ({"wxyz": "xyzw", "xyzw": "wxyz"}[frame], (1.0,)),
        (frame, inverse),
    ]


def test_angles_and_gravity_are_rivals_of_each_other() -> None:
    for quantity, other in ((GRAVITY_TERM, "euler_angles"), ("euler_angles", GRAVITY_TERM)):
        seen = dataclasses.replace(FOUND, terms=(ExamTerm(quantity=quantity, frames=3),), stacked=1)
        terms = [rival.conventions.terms[0] for rival in rivals(seen, SPEC) if rival.convention == GRAVITY]
        assert other in {term.quantity for term in terms}
        assert {term.frames for term in terms} == {3}


def test_which_coordinate_of_a_height_scan_runs_fastest_is_asked() -> None:
    seen = dataclasses.replace(FOUND, terms=(ExamTerm(quantity="height_scan"),))
    (other,) = (rival.conventions for rival in rivals(seen, SPEC) if rival.convention == SCAN)
    assert (label_of(SCAN, seen, SPEC), label_of(SCAN, other, SPEC)) == ("x fastest", "y fastest")
    layout = FeatureLayout(12, 12, scan=True)
    x, y = (layout.of_term(each.terms[0], range(12)) for each in (seen, other))
    np.testing.assert_array_equal(y.reshape(17, 11), x.reshape(11, 17).T)


def test_robots_are_kicked_for_what_a_policy_sees_alone() -> None:
    """Other gains may help a robot to stand a kick, another order of its joints cannot."""
    found = list(rivals(FOUND, SPEC))
    kicked = {rival.convention for rival in found if set(rival.differs) <= SEEN}
    assert GRAVITY in kicked and JOINTS in kicked
    assert not kicked & {GAINS, SCALE, POSE}
    assert all(not set(rival.differs) <= SEEN for rival in found if rival.of(GAINS))


def test_what_stands_kicks_no_better_than_chance_explains_stays_open() -> None:
    clear, near = score(0.6, spread=0.1), score(0.4, spread=0.1)
    assert sureness_off_balance(clear, near) == "sure"
    assert sureness_off_balance(near, clear) == "open"
    chance = dataclasses.replace(near, totals=(0.9, 0.1, 0.2, 0.8, 0.1, 0.2, 0.6, 0.3))
    assert sureness_off_balance(clear, chance) == "open"


def test_a_kick_moves_the_robot_from_its_heading_and_makes_it_lean() -> None:
    policy = strangers.under(strangers.ANYMAL, strangers.as_trained(TASK), TASK)
    right = strangers.as_trained(TASK)
    with contextlib.closing(Trials(TASK, SPEC, policy, 12, scan=False, budget=100.0)) as trials:
        calm, lost = trials.play([right, right.scaled(GRAVITY_TERM, -1.0)], worlds=4, seconds=2.0)
        kicked, worse = trials.play([right, right.scaled(GRAVITY_TERM, -1.0)], worlds=4, seconds=2.0, kicks=1.0)
    assert calm.total > kicked.total > 0.0
    assert lost.total > worse.total


def test_a_biped_is_asked_for_what_it_can() -> None:
    """H1 never walks backwards or sideways: cut off at its ranges, half of the commands would have it stand."""
    task = task_for("h1", None, None, 19)
    right = strangers.as_trained(task)
    policy = strangers.under(strangers.SAMPLES / "h1-flat" / "model_599.pt", right, task)
    other = dataclasses.replace(right, shown_scale=0.5)
    with contextlib.closing(Trials(task, spec_of(task), policy, 19, scan=False, budget=100.0)) as trials:
        best, worse = trials.play([right, other], worlds=8, seconds=1.4)
    assert best.total > worse.total + 0.05


@pytest.mark.parametrize(("falls", "strength"), [(0.1, 1.0), (0.5, 0.5), (2.0, 0.25)])
def test_robots_are_kicked_so_that_most_of_them_stand_it(falls: float, strength: float) -> None:
    def play(tried: list, *, worlds: int, seconds: float, kicks: float) -> list[Score]:
        return [dataclasses.replace(score(0.5), alive=1.0 - kicks * falls) for _ in tried]

    assert Trials.bearable(SimpleNamespace(play=play), FOUND, worlds=8, seconds=1.0) == strength


@pytest.mark.parametrize(("total", "kept"), [(0.78, True), (0.95, False)])
def test_an_order_of_joints_that_no_project_has_must_be_far_better(total: float, kept: bool) -> None:
    """A biped's arms in another order walk a little better by chance."""

    def play(tried: list, *, worlds: int, seconds: float) -> list[Score]:
        return [score(0.74 if each.joints in usual else total) for each in tried]

    usual = {order for _, order in known_orders(SPEC)}

    trials = SimpleNamespace(play=play, spent=lambda share: False)
    searcher = Searcher(SimpleNamespace(), trials, SPEC, (0.5,) * 12, 48)
    assert (searcher._improve(FOUND).joints == FOUND.joints) is kept
