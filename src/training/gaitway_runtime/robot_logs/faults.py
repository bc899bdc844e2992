"""Faults that a log shows: what differs between what the robot did and what the policy's contract says."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..spec.contract import ActionTerm, ObservationTerm, PolicyContract
from .relation import Relation, fit_relation
from .robot_log import Array, RobotLog, gravity, rotation

if TYPE_CHECKING:
    from ..policies.confined.policy_file import AskedPolicy

SAME_OFFSET = 0.03
"""Offsets within this of each other are the same: joint positions [rad], velocities [m/s, rad/s]."""
REPLAYS = 0.02
"""Largest difference of replayed actions, as a share of their spread, that counts as the same."""


@dataclass(frozen=True, kw_only=True)
class LogFault:
    """One difference that was found."""

    kind: str
    """``order``, ``sign``, ``scale``, ``offset``, ``delay``, ``frame``, ``gains``, ``dropped``, ``width``..."""
    where: str
    """What it is in: an observation term, ``actions``, ``targets``, ``drives``, ``time``."""
    cause: str
    """One sentence."""
    evidence: str
    """What was measured."""
    advice: str = ""

    def document(self) -> dict[str, str]:
        """Return the fault as JSON values."""
        return dataclasses.asdict(self)


def timing_faults(log: RobotLog, contract: PolicyContract) -> Iterator[LogFault]:
    """Yield what is wrong with the log's clock: another control rate, missing rows."""
    wanted = contract.timing.control_dt
    steps = np.diff(log.time)
    usual = float(np.median(steps))
    control = usual if log.observations is None else _control_dt(log.time, log.observations)
    if wanted and not 0.9 < control / wanted < 1.1:
        yield LogFault(
            kind="rate",
            where="time",
            cause="The control loop runs at another rate than the policy was trained for",
            evidence=f"its steps are {control * 1e3:.1f} ms apart, the contract says {wanted * 1e3:.1f} ms",
            advice="run the policy at the contract's control_dt",
        )
    gaps = np.flatnonzero(steps > 1.5 * usual)
    if len(gaps):
        lost = int(np.round(steps[gaps] / usual - 1).sum())
        yield LogFault(
            kind="dropped",
            where="time",
            cause="Frames were dropped",
            evidence=f"{lost} rows are missing at {len(gaps)} places, the first at {log.time[gaps[0]]:.2f} s",
            advice="look for what blocks the control loop or the recorder",
        )


def _control_dt(time: Array, observations: Array) -> float:
    """Return the time between two observations that differ [s]; a log may have several rows for each."""
    changed = np.flatnonzero((np.diff(observations, axis=0) != 0).any(axis=1))
    return float(np.median(np.diff(time[changed]))) if len(changed) > 2 else float(np.median(np.diff(time)))


def stale_observation_faults(log: RobotLog) -> Iterator[LogFault]:
    """Yield the observations that the policy was given twice, while the robot moved on."""
    if log.observations is None or log.joint_pos is None:
        return
    repeated = (np.diff(log.observations, axis=0) == 0).all(axis=1)
    moved = (np.diff(log.joint_pos, axis=0) != 0).any(axis=1)
    count = int((repeated & moved).sum())
    if count > 0.005 * len(log):
        yield LogFault(
            kind="dropped",
            where="observations",
            cause="The policy was given stale observations",
            evidence=f"{count} of {len(log)} observations repeat the one before while the joints moved",
            advice="read the sensors once in each control step",
        )


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
        variants = {name: values[1:] for name, values in _variants(log, contract, term).items()}
        yield from _term_faults(log, contract, term, fit_relation(logged[1:], expected[1:], variants))


def expected_term(log: RobotLog, contract: PolicyContract, term: ObservationTerm) -> Array | None:
    """Return what a term should have been, (T, size), from the sensors; None where the log does not have them."""
    raw = _sensor(log, contract, term.name)
    if raw is None or raw.shape[1] != term.stop - term.start:
        return None
    return _processed(raw, contract, term)


def _sensor(log: RobotLog, contract: PolicyContract, name: str) -> Array | None:
    """Return the sensor channel that a term is made of, before offset and scale."""
    match name:
        case "base_lin_vel":
            return log.base_lin_vel
        case "base_ang_vel":
            return log.base_ang_vel
        case "projected_gravity":
            return None if log.base_quat is None else gravity(log.base_quat)
        case "velocity_commands" | "commands":
            return log.command
        case "joint_pos" | "joint_pos_rel":
            return log.joint_pos
        case "joint_vel" | "joint_vel_rel":
            return log.joint_vel
        case "actions" | "last_action":
            return None if log.actions is None else _previous(log.actions)
    return None


def _previous(values: Array) -> Array:
    return np.concatenate([np.zeros_like(values[:1]), values[:-1]])


def _processed(raw: Array, contract: PolicyContract, term: ObservationTerm) -> Array:
    """Apply a term's offset, scale and clip."""
    offset = np.asarray(term.offset) if len(term.offset) else _default_pose(contract, term)
    scale = np.asarray(term.scales) if len(term.scales) else np.asarray(term.scale)
    values: Array = raw - offset
    if term.clip:
        values = np.clip(values, *term.clip)
    scaled: Array = values * scale
    return scaled


def _default_pose(contract: PolicyContract, term: ObservationTerm) -> Array:
    """Return what joint positions are measured from, where a contract of the first schema leaves it out."""
    if term.name in ("joint_pos", "joint_pos_rel"):
        pose = dict(zip(contract.robot.joint_names, contract.robot.default_joint_pos, strict=True))
        return np.asarray([pose.get(name, 0.0) for name in term.joint_names or contract.robot.joint_names])
    return np.zeros(1)


def _variants(log: RobotLog, contract: PolicyContract, term: ObservationTerm) -> dict[str, Array]:
    """Return what a term may hold by mistake, by the mistake's name."""
    found: dict[str, Array] = {}
    raw = _sensor(log, contract, term.name)
    if raw is None:
        return found
    if term.name in ("base_lin_vel", "base_ang_vel") and log.base_quat is not None:
        world = np.einsum("tij,tj->ti", rotation(log.base_quat), raw)
        found["frame"] = _processed(world, contract, term)
    if term.name == "projected_gravity" and log.base_quat is not None:
        found["quaternion"] = gravity(log.base_quat[:, [3, 0, 1, 2]])
        found["inverse"] = -rotation(log.base_quat)[:, :, 2]
    if term.name in ("actions", "last_action"):
        if log.targets is not None:
            found["targets"] = _previous(log.targets)
        if log.actions is not None:
            found["undelayed"] = log.actions
    return found


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
        yield LogFault(kind=kind, where=term.name, cause=f"{name} {what}", evidence=_fit_text(relation), advice=advice)
    labels = term.joint_names or contract.robot.joint_names
    yield from _common_faults(name, term.name, relation, labels if len(labels) == len(relation.order) else ())
    yield from _offset_fault(contract, term, relation)


def _within_noise(log: RobotLog, contract: PolicyContract, term: ObservationTerm) -> bool:
    """Whether a term is as the sensors say, up to the noise that the policy was trained with."""
    expected = expected_term(log, contract, term)
    if expected is None or log.observations is None or term.noise is None:
        return False
    rest = log.observations[:, term.start : term.stop] - expected
    spread_of_noise = (term.noise[1] - term.noise[0]) / np.sqrt(12)
    return bool(np.sqrt((rest**2).mean()) <= spread_of_noise)


def _common_faults(name: str, where: str, relation: Relation, labels: tuple[str, ...]) -> Iterator[LogFault]:
    """Yield order, sign, scale and delay."""
    evidence = _fit_text(relation)
    if relation.reordered:
        moved = [
            f"{_label(labels, place)} holds {_label(labels, source)}"
            for place, source in enumerate(relation.order)
            if place != source and relation.moving[place]
        ]
        yield LogFault(
            kind="order",
            where=where,
            cause=f"{name} is in another order",
            evidence=f"{', '.join(moved[:6])}{' ...' if len(moved) > 6 else ''}; {evidence}",
            advice="the contract's joint_names are the order",
        )
    if len(relation.flipped):
        yield LogFault(
            kind="sign",
            where=where,
            cause=f"{name} has the opposite sign",
            evidence=f"in {', '.join(_label(labels, int(place)) for place in relation.flipped)}; {evidence}",
            advice="check the axes of the sensor or joint",
        )
    if relation.scaled:
        factor = relation.scale
        known = {180 / np.pi: " (degrees for radians)", np.pi / 180: " (radians scaled as degrees)"}
        note = next((text for value, text in known.items() if abs(factor / value - 1) < 0.05), "")
        yield LogFault(
            kind="scale",
            where=where,
            cause=f"{name} is scaled by {factor:.3g}{note}",
            evidence=evidence,
            advice="apply the contract's scale and no other",
        )
    if relation.delay:
        steps = relation.delay
        yield LogFault(
            kind="delay",
            where=where,
            cause=f"{name} is {steps} control step{'s' * (steps > 1)} late",
            evidence=evidence,
            advice="shorten the way from sensor to policy, or train with this delay",
        )


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
        pose = np.asarray(term.offset) if len(term.offset) else _default_pose(contract, term)
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


def policy_faults(log: RobotLog, policy: AskedPolicy, contract: PolicyContract) -> Iterator[LogFault]:
    """Yield how the logged actions differ from what the policy answers to the logged observations."""
    if log.observations is None or log.actions is None or log.observations.shape[1] != contract.observation_size:
        return
    replayed = replay(policy, log.observations)
    if replayed.shape != log.actions.shape:
        yield LogFault(
            kind="width",
            where="actions",
            cause=f"The log has {log.actions.shape[1]} actions, the policy {replayed.shape[1]}",
            evidence="the widths differ",
            advice="log the policy's raw output",
        )
        return
    spread = max(float(replayed.std()), 1e-6)
    if float(np.sqrt(((replayed - log.actions) ** 2).mean())) / spread < REPLAYS:
        return
    clipped = _clip_of(log.actions, replayed)
    if clipped is not None:
        yield LogFault(
            kind="clip",
            where="actions",
            cause=f"The policy's output is clipped to {clipped:.3g}",
            evidence=f"{(np.abs(replayed) > clipped).mean():.1%} of the outputs lie beyond",
            advice="clip only where the contract does",
        )
        return
    relation = fit_relation(log.actions, replayed)
    if not relation.explains:
        yield LogFault(
            kind="policy",
            where="actions",
            cause="The actions are not this policy's answer to the logged observations",
            evidence=f"{relation.residual:.0%} of their spread stays unexplained",
            advice="check that the robot runs this file, with its normaliser, and that the log holds what it was given",
        )
        return
    labels = contract.actions[0].joint_names if len(contract.actions) == 1 else ()
    yield from _common_faults("the policy's output", "actions", relation, labels)


def replay(policy: AskedPolicy, observations: Array) -> Array:
    """Return the policy's answers to logged observations, (T, actions), in the order in which they were asked."""
    policy.reset()
    rows = observations.astype(np.float32)
    if not policy.recurrent:
        return policy.act(rows).astype(np.float64)
    return np.concatenate([policy.act(row[None]) for row in rows]).astype(np.float64)


def _clip_of(logged: Array, replayed: Array) -> float | None:
    """Return the bound by which the logged outputs are the replayed ones, clipped; None where they are not."""
    bound = float(np.abs(logged).max())
    differs = np.abs(np.clip(replayed, -bound, bound) - logged).max() > 1e-3 * max(bound, 1e-6)
    return None if differs or (np.abs(replayed) > bound * 1.01).mean() < 0.001 else bound


def target_faults(log: RobotLog, contract: PolicyContract) -> Iterator[LogFault]:
    """Yield how the joint targets differ from the contract's ``offset + scale * action``."""
    if log.targets is None or log.actions is None:
        return
    for term in contract.actions:
        columns = _columns(log, contract, term)
        if term.kind != "joint_position" or columns is None:
            continue
        action = log.actions[:, term.start : term.stop]
        expected = np.asarray(term.offset) + np.asarray(term.scale) * action
        if term.clip:
            expected = np.clip(expected, *term.clip)
        relation = fit_relation(log.targets[:, columns], expected)
        if not relation.explains:
            yield LogFault(
                kind="unexplained",
                where="targets",
                cause="The joint targets are not the contract's scale and offset of the actions",
                evidence=f"{relation.residual:.0%} of their spread stays unexplained",
                advice="compare what computes the targets with the contract",
            )
            continue
        yield from _common_faults("the joint target", "targets", relation, term.joint_names)
        yield from _target_offset(term, relation)


def _target_offset(term: ActionTerm, relation: Relation) -> Iterator[LogFault]:
    offset = np.asarray(term.offset)[relation.order]
    # Of logged = gain * (offset + scale * action) + rest only the scale is taken for wrong, not the offset.
    rest = relation.offset - (1 - relation.gain) * offset
    if np.abs(rest).max() < SAME_OFFSET or relation.reordered:
        return
    missing = np.abs(rest + offset).max() < 0.1
    yield LogFault(
        kind="offset",
        where="targets",
        cause="The joint targets lack the default pose" if missing else "The joint targets have a constant added",
        evidence=f"offsets {', '.join(f'{value:+.2f}' for value in rest)}",
        advice="the target is the contract's offset plus its scale times the action",
    )


def _columns(log: RobotLog, contract: PolicyContract, term: ActionTerm) -> list[int] | None:
    """Return the columns of ``targets`` that an action term drives."""
    names = log.joint_names or contract.robot.joint_names
    if log.targets is None or log.targets.shape[1] != len(names) or not set(term.joint_names) <= set(names):
        return None
    return [names.index(name) for name in term.joint_names]


def _label(labels: tuple[str, ...], place: int) -> str:
    return labels[place] if place < len(labels) else f"entry {place}"


def _fit_text(relation: Relation) -> str:
    return f"with this, {max(0.0, 1 - relation.residual**2):.1%} of its variance is explained"
