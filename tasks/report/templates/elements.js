"use strict";

// Elements are made by name and their text is only ever text, so no name of a picture can be markup.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}
const byId = (id) => document.getElementById(id);
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const address = (path) => path.split("/").map(encodeURIComponent).join("/");

// Three significant digits, as the tables of the page have them.
function digits(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (value === 0) return "0.00";
  const size = Math.abs(value);
  if (size < 1e-4 || size >= 1e6) return value.toExponential(2);
  return value.toFixed(Math.max(0, 2 - Math.floor(Math.log10(size))));
}

function picture(path, alt, side, lazy = true) {
  return make("img", { src: address(path), alt, width: side, height: side, decoding: "async", loading: lazy ? "lazy" : null });
}
