"""A policy away from home: terms and joints are matched by name, whatever order, scale or pose they have."""

import dataclasses

import numpy as np
import pytest
from gaitway_runtime.policies.adapter import adapt
from gaitway_runtime.spec.contract import ActionTerm, ObservationTerm, PolicyContract, Robot
from gaitway_runtime.spec.errors import UsageError
from numpy.typing import NDArray

from .samples import sample_contract

LEGS, PARTS = ("LF", "LH", "RF", "RH"), ("HAA", "HFE", "KFE")
BREADTH_FIRST = tuple(f"{leg}_{part}" for part in PARTS for leg in LEGS)
"""Joint order of Isaac Lab 2.x, and here."""
DEPTH_FIRST = tuple(f"{leg}_{part}" for leg in LEGS for part in PARTS)
"""Joint order of Isaac Lab 3.x with Newton."""

POSE = {name: 0.1 * number - 0.5 for number, name in enumerate(BREADTH_FIRST)}
SCALE = {name: 0.5 for name in BREADTH_FIRST}


def velocity(
    joints: tuple[str, ...],
    *,
    pose: dict[str, float] = POSE,
    scale: dict[str, float] = SCALE,
    vel_scale: float = 1.0,
    terms: tuple[str, ...] = ("base_lin_vel", "joint_pos", "joint_vel", "actions"),
    robot: dict | None = None,
    kind: str = "joint_position",
) -> PolicyContract:
    """A velocity task's contract with its joints in some order."""
    found, start = [], 0
    for name in terms:
        per_joint = name != "base_lin_vel"
        size = len(joints) if per_joint else 3
        changes = {"scale": vel_scale} if name == "joint_vel" else {}
        names = joints if per_joint else ()
        found.append(ObservationTerm(name=name, start=start, stop=start + size, joint_names=names, **changes))
        start += size
    count = len(joints)
    values = {"stiffness": (80.0,) * count, "damping": (2.0,) * count, "armature": (0.0,) * count, "actuator": "pd"}
    return sample_contract(
        observations=tuple(found),
        actions=(
            ActionTerm(
                name="joint_pos",
                kind=kind,
                start=0,
                stop=count,
                joint_names=joints,
                scale=tuple(scale[name] for name in joints),
                offset=tuple(pose[name] for name in joints),
            ),
        ),
        robot=Robot(
            name="anymal_c",
            joint_names=joints,
            default_joint_pos=tuple(pose[name] for name in joints),
            joint_pos_limits=(),
            effort_limits=(),
            **{**values, **(robot or {})},
        ),
    )


def observe(contract: PolicyContract, q: dict, qd: dict, last_target: dict, lin_vel: NDArray) -> NDArray[np.float32]:
    """What a simulator of this contract would show of one physical state, (1, observations)."""
    action = contract.actions[0]
    pose = dict(zip(contract.robot.joint_names, contract.robot.default_joint_pos, strict=True))
    values = []
    for term in contract.observations:
        if term.name == "base_lin_vel":
            raw = list(lin_vel)
        elif term.name == "joint_pos":
            raw = [q[name] - pose[name] for name in term.joint_names]
        elif term.name == "joint_vel":
            raw = [qd[name] for name in term.joint_names]
        else:
            raw = [
                (last_target[name] - offset) / scale
                for name, scale, offset in zip(action.joint_names, action.scale, action.offset, strict=True)
            ]
        if term.clip:
            raw = np.clip(raw, *term.clip)
        values += [term.scale * value for value in raw]
    return np.array([values], dtype=np.float32)


def targets(contract: PolicyContract, actions: NDArray) -> dict[str, float]:
    """The joint targets that a simulator of this contract makes of raw actions."""
    term = contract.actions[0]
    rows = zip(term.joint_names, term.scale, term.offset, actions[0].tolist(), strict=True)
    return {name: offset + scale * action for name, scale, offset, action in rows}


HOMES = {
    "the same": velocity(BREADTH_FIRST),
    "depth first, as Isaac Lab 3": velocity(DEPTH_FIRST),
    "other scales": velocity(DEPTH_FIRST, scale={name: 0.25 + 0.01 * len(name) for name in POSE}, vel_scale=0.05),
    "another pose": velocity(DEPTH_FIRST, pose={name: -0.3 for name in POSE}, scale=dict.fromkeys(POSE, 1.5)),
    "terms in another order": velocity(DEPTH_FIRST, terms=("actions", "joint_vel", "base_lin_vel", "joint_pos")),
    "fewer terms": velocity(BREADTH_FIRST[::-1], terms=("joint_pos", "joint_vel")),
}


@pytest.mark.parametrize("home", HOMES.values(), ids=HOMES.keys())
def test_a_foreign_policy_sees_and_does_what_it_would_at_home(home: PolicyContract) -> None:
    here = velocity(BREADTH_FIRST)
    rng = np.random.default_rng(3)
    q, qd, last = ({name: float(rng.normal()) for name in BREADTH_FIRST} for _ in range(3))
    lin_vel = rng.normal(size=3)
    adapter = adapt(home, here)
    seen = adapter.observe(observe(here, q, qd, last, lin_vel))
    assert seen.dtype == np.float32
    np.testing.assert_allclose(seen, observe(home, q, qd, last, lin_vel), atol=2e-6)
    actions = rng.normal(size=(1, 12)).astype(np.float32)
    wanted, done = targets(home, actions), targets(here, adapter.act(actions))
    assert wanted.keys() == done.keys()
    np.testing.assert_allclose([done[name] for name in wanted], list(wanted.values()), atol=1e-6)


def test_at_home_nothing_is_changed() -> None:
    contract = velocity(BREADTH_FIRST)
    adapter = adapt(contract, contract)
    values = np.random.default_rng(0).normal(size=(5, contract.observation_size)).astype(np.float32)
    assert np.array_equal(adapter.observe(values), values)
    assert np.array_equal(adapter.act(values[:, :12]), values[:, :12])
    assert adapter.differences == ()


def test_the_policys_own_clip_is_applied() -> None:
    here, home = velocity(BREADTH_FIRST), velocity(DEPTH_FIRST, vel_scale=0.1)
    clipped = [dataclasses.replace(t, clip=(-2.0, 2.0)) if t.name == "joint_vel" else t for t in home.observations]
    home = dataclasses.replace(home, observations=tuple(clipped))
    state = ({name: 0.0 for name in POSE}, {name: 7.0 for name in POSE}, POSE, np.zeros(3))
    seen = adapt(home, here).observe(observe(here, *state))
    np.testing.assert_allclose(seen, observe(home, *state), atol=1e-6)
    assert seen[0, 15:27].max() == np.float32(0.2)


def test_gains_come_in_the_simulators_joint_order() -> None:
    stiffness = {name: 10.0 + number for number, name in enumerate(BREADTH_FIRST)}
    home = velocity(DEPTH_FIRST, robot={"stiffness": tuple(stiffness[name] for name in DEPTH_FIRST)})
    adapter = adapt(home, velocity(BREADTH_FIRST))
    assert adapter.stiffness == tuple(stiffness.values())
    assert adapter.damping == (2.0,) * 12
    assert adapter.differences == ("stiffness of LF_HAA: 10 at home, 80 here",)


def test_an_actuator_network_has_no_gains_to_take() -> None:
    home = velocity(DEPTH_FIRST, robot={"stiffness": (0.0,) * 12, "damping": (0.0,) * 12, "actuator": "lstm"})
    adapter = adapt(home, velocity(BREADTH_FIRST))
    assert adapter.stiffness is None and adapter.damping is None
    assert "actuator lstm at home, pd here" in adapter.differences


def test_what_no_map_makes_up_for_is_said() -> None:
    home = velocity(BREADTH_FIRST)
    home = dataclasses.replace(
        home,
        timing=dataclasses.replace(home.timing, control_dt=0.01, action_delay_steps=1),
        conventions={"quaternion": "xyzw"},
    )
    here = dataclasses.replace(velocity(BREADTH_FIRST), conventions={"quaternion": "wxyz", "notes": ["a"]})
    assert adapt(home, here).differences == (
        "control period 0.01 s at home, 0.02 s here",
        "action delay 1 steps at home, 0 here",
        "convention quaternion: xyzw at home, wxyz here",
    )


def test_targets_that_only_home_cuts_off_are_said() -> None:
    home = velocity(BREADTH_FIRST)
    cut = dataclasses.replace(home, actions=(dataclasses.replace(home.actions[0], clip=(-7.5, 7.5)),))
    assert adapt(cut, home).differences == ("targets cut off at -7.5 to 7.5 at home, at no bound here",)


def renamed(name: str) -> PolicyContract:
    joints = (name, *BREADTH_FIRST[1:])
    pose = {**POSE, name: 0.0}
    return velocity(joints, pose=pose, scale=dict.fromkeys(pose, 0.5))


@pytest.mark.parametrize(
    ("home", "here", "message"),
    [
        (velocity(BREADTH_FIRST), velocity(BREADTH_FIRST, terms=("joint_pos",)), "observes base_lin_vel"),
        (renamed("LF_HIP"), velocity(BREADTH_FIRST), "names joint LF_HIP"),
        (
            velocity(BREADTH_FIRST, kind="joint_effort"),
            velocity(BREADTH_FIRST),
            "is a joint_effort, here it is a joint_p",
        ),
        (velocity(BREADTH_FIRST[:8], terms=("joint_pos",)), velocity(BREADTH_FIRST), "has 8 values, here it has 12"),
        (
            velocity(BREADTH_FIRST, scale=dict.fromkeys(POSE, 0.0)),
            velocity(BREADTH_FIRST),
            "action scale of LF_HAA is 0",
        ),
        (velocity(BREADTH_FIRST, vel_scale=0.0), velocity(BREADTH_FIRST), "term joint_vel has scale 0"),
    ],
    ids=["term", "joint", "kind", "size", "action scale", "term scale"],
)
def test_what_cannot_be_matched_is_named(home: PolicyContract, here: PolicyContract, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        adapt(home, here)


def test_a_joint_without_an_action_is_named() -> None:
    home = velocity(BREADTH_FIRST[:8], terms=("base_lin_vel",))
    with pytest.raises(UsageError, match="drives joint LF_KFE, for which the policy has no action"):
        adapt(home, velocity(BREADTH_FIRST, terms=("base_lin_vel",)))


def test_a_scale_a_value_is_undone_and_applied() -> None:
    here, home = velocity(BREADTH_FIRST), velocity(DEPTH_FIRST)
    scales = {name: 0.1 + 0.01 * number for number, name in enumerate(BREADTH_FIRST)}
    terms = tuple(
        dataclasses.replace(term, scales=tuple(scales[name] for name in DEPTH_FIRST))
        if term.name == "joint_vel"
        else term
        for term in home.observations
    )
    adapter = adapt(dataclasses.replace(home, observations=terms), here)
    seen = adapter.observe(np.ones((1, here.observation_size), np.float32))
    span = next(term for term in terms if term.name == "joint_vel")
    assert seen[0, span.start : span.stop] == pytest.approx([scales[name] for name in DEPTH_FIRST])


def with_term(contract: PolicyContract, name: str, **changes) -> PolicyContract:
    terms = (dataclasses.replace(term, **changes) if term.name == name else term for term in contract.observations)
    return dataclasses.replace(contract, observations=tuple(terms))


def test_units_of_the_same_quantity_are_converted() -> None:
    here = with_term(velocity(BREADTH_FIRST), "joint_vel", units="rad/s")
    home = with_term(velocity(BREADTH_FIRST), "joint_vel", units="deg/s")
    term = here.observation("joint_vel")
    assert term is not None
    seen = adapt(home, here).observe(np.ones((1, here.observation_size), np.float32))
    assert seen[0, term.start : term.stop] == pytest.approx([180 / np.pi] * 12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"units": "m/s"}, "is in m/s, here it is in rad/s"),
        ({"frame": "world"}, "measured in frame 'world', here in 'base'"),
    ],
)
def test_another_quantity_or_frame_is_refused(changes: dict[str, str], message: str) -> None:
    here = with_term(velocity(BREADTH_FIRST), "joint_vel", units="rad/s", frame="base")
    with pytest.raises(UsageError, match=message):
        adapt(with_term(here, "joint_vel", **changes), here)
