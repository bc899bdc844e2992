"""Faults of the actions and joint targets in a log: not the policy's answer, not the contract's scale and offset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ..spec.contract import ActionTerm, PolicyContract
from .faults import SAME_OFFSET, LogFault, relation_faults
from .relation import Relation, fit_relation
from .robot_log import Array, RobotLog

if TYPE_CHECKING:
    from ..policies.confined.policy_file import AskedPolicy

REPLAYS = 0.02
"""Largest difference of replayed actions, as a share of their spread, that counts as the same."""


def policy_faults(log: RobotLog, policy: AskedPolicy, contract: PolicyContract) -> Iterator[LogFault]:
    """Yield how the logged actions differ from what the policy answers to the logged observations."""
    if log.observations is None or log.actions is None or log.observations.shape[1] != contract.observation_size:
        return
    replayed = _replay(policy, log.observations)
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
    yield from relation_faults("the policy's output", "actions", relation, labels)


def _replay(policy: AskedPolicy, observations: Array) -> Array:
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
        yield from relation_faults("the joint target", "targets", relation, term.joint_names)
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
