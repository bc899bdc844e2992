"""Velocity tasks of a user's own robot: what ``gaitway robot new`` writes is data for this."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from ...spec.catalog import Gate, LocalScale, Task, Threshold, register
from ..environment import EnvCfg, Randomization, Reward
from ..links import Link, scene_of
from ..mdp import rewards
from ..mirrors import RobotMirror
from ..robots import RobotSpec, register_robot
from ..scene import Scene
from . import RECIPE, biped, follows_commands, quadruped
from .unitree_environment import FLAT_REWARDS

_CAMERA = '<camera name="track" mode="trackcom" pos="{0:.2f} -{1:.2f} {0:.2f}" xyaxes="1 0.3 0 -0.06 0.2 1"/>'

_GO2_SIZE = 15.2 * 0.32
"""Mass times standing height of the robot that the rewards were made for [kg m]."""


@dataclass(frozen=True, kw_only=True)
class OwnJoint:
    """One driven joint."""

    name: str
    pos: float
    """Default position [rad]."""
    stiffness: float
    """[N m/rad]."""
    damping: float
    """[N m s/rad]."""
    effort: float
    """[N m]."""
    partner: str = ""
    """The joint on the other side, itself in the middle; empty where the robot is not symmetric."""
    flipped: bool = False
    """Whether its partner turns the other way."""
    leg: bool = True
    """Whether it is part of a leg."""


@dataclass(frozen=True, kw_only=True)
class OwnRobot:
    """A robot with two or four legs."""

    name: str
    task: str
    """Name of its task on flat ground."""
    links: tuple[Link, ...]
    """A parent before its children; the first is the base."""
    joints: tuple[OwnJoint, ...]
    """In the policy's order."""
    feet: tuple[str, ...]
    """Links that stand on the ground: front before rear, left before right."""
    trunk: tuple[str, ...]
    """Links whose contact with the ground is a fall."""
    init_height: float
    """Of the base at the start of an episode [m]."""
    stand_height: float
    """Of the base when it stands [m]."""
    sole: float
    """Distance of a foot's sole from its link's origin [m]."""

    @property
    def mass(self) -> float:
        """[kg]."""
        return sum(link.mass for link in self.links)

    @property
    def spec(self) -> RobotSpec:
        """The robot as the simulator knows it."""
        found = RobotSpec(
            name=self.name,
            scene=lambda visual: self._scene(found, visual),
            joint_names=tuple(joint.name for joint in self.joints),
            default_joint_pos=tuple(joint.pos for joint in self.joints),
            init_height=self.init_height,
            base=self.links[0].name,
            stiffness=tuple(joint.stiffness for joint in self.joints),
            damping=tuple(joint.damping for joint in self.joints),
            effort_limits=tuple(joint.effort for joint in self.joints),
            actuator="implicit_pd",
            soft_limit_factor=0.9,
            contact_bodies={"base": self.trunk, "feet": self.feet},
            mirrors=self._mirrors(),
        )
        return found

    def _scene(self, spec: RobotSpec, visual: bool) -> Scene:
        size = max(1.0, 2.0 * self.stand_height)
        return scene_of(spec, self.links, camera=_CAMERA.format(0.4 * size, 1.6 * size), visual=visual)

    def _mirrors(self) -> tuple[RobotMirror, ...]:
        names = [joint.name for joint in self.joints]
        if not all(joint.partner for joint in self.joints):
            return ()
        pairs = tuple((names.index(joint.partner), -1 if joint.flipped else 1) for joint in self.joints)
        feet = tuple(number ^ 1 for number in range(len(self.feet)))
        return (RobotMirror(name="left-right", axes=(1, -1, 1), joints=pairs, feet=feet),)


def register_own(robot: OwnRobot, environment: str) -> None:
    """Register a robot and its task on flat ground.

    Args:
        robot: The robot.
        environment: Reference of the task's configuration, ``module:attribute``.

    Raises:
        UsageError: One of the names is taken.
    """
    two_legs = len(robot.feet) == 2
    bounds = follows_commands(xy=0.35, yaw=0.35) if two_legs else follows_commands(xy=0.25, yaw=0.3)
    register_robot(robot.spec)
    register(
        Task(
            name=robot.task,
            summary=f"Walk {robot.name} on flat ground at a commanded velocity",
            robot=robot.name,
            environment=environment,
            observations=12 + 3 * len(robot.joints),
            actions=len(robot.joints),
            control_hz=50,
            episode_length_s=20,
            success=bounds,
            gate=Gate(success_rate=0.7, thresholds=(Threshold("survival_rate", ">=", 0.95), *bounds.mean)),
            local=LocalScale(256, 600, 50) if two_legs else LocalScale(512, 600, 50),
            recipes={"rsl_rl": f"{RECIPE}:{_recipe(robot)}", "skrl": f"{RECIPE}:SKRL"},
        )
    )


def _recipe(robot: OwnRobot) -> str:
    """Return the name of a robot's settings: as the shipped robots of its kind learn; with a mirror it settles."""
    if len(robot.feet) == 2:
        return "BIPED_RSL_RL"
    return "SETTLING_WIDE_RSL_RL" if robot.spec.mirrors else "WIDE_RSL_RL"


def walking_on_flat_ground(robot: OwnRobot) -> EnvCfg:
    """Return the task of a robot on flat ground."""
    spec, height = robot.spec, robot.stand_height
    if len(robot.feet) == 2:
        gait = biped.Gait(
            height=0.98 * height,
            sole=robot.sole,
            clearance=0.1 * height,
            least_height=0.66 * height,
            assist=biped.assist_for(robot.mass, height),
        )
        return replace(biped.flat_ground(spec, _biped_rewards(robot), gait), notes=())
    return quadruped.flat_ground(
        spec,
        scale=0.25,
        terms=tuple(_by_size(term, robot) for term in FLAT_REWARDS),
        randomization=Randomization(
            base_mass=(-0.05 * robot.mass, 0.1 * robot.mass),
            stiffness=(0.9, 1.1),
            damping=(0.9, 1.1),
            friction=(0.7, 1.3),
        ),
        steps=quadruped.Steps(sole=robot.sole, air_time=0.2, clearance=min(0.1, 0.2 * height)),
        fall=quadruped.FALL,
    )


def _by_size(term: Reward, robot: OwnRobot) -> Reward:
    """Return a reward of Go2's; torques grow with weight and height, so that they cost a larger robot less."""
    if term.name != "dof_torques_l2":
        return term
    share = _GO2_SIZE / (robot.mass * robot.stand_height)
    return replace(term, weight=term.weight * min(1.0, share * share))


def _biped_rewards(robot: OwnRobot) -> tuple[Reward, ...]:
    """Return the rewards of Isaac Lab's H1, by the joints' places."""
    sideways = [k for k, joint in enumerate(robot.joints) if joint.leg and joint.flipped]
    upper = [k for k, joint in enumerate(robot.joints) if not joint.leg]
    terms = (
        *biped.H1_WALKS,
        Reward("dof_pos_limits", rewards.joint_pos_limits, -1.0),
    )
    extra = []
    if sideways:
        extra.append(Reward("joint_deviation_hip", partial(rewards.joint_deviation_l1, joints=sideways), -0.2))
    if upper:
        extra.append(Reward("joint_deviation_arms", partial(rewards.joint_deviation_l1, joints=upper), -0.2))
    return (*terms, *extra)
