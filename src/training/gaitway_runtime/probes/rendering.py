"""Can MuJoCo render here? ``MUJOCO_GL`` names the back end to try; prints ``{"ok", "message"}``."""

from __future__ import annotations

import json

SCENE = """
<mujoco>
  <worldbody>
    <light pos="0 0 3"/>
    <geom type="sphere" size="1" rgba="1 1 1 1"/>
  </worldbody>
</mujoco>
"""


def main() -> None:
    """Render one frame of a white ball and say whether it can be seen."""
    import mujoco

    model = mujoco.MjModel.from_xml_string(SCENE)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    with mujoco.Renderer(model, height=32, width=32) as renderer:
        renderer.update_scene(data)
        brightest = int(renderer.render().max())
    print(json.dumps({"ok": brightest > 0, "message": "renders" if brightest else "renders black frames only"}))


if __name__ == "__main__":
    main()
