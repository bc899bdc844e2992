"""Make Isaac Lab's cart-pole: ``python cartpole.py OUT.usd``.

The robot's own file is on an asset server. The published wheel has the same robot in a flattened stage that it
compares its renderings with; this takes the robot out of that stage. Nothing of it is kept in this repository.
"""

from __future__ import annotations

import sys
from pathlib import Path

import isaaclab  # before pxr: it tells USD where its plug-ins are
from pxr import Sdf, Usd, UsdGeom

STAGE = "source/isaaclab_tasks/test/golden_stages/cartpole/newton-isaacsim_rtx_renderer-rgb.usda"
ROBOT = "/World/envs/env_0/Robot"
NAME = "cartpole"


def main(target: Path) -> None:
    """Write the robot to a file that stands alone."""
    stage = Usd.Stage.Open(_robot_alone(Path(isaaclab.__file__).parent / STAGE))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetMetadata("kilogramsPerUnit", 1.0)
    robot = stage.GetPrimAtPath(f"/{NAME}")
    stage.SetDefaultPrim(robot)
    # The stage has the robot where the task put it.
    robot.GetAttribute("xformOp:translate").Set((0.0, 0.0, 0.0))
    layer = _without_instances(stage)
    layer.defaultPrim = NAME
    layer.Export(str(target))


def _robot_alone(stage: Path) -> Sdf.Layer:
    """Return a layer with the robot and the prototypes that its parts are instances of."""
    source, layer = Sdf.Layer.FindOrOpen(str(stage)), Sdf.Layer.CreateAnonymous(".usda")
    Sdf.CopySpec(source, ROBOT, layer, f"/{NAME}")
    for prim in source.rootPrims:
        if prim.name.startswith("Flattened_Prototype"):
            Sdf.CopySpec(source, prim.path, layer, prim.path)
    return layer


def _without_instances(stage: Usd.Stage) -> Sdf.Layer:
    """Return the stage as one layer in which every part is written out below the robot."""
    flat = Usd.Stage.Open(stage.Flatten())
    for prim in list(flat.Traverse()):
        if prim.IsInstance():
            prim.SetInstanceable(False)
    layer = flat.Flatten()
    for prim in list(layer.rootPrims):
        if prim.name != NAME:
            del layer.rootPrims[prim.name]
    return layer


if __name__ == "__main__":
    main(Path(sys.argv[1]))
