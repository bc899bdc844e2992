"""holosoma_inference's locomotion policy on drawn sensors of a G1 with 29 joints.

    pip install --target DIR holosoma-inference==0.1.3
    PYTHONPATH=DIR python -m benchmarks.deployers.holosoma

Its packages for network interfaces, keyboards and joysticks are not needed: what is not there is left out.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

import numpy as np

from tests.runtime.policies.targets.samples import made, reference
from tests.runtime.policies.targets.test_targets import drawn, g1_contract

_HARDWARE = ("netifaces", "sshkeyboard", "evdev", "wandb", "zmq", "pinocchio")
"""Packages that reach for hardware or the network."""


class Robot:
    """A robot that says what it was given and keeps what it is told."""

    kp_level = 1.0

    def __init__(self) -> None:
        self.state = np.zeros((1, 0))
        self.targets = np.zeros(0)

    def get_low_state(self) -> Any:
        """Return position, orientation, joint positions, velocities, joint velocities and gravity, (1, N)."""
        return self.state

    def send_low_command(self, targets: Any, *_: Any, **__: Any) -> None:
        """Keep the joint targets [rad]."""
        self.targets = np.array(targets)

    def update_config(self, config: Any) -> None:
        """Pass over the gains."""


def _left_out(name: str) -> types.ModuleType:
    def nothing(attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        return lambda *_, **__: None

    module = types.ModuleType(name)
    module.__getattr__ = nothing  # type: ignore[method-assign]
    return module


def policy_of(file: Path, robot: Robot) -> Any:
    """Return holosoma's own policy for a file, on a robot of ours."""
    sys.modules |= {name: _left_out(name) for name in _HARDWARE if importlib.util.find_spec(name) is None}
    from holosoma_inference.config.config_types.inference import InferenceConfig
    from holosoma_inference.config.config_types.task import TaskConfig
    from holosoma_inference.config.config_values.observation import loco_g1_29dof
    from holosoma_inference.config.config_values.robot import g1_29dof
    from holosoma_inference.policies import base
    from holosoma_inference.policies.locomotion import LocomotionPolicy

    class Policy(LocomotionPolicy):  # type: ignore[misc, valid-type]
        def _init_input_handlers(self) -> None:
            self.logger = base.logger

    base.create_interface = lambda *_, **__: robot
    task = TaskConfig(model_path=str(file), interface="lo")
    policy = Policy(InferenceConfig(robot=g1_29dof, observation=loco_g1_29dof, task=task))
    policy.use_policy_action = True
    return policy


def main() -> None:
    """Run the policy, and print the largest difference from the contract's controller."""
    contract = g1_contract()
    with tempfile.TemporaryDirectory() as scratch:
        made_of, _, files = made("holosoma", contract, Path(scratch) / "holosoma")
        steps = drawn(contract, 300)
        expected = reference(made_of, contract, steps, Path(scratch) / "plain")
        robot = Robot()
        policy = policy_of(files / "policy.onnx", robot)
        worst = 0.0
        for raw, wanted in zip(steps, expected, strict=True):
            joints = [np.array([raw[name][joint] for joint in policy.dof_names]) for name in _JOINTS]
            parts = (np.zeros(3), [1, 0, 0, 0], joints[0], np.zeros(3), raw["base_angular_velocity"], joints[1])
            robot.state = np.concatenate([*parts, raw["projected_gravity"]])[None]
            policy.lin_vel_command[0], policy.ang_vel_command[0, 0] = raw["command"][:2], raw["command"][2]
            policy.update_phase_time()
            policy.policy_action()
            found = dict(zip(policy.dof_names, robot.targets, strict=True))
            worst = max(worst, *(abs(found[joint] - wanted[joint]) for joint in found))
    print(f"{worst:.2g} rad over {len(steps)} steps")


_JOINTS = ("joint_position", "joint_velocity")

if __name__ == "__main__":
    main()
