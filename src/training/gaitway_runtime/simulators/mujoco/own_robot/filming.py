"""States of a film of a robot's examination: it is dropped and stands, then each joint swings."""

from __future__ import annotations

import mujoco
import numpy as np

from ....tasks.arrays import Array
from ....tasks.velocity.own import OwnRobot
from .checking import DROP, held_in_the_air, swing
from .gains import stand

FRAME_DT = 0.08
"""Time between two frames [s]."""
_STANDING_SECONDS = 2.0


def examination_states(robot: OwnRobot) -> Array:
    """Return the positions of each frame, (T, 7 + J), laid out as the robot's model has them."""
    held = held_in_the_air(robot)
    every = round(FRAME_DT / held.opt.timestep)
    states: list[Array] = []
    watched = 0

    def watch(data: mujoco.MjData) -> None:
        nonlocal watched
        if watched % every == 0:
            states.append(data.qpos.copy())
        watched += 1

    stand(robot, _STANDING_SECONDS, DROP, watch)
    places = np.array([held.joint(joint.name).qposadr[0] for joint in robot.joints])
    for number in range(len(robot.joints)):
        for angles in swing(held, robot, number)[0][::every]:
            state = np.zeros(7 + held.nq)
            state[2], state[3] = robot.init_height + DROP, 1.0
            state[7 + places] = angles
            states.append(state)
    return np.array(states)
