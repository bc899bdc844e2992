"""A controller that is written from docs/contract.md alone: numpy, onnxruntime and MuJoCo, nothing of gaitway.

    python bare_robot.py FOLDER

FOLDER holds ``policy.onnx``, ``contract.json``, ``robot.mjb``, ``recorded.npz`` and, where the ground is not flat, its
map in ``ground.npz``. Answers in ``replayed.npz``: the observations and targets for the recorded states, and the
targets when the robot walks by itself from the first one.
"""

import json
import sys
from pathlib import Path

import mujoco
import numpy as np
import onnxruntime


class Controller:
    """One robot: raw measurements in, joint targets out."""

    def __init__(self, folder: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(folder / "policy.onnx", options)
        embedded = self.session.get_modelmeta().custom_metadata_map["policy_contract"]
        self.contract = json.loads((folder / "contract.json").read_text())
        assert json.loads(embedded) == self.contract, "the contract inside is the one beside"
        assert self.contract["schema"] == 2
        self.last_action = np.zeros(sum(term["stop"] - term["start"] for term in self.contract["actions"]))
        self.histories = {}

    def step(self, measured: dict) -> tuple[np.ndarray, np.ndarray]:
        """Return the observation and the targets for one control step."""
        observation = np.concatenate([self.term(term, measured) for term in self.contract["observations"]])
        observation = observation.astype(np.float32)
        action = self.session.run(["actions"], {"obs": observation[None]})[0][0]
        self.last_action = action.astype(np.float64)
        return observation, np.concatenate([self.target(term, action) for term in self.contract["actions"]])

    def term(self, term: dict, measured: dict) -> np.ndarray:
        """scale * clip(raw - offset), and the frames before it, the oldest first."""
        raw = np.asarray(self.raw(term, measured), dtype=np.float64).reshape(-1)
        size = raw.size
        assert size * term["history"] == term["stop"] - term["start"] and term["history_order"] == "oldest_first"
        value = raw - np.asarray(term["offset"][:size]) if term["offset"] else raw
        if term["clip"]:
            value = np.clip(value, *term["clip"])
        value = value * (np.asarray(term["scales"][:size]) if term["scales"] else term["scale"])
        frames = self.histories.setdefault(term["name"], [value] * term["history"])
        frames[:] = [*frames[1:], value]
        return np.concatenate(frames)

    def raw(self, term: dict, measured: dict) -> np.ndarray:
        """The measured quantity, by its word in the contract."""
        quantity, parameters = term["quantity"], term["parameters"]
        if quantity == "last_action":
            return self.last_action
        if quantity in ("joint_position", "joint_velocity"):
            return np.array([measured[quantity][joint] for joint in term["joint_names"]])
        if quantity == "joint_position_normalized":
            return self.normalized(term, measured)
        if quantity in ("velocity_command", "pose_command"):
            return measured["commands"][term["command"]]
        if quantity in ("angle_to_target", "base_heading_projection"):
            return self.towards(quantity, parameters["target"], measured)
        if quantity == "base_yaw_roll":
            rot = measured["base_rotation"]
            return np.array([np.arctan2(rot[1, 0], rot[0, 0]), np.arctan2(rot[2, 1], rot[2, 2])])
        if quantity == "base_up_projection":
            return measured["base_rotation"][2, 2]
        return measured[quantity]

    def normalized(self, term: dict, measured: dict) -> np.ndarray:
        """-1 at the lower soft limit, 1 at the upper."""
        robot = self.contract["robot"]
        limits = dict(zip(robot["joint_names"], robot["joint_pos_limits"], strict=True))
        low, high = np.array([limits[joint] for joint in term["joint_names"]]).T
        half = robot["soft_limit_factor"] * (high - low) / 2
        position = np.array([measured["joint_position"][joint] for joint in term["joint_names"]])
        return (position - (low + high) / 2) / half

    @staticmethod
    def towards(quantity: str, target: list, measured: dict) -> float:
        """The direction to a target in the ground plane, from the base."""
        rot, to = measured["base_rotation"], np.asarray(target) - measured["base_position"][:2]
        if quantity == "base_heading_projection":
            return float(rot[:2, 0] @ to / np.hypot(*to))
        angle = np.arctan2(to[1], to[0]) - np.arctan2(rot[1, 0], rot[0, 0])
        return float(np.arctan2(np.sin(angle), np.cos(angle)))

    @staticmethod
    def target(term: dict, action: np.ndarray) -> np.ndarray:
        """offset + scale * action, cut off at the clip."""
        part = action[term["start"] : term["stop"]].astype(np.float64)
        value = np.asarray(term["offset"]) + np.asarray(term["scale"]) * part
        return np.clip(value, *term["clip"]) if term["clip"] else value


class Ground:
    """A map of the ground: heights of square cells."""

    def __init__(self, path: Path) -> None:
        found = np.load(path)
        self.heights, self.first, self.cell = found["heights"], found["first"], float(found["cell"])

    def scan(self, parameters: dict, position: np.ndarray, yaw: float) -> np.ndarray:
        """How far the base is above each point of a grid about it."""
        points = np.array([(x, y, 1.0) for y in parameters["y_m"] for x in parameters["x_m"]], np.float32).T
        cos, sin = np.cos(yaw), np.sin(yaw)
        x, y = position[:2] - self.first
        turn = np.array([[cos, -sin, x], [sin, cos, y]]) * (1.0 / self.cell)
        rows, columns = (turn.astype(np.float32) @ points).astype(int)
        across_x, across_y = self.heights.shape
        below = self.heights[np.clip(rows, 0, across_x - 1), np.clip(columns, 0, across_y - 1)]
        return np.float32(position[2] - parameters["offset"]) - below


def wrenches(bodies: list, model: mujoco.MjModel, data: mujoco.MjData) -> np.ndarray:
    """What the force and torque sensors at some bodies' joints say."""
    found = []
    for body in bodies:
        for kind in (mujoco.mjtSensor.mjSENS_FORCE, mujoco.mjtSensor.mjSENS_TORQUE):
            of_body = model.site_bodyid[model.sensor_objid] == model.body(body).id
            (number,) = np.flatnonzero((model.sensor_type == kind) & of_body)
            found.append(data.sensordata[model.sensor_adr[number] :][:3].copy())
    return np.concatenate(found)


def measure(contract: dict, model: mujoco.MjModel, data: mujoco.MjData) -> dict:
    """What a robot's sensors and its state estimator say."""
    joints = contract["robot"]["joint_names"]
    found = {
        "joint_position": {joint: data.qpos[model.joint(joint).qposadr[0]] for joint in joints},
        "joint_velocity": {joint: data.qvel[model.joint(joint).dofadr[0]] for joint in joints},
        "commands": {},
    }
    if model.njnt and model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE:
        rot = np.zeros(9)
        mujoco.mju_quat2Mat(rot, data.qpos[3:7] / np.linalg.norm(data.qpos[3:7]))
        rot = rot.reshape(3, 3)
        angular = data.qvel[3:6]
        found |= {
            "base_position": data.qpos[:3],
            "base_height": data.qpos[2],
            "base_rotation": rot,
            "base_angular_velocity": angular,
            # Of the centre of mass, as conventions.base_velocity says.
            "base_linear_velocity": rot.T @ data.qvel[:3] + np.cross(angular, contract["robot"]["base_com"]),
            "projected_gravity": rot.T @ np.array([0.0, 0.0, -1.0]),
        }
    return found


def main(folder: Path) -> None:
    recorded = np.load(folder / "recorded.npz")
    model = mujoco.MjModel.from_binary_path(str(folder / "robot.mjb"))
    data = mujoco.MjData(model)
    replayed, walking = Controller(folder), Controller(folder)
    contract = replayed.contract
    order = [model.actuator(number).trnid[0] for number in range(model.nu)]
    actuated = [model.joint(int(joint)).name for joint in order]
    joints = [joint for term in contract["actions"] for joint in term["joint_names"]]
    driven = [number for number, joint in enumerate(actuated) if joint in joints]
    place = [joints.index(actuated[number]) for number in driven]
    pose = dict(zip(contract["robot"]["joint_names"], contract["robot"]["default_joint_pos"], strict=True))
    # Joints that no action moves (a gripper's fingers) hold the default pose.
    data.ctrl[:] = [pose.get(joint, 0.0) for joint in actuated]
    held = data.ctrl.copy()

    ground = Ground(folder / "ground.npz") if (folder / "ground.npz").is_file() else None
    terms = {term["quantity"]: term for term in contract["observations"]}

    def sensors(step: int, *, walks: bool) -> dict:
        found = measure(contract, model, data)
        found["commands"] = {name: recorded["command"][step] for name in contract["commands"]}
        if "height_scan" in terms:
            parameters, rot = terms["height_scan"]["parameters"], found["base_rotation"]
            turned = found["joint_position"].get(parameters.get("turned_by"), 0.0)
            yaw = np.arctan2(rot[1, 0], rot[0, 0]) + turned
            found["height_scan"] = ground.scan(parameters, found["base_position"], yaw)
        if "contact_wrench" in terms:  # a state alone does not tell the forces that led to it
            bodies = terms["contact_wrench"]["parameters"]["bodies"]
            found["contact_wrench"] = wrenches(bodies, model, data) if walks else recorded["contact_wrench"][step]
        return found

    observations, targets = [], []
    for step in range(len(recorded["qpos"])):
        data.qpos[:], data.qvel[:] = recorded["qpos"][step], recorded["qvel"][step]
        observation, target = replayed.step(sensors(step, walks=False))
        observations.append(observation)
        targets.append(target)

    mujoco.mj_resetData(model, data)
    data.qpos[:], data.qvel[:] = recorded["qpos"][0], recorded["qvel"][0]
    walked, states = [], []
    model.opt.timestep = contract["timing"]["physics_dt"]
    for step in range(len(recorded["qpos"])):
        states.append(data.qpos.copy())
        _, target = walking.step(sensors(step, walks=True))
        walked.append(target)
        data.ctrl[:] = held
        data.ctrl[driven] = target[place]
        for _ in range(contract["timing"]["decimation"]):
            mujoco.mj_step(model, data)
    np.savez(
        folder / "replayed.npz",
        observations=np.array(observations),
        targets=np.array(targets),
        walked=np.array(walked),
        states=np.array(states),
        foreign=np.array([name for name in sys.modules if name.startswith("gaitway")]),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
