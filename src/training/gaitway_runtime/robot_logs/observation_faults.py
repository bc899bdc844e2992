"""Faults of the observations in a log: order, sign, scale, offset, delay, frame, width."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..spec.contract import ObservationTerm, PolicyContract
from .expected import default_pose, expected_term, likely_mistakes
from .faults import SAME_OFFSET, LogFault, fit_text, relation_faults
from .relation import Relation, fit_relation
from .robot_log import RobotLog


def observation_faults(log: RobotLog, contract: PolicyContract) -> Iterator[LogFault]:
    """Yield, term by term, how the logged observations differ from what the sensors and the contract say."""
    if log.observations is None:
        return
    width = log.observations.shape[1]
    if width != contract.observation_size:
        yield _other_width(log, contract)
        return
    for term in contract.observations:
        expected = expected_term(log, contract, term)
        if expected is None:
            continue
        logged = log.observations[:, term.start : term.stop]
        # The first row has no step before it.
        variants = {name: values[1:] for name, values in likely_mistakes(log, contract, term).items()}
        yield from _term_faults(log, contract, term, fit_relation(logged[1:], expected[1:], variants))


_VARIANT_CAUSE = {
    "frame": (
        "frame",
        "is in the world frame instead of the base frame",
        "rotate it by the base's orientation",
    ),
    "quaternion": (
        "frame",
        "is computed from a quaternion whose scalar part is taken from the other end",
        "the log's quaternion is w x y z: convert it for what computes the term",
    ),
    "inverse": (
        "frame",
        "is computed with the inverse rotation",
        "gravity in the base frame is the transposed rotation times (0, 0, -1)",
    ),
    "targets": (
        "source",
        "holds the joint targets; the policy expects its own raw output of the step before",
        "keep the network's output as it is for the next step",
    ),
    "undelayed": (
        "source",
        "holds the output of the same step; the policy expects that of the step before",
        "compute the observation before the policy is asked",
    ),
}


def _term_faults(
    log: RobotLog, contract: PolicyContract, term: ObservationTerm, relation: Relation
) -> Iterator[LogFault]:
    """Yield what a fitted relation says is wrong with one observation term."""
    name = f"observation {term.name}"
    if not relation.explains:
        if _within_noise(log, contract, term):
            return
        yield LogFault(
            kind="unexplained",
            where=term.name,
            cause=f"{name} is not what the sensors say, by no order, sign, scale, offset or delay",
            evidence=f"{relation.residual:.0%} of its spread stays unexplained",
            advice="compare how it is computed with the contract",
        )
        return
    if relation.variant:
        kind, what, advice = _VARIANT_CAUSE[relation.variant]
        yield LogFault(kind=kind, where=term.name, cause=f"{name} {what}", evidence=fit_text(relation), advice=advice)
    labels = term.joint_names or contract.robot.joint_names
    yield from relation_faults(name, term.name, relation, labels if len(labels) == len(relation.order) else ())
    yield from _offset_fault(contract, term, relation)


def _within_noise(log: RobotLog, contract: PolicyContract, term: ObservationTerm) -> bool:
    """Whether a term is as the sensors say, up to the noise that the policy was trained with."""
    expected = expected_term(log, contract, term)
    if expected is None or log.observations is None or term.noise is None:
        return False
    rest = log.observations[:, term.start : term.stop] - expected
    spread_of_noise = (term.noise[1] - term.noise[0]) / np.sqrt(12)
    return bool(np.sqrt((rest**2).mean()) <= spread_of_noise)


def _offset_fault(contract: PolicyContract, term: ObservationTerm, relation: Relation) -> Iterator[LogFault]:
    """Yield a constant that was added, with its meaning where it is the default pose."""
    scale = max(relation.scale, 1e-6)
    offset = relation.offset / scale
    if np.abs(offset).max() < SAME_OFFSET:
        return
    if relation.variant or relation.reordered:
        return  # a wrong source or order brings constants of its own
    evidence = f"offsets {', '.join(f'{value:+.2f}' for value in offset)}"
    if term.name in ("joint_pos", "joint_pos_rel"):
        pose = np.asarray(term.offset) if len(term.offset) else default_pose(contract, term)
        for sign, what in ((1, "is not measured from the default pose"), (-1, "has the default pose subtracted twice")):
            if np.abs(offset - sign * pose).max() < 0.1:
                yield LogFault(
                    kind="offset",
                    where=term.name,
                    cause=f"observation {term.name} {what}",
                    evidence=evidence,
                    advice="subtract the contract's offset once",
                )
                return
    yield LogFault(
        kind="offset",
        where=term.name,
        cause=f"observation {term.name} has a constant added",
        evidence=evidence,
        advice="calibrate the zero of the joint or sensor",
    )


def _other_width(log: RobotLog, contract: PolicyContract) -> LogFault:
    """Return the fault of an observation vector that has other entries than the contract's."""
    assert log.observations is not None
    width, wanted = log.observations.shape[1], contract.observation_size
    extra, place = width - wanted, None
    if extra > 0:
        costs = {term.start: _misfit(log, contract, term.start, extra) for term in contract.observations}
        costs[wanted] = _misfit(log, contract, wanted, extra)
        place = min(costs, key=costs.__getitem__)
    where = f"; the others fit when {extra} values at index {place} are left out" if place is not None else ""
    return LogFault(
        kind="width",
        where="observations",
        cause=f"The observation vector has {width} values, the contract describes {wanted}",
        evidence=f"{width - wanted:+d} values{where}",
        advice="give the policy exactly the contract's terms",
    )


def _misfit(log: RobotLog, contract: PolicyContract, place: int, extra: int) -> float:
    """Return how badly the terms fit when some entries are left out of the observations."""
    assert log.observations is not None
    kept = np.delete(log.observations, slice(place, place + extra), axis=1)
    errors = []
    for term in contract.observations:
        expected = expected_term(log, contract, term)
        if expected is not None:
            spread = max(float(expected.std()), 1e-3)
            errors.append(float(np.abs(kept[:, term.start : term.stop] - expected).mean()) / spread)
    return float(np.mean(errors)) if errors else 0.0
