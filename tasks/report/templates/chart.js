// Loss over steps: `tasks/report/charts.py` has placed everything, this draws it.
function drawn(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function lossChart(chart, title, now) {
  const said = chart.curves.map((curve) => `${curve.name} ends at ${digits(curve.final)}`).join(", ");
  const turned = chart.turn ? ` The loss of ${chart.turn[1]} cannot be compared with the one before.` : "";
  const svg = drawn("svg", { viewBox: `0 0 ${chart.width} ${chart.height}`, role: "img", "aria-label": `${title}: ${said}.${turned}` });
  for (const [y, label] of chart.y_ticks) {
    svg.append(drawn("line", { class: "grid", x1: chart.left, x2: chart.right, y1: y, y2: y }));
    svg.append(drawn("text", { x: chart.left - 8, y: y + 4, "text-anchor": "end" }, label));
  }
  for (const [x, label] of chart.x_ticks) {
    svg.append(drawn("text", { x, y: chart.bottom + 17, "text-anchor": "middle" }, label));
  }
  svg.append(drawn("text", { x: chart.left - 8, y: chart.bottom + 17, "text-anchor": "end" }, "step"));
  for (const curve of chart.curves) {
    const group = drawn("g", { class: `${curve.chosen ? "chosen" : ""} ${curve.name === now ? "now" : ""}`, "data-name": curve.name });
    const look = `s${curve.series % 8} d${Math.floor(curve.series / 8)}`;
    group.append(...curve.parts.map((points) => drawn("polyline", { class: look, points })), drawn("title", {}, curve.name));
    svg.append(group);
  }
  if (chart.turn) {
    const [x, label] = chart.turn;
    const left = x > (chart.left + chart.right) / 2;
    svg.append(drawn("line", { class: "turn", x1: x, x2: x, y1: chart.top, y2: chart.bottom }));
    svg.append(drawn("text", { class: "turned", x: x + (left ? -6 : 6), y: chart.top + 10, "text-anchor": left ? "end" : "start" }, label));
  }
  const legend = make("ul", { class: "legend" });
  for (const curve of [...chart.curves].sort((a, b) => a.series - b.series)) {
    const look = `s${curve.series % 8} d${Math.floor(curve.series / 8)}`;
    const line = drawn("svg", { viewBox: "0 0 28 8", "aria-hidden": "true" }, drawn("line", { class: look, x1: 0, x2: 28, y1: 4, y2: 4 }));
    const name = make(curve.chosen ? "b" : "span", {}, curve.name);
    legend.append(make("li", {}, line, name, " ", make("span", { class: "faint" }, digits(curve.final))));
  }
  return make("div", { class: "chart" }, svg, legend);
}
