"""The tasks: one folder each, with everything about it.

A folder's ``__init__`` registers the task with what the command line reads and needs the standard library only. Beside
it stand ``environment.py`` (observations, rewards, terminations, events as data), ``robot.py`` (the generated model)
and ``recipe.py`` (the learners' settings), imported where they are used. A module of the user's does the same::

    from gaitway_runtime.tasks import Gate, SuccessRule, Task, register

    register(Task(name="My-Robot-Flat", robot="my_robot", environment="my_robot:FLAT", ...))
"""

from ..spec.catalog import Gate, LocalScale, SuccessRule, Task, Threshold, register
from .robots import RobotSpec, register_robot

__all__ = ["Gate", "LocalScale", "RobotSpec", "SuccessRule", "Task", "Threshold", "register", "register_robot"]
