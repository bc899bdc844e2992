// Runs the page's own scripts without a browser and prints how far they agree with the recorded rollout.
import { readFileSync } from "node:fs";
import vm from "node:vm";

const page = readFileSync(process.argv[2], "utf8");
const part = (id) => page.match(new RegExp(`id="${id}">([^<]*)<`))?.[1];
const script = page.slice(page.lastIndexOf("<script>") + 8, page.lastIndexOf("</script>"));
const elements = new Proxy({}, { get: (_, id) => (part(id) === undefined ? null : { textContent: part(id) }) });
globalThis.process = undefined; // MuJoCo's loader takes this for a browser then
globalThis.window = globalThis;
globalThis.document = { getElementById: (id) => elements[id] };
const core = script.slice(0, script.indexOf("// A small WebGL2 renderer"));
const worst = await vm.runInThisContext(`(async () => { ${core}
  const robot = await loadRobot();
  return agreement(robot, robot.world.recorded);
})()`);
console.log(JSON.stringify(worst));
