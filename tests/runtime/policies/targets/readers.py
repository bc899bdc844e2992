"""Readers of each deployer's files, written from what is known of its code.

Every throw of theirs is an error here, and so is every case that theirs passes over in silence.
"""

import csv
import io
import json
from collections import deque
from pathlib import Path

import numpy as np
import onnxruntime
import yaml


class Refused(Exception):
    """The deployer would throw, or run on wrong numbers."""


def need(condition: object, message: str) -> None:
    if not condition:
        raise Refused(message)


def session_of(path: Path) -> onnxruntime.InferenceSession:
    """Open a model whose every axis is fixed and whose batch is one."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for entry in (*session.get_inputs(), *session.get_outputs()):
        need(all(isinstance(size, int) and size > 0 for size in entry.shape), f"negative value in shape {entry.shape}")
        need(entry.type == "tensor(float)", f"{entry.name} is {entry.type}")
    return session


def metadata_of(session: onnxruntime.InferenceSession) -> dict[str, str]:
    return dict(session.get_modelmeta().custom_metadata_map)


class History:
    """Frames of one term, oldest first; filled with the first value."""

    def __init__(self, length: int) -> None:
        self.frames: deque[np.ndarray] = deque(maxlen=length)

    def push(self, value: np.ndarray) -> np.ndarray:
        if not self.frames:
            self.frames.extend([value] * (self.frames.maxlen or 1))
        self.frames.append(value)
        return np.concatenate(self.frames)


class Unitree:
    """The C++ deployers of unitree_rl_lab (``lab``) and unitree_rl_mjlab (``mjlab``)."""

    REGISTERED = (
        "base_ang_vel",
        "projected_gravity",
        "joint_pos_rel",
        "joint_vel_rel",
        "last_action",
        "velocity_commands",
    )

    def __init__(self, folder: Path, generation: str) -> None:
        self.generation = generation
        self.config = yaml.safe_load((folder / "params" / "deploy.yaml").read_text())
        self.session = session_of(folder / "exported" / "policy.onnx")
        config = self.config
        for key in ("joint_ids_map", "step_dt", "stiffness", "damping", "default_joint_pos", "actions", "observations"):
            need(key in config, "bad conversion")
        self.ids = [int(number) for number in config["joint_ids_map"]]
        count = len(self.ids)
        need(sorted(self.ids) == list(range(len(config["stiffness"]))), "joint_ids_map is no permutation")
        need(len(config["default_joint_pos"]) == count, "default_joint_pos")
        need(list(config["actions"]) == ["JointPositionAction"], f"Action term is not registered: {config['actions']}")
        self.action = config["actions"]["JointPositionAction"]
        need("clip" in self.action, "bad conversion")
        for key in ("scale", "offset"):
            need(isinstance(self.action[key], list) and len(self.action[key]) == count, f"{key} is no list")
        if generation == "mjlab":
            ids = self.action.get("joint_ids", "missing")
            need(ids is None or isinstance(ids, list), "bad conversion")
        self.check_observations()
        self.default = np.array(config["default_joint_pos"])
        self.last = np.zeros(count)

    def check_observations(self) -> None:
        terms = self.config["observations"]
        need("params" in next(iter(terms.values())), "invalid node")
        self.histories, width = {}, 0
        for name, term in terms.items():
            need(name in self.REGISTERED, f"Observation term '{name}' is not registered.")
            need("clip" in term and "scale" in term, 'invalid node; first invalid key: "clip"')
            size = 3 if name in ("base_ang_vel", "projected_gravity", "velocity_commands") else len(self.ids)
            need(isinstance(term["scale"], list) and len(term["scale"]) >= size, f"scale of {name} is too short")
            self.histories[name] = History(int(term.get("history_length", 1)))
            width += size * int(term.get("history_length", 1))
            if name == "velocity_commands":
                ranges = self.config["commands"]["base_velocity"]["ranges"]
                need(set(ranges) >= {"lin_vel_x", "lin_vel_y", "ang_vel_z"}, "first invalid key: lin_vel_x")
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        need([entry.name for entry in inputs] == ["obs"], "Input name not found in observations.")
        need(inputs[0].shape == [1, width], f"not enough space: expected {inputs[0].shape}, got {width}")
        need(outputs[0].name == "actions" and outputs[0].shape == [1, len(self.ids)], "output width")

    def step(self, raw: dict) -> np.ndarray:
        """Targets of the SDK's motors, in their order."""
        policy_order = {name: raw[name][self.ids] for name in ("motor_q", "motor_dq")}
        values = {
            "base_ang_vel": raw["base_angular_velocity"],
            "projected_gravity": raw["projected_gravity"],
            "joint_pos_rel": policy_order["motor_q"] - self.default,
            "joint_vel_rel": policy_order["motor_dq"],
            "last_action": self.last,
            "velocity_commands": raw["command"],
        }
        parts = []
        for name, term in self.config["observations"].items():
            value = values[name]
            if term["clip"]:
                value = np.clip(value, *term["clip"])
            parts.append(self.histories[name].push(value * np.array(term["scale"])[: value.size]))
        (action,) = self.session.run(["actions"], {"obs": np.concatenate(parts)[None].astype(np.float32)})
        self.last = action[0].astype(np.float64)
        target = self.last * np.array(self.action["scale"]) + np.array(self.action["offset"])
        if self.action["clip"]:
            low, high = np.array(self.action["clip"]).T
            target = np.clip(target, low, high)
        motors = np.full(len(self.config["stiffness"]), np.nan)
        motors[self.ids] = target
        return motors


class LeggedRlDeploy:
    """legged_rl_deploy's PolicySlot: one policy, motors by number, each term through its list of operations."""

    TERMS = ("base_ang_vel_B", "projected_gravity", "velocity_commands", "joint_pos", "joint_vel", "last_action")

    def __init__(self, folder: Path) -> None:
        config = yaml.safe_load((folder / "config.yaml").read_text())["policy"]
        self.config, self.ids = config, config["joint_ids_map"]
        self.session = session_of(folder / config["model_path"])
        count = len(self.ids)
        need(config["backend"] in ("ort", "libtorch"), "backend")
        need(self.session.get_inputs()[0].name == "obs", "extra inputs are zeros")
        need(len(self.session.get_inputs()) == 1, "extra inputs are zeros")
        need(self.session.get_outputs()[0].shape == [1, config["output_dim"]], "output size mismatch in self-check")
        need(len(config["stiffness"]) == len(config["damping"]) == count, "gains are read by the policy's joint")
        sizes = {name: 3 if name in self.TERMS[:3] else count for name in config["observations"]["terms"]}
        need(all(name in self.TERMS for name in sizes), "Unknown obs term")
        stack = config["observations"]["stack"]
        need(stack["order"] in ("oldest_first", "newest_first"), "any other order is taken for the oldest first")
        need(stack["order"] == "oldest_first", "frames are written oldest first")
        need(sum(sizes.values()) * stack["length"] == config["input_dim"], "input_dim mismatch")
        need(self.session.get_inputs()[0].shape == [1, config["input_dim"]], "the observation has another size")
        self.history = History(stack["length"])
        self.last = np.zeros(count)

    @staticmethod
    def processed(value: np.ndarray, told: dict) -> np.ndarray:
        for operation in told.get("process_order", ()):
            keys = {"clip": ("min", "max")}.get(operation, (operation,))
            given = [np.asarray(told[key], float) for key in keys]
            need(all(each.size in (1, value.size) for each in given), f"{operation} dim mismatch")
            if operation == "clip":
                value = np.clip(value, *given)
            else:
                need(operation in ("scale", "offset"), "unknown preprocess op")
                value = value * given[0] if operation == "scale" else value + given[0]
        return value

    def step(self, raw: dict) -> np.ndarray:
        """Targets of the motors, in their order."""
        command = self.config["commands"]["base_velocity"]
        values = {
            "base_ang_vel_B": raw["base_angular_velocity"],
            "projected_gravity": raw["projected_gravity"],
            "velocity_commands": self.processed(raw["command"], command),
            "joint_pos": raw["motor_q"][self.ids],
            "joint_vel": raw["motor_dq"][self.ids],
            "last_action": self.last,
        }
        terms = self.config["observations"]["terms"]
        parts = [self.processed(values[name], told) for name, told in terms.items()]
        stacked = self.history.push(np.concatenate(parts))
        (action, *_) = self.session.run(None, {"obs": stacked[None].astype(np.float32)})
        self.last = action[0].astype(np.float64)
        motors = np.full(len(self.ids), np.nan)
        motors[self.ids] = self.processed(self.last, self.config["actions"]["JointPositionAction"])
        return motors


def numbers(text: str) -> list[float]:
    return [float(part) for part in next(csv.reader(io.StringIO(text)))] if text else []


class ByName:
    """Readers of comma-separated metadata: legged_control2 (``legged``) and mjlab's own keys (``mjlab``)."""

    LEGGED = ("base_lin_vel", "base_ang_vel", "projected_gravity", "joint_pos", "joint_vel", "actions", "command")

    def __init__(self, path: Path, reader: str) -> None:
        self.session, self.reader = session_of(path), reader
        found = metadata_of(self.session)
        keys = ["joint_names", "joint_stiffness", "joint_damping", "default_joint_pos", "command_names"]
        keys += ["observation_names", "action_scale"]
        keys += ["observation_history_lengths"] if reader == "legged" else ["observation_terms_scale"]
        for key in keys:
            need(key in found, f"OnnxPolicy: '{key}' not found in model metadata. Please check the model.")
        self.joints, self.names = found["joint_names"].split(","), found["observation_names"].split(",")
        self.default, self.scale = numbers(found["default_joint_pos"]), numbers(found["action_scale"])
        need(
            {len(self.default), len(self.scale), len(numbers(found["joint_stiffness"]))} == {len(self.joints)}, "sizes"
        )
        if reader == "legged":
            unknown = [name for name in self.names if name not in self.LEGGED]
            need(not unknown, f"unknown observation {unknown}")
            lengths = [int(length) for length in numbers(found["observation_history_lengths"])]
            self.scales, self.clips = [1.0] * len(self.names), [(-np.inf, np.inf)] * len(self.names)
        else:
            lengths = [max(1, int(length)) for length in numbers(found["observation_terms_history_length"])]
            self.scales = numbers(found["observation_terms_scale"])
            pairs = [part.split(";") for part in found["observation_terms_clip"].split(",")]
            self.clips = [(float(low), float(high)) for low, high in pairs]
        self.histories = [History(length) for length in lengths]
        need(self.session.get_inputs()[0].name == "obs", "out_of_range")
        self.last = np.zeros(len(self.joints))

    def step(self, raw: dict) -> dict[str, float]:
        """Targets by joint."""
        values = {
            "base_lin_vel": raw["base_linear_velocity"],
            "base_ang_vel": raw["base_angular_velocity"],
            "projected_gravity": raw["projected_gravity"],
            "joint_pos": np.array([raw["joint_position"][joint] for joint in self.joints]) - self.default,
            "joint_vel": np.array([raw["joint_velocity"][joint] for joint in self.joints]),
            "actions": self.last,
            "command": raw["command"],
        }
        parts = [
            history.push(np.clip(values[name], *clip) * scale)
            for name, clip, scale, history in zip(self.names, self.clips, self.scales, self.histories, strict=True)
        ]
        obs = np.concatenate(parts)[None].astype(np.float32)
        need(list(obs.shape) == self.session.get_inputs()[0].shape, f"width {obs.shape}")
        (action,) = self.session.run(["actions"], {"obs": obs})
        self.last = action[0].astype(np.float64)
        return dict(zip(self.joints, self.default + np.array(self.scale) * self.last, strict=True))


class Descriptors:
    """A controller beside ``policy.onnx`` and ``IO_descriptors.yaml``."""

    def __init__(self, folder: Path) -> None:
        self.document = yaml.safe_load((folder / "IO_descriptors.yaml").read_text())
        self.session = onnxruntime.InferenceSession(folder / "policy.onnx", providers=["CPUExecutionProvider"])
        self.terms = self.document["observations"]["policy"]
        width = sum(term["shape"][0] * max(1, term["overloads"]["history_length"]) for term in self.terms)
        need(width == self.session.get_inputs()[0].shape[1], "the descriptors have a hole")
        (self.action,) = self.document["actions"]
        need(self.action["name"] == "JointPositionAction", "action")
        self.last = np.zeros(self.action["shape"][0])

    def step(self, raw: dict) -> dict[str, float]:
        parts = []
        for term in self.terms:
            value = {
                "base_lin_vel": raw["base_linear_velocity"],
                "base_ang_vel": raw["base_angular_velocity"],
                "projected_gravity": raw["projected_gravity"],
                "generated_commands": raw["command"],
                "last_action": self.last,
            }.get(term["name"])
            if value is None:
                state = {"joint_pos_rel": "joint_position", "joint_vel_rel": "joint_velocity"}[term["name"]]
                value = np.array([raw[state][joint] for joint in term["joint_names"]])
                value = value - np.array(term.get("joint_pos_offsets", 0.0))
            if term["overloads"]["clip"]:
                value = np.clip(value, *term["overloads"]["clip"])
            parts.append(value * np.array(term["overloads"]["scale"]))
        (action,) = self.session.run(["actions"], {"obs": np.concatenate(parts)[None].astype(np.float32)})
        self.last = action[0].astype(np.float64)
        target = np.array(self.action["offset"]) + np.array(self.action["scale"]) * self.last
        return dict(zip(self.action["joint_names"], target, strict=True))


class Holosoma:
    """holosoma_inference's LocomotionPolicy with its G1 preset."""

    def __init__(self, path: Path, pose: np.ndarray) -> None:
        self.scales = {"base_ang_vel": 0.25, "dof_vel": 0.05}
        self.session = session_of(path)
        found = {key: json.loads(value) for key, value in metadata_of(self.session).items()}
        for key in ("kp", "kd"):
            need(len(found[key]) == 29, "No KP/KD values found")
        need(self.session.get_inputs()[0].name == "actor_obs", "KeyError: 'obs'")
        need(self.session.get_inputs()[0].shape == [1, 100], "InvalidArgument")
        need(self.session.get_outputs()[0].shape == [1, 29], "zero-padded at the front")
        self.names, self.pose, self.last = found["dof_names"], pose, np.zeros(29)

    def step(self, raw: dict) -> dict[str, float]:
        values = {
            "actions": self.last,
            "base_ang_vel": raw["base_angular_velocity"],
            "command_ang_vel": raw["command"][2:],
            "command_lin_vel": raw["command"][:2],
            "cos_phase": np.array([0.3, -0.4]),
            "dof_pos": np.array([raw["joint_position"][joint] for joint in self.names]) - self.pose,
            "dof_vel": np.array([raw["joint_velocity"][joint] for joint in self.names]),
            "projected_gravity": raw["projected_gravity"],
            "sin_phase": np.array([0.5, 0.6]),
        }
        obs = np.concatenate([values[name] * self.scales.get(name, 1.0) for name in sorted(values)])
        (action,) = self.session.run(None, {"actor_obs": obs[None].astype(np.float32)})
        self.last = np.clip(action[0].astype(np.float64), -100, 100)
        return dict(zip(self.names, self.pose + 0.25 * self.last, strict=True))


class IsaacRos:
    """Isaac ROS Deploy's parser of a LEAPP bundle, and a run of its one model with the feedback that it sees.

    A velocity command comes as a twist of six values, of which an input takes those of its element names; releases 4
    and later have other names for them.
    """

    def __init__(self, path: Path, release: int) -> None:
        parts = ("lin_{}", "ang_{}") if release == 4 else ("lin_vel_{}", "ang_vel_{}")
        self.twist = [part.format(axis) for part in parts for axis in "xyz"]
        document = yaml.safe_load(path.read_text())
        (self.node,) = document["models"]
        model = document["models"][self.node]
        for term in (*model["inputs"], *model["outputs"]):
            need(all(isinstance(size, int) for size in term["shape"]), "'shape' is required")
            names = term.get("element_names", [])
            need(all(isinstance(axis, list) for axis in names), "bad conversion")
            need(not term.get("kind", "").startswith("state/joint") or names, "joint kinds need element_names")
        runners = ("triton", "mock") if release == 4 else ("triton", "onnx")
        need(model["parameters"]["backend"] in runners, f"Unknown runner type: {model['parameters']['backend']}")
        self.session = session_of(path.parent / model["parameters"]["model_path"])
        need([e.name for e in self.session.get_inputs()] == [t["name"] for t in model["inputs"]], "names")
        need([e.name for e in self.session.get_outputs()] == [t["name"] for t in model["outputs"]], "names")
        self.feedback = {
            source.split("/")[1]: [target.split("/")[1] for target in targets]
            for source, targets in document["pipeline"]["feedback_connections"].items()
        }
        self.inputs = {term["name"]: term for term in model["inputs"]}
        self.outputs = {term["name"]: term for term in model["outputs"]}
        self.memory = {
            name: np.zeros(self.inputs[name]["shape"], np.float32) for names in self.feedback.values() for name in names
        }

    def step(self, sensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        need(set(sensors) | set(self.memory) == set(self.inputs), "an input stays at zeros")
        given = {name: self.received(self.inputs[name], value) for name, value in sensors.items()}
        answers = self.session.run(None, {**given, **self.memory})
        found = dict(zip(self.outputs, answers, strict=True))
        for source, targets in self.feedback.items():
            self.memory |= dict.fromkeys(targets, found[source])
        return found

    def received(self, term: dict, value: np.ndarray) -> np.ndarray:
        """What the converter of a message makes of a value: vx, vy and wz travel as a twist."""
        if term.get("kind") != "command/body/velocity":
            return value
        message = np.array([value[0, 0], value[0, 1], 0.0, 0.0, 0.0, value[0, 2]], np.float32)
        (names,) = term["element_names"]
        need(set(names) <= set(self.twist), "shape '[1, 3]' is invalid for input of size 6")
        return message[[self.twist.index(name) for name in names]][None]
