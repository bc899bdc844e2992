// The page of a comparison: films side by side, curves of each metric with a band over seeds, tables.
const data = JSON.parse(element("document").textContent);

function orderOf(name) {
  return GROUPS.findIndex(([, pattern]) => pattern.test(name));
}

/** A name that may break where its words end. */
const broken = (text) => text.split(/(?<=[_/.])/).flatMap((word, n) => (n ? [make("wbr"), word] : [word]));

function table({ title, header, rows }) {
  const line = (cells, kind) => make("tr", {}, ...cells.map((cell) => make(kind, {}, ...broken(cell))));
  const whole = make("table", {}, make("thead", {}, line(header, "th")), make("tbody", {}, ...rows.map((cells) => line(cells, "td"))));
  return [make("h2", {}, title), make("div", { class: "box" }, whole)];
}

function film({ run, source }) {
  const shown = Object.assign(make("video", { src: source, controls: "", loop: "", playsinline: "" }), { muted: true });
  return make("figure", {}, make("figcaption", {}, run), shown);
}

element("sentences").replaceChildren(
  ...data.sentences.map((text) => make("p", { class: text.includes(" is significantly worse ") ? "sentence worse" : "sentence" }, text)),
);
element("films").replaceChildren(...data.films.map(film));
element("curves").hidden = !Object.keys(data.curves).length;
element("charts").replaceChildren(
  ...Object.entries(data.curves)
    .sort(([a], [b]) => orderOf(a) - orderOf(b) || a.localeCompare(b))
    .map(([name, curves]) => chart(name, curves.map(({ group, points }) => [group, points]))),
);
element("tables").replaceChildren(...data.tables.flatMap(table));
