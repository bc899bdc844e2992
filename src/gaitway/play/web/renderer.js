// A small WebGL2 renderer of MuJoCo's primitive geoms, the ground, and arrows for commanded and measured velocity.
"use strict";

const VERTEX = `#version 300 es
in vec3 position; in vec3 normal;
uniform mat4 model; uniform mat4 view; uniform vec3 size;
out vec3 point; out vec3 facing;
void main() {
  vec4 world = model * vec4(position * size, 1.0);
  point = world.xyz;
  facing = mat3(model) * (normal / max(size, vec3(1e-6)));
  gl_Position = view * world;
}`;
const FRAGMENT = `#version 300 es
precision highp float;
in vec3 point; in vec3 facing;
uniform vec4 colour; uniform float checker; uniform vec3 eye;
out vec4 shade;
void main() {
  vec3 n = normalize(facing);
  float sun = max(dot(n, normalize(vec3(0.3, -0.45, 0.9))), 0.0);
  vec3 base = colour.rgb;
  if (checker > 0.0) {
    vec2 cell = floor(point.xy + 1e-4);
    base *= mod(cell.x + cell.y, 2.0) < 0.5 ? 1.0 : 0.86;
  }
  vec3 lit = base * (0.5 + 0.2 * n.z + 0.5 * sun);
  float far = checker > 0.0 ? smoothstep(12.0, 45.0, distance(point, eye)) : 0.0;
  shade = vec4(mix(lit, vec3(0.80, 0.87, 0.93), far), colour.a);
}`;

const GEOM = { plane: 0, hfield: 1, sphere: 2, capsule: 3, ellipsoid: 4, cylinder: 5, box: 6 };

const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const minus = (a, b) => Array.from(a, (value, k) => value - b[k]);
const dot = (a, b) => a.reduce((sum, value, k) => sum + value * b[k], 0);
const unit = (a) => a.map((value) => value / Math.hypot(...a));

function times(a, b) {
  const result = new Float32Array(16);
  for (let column = 0; column < 4; column++) for (let row = 0; row < 4; row++) {
    for (let k = 0; k < 4; k++) result[column * 4 + row] += a[k * 4 + row] * b[column * 4 + k];
  }
  return result;
}

function projection(aspect) {
  const f = 1 / Math.tan(0.35), near = 0.05, far = 120;
  return [f / aspect, 0, 0, 0, 0, f, 0, 0, 0, 0, (far + near) / (near - far), -1, 0, 0, (2 * far * near) / (near - far), 0];
}

function lookAt(eye, target) {
  const z = unit(minus(eye, target)), x = unit(cross([0, 0, 1], z)), y = cross(z, x);
  return [x[0], y[0], z[0], 0, x[1], y[1], z[1], 0, x[2], y[2], z[2], 0, -dot(x, eye), -dot(y, eye), -dot(z, eye), 1];
}

/** Vertices (position, normal) and triangles of a surface over a grid of `point(u, v)`. */
function surface(across, along, point) {
  const vertices = [], triangles = [];
  for (let i = 0; i <= across; i++) for (let j = 0; j <= along; j++) vertices.push(...point(i / across, j / along));
  for (let i = 0; i < across; i++) for (let j = 0; j < along; j++) {
    const at = i * (along + 1) + j, next = at + along + 1;
    triangles.push(at, next, at + 1, at + 1, next, next + 1);
  }
  return { vertices, triangles };
}

const SHAPES = {
  sphere: surface(24, 12, (u, v) => {
    const a = 2 * Math.PI * u, b = Math.PI * v, p = [Math.cos(a) * Math.sin(b), Math.sin(a) * Math.sin(b), Math.cos(b)];
    return [...p, ...p];
  }),
  tube: surface(24, 1, (u, v) => {
    const a = 2 * Math.PI * u;
    return [Math.cos(a), Math.sin(a), 2 * v - 1, Math.cos(a), Math.sin(a), 0];
  }),
  disc: surface(24, 1, (u, v) => [v * Math.cos(2 * Math.PI * u), v * Math.sin(2 * Math.PI * u), 1, 0, 0, 1]),
  box: (() => {
    const vertices = [], triangles = [];
    for (let axis = 0; axis < 3; axis++) for (const side of [-1, 1]) {
      const at = vertices.length / 6;
      for (const [a, b] of [[-1, -1], [1, -1], [1, 1], [-1, 1]]) {
        const p = [0, 0, 0], n = [0, 0, 0];
        p[axis] = n[axis] = side;
        p[(axis + 1) % 3] = a;
        p[(axis + 2) % 3] = b;
        vertices.push(...p, ...n);
      }
      triangles.push(at, at + 1, at + 2, at, at + 2, at + 3);
    }
    return { vertices, triangles };
  })(),
  plane: { vertices: [-1, -1, 0, 0, 0, 1, 1, -1, 0, 0, 0, 1, 1, 1, 0, 0, 0, 1, -1, 1, 0, 0, 0, 1], triangles: [0, 1, 2, 0, 2, 3] },
};

class Renderer {
  constructor(canvas, robot) {
    this.canvas = canvas;
    this.robot = robot;
    const gl = (this.gl = canvas.getContext("webgl2", { alpha: false, antialias: true }));
    if (!gl) throw new Error("This browser has no WebGL 2, which the picture needs.");
    this.program = this.compile();
    this.uniform = Object.fromEntries(
      ["model", "view", "size", "colour", "checker", "eye"].map((name) => [name, gl.getUniformLocation(this.program, name)]));
    this.shapes = Object.fromEntries(Object.entries(SHAPES).map(([name, shape]) => [name, this.upload(shape)]));
    if (robot.heights) this.shapes.ground = this.upload(this.groundShape());
    this.orbit = { azimuth: 2.4, elevation: 0.38, distance: 4.2 };
    this.target = Array.from(robot.qpos.slice(0, 3));
    gl.enable(gl.DEPTH_TEST);
    gl.clearColor(0.8, 0.87, 0.93, 1);
  }

  compile() {
    const gl = this.gl, program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
      gl.attachShader(program, shader);
    }
    gl.bindAttribLocation(program, 0, "position");
    gl.bindAttribLocation(program, 1, "normal");
    gl.linkProgram(program);
    return program;
  }

  upload({ vertices, triangles }) {
    const gl = this.gl, array = gl.createVertexArray();
    gl.bindVertexArray(array);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, ArrayBuffer.isView(vertices) ? vertices : new Float32Array(vertices), gl.STATIC_DRAW);
    for (const slot of [0, 1]) {
      gl.enableVertexAttribArray(slot);
      gl.vertexAttribPointer(slot, 3, gl.FLOAT, false, 24, 12 * slot);
    }
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, ArrayBuffer.isView(triangles) ? triangles : new Uint32Array(triangles), gl.STATIC_DRAW);
    gl.bindVertexArray(null);
    return { array, count: triangles.length };
  }

  /** The height field as triangles, with normals from its slopes. */
  groundShape() {
    const { rows, columns, resolution, centre } = this.robot.world.terrain, heights = this.robot.heights.values;
    const vertices = new Float32Array(rows * columns * 6), triangles = new Uint32Array((rows - 1) * (columns - 1) * 6);
    const left = centre[0] - ((rows - 1) / 2) * resolution, front = centre[1] - ((columns - 1) / 2) * resolution;
    for (let row = 0, k = 0, v = 0; row < rows; row++) {
      const before = row ? columns : 0, after = row < rows - 1 ? columns : 0;
      for (let column = 0; column < columns; column++, k++) {
        const last = column ? 1 : 0, next = column < columns - 1 ? 1 : 0;
        vertices[v++] = left + row * resolution;
        vertices[v++] = front + column * resolution;
        vertices[v++] = heights[k];
        vertices[v++] = (heights[k - before] - heights[k + after]) / (2 * resolution);
        vertices[v++] = (heights[k - last] - heights[k + next]) / (2 * resolution);
        vertices[v++] = 1;
      }
    }
    for (let row = 0, t = 0; row < rows - 1; row++) for (let column = 0; column < columns - 1; column++) {
      const first = row * columns + column;
      triangles[t++] = first;
      triangles[t++] = first + columns;
      triangles[t++] = first + 1;
      triangles[t++] = first + 1;
      triangles[t++] = first + columns;
      triangles[t++] = first + columns + 1;
    }
    return { vertices, triangles };
  }

  resize() {
    const ratio = Math.min(window.devicePixelRatio || 1, 1.5);
    const width = Math.round(this.canvas.clientWidth * ratio), height = Math.round(this.canvas.clientHeight * ratio);
    if (width !== this.canvas.width || height !== this.canvas.height) Object.assign(this.canvas, { width, height });
    this.gl.viewport(0, 0, width, height);
    return width / Math.max(height, 1);
  }

  draw(measured) {
    const gl = this.gl, aspect = this.resize(), position = this.robot.qpos;
    const follow = Math.hypot(...minus(position.slice(0, 3), this.target)) > 2 ? 1 : 0.15;
    for (let axis = 0; axis < 3; axis++) this.target[axis] += follow * (position[axis] - this.target[axis]);
    const { azimuth, elevation, distance } = this.orbit;
    const flat = Math.cos(elevation) * distance;
    const eye = [this.target[0] - flat * Math.cos(azimuth), this.target[1] - flat * Math.sin(azimuth), this.target[2] + Math.sin(elevation) * distance];
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.useProgram(this.program);
    gl.uniformMatrix4fv(this.uniform.view, false, times(projection(aspect), lookAt(eye, this.target)));
    gl.uniform3fv(this.uniform.eye, eye);
    this.drawGeoms();
    this.drawArrow(this.robot.command, [0.15, 0.55, 0.25, 1], 0.62);
    this.drawArrow(measured, [0.15, 0.35, 0.8, 1], 0.55);
  }

  drawGeoms() {
    const model = this.robot.model, places = this.robot.data.geom_xpos, turns = this.robot.data.geom_xmat;
    const kinds = model.geom_type, sizes = model.geom_size, bodies = model.geom_bodyid;
    for (let geom = 0; geom < model.ngeom; geom++) {
      const place = places.slice(3 * geom, 3 * geom + 3), r = turns.slice(9 * geom, 9 * geom + 9);
      const matrix = [r[0], r[3], r[6], 0, r[1], r[4], r[7], 0, r[2], r[5], r[8], 0, ...place, 1];
      this.drawGeom(kinds[geom], sizes.slice(3 * geom, 3 * geom + 3), matrix, this.colour(geom), bodies[geom] === 0);
    }
  }

  drawGeom(kind, size, matrix, colour, ground) {
    const checker = ground ? 1 : 0;
    if (kind === GEOM.plane) this.shape("plane", matrix, [60, 60, 1], colour, checker);
    else if (kind === GEOM.hfield) this.shape("ground", [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1], [1, 1, 1], colour, checker);
    else if (kind === GEOM.sphere) this.shape("sphere", matrix, [size[0], size[0], size[0]], colour, checker);
    else if (kind === GEOM.ellipsoid) this.shape("sphere", matrix, size, colour, checker);
    else if (kind === GEOM.box) this.shape("box", matrix, size, colour, checker);
    else if (kind === GEOM.capsule || kind === GEOM.cylinder) this.drawRound(kind, size, matrix, colour);
  }

  drawRound(kind, [radius, half], matrix, colour) {
    this.shape("tube", matrix, [radius, radius, half], colour, 0);
    for (const side of [-1, 1]) {
      const end = Array.from(matrix);
      if (kind === GEOM.capsule) {
        for (let axis = 0; axis < 3; axis++) end[12 + axis] += side * half * matrix[8 + axis];
        this.shape("sphere", end, [radius, radius, radius], colour, 0);
      } else {
        this.shape("disc", end, [radius, radius, side * half], colour, 0);
      }
    }
  }

  /** An arrow over the robot for a velocity in its heading frame. */
  drawArrow([vx, vy], colour, above) {
    const speed = Math.hypot(vx, vy);
    if (speed < 0.05 || this.robot.world.base_body === null) return;
    const turn = this.robot.heading() + Math.atan2(vy, vx), cos = Math.cos(turn), sin = Math.sin(turn), [x, y, z] = this.robot.qpos;
    const half = 0.3 * speed;
    const at = (along) => [cos, sin, 0, 0, -sin, cos, 0, 0, 0, 0, 1, 0, x + cos * along, y + sin * along, z + above, 1];
    this.shape("box", at(half), [half, 0.02, 0.02], colour, 0);
    this.shape("sphere", at(2 * half), [0.05, 0.05, 0.05], colour, 0);
  }

  colour(geom) {
    const model = this.robot.model, material = model.geom_matid[geom];
    if (model.geom_bodyid[geom] === 0) return [0.62, 0.68, 0.73, 1];
    return Array.from(material >= 0 ? model.mat_rgba.slice(4 * material, 4 * material + 4) : model.geom_rgba.slice(4 * geom, 4 * geom + 4));
  }

  shape(name, matrix, size, colour, checker) {
    const gl = this.gl, { array, count } = this.shapes[name];
    gl.uniformMatrix4fv(this.uniform.model, false, matrix);
    gl.uniform3fv(this.uniform.size, size);
    gl.uniform4fv(this.uniform.colour, colour);
    gl.uniform1f(this.uniform.checker, checker);
    gl.bindVertexArray(array);
    gl.drawElements(gl.TRIANGLES, count, gl.UNSIGNED_INT, 0);
  }
}
