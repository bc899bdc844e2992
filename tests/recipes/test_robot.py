"""The recipe "Add a robot" of CONTRIBUTING, carried out: a pendulum of the user's and a task for it."""

from __future__ import annotations

import textwrap

from .conftest import Environment

ROBOT = '''
    """A pendulum on a wall."""

    from gaitway_runtime.tasks import RobotSpec
    from gaitway_runtime.tasks.scene import Scene


    def scene(visual):
        """Return the model's pieces."""
        return Scene(
            name="pendulum",
            bodies=\'\'\'<body name="arm" pos="0 0 1"><joint name="hinge" axis="0 1 0" damping="0.1"/>
                <geom type="capsule" size="0.02" fromto="0 0 0 0 0 -0.5" mass="1" contype="0" conaffinity="0"/></body>
                <camera name="track" pos="0 -3 1" xyaxes="1 0 0 0 0 1"/>\'\'\',
            actuators=\'<motor name="hinge" joint="hinge"/>\',
        )


    PENDULUM = RobotSpec(
        name="pendulum", scene=scene, joint_names=("hinge",), default_joint_pos=(0.0,), init_height=1.0
    )
'''
TASK = '''
    """A pendulum that holds still."""

    from gaitway_runtime.tasks import Gate, LocalScale, SuccessRule, Task, register

    register(
        Task(
            name="Pendulum",
            summary="Hold a pendulum still",
            robot="pendulum",
            environment="swinging.environment:STILL",
            observations=2,
            actions=1,
            control_hz=50,
            episode_length_s=1,
            success=SuccessRule(sentence="the episode times out"),
            gate=Gate(success_rate=0.5),
            local=LocalScale(4, 1, 1),
        )
    )
'''
ENVIRONMENT = '''
    """The task as data."""

    from gaitway_runtime.tasks.environment import Action, EnvCfg, Observation, Reset, Reward
    from gaitway_runtime.tasks.mdp import observations, rewards

    STILL = EnvCfg(
        physics_dt=0.01,
        decimation=2,
        observations=(
            Observation(name="joint_pos_rel", func=observations.joint_pos_rel, size=1, per_joint=True),
            Observation(name="joint_vel_rel", func=observations.joint_vel_rel, size=1, per_joint=True),
        ),
        action=Action(kind="joint_effort", scale=1.0, joint_names=("hinge",)),
        rewards=(Reward("alive", rewards.is_alive, 1.0),),
        terminations=(),
        reset=Reset(),
    )
'''
PACKAGE = {"robot.py": ROBOT, "environment.py": ENVIRONMENT}


def test_a_robot_of_an_installed_package(environment: Environment) -> None:
    environment.install(
        "swinging",
        {"__init__.py": TASK, **PACKAGE},
        {"gaitway.tasks": {"swinging": "swinging"}, "gaitway.robots": {"pendulum": "swinging.robot:PENDULUM"}},
    )
    dumped = environment.gaitway("dump-contract", "--task", "Pendulum", "--max-steps", "3", "--json")
    assert dumped.code == 0, dumped.err
    trained = environment.gaitway("train", "--task", "Pendulum", "--json")
    assert trained.code == 0, trained.err


def test_a_robot_of_the_users_own_module(environment: Environment) -> None:
    registers = TASK + "    from gaitway_runtime.tasks import register_robot\n    from .robot import PENDULUM\n"
    for name, text in {"__init__.py": registers + "    register_robot(PENDULUM)\n", **PACKAGE}.items():
        path = environment.folder / "swinging" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))
    brought = ("--with", "swinging", "--import", "swinging")
    trained = environment.gaitway("train", "--task", "Pendulum", *brought, "--json")
    assert trained.code == 0, trained.err


def test_a_robot_that_nobody_brings_is_named(environment: Environment) -> None:
    environment.install("swinging", {"__init__.py": TASK, **PACKAGE}, {"gaitway.tasks": {"swinging": "swinging"}})
    failed = environment.gaitway("train", "--task", "Pendulum", "--json")
    assert failed.code == 2
    assert "unknown robot 'pendulum'" in failed.err
