// The training page: curves, progress, films, log; newer data every two seconds while it is served.
"use strict";

const REFRESH_MS = 2000;
function show(data) {
  const progress = data.progress ?? {};
  element("state").textContent = `${data.status} on ${data.platform}${data.detail ? ": " + data.detail : ""}`;
  element("progress").hidden = data.status !== "running";
  element("progress").value = progress.total ? progress.iteration / progress.total : 0;
  const left = progress.eta_s && data.status === "running" ? `, ${Math.round(progress.eta_s / 60)} min left` : "";
  element("words").textContent = progress.iteration && data.status !== "succeeded" ? `${progress.phase} ${progress.iteration} of ${progress.total}${left}` : "";
  element("course").textContent = judged(progress);
  element("note").textContent = data.note;
  const rest = new Map(Object.entries(data.curves).filter(([, curve]) => curve.length));
  element("charts").replaceChildren(...GROUPS.flatMap(([title, pattern]) => {
    const found = [...rest].filter(([name]) => pattern.test(name));
    found.forEach(([name]) => rest.delete(name));
    return found.length ? [chart(title, found)] : [];
  }));
  showFilms(data.films);
  const log = element("log"), atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
  log.textContent = data.log.join("\n");
  if (atEnd) log.scrollTop = log.scrollHeight;
}

/** What the newest evaluation measured, and whether the training is on its way. */
function judged({ evaluation, course }) {
  if (evaluation?.mean_reward === undefined) return "";
  const survival = evaluation.survival_rate === undefined ? "" : `, survival ${Math.round(100 * evaluation.survival_rate)} %`;
  return `Judged after iteration ${evaluation.iteration}: reward ${short(evaluation.mean_reward)}${survival}${course ? "; " + course : ""}`;
}

function showFilms(films) {
  const place = element("films"), newest = films[films.length - 1];
  if (place.dataset.shown === newest || !newest) return;
  place.dataset.shown = newest;
  const base = location.protocol === "file:" ? "" : "outputs/";
  const number = newest.match(/iteration_0*(\d+)\.mp4$/), told = number ? `Film after iteration ${number[1]}` : "Film";
  const film = Object.assign(make("video", { src: base + newest, controls: "", loop: "", playsinline: "" }), { muted: true, autoplay: true });
  place.replaceChildren(make("figure", {}, make("figcaption", {}, told), film));
}

function bindStop(token) {
  const button = element("stop");
  button.hidden = false;
  button.addEventListener("click", () => {
    if (button.dataset.asked) {
      fetch("stop", { method: "POST", headers: { "X-Gaitway-Token": token } });
      button.textContent = "Stopping: the run saves first";
      button.disabled = true;
      return;
    }
    button.dataset.asked = "yes";
    button.textContent = "Really stop? Click again";
    setTimeout(() => {
      if (button.disabled) return;
      delete button.dataset.asked;
      button.textContent = "Stop";
    }, 4000);
  });
}

async function refresh() {
  try {
    const data = await (await fetch("data.json")).json();
    if (data.run) show(data);
    if (["succeeded", "failed", "cancelled"].includes(data.status)) element("stop").hidden = true;
  } catch (error) {
    element("note").textContent = "The server has ended: this is what it said last.";
  }
  setTimeout(refresh, REFRESH_MS);
}

const { data, token } = JSON.parse(element("document").textContent);
show(data);
if (token) {
  if (!["succeeded", "failed", "cancelled"].includes(data.status)) bindStop(token);
  setTimeout(refresh, REFRESH_MS);
}
