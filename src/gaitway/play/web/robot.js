// The robot: MuJoCo's model and state, the observations of the task, and the control step.
"use strict";

/** Rotation matrix of a unit quaternion (w, x, y, z), row-major. */
function rotation([w, x, y, z]) {
  return [
    1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
    2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
    2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
  ];
}

/** Each writes its values from a place of an array on, and returns the place behind them. */
const TERMS = {
  base_lin_vel: (robot, to, at) => put(robot.linearVelocity(), to, at),
  base_ang_vel: ({ qvel }, to, at) => put([qvel[3], qvel[4], qvel[5]], to, at),
  projected_gravity: ({ rotation }, to, at) => put([-rotation[6], -rotation[7], -rotation[8]], to, at),
  velocity_commands: (robot, to, at) => put(robot.command, to, at),
  joint_pos: ({ world, qpos }, to, at) => {
    const { joint_qpos, default_joint_pos } = world;
    for (let k = 0; k < joint_qpos.length; k++) to[at++] = qpos[joint_qpos[k]] - default_joint_pos[k];
    return at;
  },
  joint_vel: ({ world, qvel }, to, at) => {
    for (let k = 0; k < world.joint_dof.length; k++) to[at++] = qvel[world.joint_dof[k]];
    return at;
  },
  actions: (robot, to, at) => put(robot.action, to, at),
  height_scan: (robot, to, at) => robot.heightScan(to, at),
};
TERMS.joint_pos_rel = TERMS.joint_pos;
TERMS.joint_vel_rel = TERMS.joint_vel;

function put(values, to, at) {
  for (let k = 0; k < values.length; k++) to[at++] = values[k];
  return at;
}

/** One robot in MuJoCo, driven by a policy. */
class Robot {
  constructor(mujoco, world, heights, policy) {
    this.mujoco = mujoco;
    this.world = world;
    this.policy = policy;
    this.model = mujoco.MjModel.from_xml_string(world.mjcf);
    this.heights = heights;
    if (heights) {
      const low = world.terrain.low, span = world.terrain.high - low;
      this.model.hfield_data.set(Float32Array.from(heights.transposed, (height) => Math.fround((height - low) / span)));
    }
    this.data = new mujoco.MjData(this.model);
    this.nominalMass = world.base_body === null ? 0 : this.model.body_mass[world.base_body];
    this.nominalFriction = Float64Array.from(this.model.geom_friction);
    this.command = [0, 0, 0];
    this.qpos = new Float64Array(this.model.nq);
    this.qvel = new Float64Array(this.model.nv);
    this.action = new Float64Array(world.num_actions);
    this.controls = new Float64Array(world.num_actions);
    this.exact = new Float64Array(world.recorded.observations[0].length);
    this.observations = new Float32Array(this.exact.length);
    this.reset();
  }

  // Views of the module's memory move when it grows: they are copied for every control step.
  look() {
    this.qpos.set(this.data.qpos);
    this.qvel.set(this.data.qvel);
    this.rotation = this.world.base_body === null ? null : rotation(this.qpos.slice(3, 7));
  }

  reset(start = null) {
    const world = this.world;
    this.mujoco.mj_resetData(this.model, this.data);
    this.action.fill(0);
    const qpos = Float64Array.from(start ? start.qpos : world.start_qpos);
    if (!start && this.origin) for (let axis = 0; axis < 3; axis++) qpos[axis] += this.origin[axis];
    this.data.qpos.set(qpos);
    this.data.qvel.set(start ? Float64Array.from(start.qvel) : new Float64Array(this.model.nv));
    this.mujoco.mj_forward(this.model, this.data);
    this.time = 0;
    this.look();
  }

  linearVelocity() {
    const [vx, vy, vz] = this.qvel, [, , , wx, wy, wz] = this.qvel, r = this.rotation, [cx, cy, cz] = this.world.base_com;
    return [
      r[0] * vx + r[3] * vy + r[6] * vz + wy * cz - wz * cy,
      r[1] * vx + r[4] * vy + r[7] * vz + wz * cx - wx * cz,
      r[2] * vx + r[5] * vy + r[8] * vz + wx * cy - wy * cx,
    ];
  }

  heading() {
    return Math.atan2(this.rotation[3], this.rotation[0]);
  }

  heightScan(to, at) {
    const scan = this.world.height_scan, turn = this.heading(), cos = Math.cos(turn), sin = Math.sin(turn);
    const [x, y, z] = this.qpos, above = Math.fround(z - scan.offset);
    for (const gy of scan.y) {
      for (const gx of scan.x) to[at++] = above - this.groundHeight(x + cos * gx - sin * gy, y + sin * gx + cos * gy);
    }
    return at;
  }

  /** Height of the nearest sample of the ground [m]; flat ground is at 0. */
  groundHeight(x, y) {
    if (!this.heights) return 0;
    const { rows, columns, resolution, centre } = this.world.terrain;
    const row = Math.trunc((x - centre[0] + 0.5 * rows * resolution) / resolution);
    const column = Math.trunc((y - centre[1] + 0.5 * columns * resolution) / resolution);
    const clip = (value, count) => Math.min(Math.max(value, 0), count - 1);
    return this.heights.values[clip(row, rows) * columns + clip(column, columns)];
  }

  observe() {
    const exact = this.exact;
    let at = 0;
    for (const { name, clip, scale } of this.world.observations) {
      const first = at;
      at = TERMS[name](this, exact, at);
      for (let k = first; k < at; k++) {
        if (clip) exact[k] = Math.min(Math.max(exact[k], clip[0]), clip[1]);
        exact[k] *= scale ?? 1;
      }
    }
    this.observations.set(exact);
    return this.observations;
  }

  /** Does one control step with the policy's action, or with a given one. */
  step(given = null) {
    const world = this.world;
    this.action.set(given ?? this.policy.act(this.observe()));
    for (let k = 0; k < this.action.length; k++) this.controls[k] = this.action[k] * world.action_scale[k] + world.action_offset[k];
    this.data.ctrl.set(this.controls);
    for (let k = 0; k < world.decimation; k++) this.mujoco.mj_step(this.model, this.data);
    this.time += world.control_dt;
    this.look();
  }

  fallen() {
    if (this.rotation[8] < 0.2) return true;
    return this.world.fall_sensors.some((at) => {
      const force = this.data.sensordata.slice(at, at + 3);
      return Math.hypot(force[0], force[1], force[2]) > 1;
    });
  }

  push(speed) {
    const turn = Math.random() * 2 * Math.PI;
    this.data.qvel[0] += speed * Math.cos(turn);
    this.data.qvel[1] += speed * Math.sin(turn);
    this.look();
  }

  setPayload(kilograms) {
    this.model.body_mass[this.world.base_body] = this.nominalMass + kilograms;
    this.mujoco.mj_setConst(this.model, this.data);
    this.restore();
  }

  setFriction(factor) {
    for (let k = 0; k < this.nominalFriction.length; k += 3) {
      if (this.model.geom_bodyid[k / 3] > 0) this.model.geom_friction[k] = this.nominalFriction[k] * factor;
    }
  }

  /** Puts the state back that `mj_setConst` replaces by the model's reference pose. */
  restore() {
    this.data.qpos.set(this.qpos);
    this.data.qvel.set(this.qvel);
    this.mujoco.mj_forward(this.model, this.data);
  }
}

/**
 * Compares this page with a rollout that was recorded in Python: physics under the same controls, observations of the
 * same states, actions for the same observations. Returns the largest differences.
 */
function agreement(robot, recorded) {
  const worst = { physics: 0, observations: 0, policy: 0 };
  const differ = (name, one, other) => {
    for (let k = 0; k < one.length; k++) worst[name] = Math.max(worst[name], Math.abs(one[k] - other[k]));
  };
  robot.reset(recorded);
  for (let k = 0; k < recorded.actions.length; k++) {
    robot.command = recorded.commands[k];
    differ("observations", robot.observe(), recorded.observations[k]);
    differ("policy", robot.policy.act(recorded.observations[k]), recorded.actions[k]);
    robot.step(recorded.actions[k]);
    differ("physics", robot.qpos, recorded.positions[k]);
  }
  robot.command = [0, 0, 0];
  robot.reset();
  return worst;
}
