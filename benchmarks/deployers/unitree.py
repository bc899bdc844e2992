"""Unitree's C++ deployers on a Go2's recorded steps, in several layouts of the policy's input.

    python -m benchmarks.deployers.unitree CHECKOUT --onnxruntime DIR [--include DIR]... [--library DIR]...

CHECKOUT is a clone of unitree_rl_lab or unitree_rl_mjlab; DIR an unpacked release of ONNX Runtime (include/, lib/).
Eigen, yaml-cpp and, for unitree_rl_mjlab, spdlog and fmt are taken from the system (libeigen3-dev, libyaml-cpp-dev,
libspdlog-dev), or from ``--include`` and ``--library``.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from gaitway_runtime.policies.targets.unitree import MOTORS
from gaitway_runtime.spec.contract import PolicyContract

from tests.runtime.policies.targets.samples import PLAIN, SCALED, made, record, reference, shaped

_JOYSTICK = """#pragma once
namespace unitree { namespace common {
struct Axis { float value = 0.0f; float operator()() const { return value; } };
struct UnitreeJoystick { Axis lx, ly, rx, ry; };
} }
"""
"""Stands for the SDK's joystick: the part of it that the environment reads."""


def layouts(contract: PolicyContract) -> dict[str, PolicyContract]:
    """Return contracts of one robot that differ in what the deployer has to do."""
    plain = shaped(contract, PLAIN, **SCALED)
    clipped = tuple(dataclasses.replace(action, clip=(-1.2, 1.2)) for action in contract.actions)
    differing = {"base_ang_vel": {"history": 5}, "joint_pos": {"history": 3}, "actions": {"history": 2}}
    scaled = {"velocity_commands": {"scales": (2.0, 2.0, 0.25)}}
    return {
        "scales and clips": plain,
        "history of 5": shaped(contract, PLAIN, **{name: {"history": 5} for name in PLAIN}),
        "histories that differ": shaped(contract, PLAIN, **differing),
        "bounds of targets": dataclasses.replace(plain, actions=clipped),
        "another order": shaped(contract, PLAIN[::-1], **scaled),
    }


def build(asked: argparse.Namespace, folder: Path) -> Path:
    """Compile the deployer's headers with the recorded robot, and return the program."""
    include = Path(asked.checkout) / "deploy" / "include"
    observations = "isaaclab/envs/mdp/observations.h"
    if not (include / observations).is_file():
        observations = "isaaclab/envs/mdp/observations/observations.h"
    stub = folder / "stub" / "unitree" / "dds_wrapper" / "common" / "unitree_joystick.hpp"
    stub.parent.mkdir(parents=True)
    stub.write_text(_JOYSTICK)
    # The stub comes first: the real header brings the SDK.
    places = [folder / "stub", include, Path(asked.onnxruntime) / "include", *map(Path, asked.include)]
    libraries = [Path(asked.onnxruntime) / "lib", *map(Path, asked.library)]
    command = ["g++", "-std=c++17", "-O1", "-w", "-DFMT_HEADER_ONLY", f'-DOBSERVATIONS="{observations}"']
    command += [f"-I{place}" for place in places]
    command += [str(Path(__file__).with_suffix(".cpp")), "-o", str(folder / "unitree")]
    command += [f"-L{place}" for place in libraries] + [f"-Wl,-rpath,{place.resolve()}" for place in libraries]
    subprocess.run([*command, "-lonnxruntime", "-lyaml-cpp"], check=True)
    return folder / "unitree"


def main() -> None:
    """Compile the deployer, run it on each layout, and print the largest difference from the contract's controller."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout")
    parser.add_argument("--onnxruntime", required=True)
    parser.add_argument("--include", action="append", default=[])
    parser.add_argument("--library", action="append", default=[])
    asked = parser.parse_args()
    motors = MOTORS["quadruped"]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        program = build(asked, folder)
        recorded = record()
        names = ("base_angular_velocity", "quaternion", "command", "motor_q", "motor_dq")
        sensors = np.array([np.concatenate([raw[name] for name in names]) for raw in recorded.steps], np.float32)
        sensors.tofile(folder / "sensors.bin")
        for name, contract in layouts(recorded.contract).items():
            place = folder / name.replace(" ", "-")
            policy, _, files = made("unitree", contract, place / "files")
            expected = reference(policy, contract, recorded.steps, place / "plain")
            wanted = np.array([[targets[joint] for joint in motors] for targets in expected])
            arguments = [files, folder / "sensors.bin", folder / "targets.bin", len(motors)]
            subprocess.run([program, *map(str, arguments)], check=True, env=dict(os.environ))
            found = np.fromfile(folder / "targets.bin", np.float32).reshape(-1, len(motors))
            print(f"{name}: {np.abs(found - wanted).max():.2g} rad over {len(found)} steps", flush=True)


if __name__ == "__main__":
    main()
