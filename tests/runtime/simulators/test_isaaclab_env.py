"""An Isaac Lab environment as the evaluation sees it, on a few lines that have its order of events."""

import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gaitway_runtime.learners.state import TrainingIdentity, check_fits, open_state, pack, write_state
from gaitway_runtime.simulators.isaaclab import env as adapter
from gaitway_runtime.simulators.isaaclab.env import IsaacLabEnv
from gaitway_runtime.simulators.isaaclab.saving import environment_state, load_environment_state

DT = 0.5
RELEASES = {"2.3.2": "wxyz", "3.0.0": "xyzw"}


class Rail:
    """Carts that roll by their actions and start again at 0 beyond 3 m, in the order of ``ManagerBasedRLEnv.step``."""

    num_envs, step_dt, max_episode_length, device = 2, DT, 4, "cpu"

    def __init__(self, quaternion: str) -> None:
        self.position = torch.zeros(2, 1)
        self.common_step_counter = 0
        self.episode_length_buf = torch.zeros(2, dtype=torch.long)
        box = gymnasium.spaces.Box(-np.inf, np.inf, (1,))
        image = gymnasium.spaces.Box(0, 255, (4, 4, 3))
        self.single_observation_space = gymnasium.spaces.Dict({"policy": box, "camera": image})
        self.action_manager = SimpleNamespace(total_action_dim=1)
        self.reward_manager = SimpleNamespace(
            active_terms=["far", "idle"], _step_reward=torch.zeros(2, 2), compute=self._rewards
        )
        identity = {"wxyz": [1.0, 0, 0, 0], "xyzw": [0.0, 0, 0, 1]}[quaternion]
        data = SimpleNamespace(
            root_pos_w=torch.tensor([[0.0, 0, 2], [4.0, 0, 2]]), root_quat_w=torch.tensor([identity] * 2)
        )
        self.data = data
        robot = SimpleNamespace(joint_names=["slider_to_cart", "cart_to_pole"], data=data)
        self.scene = SimpleNamespace(
            articulations={"robot": robot}, env_origins=torch.tensor([[0.0, 0, 0], [4.0, 0, 0]])
        )

    @property
    def unwrapped(self) -> Any:
        return self

    def reset(self, seed: int | None = None) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        self.position[:] = 0
        return self._observe(), {}

    def step(self, actions: torch.Tensor) -> tuple[Any, ...]:
        self.position += actions
        self.episode_length_buf += 1
        self.common_step_counter += 1
        self._observe()
        terminated = (self.position[:, 0].abs() > 3).clone()
        rewards = self.reward_manager.compute(dt=DT)
        self.position[terminated] = 0
        extras = {"log": {"Episode_Reward/far": torch.tensor(1.5), "Metrics/success": 0.5}}
        return self._observe(), rewards, terminated, torch.zeros(2, dtype=torch.bool), extras

    def _rewards(self, dt: float) -> torch.Tensor:
        self.reward_manager._step_reward[:, 0] = self.position[:, 0]
        return self.reward_manager._step_reward.sum(dim=1) * dt

    def _observe(self) -> dict[str, torch.Tensor]:
        self.data.joint_pos = torch.cat((self.position, torch.full((2, 1), 7.0)), dim=1)
        return {"policy": self.position.clone(), "camera": torch.zeros(2, 4, 4, 3)}


@pytest.fixture(params=RELEASES)
def env(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> IsaacLabEnv:
    order = RELEASES[request.param]
    monkeypatch.setattr(adapter, "quaternion_order", lambda: order)
    return IsaacLabEnv(Rail(order), task="Isaac-Cartpole-v0", release=request.param)


def test_what_is_measured_is_of_the_step_that_ended_not_of_the_next_episode(env: IsaacLabEnv) -> None:
    env.reset(1)
    env.step(np.array([[2.0], [1.0]], np.float32))
    step = env.step(np.array([[2.0], [1.0]], np.float32))
    assert step.terminated.tolist() == [True, False]
    assert step.observations["policy"][:, 0].tolist() == [0.0, 2.0]
    assert step.diagnostics["cart_position"].tolist() == [4.0, 2.0]
    assert step.diagnostics["pole_angle"] == pytest.approx([7.0 - 2 * np.pi] * 2, abs=1e-5)
    assert {name: list(values) for name, values in step.reward_terms.items()} == {"far": [2, 1], "idle": [0, 0]}
    assert step.task_rewards.tolist() == step.rewards.tolist() == [2.0, 1.0]
    assert step.log == {"Episode_Reward/far": 1.5, "Metrics/success": 0.5}
    assert env.env_steps == 4


def test_only_groups_that_are_one_vector_are_observed(env: IsaacLabEnv) -> None:
    assert env.observation_sizes == {"policy": 1}
    assert list(env.reset()) == ["policy"]


def test_a_state_is_recorded_the_same_way_in_every_release(env: IsaacLabEnv) -> None:
    env.reset()
    assert env.snapshot().tolist() == [[0, 0, 2, 1, 0, 0, 0, 0, 7]] * 2


def test_a_learners_steps_are_not_watched(env: IsaacLabEnv) -> None:
    """What is measured for an evaluation waits for the device, which thousands of worlds do not."""
    assert env.unwrapped.reward_manager.compute == env.unwrapped._rewards
    env.reset()
    assert env.unwrapped.reward_manager.compute != env.unwrapped._rewards


def test_a_continued_training_goes_on_in_isaac_labs_own_count(env: IsaacLabEnv) -> None:
    env.env_steps = 640
    assert (env.unwrapped.common_step_counter, env.env_steps) == (320, 640)
    env.episode_length = np.array([3, 1])
    assert env.episode_length.tolist() == [3, 1]


class _Term:
    def __init__(self, worlds: int) -> None:
        self.time_left = torch.zeros(worlds)
        self.metrics = {"error": torch.zeros(worlds)}
        self.cfg = object()


class _Scene:
    """What Isaac Lab's ``InteractiveScene`` gives and takes."""

    def __init__(self, worlds: int) -> None:
        self.terrain = SimpleNamespace(terrain_levels=torch.zeros(worlds, dtype=torch.long))
        self.poses = torch.zeros(worlds, 7)

    def get_state(self, is_relative: bool) -> dict[str, Any]:
        assert is_relative
        return {"articulation": {"robot": {"root_pose": self.poses.clone()}}}

    def reset_to(self, state: dict[str, Any], env_ids: Any = None, is_relative: bool = False) -> None:
        self.poses = state["articulation"]["robot"]["root_pose"]


def _lab_env(worlds: int = 3) -> SimpleNamespace:
    return SimpleNamespace(
        device="cpu",
        common_step_counter=0,
        scene=_Scene(worlds),
        sim=SimpleNamespace(forward=lambda: None),
        episode_length_buf=torch.zeros(worlds, dtype=torch.long),
        command_manager=SimpleNamespace(_terms={"base_velocity": _Term(worlds)}),
        event_manager=SimpleNamespace(_interval_term_time_left=[torch.zeros(worlds)]),
    )


def test_levels_commands_events_and_poses_are_restored_as_far_as_isaac_lab_gives_them() -> None:
    env, other = _lab_env(), _lab_env()
    with torch.inference_mode():
        env.common_step_counter = 70
        env.scene.terrain.terrain_levels += torch.tensor([1, 2, 3])
        env.scene.poses = torch.arange(21.0).reshape(3, 7)
        env.episode_length_buf += 5
        term = env.command_manager._terms["base_velocity"]
        term.time_left += 1.5
        term.metrics["error"] += 0.5
        env.event_manager._interval_term_time_left[0] += 2.5
        env.reward_buf = torch.ones(3)  # there only after the first step
    state = environment_state(env)
    check_fits(open_packed(state), environment_state(other))
    load_environment_state(other, open_packed(state))
    assert other.common_step_counter == 70
    assert other.scene.terrain.terrain_levels.tolist() == [1, 2, 3]
    assert other.scene.poses.tolist() == env.scene.poses.tolist()
    assert other.episode_length_buf.tolist() == [5, 5, 5]
    term = other.command_manager._terms["base_velocity"]
    assert (term.time_left.tolist(), term.metrics["error"].tolist()) == ([1.5] * 3, [0.5] * 3)
    assert other.event_manager._interval_term_time_left[0].tolist() == [2.5] * 3


def open_packed(state: Any) -> Any:
    """Return a state as it comes out of a file."""
    with tempfile.TemporaryDirectory() as folder:
        identity = TrainingIdentity(task="T", seed=1, num_envs=3, processes=1, simulator="isaaclab 2.3")
        return open_state(write_state(Path(folder), 0, identity, "", [pack(state)])).ranks[0]
