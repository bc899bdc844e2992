"""Search for the conventions of a policy: cheap evidence first, then many short trials, then few longer ones."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..tasks.robots import RobotSpec
from . import alternatives as options
from . import conventions as words
from . import labels
from .alternatives import Alternative
from .certainty import OUT, OUT_OF_ALL, SURE, Contest, Decision, decide, sureness, sureness_off_balance, unknown
from .conventions import Conventions
from .evidence import STANDING, PolicyAnswers, Reading, Upright
from .layouts import BLOCK, Arrangement, arrangements, splits
from .openings import diverse, openings
from .trials import Score, Trials

log = logging.getLogger(__name__)

BUDGET = 75.0
"""CPU seconds that a search may take, unless somebody says otherwise."""
_READINGS = 10
"""Layouts with their joint orders that are tried."""
_READING_SHARE = 0.3
"""Share of the time for looking at layouts."""
_CLOSE = 0.35
"""How much worse than the best a reading may fit to be tried."""
_SHORT, _MIDDLE, _LONG = 1.4, 2.6, 4.0
"""Lengths of trials [s]."""
_GAIN = 0.015
"""What another convention must win to be preferred."""
_ROUNDS = 6
"""Rounds in which single conventions are changed."""
_SEARCH_SHARE = 0.7
"""Share of the time for finding conventions; the rest is for playing their rivals."""
_GOOD = 0.8
"""Score from which single joints are not swapped any more."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """What a search came to."""

    conventions: Conventions
    """The best that were tried, whether the robot walks under them or not."""
    score: Score
    decisions: tuple[Decision, ...]
    tried: int
    """Conventions that were played."""
    fit: float
    """How well the policy's answers fit those of a policy that walks; see :class:`.evidence.Reading`."""
    seconds: float
    """CPU time [s]."""
    complete: bool
    """Whether the search ended before its time was up."""

    @property
    def walks(self) -> bool:
        """Whether the robot walks under the conventions that were found."""
        return self.score.walks


class Searcher:
    """Search for one policy.

    Args:
        evidence: The policy's answers.
        trials: Worlds of the robot.
        spec: The robot.
        scales: Action scales of the robot's own task, in its order of joints [rad].
        inputs: Length of the policy's input.
        say: Called with what is being done.
    """

    def __init__(
        self,
        evidence: PolicyAnswers,
        trials: Trials,
        spec: RobotSpec,
        scales: Sequence[float],
        inputs: int,
        say: Callable[[str], None] = log.info,
    ) -> None:
        self._evidence, self._trials, self._spec = evidence, trials, spec
        self._scales, self._inputs, self._say = scales, inputs, say
        self._played: dict[tuple[Conventions, int, float], Score] = {}
        self._kicked: dict[Conventions, Score] = {}
        self._kicks = 0.0
        self._whole = True
        self._share = _SEARCH_SHARE
        self._known_orders = {order for _, order in labels.known_orders(spec)}

    def run(self) -> Search:
        """Search, and return the best conventions with what is known of each."""
        begin = time.process_time()
        readings = self._read()
        self._say(f"evidence: {len(readings)} layouts and joint orders fit, the best at {readings[0].fit:.2f}")
        best = self._first(readings)
        improved = [self._improve(conventions) for conventions in best]
        scores = self._play(improved, worlds=8, seconds=_MIDDLE)
        chosen = max(zip(improved, scores, strict=True), key=lambda one: one[1].total - self._odds(best[0], one[0]))[0]
        self._share = 1.0
        chosen, decisions = self._decide(chosen)
        return Search(
            conventions=chosen,
            score=self._whole_score(chosen),
            decisions=decisions,
            tried=len({conventions for conventions, *_ in self._played}),
            fit=readings[0].fit,
            seconds=time.process_time() - begin,
            complete=self._whole,
        )

    def _read(self) -> list[Reading]:
        """Return the layouts and joint orders that fit the policy's answers, the best first."""
        joints = len(self._spec.joint_names)
        found: list[Reading] = []
        for frames, terms in splits(self._inputs, joints):
            found += self._evidence.read(
                arrangements(frames, terms, joints), keep=_READINGS, over=lambda: self._trials.spent(_READING_SHARE)
            )
        found.sort(key=lambda reading: -reading.fit)
        found = [reading for reading in found if reading.fit > found[0].fit - _CLOSE][:_READINGS]
        known = [
            Reading(reading.arrangement, order, reading.upright, self._evidence.fit(reading.arrangement, order))
            for reading in {reading.arrangement: reading for reading in reversed(found)}.values()
            for _, order in labels.known_orders(self._spec)
        ]
        known.sort(key=lambda reading: -reading.fit)
        return [*found, *known[:4], *self._customary()]

    def _customary(self) -> Iterator[Reading]:
        """Yield the layouts that projects have with the orders in which they list joints, whatever the answers say."""
        joints = len(self._spec.joint_names)
        for frames, terms in splits(self._inputs, joints)[:2]:
            free = [term for term in terms if term != words.HEIGHT_SCAN]
            last = [term for term in terms if term == words.HEIGHT_SCAN]
            blocks = [BLOCK] * 3
            without = [term for term in free if term != words.COMMAND]
            for order in ((*free, *blocks, *last), (*without, *blocks, words.COMMAND, *last)):
                for per_frame in (True, False) if frames > 1 else (True,):
                    arrangement = Arrangement(order, frames, per_frame, joints)
                    for _, listed in labels.known_orders(self._spec):
                        yield Reading(arrangement, listed, STANDING, self._evidence.fit(arrangement, listed))

    def _first(self, readings: Sequence[Reading]) -> list[Conventions]:
        """Return the best conventions of some rounds of short trials, from the usual ones to the odd ones."""
        best: list[Conventions] = []
        for wave in (self._usual(readings), self._odd(readings)):
            ranked = self._ranked([*wave, *best], worlds=1, seconds=_SHORT)[:48]
            varied = [*ranked, *self._shown_otherwise(ranked)]
            ranked = self._ranked(varied, worlds=2, seconds=_SHORT)[:24]
            best = self._ranked(ranked, worlds=8, seconds=_MIDDLE)
            score = self._play(best[:1], worlds=8, seconds=_MIDDLE)[0]
            self._say(f"{len(self._played)} trials: the best follows {score.follow:.0%}, upright {score.alive:.0%}")
        return diverse(best)

    def _usual(self, readings: Sequence[Reading]) -> Iterator[Conventions]:
        for reading in readings:
            for start in self._openings(reading):
                for factor in (0.5, 1.0, 2.0):
                    yield options.with_scale(start, factor)

    def _odd(self, readings: Sequence[Reading]) -> Iterator[Conventions]:
        """Yield conventions with another pose, sign of gravity, scales or frames, of the best readings."""
        wanted = (labels.POSE, labels.GRAVITY, *labels.FRAMES, labels.UNITS)
        known = [reading for reading in readings if reading.joints in self._known_orders][:2]
        for reading in (*readings[:2], *known):
            for start in self._openings(reading):
                for option in options.alternatives(start, self._spec, swaps=False):
                    if option.convention in wanted and "moved" not in option.label:
                        yield option.conventions

    def _shown_otherwise(self, found: Sequence[Conventions]) -> Iterator[Conventions]:
        for start in found[:24]:
            for factor in (0.5, 2.0):
                yield options.with_scale(start, factor)
                for shown in (0.5, 2.0):
                    yield dataclasses.replace(options.with_scale(start, factor), shown_scale=shown)
            for shown in (0.5, 2.0, start.action_scale[0]):
                yield dataclasses.replace(start, shown_scale=shown)

    def _openings(self, reading: Reading) -> Iterator[Conventions]:
        world = {name for name in (words.LIN_VEL, words.ANG_VEL) if self._evidence.turns(reading, name)}
        return openings(reading, world, self._scales, self._spec)

    def _improve(self, start: Conventions) -> Conventions:
        """Change single conventions as long as it helps."""
        best = start
        for _ in range(_ROUNDS):
            own = self._play([best], worlds=8, seconds=_MIDDLE)[0]
            rivals = self._rivals(best, 1, swaps=own.total < _GOOD)
            if self._over() or not rivals:
                break
            worth = [score.total - max(0.0, self._odds(best, rival.conventions)) for rival, score in rivals]
            winner, score = rivals[worth.index(max(worth))]
            if max(worth) < own.total + _GAIN:
                break
            best = winner.conventions
            self._say(f"{winner.convention}: {winner.label} is better, {score.total:.2f}")
        return best

    def _rivals(
        self, found: Conventions, each: int, *, swaps: bool, seconds: float = _MIDDLE
    ) -> list[tuple[Alternative, Score]]:
        """Return the best alternatives of each convention, chosen by short trials and played as long as the others.

        Args:
            found: What they are alternatives to.
            each: How many of each convention.
            swaps: Whether joints are swapped one with another.
            seconds: Length of the trials that count [s].
        """
        tried = list(options.alternatives(found, self._spec, swaps=swaps))
        short = self._play([option.conventions for option in tried], worlds=2, seconds=_SHORT)
        ranked = sorted(zip(short, tried, strict=True), key=lambda pair: -pair[0].total)
        kept = [
            option
            for convention in labels.SETTLES
            for option in [option for _, option in ranked if option.convention == convention][:each]
        ]
        scores = self._play([option.conventions for option in kept], worlds=8, seconds=seconds)
        return list(zip(kept, scores, strict=True))

    def _decide(self, found: Conventions) -> tuple[Conventions, tuple[Decision, ...]]:
        """Play every rival; return the conventions, or a rival's that are better, with what is known of each."""
        if not self._whole_score(found).walks:
            return found, tuple(unknown(name, found, self._whole_score(found), self._spec) for name in labels.SETTLES)
        for last in (*(False,) * _ROUNDS, True):
            own = self._play([found], worlds=8, seconds=_LONG)[0]
            contests = self._contests(found, own)
            worth = [each.better - self._odds(found, each.rival.conventions) for each in contests]
            best = contests[worth.index(max(worth))]
            if last or self._over():
                break
            if max(worth) >= own.total + _GAIN:
                found = best.rival.conventions
                self._say(f"{best.rival.convention}: {best.rival.label} is better, {best.better:.2f}")
                continue
            contests = self._off_balance(found, contests)
            likelier = self._likelier(found, contests)
            if likelier is None:
                break
            found = likelier.conventions
            self._say(f"{likelier.convention}: {likelier.label} walks as well and is likelier")
        whole = self._whole_score(found)
        decisions = []
        for convention in labels.SETTLES:
            of_it = [self._symmetric(convention, found, each) for each in contests if each.rival.of(convention)]
            if of_it:
                decisions.append(decide(convention, found, own, whole, of_it, self._spec))
        return found, tuple(decisions)

    def _off_balance(self, found: Conventions, contests: Sequence[Contest]) -> list[Contest]:
        """Return contests, the open ones decided where the robots do not stand kicks alike."""
        unsettled = [each for each in contests if each.sure == "open" and set(each.rival.differs) <= labels.SEEN]
        near = [each.rival.conventions for each in unsettled]
        missing = [each for each in (found, *near) if each not in self._kicked]
        if not near or self._over():
            return list(contests)
        self._kicks = self._kicks or self._trials.bearable(found, worlds=16, seconds=_LONG)
        scores = self._trials.play(missing, worlds=16, seconds=_LONG, kicks=self._kicks)
        self._kicked |= dict(zip(missing, scores, strict=True))
        return [self._after_kicks(found, each) if each in unsettled else each for each in contests]

    def _after_kicks(self, found: Conventions, contest: Contest) -> Contest:
        own, other = self._kicked[found], self._kicked[contest.rival.conventions]
        sure = sureness_off_balance(own, other)
        if sure == "open" and sureness_off_balance(other, own) != "sure":
            return contest
        return dataclasses.replace(contest, margin=own.total - other.total, sure=sure)

    def _likelier(self, found: Conventions, contests: Sequence[Contest]) -> Alternative | None:
        """Return what walks as well, and stands kicks better, fits the policy's answers far better, or is usual."""
        stands = min(contests, key=lambda contest: contest.margin or 0.0)
        if stands.margin is not None and stands.margin < -SURE:
            return stands.rival
        near = [contest.rival for contest in contests if contest.sure == "open"]
        fits = {rival: self._fit(rival.conventions) for rival in near}
        best = max(near, key=fits.__getitem__, default=None)
        if best is not None and fits[best] > self._fit(found) + _CLOSE:
            return best
        return next((rival for rival in near if rival.convention in labels.FRAMES and rival.label == "base"), None)

    def _symmetric(self, convention: str, found: Conventions, contest: Contest) -> Contest:
        """Return a contest, decided where the robot walks under both and the policy's answers fit one alone."""
        if convention not in (labels.JOINTS, labels.GRAVITY, labels.ORDER) or contest.sure != "open":
            return contest
        symmetric = self._fit(found) > self._fit(contest.rival.conventions) + _CLOSE
        return dataclasses.replace(contest, sure="probable") if symmetric else contest

    def _contests(self, found: Conventions, own: Score) -> list[Contest]:
        """Play every rival, those that do not lose clearly as long as the conventions.

        Args:
            found: The conventions.
            own: Their score in a long trial.
        """
        rivals = [*options.rivals(found, self._spec), *self._strangers(found, own)]
        contests: dict[Alternative, Contest] = {}
        left = rivals
        for worlds, out in ((2, OUT), (8, OUT_OF_ALL)):
            first, *scores = self._play([found, *(rival.conventions for rival in left)], worlds=worlds, seconds=_SHORT)
            near = []
            for rival, score in sorted(zip(left, scores, strict=True), key=lambda pair: -pair[1].total):
                margin = first.total - score.total
                if score is _NOT_PLAYED:
                    contests[rival] = Contest(rival=rival, margin=None, sure="probable")
                elif margin >= out:
                    contests[rival] = Contest(rival=rival, margin=margin, sure="sure")
                else:
                    near.append(rival)
            left = near
        for rival, score in zip(
            left, self._play([rival.conventions for rival in left], worlds=8, seconds=_LONG), strict=True
        ):
            if score is _NOT_PLAYED:
                contests[rival] = Contest(rival=rival, margin=None, sure="probable")
            else:
                margin, sure = own.total - score.total, sureness(own, score)
                contests[rival] = Contest(rival=rival, margin=margin, sure=sure, better=score.total)
        return list(contests.values())

    def _strangers(self, found: Conventions, own: Score) -> Iterator[Alternative]:
        """Yield conventions that did almost as well in the search and differ from these in several things."""
        near = [
            conventions
            for (conventions, worlds, seconds), score in self._played.items()
            if worlds == 8 and seconds == _MIDDLE and score.total > own.total - 2 * SURE
        ]
        for conventions in sorted(near, key=lambda each: -self._played[each, 8, _MIDDLE].total)[:_STRANGERS]:
            differs = [name for name in labels.SETTLES if self._label(name, conventions) != self._label(name, found)]
            if len(differs) > 1:
                first, *others = differs
                label = "; ".join(f"{name} {self._label(name, conventions)}" for name in differs)
                yield Alternative(first, label, conventions, also=tuple(others))

    def _whole_score(self, found: Conventions) -> Score:
        """Return the score of conventions in more worlds than any were compared in."""
        return self._play([found], worlds=16, seconds=_LONG)[0]

    def _odds(self, found: Conventions, other: Conventions) -> float:
        """Return how much better others must be for an order of joints that no project has; arms hardly tell orders."""
        return SURE * ((other.joints not in self._known_orders) - (found.joints not in self._known_orders))

    def _label(self, convention: str, found: Conventions) -> str:
        return labels.label_of(convention, found, self._spec)

    def _fit(self, found: Conventions) -> float:
        """Return how well the policy's answers fit conventions; see :class:`.evidence.Reading`."""
        terms = tuple(BLOCK if term.quantity in words.PER_JOINT else term.quantity for term in found.terms)
        frames = found.stacked if found.stacked > 1 else found.terms[0].frames
        arrangement = Arrangement(terms, frames, found.stacked > 1 or frames == 1, len(found.joints))
        gravity, orientation = found.term(words.GRAVITY), found.term(words.ORIENTATION)
        upright = Upright(
            gravity=1.0 if gravity is not None and gravity.scales[-1] < 0 else -1.0,
            order="xyzw" if orientation is not None and orientation.frame == "xyzw" else "wxyz",
        )
        return self._evidence.fit(arrangement, found.joints, upright)

    def _ranked(
        self, tried: Iterator[Conventions] | Sequence[Conventions], *, worlds: int, seconds: float
    ) -> list[Conventions]:
        """Return conventions in the order of how well they did, each once."""
        distinct = list(dict.fromkeys(tried))
        scores = self._play(distinct, worlds=worlds, seconds=seconds)
        order = sorted(range(len(distinct)), key=lambda number: -scores[number].total)
        return [distinct[number] for number in order]

    def _play(self, tried: Sequence[Conventions], *, worlds: int, seconds: float) -> list[Score]:
        """Return the score of each, played only where it was not before."""
        missing = [each for each in dict.fromkeys(tried) if (each, worlds, seconds) not in self._played]
        while missing:
            if self._over():
                self._whole = False
                missing = missing[:_AFTER_TIME]
            part, missing = missing[:_AT_ONCE], missing[_AT_ONCE:]
            if self._over():
                missing = []
            for each, score in zip(part, self._trials.play(part, worlds=worlds, seconds=seconds), strict=True):
                self._played[each, worlds, seconds] = score
        return [self._played.get((each, worlds, seconds), _NOT_PLAYED) for each in tried]

    def _over(self) -> bool:
        return self._trials.spent(self._share)


_STRANGERS = 24
"""Conventions found on the way that are rivals."""
_AT_ONCE = 128
"""Conventions that are played before the clock is looked at again."""
_AFTER_TIME = 12
"""Trials of one kind that are still played when the time is up, so that a search has a result."""
_NOT_PLAYED = Score(total=-1.0, alive=0.0, follow=0.0, jitter=0.0, totals=(-1.0,))
