// The page: driving, measuring, drawing.
"use strict";

const element = (id) => document.getElementById(id);
const KEYS = { KeyW: [0, 1], ArrowUp: [0, 1], KeyS: [0, -1], ArrowDown: [0, -1], KeyA: [1, 1], KeyD: [1, -1], KeyQ: [2, 1], ArrowLeft: [2, 1], KeyE: [2, -1], ArrowRight: [2, -1] };
const HISTORY = 500;
const STEPS_AT_ONCE = 4;

class Drive {
  constructor(robot) {
    this.robot = robot;
    this.falls = 0;
    this.fallenFor = 0;
    this.pace = 1;
    this.pressed = new Set();
    this.sliders = [0, 0, 0];
    this.stick = null;
    this.measured = [0, 0, 0];
    this.history = [];
    this.behind = 0;
    this.late = false;
    this.limits = robot.world.command_ranges;
  }

  /** The command of keys, else of the stick, else of the sliders. */
  command() {
    const keys = [0, 0, 0];
    for (const code of this.pressed) if (KEYS[code]) keys[KEYS[code][0]] += KEYS[code][1];
    if (keys.some(Boolean)) return keys.map((sign, axis) => (sign > 0 ? this.limits[axis][1] : sign < 0 ? this.limits[axis][0] : 0));
    if (this.stick) return [this.stick[0] * this.limits[0][1], 0, this.stick[1] * this.limits[2][1]];
    return this.sliders.slice();
  }

  step() {
    const robot = this.robot;
    robot.command = this.command();
    robot.step();
    if (robot.world.base_body !== null) {
      const v = robot.linearVelocity();
      this.measured = [v[0], v[1], robot.qvel[5]];
      this.history.push([robot.command[0], v[0], robot.command[2], robot.qvel[5]]);
      if (this.history.length > HISTORY) this.history.shift();
      this.watchForFall();
    }
  }

  watchForFall() {
    this.fallenFor = this.robot.fallen() ? this.fallenFor + this.robot.world.control_dt : 0;
    if (this.fallenFor > 0 && !this.down) this.falls += 1;
    this.down = this.fallenFor > 0 || (this.down && this.robot.rotation[8] < 0.5);
    if (this.fallenFor > 1.5) this.reset();
  }

  reset() {
    this.robot.reset();
    this.fallenFor = 0;
    this.down = false;
  }

  /** Lets time pass: at most a few steps for a frame, so that a slow machine shows slow motion. */
  advance(seconds) {
    this.behind += seconds * this.pace;
    const dt = this.robot.world.control_dt;
    let steps = 0;
    for (; this.behind >= dt && steps < STEPS_AT_ONCE; steps++, this.behind -= dt) this.step();
    this.late = this.behind >= dt;
    if (this.late) this.behind = 0;
  }
}

function bindControls(drive, renderer) {
  addEventListener("keydown", (event) => {
    if (event.code === "Space") drive.robot.push(Number(element("push-speed").value));
    else if (event.code === "KeyR") drive.reset();
    else if (!KEYS[event.code]) return;
    drive.pressed.add(event.code);
    event.preventDefault();
  });
  addEventListener("keyup", (event) => drive.pressed.delete(event.code));
  addEventListener("blur", () => drive.pressed.clear());
  ["vx", "vy", "wz"].forEach((name, axis) => {
    const slider = element(name), range = drive.limits[axis];
    Object.assign(slider, { min: range[0], max: range[1], step: 0.05, value: 0 });
    slider.addEventListener("input", () => (drive.sliders[axis] = Number(slider.value)));
  });
  element("payload").addEventListener("input", (event) => drive.robot.setPayload(Number(event.target.value)));
  element("friction").addEventListener("input", (event) => drive.robot.setFriction(Number(event.target.value)));
  element("pace").addEventListener("input", (event) => (drive.pace = Number(event.target.value)));
  element("push").addEventListener("click", () => drive.robot.push(Number(element("push-speed").value)));
  element("reset").addEventListener("click", () => drive.reset());
  element("fold").addEventListener("click", () => fold(!document.body.classList.contains("folded")));
  for (const input of document.querySelectorAll("input[type=range]")) {
    const shown = input.parentElement.querySelector("output"), show = () => (shown.value = Number(input.value).toFixed(2));
    input.addEventListener("input", show);
    show();
  }
  fold(innerWidth < 700);
  bindCamera(renderer);
  bindStick(drive);
  bindPlaces(drive);
}

/** Fold the panel to its numbers, or show all of it. */
function fold(folded) {
  document.body.classList.toggle("folded", folded);
  element("fold").textContent = folded ? "Unfold" : "Fold";
}

function bindCamera({ canvas, orbit }) {
  canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
  canvas.addEventListener("pointermove", (event) => {
    if (!event.buttons) return;
    orbit.azimuth -= 0.008 * event.movementX;
    orbit.elevation = Math.min(Math.max(orbit.elevation + 0.006 * event.movementY, -0.05), 1.5);
  });
  canvas.addEventListener("wheel", (event) => {
    orbit.distance = Math.min(Math.max(orbit.distance * Math.exp(0.001 * event.deltaY), 1), 30);
    event.preventDefault();
  }, { passive: false });
}

function bindStick(drive) {
  const stick = element("stick"), knob = element("knob");
  const move = (event) => {
    const box = stick.getBoundingClientRect(), half = box.width / 2;
    const x = Math.min(Math.max((event.clientX - box.left - half) / half, -1), 1);
    const y = Math.min(Math.max((event.clientY - box.top - half) / half, -1), 1);
    drive.stick = [-y, -x];
    knob.style.transform = `translate(${x * half * 0.6}px, ${y * half * 0.6}px)`;
  };
  const release = () => {
    drive.stick = null;
    knob.style.transform = "";
  };
  stick.addEventListener("pointerdown", (event) => {
    stick.setPointerCapture(event.pointerId);
    move(event);
  });
  stick.addEventListener("pointermove", (event) => event.buttons && move(event));
  for (const name of ["pointerup", "pointercancel"]) stick.addEventListener(name, release);
}

function bindPlaces(drive) {
  const places = drive.robot.world.places, choice = element("place");
  element("place-row").hidden = places.length === 0;
  places.forEach(({ name }, number) => choice.add(new Option(name, number)));
  const go = () => {
    drive.robot.origin = places[choice.value].origin;
    drive.reset();
  };
  choice.addEventListener("change", go);
  if (places.length) go();
}

function drawHistory(canvas, history, limit) {
  const context = canvas.getContext("2d"), { width, height } = canvas;
  context.clearRect(0, 0, width, height);
  const y = (value) => height / 2 - (value / limit) * (height / 2 - 4);
  context.strokeStyle = "#8884";
  context.beginPath();
  context.moveTo(0, y(0));
  context.lineTo(width, y(0));
  context.stroke();
  [[0, "#268c40"], [1, "#2659cc"]].forEach(([which, colour]) => {
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.beginPath();
    history.forEach((row, k) => context.lineTo((k / HISTORY) * width, y(row[which])));
    context.stroke();
  });
}

function showNumbers(drive) {
  const { measured, robot } = drive, text = (value) => value.toFixed(2);
  element("state").textContent =
    `commanded ${text(robot.command[0])} m/s, ${text(robot.command[2])} rad/s\n` +
    `measured  ${text(measured[0])} m/s, ${text(measured[2])} rad/s\n` +
    `time ${robot.time.toFixed(1)} s   falls ${drive.falls}${drive.late ? "   slow motion: this machine is slower than real time" : ""}`;
}

/** Compares this page with Python on a robot of its own: the one that is driven goes on. */
function checkAgreement({ robot }) {
  const { mujoco, world, heights, policy } = robot, other = new Robot(mujoco, world, heights, policy);
  window.worst = agreement(other, world.recorded);
  other.data.delete();
  other.model.delete();
  showAgreement(window.worst, world, mujoco.mj_versionString());
}

function showAgreement(worst, world, engine) {
  const text = (value) => (value ? value.toExponential(1) : "the last bit");
  element("agreement").textContent =
    `MuJoCo ${engine} in this browser against ${world.simulator} in Python, on ${world.recorded.actions.length} recorded steps: ` +
    `positions to ${text(worst.physics)}, observations to ${text(worst.observations)}, actions to ${text(worst.policy)}.`;
}

/** Shows the first film beside the page that can be played, in the robot's place. */
function showFilm([first, ...others]) {
  if (!first) return;
  const film = Object.assign(document.createElement("video"), { src: first, controls: true, loop: true, muted: true, autoplay: true });
  film.addEventListener("error", () => (film.remove(), showFilm(others)));
  element("waiting").append(film);
}

async function main() {
  const robot = await loadRobot();
  const renderer = new Renderer(element("view"), robot), drive = new Drive(robot);
  bindControls(drive, renderer);
  element("waiting").remove();
  Object.assign(window, { drive, readyAfter: performance.now() });  // for a console, and for tests
  setTimeout(() => checkAgreement(drive), 500);
  let before = performance.now();
  const frame = (now) => {
    drive.advance(Math.min((now - before) / 1000, 0.25));
    before = now;
    renderer.draw(drive.measured);
    drawHistory(element("history"), drive.history, Math.max(...drive.limits[0].map(Math.abs)) * 1.5);
    showNumbers(drive);
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

main().catch((error) => {
  element("waiting").textContent = error.message;
  element("waiting").classList.add("failed");
  document.body.classList.add("no-page");
  showFilm(JSON.parse(element("films").textContent));
});
