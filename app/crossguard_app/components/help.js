// The key map as an overlay.

import { button, h } from "./dom.js";
import { KEYS } from "./keys.js";

const MOUSE = [
  ["Click", "Select; again: the label below"],
  ["Drag a selected label, its edges, corners or points", "Change its shape"],
  ["Small dot between two points", "Insert a point"],
  ["Right click or Alt+click on a point", "Remove it"],
  ["Drag the background, or with the middle button", "Pan"],
  ["Wheel", "Zoom at the pointer"],
];

const row = (keys, text) => h("tr", {}, h("td", {}, h("kbd", {}, keys)), h("td", {}, text));
const line = (what, text) => h("tr", {}, h("td", {}, what), h("td", { class: "quiet" }, text));

export function helpOverlay(onclose) {
  const groups = KEYS.map(([title, rows]) =>
    h("section", {}, h("h3", {}, title),
      h("table", {}, rows.filter(([, , hint]) => hint).map(([, , hint, text]) => row(hint, text)))));
  const mouse = h("section", {}, h("h3", {}, "Mouse"), h("table", {}, MOUSE.map(([what, text]) => line(what, text))));
  return h("div", { class: "overlay", role: "dialog", "aria-label": "Keys", onclick: onclose },
    h("div", { class: "sheet", onclick: (event) => event.stopPropagation() },
      h("header", {}, h("h2", {}, "Keys"), button("Close", { hint: "Esc", onclick: onclose })),
      h("div", { class: "columns" }, groups, mouse)));
}
