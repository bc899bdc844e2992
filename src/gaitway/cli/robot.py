"""``gaitway robot new`` and ``gaitway robot check``."""

from __future__ import annotations

import keyword
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from gaitway_runtime.spec.files import replacing

from ..errors import ConfigError, UsageError
from . import output
from .command import VerbCommand, VerbGroup, json_option

if TYPE_CHECKING:
    from gaitway_runtime.simulators.mujoco.own_robot.checking import Examined
    from gaitway_runtime.tasks.velocity.own import OwnRobot


def _new(source: Path, file: Path | None, name: str | None, force: bool, as_json: bool) -> None:
    """Read a robot and write its module."""
    _need_mujoco()
    from gaitway_runtime.simulators.mujoco.own_robot.describing import describe
    from gaitway_runtime.simulators.mujoco.own_robot.reading import read_robot
    from gaitway_runtime.simulators.mujoco.own_robot.writing import module_of

    if file:
        _check_output(file, force)
    described = describe(read_robot(source), name)
    robot = described.robot
    path = file or Path(f"{_module_name(robot.name)}.py")
    _check_output(path, force)
    _write(path, module_of(described, source, path))
    if as_json:
        output.document(
            {
                "file": str(path),
                "robot": robot.name,
                "task": robot.task,
                "mass": robot.mass,
                "joints": [joint.name for joint in robot.joints],
                "feet": list(robot.feet),
                "stands": described.standing.held,
                "guesses": list(described.guesses),
            }
        )
        return
    stands = "stands" if described.standing.held else "does not stand with the gains that were found"
    sizes = f"{robot.mass:.1f} kg, {len(robot.joints)} joints, {len(robot.feet)} feet"
    output.answer(f"{path}: {robot.name}, {sizes}; {stands}")
    for guess in described.guesses:
        output.answer(f"  guessed  {guess}")
    output.say_command("next:", ("gaitway", "robot", "check", str(path)))
    train = ("gaitway", "train", "--task", robot.task, "--with", str(path), "--import", path.stem)
    output.say_command("then:", train)


def _check_output(path: Path, force: bool) -> None:
    """Refuse a file that cannot become a module, or that is there.

    Raises:
        UsageError: It is one of them.
    """
    if path.suffix != ".py" or path.is_dir():
        raise UsageError(f"{path} is no Python file", source="--output", allowed="a name that ends in .py")
    if not path.parent.is_dir():
        raise UsageError(f"the folder {path.parent} is missing", source="--output")
    if path.exists() and not force:
        raise UsageError(f"{path} exists", source="--output", hint="--force writes over it")


def _module_name(robot: str) -> str:
    """Return a name under which Python imports the robot's module and no other."""
    usable = robot.isidentifier() and not keyword.iskeyword(robot) and robot not in sys.stdlib_module_names
    return robot if usable else f"my_{robot}"


def _write(path: Path, text: str) -> None:
    """Write a file as a whole: where that fails, or is interrupted, what was there stays."""
    try:
        with replacing(path) as partial:
            partial.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}", source="--output") from None


def _check(source: Path, video: Path | None, as_json: bool) -> int:
    """Examine a robot."""
    _need_mujoco()
    from gaitway_runtime.simulators.mujoco.own_robot.checking import examine

    robot = _robot_of(source)
    looked = examine(robot)
    wrong = [one for one in looked if not one.right]
    if as_json:
        output.document({"right": not wrong, "examined": [asdict(one) for one in looked]})
    else:
        _show(looked)
    if video:
        _film(robot, video)
    return 1 if wrong else 0


def _film(robot: OwnRobot, file: Path) -> None:
    """Write a film of the robot's drop, its standing and each joint's swing."""
    from gaitway_runtime.evaluation.film import Film
    from gaitway_runtime.evaluation.filming import encode
    from gaitway_runtime.simulators.mujoco.own_robot.filming import FRAME_DT, examination_states
    from gaitway_runtime.simulators.mujoco.own_robot.gains import model_of
    from gaitway_runtime.simulators.mujoco.render.frames import pictures

    film = Film(
        task=robot.task,
        simulator="mujoco",
        title=f"{robot.name}: drop, standing, swing of each joint",
        snapshots=examination_states(robot),
        measurements={},
        step_dt=FRAME_DT,
        width=400,
        height=300,
    )
    encode(film, pictures(film, "rays", model=model_of(robot, visual=True)), file)
    output.say(f"film: {file}")


def _show(looked: tuple[Examined, ...]) -> None:
    wrong = [one for one in looked if not one.right]
    for one in wrong:
        output.answer(f"wrong  {one.what}: {one.found}")
        output.answer(f"       {one.hint}")
    for one in looked:
        if one.right and one.what in ("mass", "standing", "drop", "start"):
            output.answer(f"right  {one.what}: {one.found}")
    output.answer(f"{len(looked) - len(wrong)} of {len(looked)} right")


def _robot_of(source: Path) -> OwnRobot:
    """Return the robot of a module that ``robot new`` wrote, or of an MJCF or URDF.

    Raises:
        UsageError: There is none in it.
    """
    from gaitway_runtime.tasks.velocity.own import OwnRobot

    if source.suffix != ".py":
        from gaitway_runtime.simulators.mujoco.own_robot.describing import describe
        from gaitway_runtime.simulators.mujoco.own_robot.reading import read_robot

        return describe(read_robot(source)).robot
    from ..user_tasks import import_user_tasks

    import_user_tasks([source.stem], [str(source)])
    robot = getattr(sys.modules[source.stem], "ROBOT", None)
    if not isinstance(robot, OwnRobot):
        raise UsageError("the module has no ROBOT", source=str(source), hint="gaitway robot new writes one")
    return robot


def _need_mujoco() -> None:
    from gaitway_runtime.simulators import mujoco

    found = mujoco.availability()
    if not found.present:
        raise ConfigError("this needs MuJoCo", hint=found.reason)


_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)

robot = VerbGroup("robot", help="A robot comes as MJCF or URDF; a velocity task of it is a module for --import.")
robot.add_command(
    VerbCommand(
        "new",
        callback=_new,
        params=[
            click.Argument(["source"], type=_FILE, metavar="PATH.xml|PATH.urdf"),
            click.Option(
                ["--output", "-o", "file"], type=click.Path(path_type=Path), metavar="FILE", help="File to write."
            ),
            click.Option(["--name"], help="Name of the robot; that of the model when omitted."),
            click.Option(["--force"], is_flag=True, help="Write over a file that exists."),
            json_option(),
        ],
        help="Read a robot, find its legs, a standing pose and gains that hold it, and write a module with its task.",
    )
)
robot.add_command(
    VerbCommand(
        "check",
        callback=_check,
        params=[
            click.Argument(["source"], type=_FILE, metavar="FILE"),
            click.Option(
                ["--video"], type=click.Path(path_type=Path), metavar="FILE.mp4", help="Film it, and write the film."
            ),
            json_option(),
        ],
        help="Drop a robot, let it stand, swing each joint, and name what is wrong with it.",
    )
)
