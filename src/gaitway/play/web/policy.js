// The policy: the operations of the exported ONNX graph, in its order, on vectors. Nothing is allocated while it acts.
"use strict";

const UNARY = {
  Elu: (x, a) => (x > 0 ? x : a.alpha * (Math.exp(x) - 1)),
  Relu: (x) => (x > 0 ? x : 0),
  Tanh: (x) => Math.tanh(x),
  Sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  Softplus: (x) => Math.log1p(Math.exp(-Math.abs(x))) + Math.max(x, 0),
  Softsign: (x) => x / (1 + Math.abs(x)),
  LeakyRelu: (x, a) => (x >= 0 ? x : a.alpha * x),
  Selu: (x, a) => (x > 0 ? a.gamma * x : a.gamma * a.alpha * (Math.exp(x) - 1)),
  Clip: (x, a) => Math.min(Math.max(x, a.low), a.high),
  Identity: (x) => x,
};
const BINARY = {
  Add: (x, y) => x + y,
  Sub: (x, y) => x - y,
  Mul: (x, y) => x * y,
  Div: (x, y) => x / y,
  Max: (x, y) => Math.max(x, y),
  Min: (x, y) => Math.min(x, y),
};

/** Writes `W x + b` for row-major weights (outputs, inputs), by four sums a row, which processors add at once. */
function affine(weight, bias, x, y) {
  const inputs = x.length, whole = inputs - (inputs % 4);
  for (let row = 0, at = 0; row < y.length; row++) {
    let a = bias ? bias[row] : 0, b = 0, c = 0, d = 0, column = 0;
    for (; column < whole; column += 4, at += 4) {
      a += weight[at] * x[column];
      b += weight[at + 1] * x[column + 1];
      c += weight[at + 2] * x[column + 2];
      d += weight[at + 3] * x[column + 3];
    }
    for (; column < inputs; column++, at++) a += weight[at] * x[column];
    y[row] = a + b + (c + d);
  }
}

function mapOne(operation, attributes, x, y) {
  for (let k = 0; k < y.length; k++) y[k] = operation(x[k], attributes);
}

function mapTwo(operation, x, y, z) {
  const oneX = x.length === 1, oneY = y.length === 1;
  for (let k = 0; k < z.length; k++) z[k] = operation(x[oneX ? 0 : k], y[oneY ? 0 : k]);
}

/** A feed-forward policy: `act(observations)` returns its actions, in an array that the next call writes anew. */
class Policy {
  constructor(graph, tensors, inputs) {
    this.input = new Float32Array(inputs);
    const values = { ...tensors, [graph.input]: this.input };
    this.steps = graph.nodes.map((node) => this.prepared(node, values));
    this.output = values[graph.output];
  }

  /** Returns what an operation does, with the place of its result among the values. */
  prepared(node, values) {
    const [x, y, z] = node.inputs.map((name) => values[name]);
    const length = node.op === "Affine" ? y.length / x.length : node.op in UNARY ? x.length : Math.max(x.length, y.length);
    const result = (values[node.output] = new Float32Array(length));
    if (node.op === "Affine") return () => affine(y, z, x, result);
    if (node.op in UNARY) return () => mapOne(UNARY[node.op], node.attributes, x, result);
    return () => mapTwo(BINARY[node.op], x, y, result);
  }

  act(observations) {
    this.input.set(observations);
    for (const step of this.steps) step();
    return this.output;
  }
}
