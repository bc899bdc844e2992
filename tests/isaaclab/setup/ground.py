"""Make a ground plane in the place of Isaac Lab's: ``python ground.py OUT.usda``.

A plane to stand on, and a square to look at, under the names that the spawner of Isaac Lab reaches for.
"""

from __future__ import annotations

import sys
from pathlib import Path

import isaaclab  # noqa: F401 - before pxr: it tells USD where its plug-ins are
from pxr import Sdf, Usd, UsdGeom, UsdLux, UsdPhysics, UsdShade

HALF = 50.0
"""Half a side of the square [m]."""


def main(target: Path) -> None:
    """Write the plane."""
    target.unlink(missing_ok=True)
    stage = Usd.Stage.CreateNew(str(target))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/Root").GetPrim())
    plane = UsdGeom.Plane.Define(stage, "/Root/GroundPlane/CollisionPlane")
    plane.CreateAxisAttr(UsdGeom.Tokens.z)
    plane.CreatePurposeAttr(UsdGeom.Tokens.guide)
    UsdPhysics.CollisionAPI.Apply(plane.GetPrim())
    UsdGeom.Xform.Define(stage, "/Root/Environment").AddScaleOp().Set((1.0, 1.0, 1.0))
    square = UsdGeom.Mesh.Define(stage, "/Root/Environment/Geometry")
    square.CreatePointsAttr([(x * HALF, y * HALF, 0.0) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))])
    square.CreateFaceVertexCountsAttr([4])
    square.CreateFaceVertexIndicesAttr([0, 1, 2, 3])
    # The spawner scales the grid's picture by this.
    picture = UsdGeom.PrimvarsAPI(square).CreatePrimvar(
        "st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.varying
    )
    picture.Set([(-HALF, -HALF), (HALF, -HALF), (HALF, HALF), (-HALF, HALF)])
    UsdShade.Material.Define(stage, "/Root/Looks/theGrid")
    shader = UsdShade.Shader.Define(stage, "/Root/Looks/theGrid/Shader")
    shader.CreateInput("diffuse_tint", Sdf.ValueTypeNames.Color3f).Set((0.2, 0.2, 0.2))
    UsdLux.SphereLight.Define(stage, "/Root/SphereLight")
    stage.Save()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
