// One pair over the window. Its file, report/ID/pair.js, calls mgiPair with all there is to know about it.
const dialog = byId("pair");
const stage = byId("stage");
const [base, over] = stage.querySelectorAll("img");
const wipe = byId("wipe");
const slider = byId("slider");
const KEYS = ["source", "exemplar", "warp", "result", "confidence"];
const known = new Map();
let pair = null;
let about = null;
let lanes = [];
let now = "result";
let other = "warp";
let alone = false;

window.mgiPair = (data) => {
  known.set(data.id, data);
  if (pair && pair.id === data.id) fill(data);
};

function openPair(next) {
  pair = next;
  about = null;
  byId("pair-title").textContent = pair.title;
  const place = found.indexOf(pair);
  byId("pair-place").textContent = place < 0 ? "" : `${place + 1} of ${found.length}`;
  for (const button of dialog.querySelectorAll("[data-go]")) button.disabled = !found[place + Number(button.dataset.go)];
  if (!dialog.open) dialog.showModal();
  byId("pair-title").focus({ preventScroll: true });
  dialog.querySelector(".body").scrollTop = 0;
  if (known.has(pair.id)) fill(known.get(pair.id));
  else {
    const script = make("script", { src: address(`report/${pair.id}/pair.js`) });
    script.onload = () => script.remove();
    script.onerror = () => {
      script.remove();
      byId("seen").textContent = "What is known of this pair is missing beside this page; mgi report makes it again.";
    };
    document.head.append(script);
  }
}

function closePair() {
  if (dialog.open) dialog.close();
}

dialog.addEventListener("close", () => {
  const last = pair;
  pair = null;
  write();
  if (last) document.querySelector(`[data-pair="${CSS.escape(last.id)}"]`)?.focus();
});

function go(step) {
  let at = found.indexOf(pair);
  do at += step; while (found[at] && found[at].state !== "done");
  if (!found[at]) return;
  chosen.page = String(Math.floor(at / SIZES[chosen.as]) + 1);
  draw();
  write(found[at].id);
  openPair(found[at]);
}

// ------------------------------------------------------------------ what is shown

function fill(data) {
  about = data;
  lanes = [...data.lanes].sort((a, b) => (a.failed !== "") - (b.failed !== "") || (a.distance ?? Infinity) - (b.distance ?? Infinity));
  const fallback = data.pictures.result ? "result" : "source";
  const name = now.startsWith("lane:") ? fallback : data.pictures[now] ? now : fallback;
  if (!data.pictures[other] || other === name) other = ["warp", "source"].find((one) => data.pictures[one] && one !== name) ?? name;
  wipe.value = 0;
  views();
  film();
  numbers();
  byId("chart").replaceChildren(data.chart ? lossChart(data.chart, `Loss over steps of ${data.title}`) : "This method keeps no losses.");
  byId("chart").parentElement.hidden = !data.lanes.length;
  facts();
  see(name, false);
}

const laneOf = (name) => (name.startsWith("lane:") ? about.lanes.find((lane) => lane.name === name.slice(5)) : null);

function source(name) {
  const lane = laneOf(name);
  if (lane) return lane.picture;
  return name === "result" ? about.final ?? about.pictures.result : about.pictures[name];
}

function words(name) {
  const lane = laneOf(name) ?? (name === "result" && about.lanes.find((one) => one.selected));
  if (!lane) return `${capital(TITLES[name])}${about.captions[name] && about.captions[name] !== name ? `: ${about.captions[name]}` : ""}`;
  const state = lane.failed ? `failed: ${lane.failed}` : lane.selected ? "chosen" : lane.guarded ? "cannot win, out of bound" : lane.halved ? "ended early" : "";
  const said = [`${name === "result" ? "Result, hypothesis" : "Hypothesis"} ${lane.name}`, lane.distance === null ? "" : `${run.rule} ${digits(lane.distance)}`, state];
  return said.filter(Boolean).join(", ");
}
const short = (name) => laneOf(name)?.name ?? TITLES[name];

function see(name, remember = true) {
  if (remember && name !== now && !(laneOf(name) || (name === "result" && laneOf(now)))) other = now;
  if (other === name || (other.startsWith("lane:") && !laneOf(other))) other = name === "warp" ? "result" : about.pictures.warp ? "warp" : "source";
  now = name;
  paint();
}

function paint() {
  if (!about) return;
  const judged = now === "confidence";
  const path = source(judged && !alone ? "warp" : now);
  base.hidden = !path;
  byId("missing").hidden = Boolean(path);
  byId("missing").textContent = laneOf(now)?.failed ? `failed: ${laneOf(now).failed}` : "not rendered";
  if (path) base.src = address(path);
  base.alt = `${words(now)}; ${about.title}`;
  const split = Number(wipe.value);
  const layer = judged ? (alone ? null : about.pictures.confidence) : split > 0 ? source(other) : null;
  over.hidden = !layer;
  if (layer) over.src = address(layer);
  over.className = judged ? "over multiply" : "over wipe";
  stage.style.setProperty("--split", `${split}%`);
  for (const [css, text] of [["left", short(other)], ["right", short(now)]]) {
    const label = stage.querySelector(`.side.${css}`);
    label.textContent = text;
    label.hidden = css === "left" && (judged || !split);
  }
  stage.querySelector(".edge").hidden = judged || !split;
  byId("wipe-name").textContent = `${short(other)} over ${short(now)}`;
  wipe.parentElement.hidden = judged;
  wipe.setAttribute("aria-valuetext", `${split} percent ${short(other)} from the left`);
  byId("flip").textContent = `Flip to ${short(other)}`;
  byId("alone-row").hidden = !judged;
  const share = about.matched === null || about.matched === undefined ? "" : `; ${Math.round(100 * about.matched)} % matched`;
  byId("seen").textContent = judged ? `Confidence of the warp: ${about.captions.confidence}${share}` : words(now);
  for (const button of dialog.querySelectorAll("[data-view]")) button.setAttribute("aria-pressed", button.dataset.view === now);
  const lane = laneOf(now)?.name ?? (now === "result" ? about.hypothesis : null);
  for (const item of dialog.querySelectorAll("[data-lane]")) {
    const same = item.dataset.lane === lane;
    if (item.tagName === "BUTTON") item.setAttribute("aria-pressed", same);
    else item.classList.toggle("now", same);
  }
  for (const curve of dialog.querySelectorAll(".chart g")) curve.classList.toggle("now", curve.dataset.name === lane);
  const at = lanes.findIndex((one) => one.name === lane);
  if (at >= 0) slider.value = at;
  slider.setAttribute("aria-valuetext", at >= 0 ? words(`lane:${lane}`) : "none shown");
}

function views() {
  const names = KEYS.filter((name) => about.pictures[name]);
  byId("views").replaceChildren(...names.map((name) => make("button", { type: "button", "data-view": name, "aria-keyshortcuts": String(KEYS.indexOf(name) + 1) },
    capital(TITLES[name]), make("kbd", { "aria-hidden": "true" }, String(KEYS.indexOf(name) + 1)))));
}

const show1 = (lane) => see(lane.selected && about.final ? "result" : `lane:${lane.name}`);

function film() {
  byId("hypotheses-of").hidden = !lanes.length;
  slider.max = Math.max(0, lanes.length - 1);
  byId("film").replaceChildren(...lanes.map((lane) => {
    const image = lane.picture ? picture(lane.picture, "", 128) : make("span", { class: "empty" }, lane.failed ? "failed" : "not rendered");
    const mark = lane.failed ? null : lane.selected ? "chosen" : lane.guarded ? "out of bound" : lane.halved ? "ended early" : null;
    const number = lane.failed ? "failed" : digits(lane.distance);
    const label = ["Hypothesis", lane.name, number, mark].filter(Boolean).join(" ");
    const button = make("button", { type: "button", "data-lane": lane.name, "aria-label": label, title: lane.failed || null }, make("span", { class: "frame" }, image),
      make("span", { class: "under" }, make("span", {}, lane.name), " ", make("span", {}, number), " ", mark && make("span", { class: lane.selected ? "mark won" : "mark" }, mark)));
    button.addEventListener("click", () => show1(lane));
    return make("li", { class: lane.selected ? "selected" : lane.guarded ? "guarded" : "" }, button);
  }));
}

function numbers() {
  const place = byId("lanes");
  place.parentElement.hidden = !lanes.length;
  if (!lanes.length) return;
  const heads = run.laneColumns.map((one) => make("th", { scope: "col", class: "n" }, one.name));
  const body = lanes.map((lane) => make("tr", { "data-lane": lane.name, class: lane.selected ? "selected" : lane.guarded ? "guarded" : "" },
    make("th", { scope: "row" }, lane.name), make("td", {}, lane.failed ? "failed" : lane.selected ? "chosen" : lane.guarded ? "out of bound" : lane.halved ? "ended early" : ""),
    ...lane.numbers.map((value) => make("td", { class: "n", "data-value": value ?? "" }, digits(value)))));
  const table = make("table", { class: "lanes" }, make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "hypothesis"), make("th", { scope: "col" }, "state"), ...heads)), make("tbody", {}, ...body));
  sortable(table);
  place.replaceChildren(table);
}

function facts() {
  const told = run.columns.map((column, at) => {
    const value = pair.numbers[at];
    const all = pairs.map((one) => one.numbers[at]).filter((one) => one !== null);
    const better = column.better === "lower" ? all.filter((one) => one < value).length : all.filter((one) => one > value).length;
    const rank = value === null || !column.better || all.length < 2 ? "" : ` · rank ${better + 1} of ${all.length}`;
    const unit = column.unit && value !== null ? ` ${column.unit}` : "";
    return make("div", {}, make("dt", {}, column.name), make("dd", {}, `${digits(value)}${unit}`, make("span", { class: "faint" }, rank)));
  });
  const row = (name, text) => (text ? make("div", {}, make("dt", {}, name), make("dd", {}, text)) : null);
  byId("facts").replaceChildren(...told, ...[row("source", about.source), row("exemplar", about.exemplar), row("notes", about.notes), row("id", about.id)].filter(Boolean));
  byId("files").replaceChildren(...(about.final ? [make("a", { href: address(about.final) }, "result at full size")] : []),
    ...["source", "exemplar", "warp"].filter((name) => about.pictures[name]).map((name) => make("a", { href: address(about.pictures[name]) }, TITLES[name])));
}

// ------------------------------------------------------------------ mouse, finger, keys

const flip = () => {
  if (!about) return;
  [now, other] = [other, now];
  wipe.value = 0;
  paint();
};

let start = null;
stage.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  start = { x: event.clientX, moved: false };
  stage.setPointerCapture(event.pointerId);
});
stage.addEventListener("pointermove", (event) => {
  if (!start || now === "confidence" || (!start.moved && Math.abs(event.clientX - start.x) < 5)) return;
  start.moved = true;
  const box = stage.getBoundingClientRect();
  wipe.value = Math.round((100 * (event.clientX - box.left)) / box.width);
  paint();
});
stage.addEventListener("pointerup", () => {
  if (start && !start.moved) flip();
  start = null;
});
stage.addEventListener("pointercancel", () => (start = null));
wipe.addEventListener("input", paint);
slider.addEventListener("input", () => show1(lanes[Number(slider.value)]));
byId("flip").addEventListener("click", flip);
byId("alone").addEventListener("change", (event) => {
  alone = event.target.checked;
  paint();
});
byId("views").addEventListener("click", (event) => {
  const button = event.target.closest("[data-view]");
  if (button) see(button.dataset.view);
});
for (const button of dialog.querySelectorAll("[data-go]")) button.addEventListener("click", () => go(Number(button.dataset.go)));
byId("close").addEventListener("click", closePair);

dialog.addEventListener("keydown", (event) => {
  if (!about || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const key = event.key.toLowerCase();
  if (step && lanes.length) {
    const to = Math.min(lanes.length - 1, Math.max(0, Number(slider.value) + step));
    show1(lanes[to]);
  } else if (step || key === "n" || key === "p") go(step ?? (key === "n" ? 1 : -1));
  else if (key === "f" || (event.key === " " && !event.target.matches("button, a, summary"))) flip();
  else if (about.pictures[KEYS[Number(event.key) - 1]]) see(KEYS[Number(event.key) - 1]);
  else return;
  event.preventDefault();
});

// ------------------------------------------------------------------ the page begins

if (run.chart) byId("mean").replaceChildren(lossChart(run.chart, "Mean loss over steps of every hypothesis"));
window.addEventListener("popstate", read);
window.addEventListener("hashchange", read);
if (matchMedia("(max-width: 640px)").matches) byId("fold").open = false;
read();
if (!location.hash.includes("=")) show();
