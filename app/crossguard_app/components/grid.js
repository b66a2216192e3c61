// A table of counts whose cells can be chosen: darker is more, outlined is thin, hatched is nothing at all.

import { h } from "./dom.js";

const instances = new WeakMap();

class Grid {
  constructor(parent) {
    this.root = h("div", { class: "wrap" });
    parent.append(this.root);
  }

  receive(data) {
    this.data = data;
    const head = h("tr", {}, h("th", { class: "corner" }, data.corner), data.columns.map((name) => h("th", { scope: "col" }, name)),
      h("th", { scope: "col", class: "sum" }, "all"));
    const body = data.rows.map((name, row) => h("tr", {}, h("th", { scope: "row" }, name),
      data.cells[row].map((cell, column) => this.cell(cell, name, data.columns[column], row, column)),
      h("td", { class: "sum" }, data.rowSums[row].toLocaleString("en"))));
    const foot = h("tr", { class: "foot" }, h("th", { scope: "row" }, "all"),
      data.columnSums.map((sum) => h("td", { class: "sum" }, sum.toLocaleString("en"))), h("td", { class: "sum" }, data.total.toLocaleString("en")));
    this.root.replaceChildren(h("table", { role: "grid" }, h("thead", {}, head), h("tbody", {}, body, foot)));
  }

  cell({ count, share, state, says }, row, column, i, j) {
    const chosen = this.data.chosen === `${i},${j}`;
    return h("td", {}, h("button", { type: "button", class: `cell ${state}`, "aria-pressed": String(chosen),
      "data-cell": `${i},${j}`, title: says, "aria-label": `${row}, ${column}: ${says}`,
      style: `--share: ${Math.round(share * 100)}%`, onclick: () => this.choose(chosen ? "" : `${i},${j}`) },
    state === "absent" ? "" : count.toLocaleString("en")));
  }
}

export default function mount({ parentElement, data, setTriggerValue }) {
  let grid = instances.get(parentElement);
  if (!grid) {
    grid = new Grid(parentElement);
    instances.set(parentElement, grid);
  }
  grid.choose = (cell) => setTriggerValue("chosen", cell);
  grid.receive(data);
  return () => {
    instances.get(parentElement)?.root.remove();
    instances.delete(parentElement);
  };
}
