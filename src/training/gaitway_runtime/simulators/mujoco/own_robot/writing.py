"""Writer of a robot's module: one file that registers the robot and its task."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ....tasks.links import Joint, Link
from ....tasks.velocity.own import OwnJoint
from .describing import Described

_HEAD = '''"""{name}: a robot read from {source}, and its task on flat ground.

Written by ``gaitway robot new``; it is yours to change. What the robot's file does not say was guessed:

{guesses}

    gaitway robot check {file}
    gaitway train --task {task} --with {file} --import {module}
"""

from gaitway_runtime.tasks.links import Joint, Link
from gaitway_runtime.tasks.velocity.own import OwnJoint, OwnRobot, register_own, walking_on_flat_ground

ROBOT = OwnRobot(
    name={robot.name!r},
    task={robot.task!r},
    feet={robot.feet!r},
    trunk={robot.trunk!r},
    init_height={robot.init_height!r},
    stand_height={robot.stand_height!r},
    sole={robot.sole!r},
    # Angles [rad], gains [N m/rad], [N m s/rad], torque limits [N m].
    joints=(
{joints}
    ),
    links=(
{links}
    ),
)

FLAT = walking_on_flat_ground(ROBOT)
register_own(ROBOT, f"{{__name__}}:FLAT")
'''


def module_of(described: Described, source: Path, file: Path) -> str:
    """Return the text of a robot's module.

    Args:
        described: The robot.
        source: The file it was read from.
        file: The file that the text is for.
    """
    robot = described.robot
    return _HEAD.format(
        name=robot.name,
        source=source.name,
        guesses="\n".join(f"* {guess}" for guess in described.guesses),
        file=file.name,
        module=file.stem,
        task=robot.task,
        robot=robot,
        joints="\n".join(f"        {_call(joint)}," for joint in robot.joints),
        links="\n".join(f"        {_call(link)}," for link in robot.links),
    )


def _call(value: OwnJoint | Link | Joint) -> str:
    """Return the Python that makes a value, without the arguments that are its class's own defaults."""
    parts = []
    for field in dataclasses.fields(value):
        content = getattr(value, field.name)
        if field.default is not dataclasses.MISSING and content == field.default:
            continue
        parts.append(f"{field.name}={_call(content) if isinstance(content, Joint) else repr(content)}")
    return f"{type(value).__name__}({', '.join(parts)})"
