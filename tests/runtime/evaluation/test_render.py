import mujoco
import numpy as np
import pytest
from gaitway_runtime.evaluation.film import Film
from gaitway_runtime.simulators.mujoco.render import pictures
from gaitway_runtime.simulators.mujoco.render_camera import Camera, plan_cameras
from gaitway_runtime.simulators.mujoco.render_overlay import COMMAND, MEASURED
from gaitway_runtime.simulators.mujoco.render_rays import RayRenderer

SIZE = (96, 72)
MODEL = """<mujoco>
  <asset><material name="shell" rgba="0.9 0.1 0.1 1"/></asset>
  <worldbody>
    <geom name="ground" type="plane" size="0 0 1"/>
    <body name="base" pos="0 0 0.6">
      <freejoint/>
      <geom name="base" type="box" size="0.3 0.2 0.1" material="shell"/>
    </body>
  </worldbody>
</mujoco>"""


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(MODEL)


def at(x: float, y: float = 0.0, z: float = 0.6) -> np.ndarray:
    return np.array([x, y, z, 1.0, 0, 0, 0])


def pixel(camera: Camera, point: tuple[float, float, float]) -> tuple[int, int]:
    (column, row), _ = camera.project(np.array(point), *SIZE)
    return int(row), int(column)


def test_a_ray_through_a_pixel_and_the_pixel_of_a_point_agree() -> None:
    camera = Camera(np.array([1.0, 2.0, 0.5]), np.array([-2.0, 1.0, 1.5]))
    columns, rows = np.array([-30.0, 0.0, 12.5]), np.array([10.0, 0.0, -20.0])
    points = camera.eye + 3.0 * camera.directions(columns, rows, SIZE[1])
    pixels, _ = camera.project(points, *SIZE)
    np.testing.assert_allclose(pixels, np.stack([SIZE[0] / 2 + columns, SIZE[1] / 2 + rows], axis=-1), atol=1e-9)


def test_robot_ground_sky_and_shadow_are_where_they_belong(model: mujoco.MjModel) -> None:
    camera = plan_cameras(model, np.array([at(0.0)]), 0.02)[0]
    picture = RayRenderer(model, *SIZE).draw(at(0.0), camera).astype(int)
    red, green, blue = picture[pixel(camera, (0.0, 0.0, 0.7))]
    assert red > 2 * green and red > 2 * blue, "the box is red"
    sky, ground = picture[0, SIZE[0] // 2], picture[-2, 4]
    assert sky.min() > 150, "the sky is bright"
    assert abs(ground[0] - ground[2]) < 50 and ground.max() < 180, "the ground is grey"
    # The sun stands at (0.36, -0.42, 0.83): a point of the box at height z shades the ground that much further on.
    shaded = picture[pixel(camera, (-0.36 / 0.83 * 0.6, 0.42 / 0.83 * 0.6, 0.0))]
    lit = picture[pixel(camera, (-0.36 / 0.83 * 0.6 - 0.6, 0.42 / 0.83 * 0.6, 0.0))]
    assert shaded.mean() < 0.75 * lit.mean()


def test_a_terrain_that_is_not_flat_is_drawn_too() -> None:
    terrain = MODEL.replace(
        '<geom name="ground" type="plane" size="0 0 1"/>',
        '<geom name="step" type="box" size="20 20 0.1" pos="0 0 -0.1" rgba="0.1 0.8 0.1 1"/>',
    )
    model = mujoco.MjModel.from_xml_string(terrain)
    camera = plan_cameras(model, np.array([at(0.0)]), 0.02)[0]
    picture = RayRenderer(model, *SIZE).draw(at(0.0), camera).astype(int)
    assert picture[-2, 4, 1] > 1.5 * picture[-2, 4, 0]


def test_the_camera_follows_evenly_and_cuts_where_the_robot_was_reset(model: mujoco.MjModel) -> None:
    path = np.array([at(0.02 * step) for step in range(50)] + [at(-3.0 + 0.02 * step) for step in range(50)])
    targets = np.array([camera.target for camera in plan_cameras(model, path, 0.02)])
    steps = np.diff(targets[:, 0])
    assert abs(steps[49] - -4.0) < 0.5, "one cut"
    assert np.delete(steps, 49).min() >= 0 and np.delete(steps, 49).max() < 0.03, "smooth elsewhere"


def test_a_robot_that_stays_is_framed_whole() -> None:
    slider = mujoco.MjModel.from_xml_string(
        """<mujoco><worldbody><body pos="0 0 2"><joint type="slide" axis="0 1 0"/>
        <geom type="box" size="0.1 0.1 0.1" rgba="1 0 0 1"/></body></worldbody></mujoco>"""
    )
    states = np.array([[-2.0], [2.0]])
    cameras = plan_cameras(slider, states, 0.02)
    pixels, depth = cameras[0].project(np.array([[0.0, -2.0, 2.0], [0.0, 2.0, 2.0]]), *SIZE)
    assert (depth > 0).all() and (pixels > 3).all() and (pixels < np.array(SIZE) - 3).all()
    picture = RayRenderer(slider, *SIZE).draw(states[0], cameras[0]).astype(int)
    row, column = int(pixels[0, 1]), int(pixels[0, 0])
    assert picture[row, column, 0] > 2 * picture[row, column, 1]


def close_to(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((np.abs(picture.astype(int) - colour).max(axis=-1) < 40).sum())


def test_commanded_and_measured_velocity_are_drawn_over_the_robot(model: mujoco.MjModel) -> None:
    def draw(**measured: float) -> np.ndarray:
        film = Film(
            task="t",
            simulator="mujoco",
            title="",
            snapshots=np.array([at(0.0)]),
            measurements={name: np.array([value], dtype=np.float32) for name, value in measured.items()},
            step_dt=0.02,
            width=320,
            height=240,
        )
        beside_the_numbers = next(pictures(film, "rays", model=model))[:, 164:]
        return beside_the_numbers

    still = dict.fromkeys(("command_vy", "command_wz", "vel_y", "vel_yaw"), 0.0)
    both = draw(command_vx=1.0, vel_x=0.9, **still)
    assert close_to(both, COMMAND) > 20 and close_to(both, MEASURED) > 20
    standing = draw(command_vx=0.0, vel_x=0.0, **still)
    assert close_to(standing, COMMAND) == close_to(standing, MEASURED) == 0
    lost = draw(command_vx=float("nan"), vel_x=float("nan"), **still)
    assert close_to(lost, COMMAND) == 0
