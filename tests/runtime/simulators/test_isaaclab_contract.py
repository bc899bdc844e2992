"""The contract of a live Isaac Lab environment, read from a stand-in with the attributes of either generation."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from gaitway_runtime.simulators.isaaclab.contract import contract_of, scan_parameters
from gaitway_runtime.simulators.isaaclab.groups import policy_groups
from gaitway_runtime.spec.contract import PolicyContract
from gaitway_runtime.spec.errors import UsageError

JOINTS = ("LF_HFE", "LF_KFE")
BODIES = ("base", "LF_THIGH", "LF_SHANK")


class Proxy:
    """3.0's array: torch is an attribute away."""

    def __init__(self, values: torch.Tensor) -> None:
        self.torch = values


class JointPositionAction:
    """The parts of Isaac Lab's action term that are read."""

    action_dim = 2

    def __init__(self, clip: Any) -> None:
        self._joint_names = list(JOINTS)
        self._scale, self._offset = 0.5, torch.tensor([[0.4, -0.8]])
        self.cfg, self._clip = SimpleNamespace(clip=clip), torch.tensor([[[-2.0, 2.0], [-2.0, 2.0]]])


class ImplicitActuator:
    """A drive whose gains the simulator has."""

    is_implicit_model = True
    joint_names = JOINTS


class DCMotor:
    """A drive whose gains the simulator does not have."""

    is_implicit_model = False
    joint_names = JOINTS
    stiffness, damping = torch.full((2, 2), 40.0), torch.full((2, 2), 5.0)
    effort_limit = torch.full((2, 2), 80.0)


def joint_pos_rel() -> None:
    """Isaac Lab's name of the function is what tells what a term means."""


def joint_vel_rel() -> None:
    """See above."""


def last_action() -> None:
    """See above."""


def base_ang_vel() -> None:
    """See above."""


def term(func: Any, **changes: Any) -> SimpleNamespace:
    robot = SimpleNamespace(name="robot", joint_ids=slice(None))
    rest = {"params": {"asset_cfg": robot}, "noise": None, "clip": None, "scale": None, "history_length": 0}
    return SimpleNamespace(func=func, **{**rest, **changes})


def data(generation: int) -> SimpleNamespace:
    values = {
        "default_joint_pos": [0.4, -0.8],
        "joint_pos_limits": [[-1.0, 2.0], [-3.4e38, 3.4e38]],
        "joint_stiffness": [150.0, 150.0],
        "joint_damping": [5.0, 5.0],
        "joint_armature": [0.06, 0.06],
        "joint_effort_limits": [1e9, 1e9],
        "body_com_pos_b": [[-0.01, 0.0, 0.02], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
    }
    masses = [26.0, 3.0, 0.6]
    if generation == 3:
        values |= {"default_root_pose": [0.0, 0.0, 0.6, 0.0, 0.0, 0.0, 1.0], "body_mass": masses}
    else:
        values |= {"default_root_state": [0.0, 0.0, 0.6, 1.0, *[0.0] * 9], "default_mass": masses}
    arrays = {name: torch.tensor([value, value], dtype=torch.float64) for name, value in values.items()}
    return SimpleNamespace(**{name: Proxy(value) for name, value in arrays.items()} if generation == 3 else arrays)


def world(generation: int, *, actuator: Any = ImplicitActuator, clip: Any = None) -> SimpleNamespace:
    robot = SimpleNamespace(
        joint_names=list(JOINTS),
        body_names=list(BODIES),
        data=data(generation),
        actuators={"legs": actuator()},
        cfg=SimpleNamespace(
            soft_joint_pos_limit_factor=0.95, spawn=SimpleNamespace(usd_path="https://host/ANYmal-C/anymal_c.usd")
        ),
    )
    noise = SimpleNamespace(n_min=-0.2, n_max=0.2, operation="add")
    terms = {
        "base_ang_vel": term(base_ang_vel, noise=noise, clip=(-10.0, 10.0), scale=torch.tensor(0.25)),
        "joint_pos": term(joint_pos_rel, history_length=2),
        "joint_vel": term(joint_vel_rel, scale=torch.tensor([0.1, 0.2])),
        "actions": term(last_action),
    }
    kept = SimpleNamespace(default_com=torch.tensor([[[-0.02, 0.0, 0.01, 0.0, 0.0, 0.0, 1.0]]]))
    event = SimpleNamespace(func=kept, params={"com_range": {"x": (-0.05, 0.05)}, "asset_cfg": {"body_ids": [0]}})
    found = SimpleNamespace(
        event_manager=SimpleNamespace(active_terms={"startup": ["base_com"]}, get_term_cfg=lambda name: event),
        cfg=SimpleNamespace(sim=SimpleNamespace(dt=0.005), decimation=4, episode_length_s=20.0),
        scene=SimpleNamespace(articulations={"ball": None, "robot": robot}, sensors={}),
        observation_manager=SimpleNamespace(
            active_terms={"policy": list(terms)},
            group_obs_term_dim={"policy": [(3,), (4,), (2,), (2,)]},
            _group_obs_term_cfgs={"policy": list(terms.values())},
        ),
        action_manager=SimpleNamespace(
            active_terms=["joint_pos"], get_term=lambda name: {"joint_pos": JointPositionAction(clip)}[name]
        ),
        termination_manager=SimpleNamespace(active_terms=["time_out", "base_contact"]),
    )
    found.unwrapped = found
    return found


@pytest.fixture(params=[2, 3], ids=["2.x", "3.0"])
def generation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """A generation of Isaac Lab, as far as its quaternions tell."""
    identity = {2: [[1.0, 0.0, 0.0, 0.0]], 3: [[0.0, 0.0, 0.0, 1.0]]}[request.param]
    maths = SimpleNamespace(quat_from_euler_xyz=lambda *angles: torch.tensor(identity))
    monkeypatch.setitem(sys.modules, "isaaclab", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "isaaclab.utils", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "isaaclab.utils.math", maths)
    return int(request.param)


def test_the_contract_says_what_the_managers_do(generation: int) -> None:
    contract = contract_of(world(generation), "Isaac-Some-Task-v0", simulator="isaaclab x")
    assert PolicyContract.from_json(contract.to_json()) == contract
    angular, positions, velocities, actions = contract.observations
    assert (angular.scale, angular.clip, angular.noise) == (0.25, (-10.0, 10.0), (-0.2, 0.2))
    assert (positions.start, positions.stop, positions.history) == (3, 7, 2)
    assert positions.joint_names == JOINTS and positions.offset == (0.4, -0.8, 0.4, -0.8)
    assert velocities.scales == pytest.approx((0.1, 0.2))
    assert actions.joint_names == JOINTS
    (action,) = contract.actions
    assert (action.kind, action.scale, action.clip) == ("joint_position", (0.5, 0.5), None)
    assert action.offset == pytest.approx((0.4, -0.8))
    assert contract.timing.control_dt == pytest.approx(0.02)
    assert contract.terminations == {"time_out_s": 20.0, "terms": ["base_contact"]}
    assert contract.randomization["startup"]["base_com"]["com_range"] == {"x": [-0.05, 0.05]}
    assert contract.conventions["quaternion"] == {2: "wxyz", 3: "xyzw"}[generation]


def test_the_terms_follow_the_learners_groups_in_their_order(generation: int) -> None:
    found = world(generation)
    manager = found.observation_manager
    manager.active_terms = {"policy": ["base_ang_vel", "actions"], "memory": ["actions"], "critic": ["joint_vel"]}
    manager.group_obs_term_dim = {"policy": [(3,), (2,)], "memory": [(2,)], "critic": [(2,)]}
    terms = {"base_ang_vel": term(base_ang_vel), "actions": term(last_action), "joint_vel": term(joint_vel_rel)}
    manager._group_obs_term_cfgs = {
        group: [terms[name] for name in names] for group, names in manager.active_terms.items()
    }
    contract = contract_of(found, "Isaac-Some-Task-v0", groups=("memory", "policy"))
    assert [(term.name, term.start, term.stop) for term in contract.observations] == [
        ("memory.actions", 0, 2),
        ("base_ang_vel", 2, 5),
        ("policy.actions", 5, 7),
    ]


@pytest.mark.parametrize(
    ("agent", "available", "expected"),
    [
        ({"obs_groups": {"actor": ["policy", "memory"], "critic": ["policy"]}}, "policy memory", ("policy", "memory")),
        ({"obs_groups": {"policy": ["b", "a"], "critic": ["a"]}}, "a b", ("b", "a")),
        (SimpleNamespace(obs_groups={"actor": ["actor"]}), "critic actor", ("actor",)),
        ({"obs_groups": {}, "actor": {"class_name": "MLPModel"}}, "policy actor", ("actor",)),
        ({"obs_groups": {}, "policy": {}}, "actor policy", ("policy",)),
        ({"obs_groups": None}, "critic policy", ("policy",)),
        (None, "proprio camera", ("proprio",)),
    ],
)
def test_the_policys_groups_are_those_that_its_learner_joins(agent: Any, available: str, expected: tuple) -> None:
    assert policy_groups(agent, available.split()) == expected


def test_a_group_that_the_task_does_not_have_is_refused_before_training() -> None:
    with pytest.raises(UsageError, match="reads observation group 'camera'") as caught:
        policy_groups({"obs_groups": {"actor": ["policy", "camera"]}}, ["policy"])
    assert caught.value.allowed == "policy"


def test_the_robot_is_the_first_worlds(generation: int) -> None:
    robot = contract_of(world(generation), "Isaac-Some-Task-v0").robot
    assert robot.name == "anymal_c"
    assert robot.joint_pos_limits[0] == (-1.0, 2.0)
    assert robot.joint_pos_limits[1] == pytest.approx((-3.14159, 3.14159), abs=1e-5)
    assert robot.stiffness == (150.0, 150.0) and robot.armature == (0.06, 0.06)
    assert robot.effort_limits == ()
    assert robot.body_masses == (26.0, 3.0, 0.6)
    assert robot.base_com == pytest.approx((-0.02, 0.0, 0.01)), "before it was randomised"
    assert robot.init_base_height == 0.6
    assert robot.actuator == "implicit_pd"


def test_an_explicit_drive_has_its_own_gains_and_limits(generation: int) -> None:
    robot = contract_of(world(generation, actuator=DCMotor), "Isaac-Some-Task-v0").robot
    assert (robot.actuator, robot.stiffness, robot.damping) == ("dc_motor", (40.0, 40.0), (5.0, 5.0))
    assert robot.effort_limits == (80.0, 80.0)


def test_an_action_that_is_cut_off_says_where(generation: int) -> None:
    (action,) = contract_of(world(generation, clip={".*": (-2.0, 2.0)}), "Isaac-Some-Task-v0").actions
    assert action.clip == (-2.0, 2.0)


def test_a_direct_environment_names_no_terms(generation: int) -> None:
    direct = world(generation)
    del direct.observation_manager, direct.action_manager, direct.termination_manager, direct.event_manager
    direct.single_observation_space = {"policy": SimpleNamespace(shape=(48,))}
    direct.single_action_space = SimpleNamespace(shape=(2,))
    contract = contract_of(direct, "Isaac-Some-Direct-v0")
    assert (contract.observation_size, contract.action_size) == (48, 2)
    assert contract.actions[0].joint_names == JOINTS
    assert contract.unknown == ("observations", "actions")


def test_a_height_scan_says_its_grid() -> None:
    pattern = SimpleNamespace(size=(1.6, 1.0), resolution=0.1, ordering="xy")
    sensors = {"height_scanner": SimpleNamespace(cfg=SimpleNamespace(pattern_cfg=pattern))}
    scene = SimpleNamespace(scene=SimpleNamespace(sensors=sensors))
    params = {"sensor_cfg": SimpleNamespace(name="height_scanner"), "offset": 0.4}
    found = scan_parameters(params, scene)
    assert (found["offset"], found["order"]) == (0.4, "x fastest")
    assert found["x_m"] == pytest.approx([-0.8 + 0.1 * n for n in range(17)])
    assert found["y_m"] == pytest.approx([-0.5 + 0.1 * n for n in range(11)])
    assert scan_parameters({}, SimpleNamespace(scene=SimpleNamespace(sensors={}))) == {"offset": 0.5}
