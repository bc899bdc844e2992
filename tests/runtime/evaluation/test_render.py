import mujoco
import numpy as np
import pytest
from gaitway_runtime.evaluation.film import Film
from gaitway_runtime.simulators.mujoco.render.camera import Camera, plan_cameras
from gaitway_runtime.simulators.mujoco.render.frames import pictures
from gaitway_runtime.simulators.mujoco.render.ground import find_ground
from gaitway_runtime.simulators.mujoco.render.overlay import COMMAND, MEASURED
from gaitway_runtime.simulators.mujoco.render.rays import RayRenderer

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


def test_frames_drawn_at_the_same_time_are_the_same_in_the_same_order(model: mujoco.MjModel) -> None:
    states = np.array([at(0.1 * step) for step in range(5)])
    film = Film(
        task="T", simulator="mujoco", title="", snapshots=states, measurements={}, step_dt=0.02, width=96, height=72
    )
    one, three, many = ([*pictures(film, "rays", threads=threads, model=model)] for threads in (1, 3, 8))
    assert len(one) == 5 and not np.array_equal(one[0], one[4])
    np.testing.assert_array_equal(three, one)
    np.testing.assert_array_equal(many, one)


FIELD = MODEL.replace("<asset>", '<asset><hfield name="hills" nrow="41" ncol="41" size="4 4 1 0.1"/>').replace(
    '<geom name="ground" type="plane" size="0 0 1"/>',
    '<geom name="ground" type="hfield" hfield="hills" pos="0 0 -0.2"/>',
)


def hills(slope: float = 0.0, wall: float = 0.0) -> mujoco.MjModel:
    """A model on a height field that rises along x, with a wall all along y at x = 1.5 m."""
    model = mujoco.MjModel.from_xml_string(FIELD)
    x = np.linspace(-4, 4, 41)
    model.hfield_data[:] = np.tile(0.2 + slope * x + wall * (abs(x - 1.5) < 0.15), (41, 1)).ravel()
    return model


def test_a_height_field_is_met_where_mujocos_own_rays_meet_it() -> None:
    model = hills(slope=0.1)
    ground = find_ground(model)
    assert ground is not None
    data = mujoco.MjData(model)
    data.qpos[2] = 50.0
    mujoco.mj_kinematics(model, data)
    eye = np.array([2.0, -2.5, 1.8])
    random = np.random.default_rng(0)
    rays = np.array([-0.4, 0.5, -0.8]) + random.uniform(-0.2, 0.2, (40, 3))
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    expected = [mujoco.mj_ray(model, data, eye, ray, None, 1, -1, np.zeros(1, np.int32)) for ray in rays]
    distance, light = ground.meet(eye, rays.astype(np.float32), np.float32([0.36, -0.42, 0.83]))
    # Cells are 0.2 m wide and taken as level: a tenth of that on a slope of 0.1, over the sine of the ray.
    np.testing.assert_allclose(distance, expected, atol=0.04)
    assert light.std() < 1e-3, "an even slope is evenly lit"


def test_the_height_of_the_ground_is_known_beyond_its_field() -> None:
    ground = find_ground(hills(slope=0.1))
    assert ground is not None
    heights = ground.height(np.array([0.0, 3.0, 40.0]), np.zeros(3))
    assert heights == pytest.approx([0.0, 0.3, -0.2], abs=0.03)


def test_what_hides_the_robot_is_looked_over() -> None:
    for wall, lowest in ((0.0, 0.0), (0.75, 0.1)):
        model = hills(wall=wall)
        ground = find_ground(model)
        assert ground is not None
        camera = plan_cameras(model, np.array([at(1.0)]), 0.02, ground.height)[0]
        level = plan_cameras(model, np.array([at(1.0)]), 0.02)[0]
        assert camera.offset[2] - level.offset[2] >= lowest
        assert bool(camera.offset[2] > level.offset[2]) is (wall > 0)


def test_the_robot_stands_before_and_behind_the_ground(model: mujoco.MjModel) -> None:
    steep = hills(wall=0.7)
    camera = Camera(np.array([0.0, 0.0, 0.5]), np.array([4.0, 0.0, 0.4]))
    hidden = RayRenderer(steep, *SIZE).draw(at(0.0, z=0.3), camera).astype(int)
    seen = RayRenderer(hills(), *SIZE).draw(at(0.0, z=0.3), camera).astype(int)
    spot = pixel(camera, (0.3, 0.0, 0.3))
    assert seen[spot][0] > 2 * seen[spot][1], "in the open it is red"
    assert hidden[spot][0] < 1.3 * hidden[spot][1], "behind the wall it is not seen"


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
