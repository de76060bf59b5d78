// The pairs: sorted, filtered, a page at a time, as cards or as a table. What is chosen lives in the address.
const run = JSON.parse(byId("run").textContent);
const TITLES = { source: "source", exemplar: "exemplar", warp: run.task === "invert" ? "observed" : "warp", confidence: "confidence", result: "result" };
const MARKS = { source: "s", exemplar: "e", warp: "w", confidence: "c", result: "r" };
const SIZES = { gallery: 24, table: 50 };
const START = { q: "", state: "", hypothesis: "", number: "", min: "", max: "", sort: "place", down: "", show: "result", as: "gallery", page: "1" };

const pairs = run.pairs.map(([id, source, exemplar, state, hypothesis, marks, numbers, reason], place) => {
  const title = exemplar ? `${source} + ${exemplar}` : source;
  return { id, source, exemplar, state, hypothesis, marks, numbers, reason, place, title, text: `${title} ${id}`.toLocaleLowerCase() };
});
const pairOf = new Map(pairs.map((pair) => [pair.id, pair]));
const has = (pair, name) => pair.marks.includes(MARKS[name]);
const pathOf = (pair, name) => `report/${pair.id}/${name}.jpg`;

const tools = byId("tools");
const chosen = { ...START };
let found = pairs;

function filtered() {
  const words = chosen.q.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const column = run.columns.findIndex((one) => one.key === chosen.number);
  const [low, high] = [chosen.min, chosen.max].map((text) => (text === "" ? null : Number(text)));
  return pairs.filter((pair) => {
    if (chosen.state && pair.state !== chosen.state) return false;
    if (chosen.hypothesis && pair.hypothesis !== chosen.hypothesis) return false;
    if (!words.every((word) => pair.text.includes(word))) return false;
    if (column < 0 || (low === null && high === null)) return true;
    const value = pair.numbers[column];
    return value !== null && (low === null || value >= low) && (high === null || value <= high);
  });
}

function sorted(rows) {
  const column = run.columns.findIndex((one) => one.key === chosen.sort);
  const key = column >= 0 ? (pair) => pair.numbers[column] : (pair) => pair[chosen.sort];
  const names = new Intl.Collator(undefined, { numeric: true });
  const sign = chosen.down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    const missing = [x, y].map((value) => value === null || value === "");
    if (missing[0] || missing[1]) return missing[0] - missing[1] || a.place - b.place;
    return sign * (typeof x === "number" ? x - y : names.compare(x, y)) || a.place - b.place;
  });
}

const pageCount = () => Math.max(1, Math.ceil(found.length / SIZES[chosen.as]));

function show() {
  found = sorted(filtered());
  chosen.page = String(Math.min(pageCount(), Math.max(1, Math.floor(Number(chosen.page)) || 1)));
  draw();
}

function draw() {
  const size = SIZES[chosen.as];
  const start = (Number(chosen.page) - 1) * size;
  const rows = found.slice(start, start + size);
  const place = byId("list");
  if (!rows.length) {
    place.replaceChildren(make("p", { class: "none" }, pairs.length ? "No pair matches. Clear shows all of them." : "There are no pairs."));
  } else {
    place.replaceChildren(chosen.as === "table" ? table(rows) : make("ol", { class: "cards", start: start + 1 }, ...rows.map(card)));
  }
  byId("shown").hidden = chosen.as === "table";
  const range = found.length ? `${start + 1} to ${start + rows.length}, ` : "";
  byId("count").textContent = `${found.length === pairs.length ? `All ${pairs.length}` : `${found.length} of ${pairs.length}`} ${run.task === "invert" ? "pictures" : "pairs"}, ${range}page ${chosen.page} of ${pageCount()}`;
  for (const button of document.querySelectorAll("[data-page]")) {
    button.disabled = Number(button.dataset.page) < 0 ? chosen.page === "1" : Number(chosen.page) === pageCount();
    button.parentElement.hidden = pageCount() === 1;
  }
}

const link = (pair, text) => make("a", { href: `#pair=${encodeURIComponent(pair.id)}`, "data-pair": pair.id }, text);

// The picture that the tools ask for, or the nearest to it that the pair has.
const faceOf = (pair) => [chosen.show, "result", "warp", "source"].find((name) => has(pair, name));

function card(pair) {
  if (pair.state !== "done") return apart(pair);
  const name = faceOf(pair);
  const alt = `${capital(TITLES[name] ?? "")}: ${pair.title}`;
  const face = name
    ? make("div", { class: "face", "data-shown": TITLES[name] }, picture(pathOf(pair, name), alt, 512))
    : make("div", { class: "empty" }, "no picture");
  const strip = ["source", "exemplar", "warp", "result"].filter((one) => has(pair, one));
  const thumbs = strip.map((one) => {
    const image = picture(pathOf(pair, one), "", 128);
    image.dataset.name = one;
    return image;
  });
  const extra = run.columns.find((one) => one.key === chosen.sort || one.key === chosen.number) ?? null;
  const said = [];
  if (pair.hypothesis) said.push(make("b", {}, pair.hypothesis));
  if (run.rule && run.columns[0].key === "value") said.push(make("span", {}, `${run.rule} ${digits(pair.numbers[0])}`));
  if (extra && extra.key !== "value") said.push(make("span", {}, `${extra.name} ${digits(pair.numbers[run.columns.indexOf(extra)])}`));
  const item = make("li", { class: "card" }, face, make("div", { class: "strip" }, ...thumbs),
    make("div", { class: "said" }, make("h3", {}, link(pair, pair.title)), make("p", {}, ...said)));
  item.addEventListener("pointerover", (event) => peek(item, pair, event.target.dataset.name ?? name));
  item.addEventListener("pointerleave", () => peek(item, pair, name));
  return item;
}

function peek(item, pair, name) {
  const face = item.querySelector(".face");
  if (!face || !name || face.dataset.shown === TITLES[name]) return;
  face.dataset.shown = TITLES[name];
  face.querySelector("img").src = address(pathOf(pair, name));
}

function apart(pair) {
  const why = pair.state === "pending" ? "not finished yet" : pair.reason;
  const to = pair.state === "quarantined" ? make("a", { href: "#quarantine" }, "what to do") : null;
  return make("li", { class: "card apart" }, make("div", { class: "said" }, make("h3", {}, pair.title),
    make("p", {}, make("span", { class: "state" }, pair.state), make("span", {}, why), to)));
}

function table(rows) {
  const sortHead = (key, name, css, title) => {
    const head = make("th", { scope: "col", class: css, title }, make("button", { type: "button", "data-sort": key }, name));
    if (chosen.sort === key) head.setAttribute("aria-sort", chosen.down ? "descending" : "ascending");
    return head;
  };
  const arrow = { higher: " ↑", lower: " ↓" };
  const numbers = run.columns.map((one) => sortHead(one.key, `${one.name}${arrow[one.better] ?? ""}`, "n", one.unit || null));
  const heads = make("tr", {}, make("th", { scope: "col" }, "pictures"), sortHead("title", "pair"), sortHead("state", "state"),
    run.rule ? sortHead("hypothesis", "chosen") : null, ...numbers);
  const body = rows.map((pair) => make("tr", {},
    make("td", {}, make("div", { class: "strip" }, ...["source", "exemplar", "warp", "result"].filter((one) => has(pair, one)).map((one) => picture(pathOf(pair, one), "", 56)))),
    make("th", { scope: "row", class: "wrap" }, pair.state === "done" ? link(pair, pair.title) : pair.title),
    make("td", {}, pair.state), run.rule ? make("td", {}, pair.hypothesis) : null,
    ...pair.numbers.map((value) => make("td", { class: "n" }, digits(value)))));
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of pairs" },
    make("table", { class: "pairs" }, make("thead", {}, heads), make("tbody", {}, ...body)));
}

// The address: `#sort=psnr&down=1&pair=ID`, so that a view can be kept and sent. Other anchors are the page's sections.
function write(id, push) {
  const kept = Object.entries(chosen).filter(([name, value]) => value !== START[name]);
  const hash = new URLSearchParams([...kept, ...(id ? [["pair", id]] : [])]).toString();
  const to = hash ? `#${hash}` : location.pathname + location.search;
  history[push ? "pushState" : "replaceState"](null, "", to);
}

function read() {
  const hash = location.hash.slice(1);
  const given = hash.startsWith("pair-") ? new URLSearchParams({ pair: decodeURIComponent(hash.slice(5)) }) : new URLSearchParams(hash);
  if (hash && !hash.includes("=") && !given.get("pair")) return;
  for (const name of Object.keys(START)) chosen[name] = given.get(name) ?? START[name];
  if (!SIZES[chosen.as]) chosen.as = START.as;
  for (const name of Object.keys(START)) if (tools.elements[name]) tools.elements[name].value = chosen[name];
  order();
  show();
  const pair = pairOf.get(given.get("pair"));
  if (pair && pair.state === "done") openPair(pair);
  else closePair();
}

function order() {
  byId("order").textContent = chosen.down ? "↓ falling" : "↑ rising";
  byId("order").setAttribute("aria-label", chosen.down ? "Order: falling. Change to rising" : "Order: rising. Change to falling");
}

function sortBy(key) {
  chosen.down = chosen.sort === key && !chosen.down ? "1" : "";
  chosen.sort = tools.elements.sort.value = key;
  changed();
  document.querySelector(`[data-sort="${CSS.escape(key)}"]`)?.focus();
}

function changed(page = "1") {
  chosen.page = page;
  order();
  show();
  write();
}

document.addEventListener("input", (event) => {
  if (event.target.form !== tools || !(event.target.name in START)) return;
  chosen[event.target.name] = event.target.value;
  changed(event.target.name === "show" ? chosen.page : "1");
});
tools.addEventListener("submit", (event) => event.preventDefault());
tools.addEventListener("reset", () => {
  Object.assign(chosen, START);
  setTimeout(() => changed());
});
byId("order").addEventListener("click", () => {
  chosen.down = chosen.down ? "" : "1";
  changed();
});
for (const button of document.querySelectorAll("[data-page]")) {
  button.addEventListener("click", () => {
    changed(String(Number(chosen.page) + Number(button.dataset.page)));
    byId("gallery").scrollIntoView();
  });
}
byId("list").addEventListener("click", (event) => {
  const head = event.target.closest("[data-sort]");
  if (head) sortBy(head.dataset.sort);
  const to = event.target.closest("[data-pair]");
  if (!to || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  write(to.dataset.pair, true);
  openPair(pairOf.get(to.dataset.pair));
});
