// Charts of training curves, for the pages that show some.
"use strict";

const GROUPS = [
  ["Reward, as it is judged", /^Evaluation\/mean_reward$/],
  ["Survival and success, as judged", /^Evaluation\/(survival|success)_rate$/],
  ["Tracking errors, as judged", /^Evaluation\/error/],
  ["Training reward (with noise and pushes)", /^Train\/mean_reward$/],
  ["Episode length in training", /^Train\/mean_episode_length$/],
  ["Reward terms", /^Episode_Reward\//],
  ["Tracking errors", /error|^Metrics\//i],
  ["Curriculum", /^Curriculum\//],
  ["Ends of episodes", /^Episode_Termination\//],
  ["Losses", /^Loss\/(?!learning_rate)/],
  ["Learning rate", /learning_rate/],
  ["Noise of actions", /^Policy\//],
  ["Speed [steps/s]", /total_fps/],
  ["Time of an iteration [s]", /_time$/],
  ["Others as judged", /^Evaluation\//],
  ["Others", /./],
];
const COLOURS = ["#2f6fde", "#d9482b", "#2b9348", "#a34fc9", "#c98a00", "#008a99", "#b5387b", "#5f6b7a"];
const element = (id) => document.getElementById(id);

function make(name, attributes = {}, ...children) {
  const svg = ["svg", "path", "text", "line", "circle"].includes(name);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** A number of so many digits: 16.8K for thousands, 3e-4 for what is smaller than `least`. */
function number(value, digits, least) {
  if (value && Math.abs(value) < least) return value.toExponential(Math.max(0, digits - 3));
  const style = { notation: Math.abs(value) < 1e4 ? "standard" : "compact", maximumSignificantDigits: digits, useGrouping: false };
  return new Intl.NumberFormat("en", style).format(value);
}
const axis = (value) => number(value, 3, 1e-2);
const short = (value) => number(value, 4, 1e-3);

/** A chart of curves: [name, points] with points [x, y], or [x, y, low, high] where several runs make a band. */
function chart(title, curves) {
  const points = curves.flatMap(([, curve]) => curve), xs = points.map(([x]) => x), ys = points.flatMap(([, ...values]) => values);
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const width = 340, height = 150, x = (v) => 40 + ((v - left) / (right - left || 1)) * (width - 46), y = (v) => height - 16 - (high > low ? (v - low) / (high - low) : 0.5) * (height - 26);
  const line = (pairs) => pairs.map(([a, b], n) => `${n ? "L" : "M"}${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("");
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  svg.append(make("line", { x1: 40, x2: width - 6, y1: height - 16, y2: height - 16, stroke: "currentColor", opacity: 0.3 }));
  const label = (at, value) => make("text", { x: 34, y: y(at) + 3, "text-anchor": "end" }, axis(value));
  svg.append(label(low, low), ...(high > low ? [label(high, high)] : []));
  const ends = right > left ? [["start", 40, axis(left)], ["end", width - 6, `iteration ${axis(right)}`]] : [["end", width - 6, `iteration ${axis(right)}`]];
  svg.append(...ends.map(([anchor, at, told]) => make("text", { x: at, y: height - 3, "text-anchor": anchor }, told)));
  const legend = make("div", { class: "legend" });
  curves.forEach(([name, curve], k) => {
    if (!curve.length) return;
    const colour = COLOURS[k % COLOURS.length], dashed = k >= COLOURS.length;
    if (curve[0].length > 2) {
      const band = [...curve.map(([a, , b]) => [a, b]), ...curve.map(([a, , , b]) => [a, b]).reverse()];
      svg.append(make("path", { d: line(band) + "Z", fill: colour, opacity: 0.28, class: "band" }));
    }
    if (curve.length === 1) svg.append(make("circle", { cx: x(curve[0][0]), cy: y(curve[0][1]), r: 2.5, fill: colour }));
    else svg.append(make("path", { d: line(curve), fill: "none", stroke: colour, "stroke-width": 1.6, ...(dashed ? { "stroke-dasharray": "4 3" } : {}) }));
    legend.append(make("span", {}, make("i", { style: `border-top: 3px ${dashed ? "dashed" : "solid"} ${colour}` }), `${name.split("/").pop()} ${short(curve[curve.length - 1][1])}`));
  });
  return make("figure", {}, make("figcaption", {}, title), svg, legend);
}
