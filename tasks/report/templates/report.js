"use strict";
document.documentElement.classList.add("js");

// Warp against result: the range input is the control, so it works with a mouse, a finger and the arrow keys.
for (const box of document.querySelectorAll(".compare")) {
  const input = box.querySelector("input");
  const show = () => {
    box.style.setProperty("--split", `${input.value}%`);
    box.classList.toggle("used", input.value > 0);
  };
  input.addEventListener("input", show);
  show();
}

// Enlarging: without this script the links simply open the picture.
const dialog = document.querySelector("dialog");
const zooms = [...document.querySelectorAll("a.zoom")];
let current = 0;
function enlarge(index) {
  current = (index + zooms.length) % zooms.length;
  const link = zooms[current];
  const image = dialog.querySelector("img");
  image.src = link.href;
  image.alt = link.querySelector("img") ? link.querySelector("img").alt : link.dataset.title;
  dialog.querySelector("p").textContent = link.dataset.title;
  if (!dialog.open) dialog.showModal();
}
for (const [index, link] of zooms.entries()) {
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    enlarge(index);
  });
}
dialog.addEventListener("keydown", (event) => {
  if (event.key === "ArrowRight") enlarge(current + 1);
  if (event.key === "ArrowLeft") enlarge(current - 1);
});
dialog.addEventListener("click", (event) => {
  if (event.target.dataset.step) enlarge(current + Number(event.target.dataset.step));
  else if (event.target.tagName !== "P") dialog.close();
});

// Sorting: numbers by value, text by name; missing values stay last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
      const number = head.classList.contains("n");
      const rows = [...table.tBodies[0].rows].map((row) => [key(row), row]);
      rows.sort(([a], [b]) => {
        if (a === "" || b === "") return (a === "") - (b === "");
        const order = number ? Number(a) - Number(b) : a.localeCompare(b);
        return up ? order : -order;
      });
      table.tBodies[0].append(...rows.map(([, row]) => row));
    });
  });
}
