// What the page carries: compressed texts and arrays, and MuJoCo itself. Everything is unpacked at once, beside the page.
"use strict";

function bytesOf(id) {
  const text = document.getElementById(id).textContent.trim();
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const letters = atob(text), bytes = new Uint8Array(letters.length);
  for (let k = 0; k < letters.length; k++) bytes[k] = letters.charCodeAt(k);
  return bytes;
}

/** Returns what a part of the page unpacks to, while it does. */
function unpacked(id, type = "application/octet-stream") {
  const stream = new Blob([bytesOf(id)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream, { headers: { "Content-Type": type } });
}

async function loadEngine(script, compiled) {
  // MuJoCo's bindings make functions from text, which a strict Content-Security-Policy forbids.
  let load;
  try {
    load = new Function(`${await script}\nreturn loadMujoco;`)();
  } catch (error) {
    throw new Error("The place that shows this page forbids scripts that MuJoCo needs. Save the file and open it from your disk.");
  }
  const instantiateWasm = (imports, use) => {
    compiled.then((module) => WebAssembly.instantiate(module, imports).then((instance) => use(instance, module)));
    return {};
  };
  return load({ instantiateWasm, locateFile: (name) => name, printErr: () => {} });
}

async function loadRobot() {
  if (typeof WebAssembly === "undefined" || typeof DecompressionStream === "undefined") {
    throw new Error("This browser is too old for WebAssembly and DecompressionStream, which the physics needs.");
  }
  // The largest part first: it is compiled while it is unpacked, on threads of its own.
  const compiled = WebAssembly.compileStreaming(unpacked("engine-wasm", "application/wasm"));
  const script = unpacked("engine-script").text(), described = unpacked("world").json();
  const packed = unpacked("weights").arrayBuffer();
  const ground = document.getElementById("heights") ? unpacked("heights").arrayBuffer() : null;
  compiled.catch(() => {});  // reported where it is waited for
  const [engine, world, weights] = await Promise.all([loadEngine(script, compiled), described, packed.then((all) => new Float32Array(all)), compiled]);
  const tensors = {};
  for (const [name, [start, length]] of Object.entries(world.graph.tensors)) tensors[name] = weights.subarray(start, start + length);
  const policy = new Policy(world.graph, tensors, world.recorded.observations[0].length);
  return new Robot(engine, world, ground && heightsOf(new Float32Array(await ground), world.terrain), policy);
}

function heightsOf(values, { rows, columns }) {
  const transposed = new Float32Array(values.length);
  for (let row = 0, from = 0; row < rows; row++) {
    for (let column = 0, to = row; column < columns; column++, from++, to += rows) transposed[to] = values[from];
  }
  return { values, transposed };
}
