// The key map as an overlay, in which every key can be changed.

import { button, h } from "./dom.js";
import { combination, KEYS, spelled, textOf } from "./keys.js";

const MOUSE = [
  ["Click", "Select; again: the label below"],
  ["Drag a selected label, its edges, corners or points", "Change its shape"],
  ["Small dot between two points", "Insert a point"],
  ["Right click or Alt+click on a point", "Remove it"],
  ["Drag the background, or with the middle button", "Pan"],
  ["Wheel", "Zoom at the pointer"],
  ["Click-to-mask: click, right click, drag", "This, not this, within this box"],
];
const KEYBOARD = [
  ["Arrows while drawing", "Move the cross by a pixel, with ⇧ by ten"],
  ["Enter", "Click there"],
  ["⇧ Enter", "Click-to-mask: not this. Brush: a line to here"],
  ["Ctrl+Enter", "Finish"],
];
const SCROLLS = { ArrowDown: 60, ArrowUp: -60, PageDown: 400, PageUp: -400, Home: -1e6, End: 1e6 }; // pixels
const MODIFIERS = ["Control", "Shift", "Alt", "Meta", "AltGraph", "CapsLock"];

export class Help {
  constructor(bench) {
    this.bench = bench;
    this.changing = null;
    this.note = h("p", { class: "quiet", role: "status" });
    this.body = h("div", { class: "columns" });
    this.reset = button("Keys as they were", { kind: "tool", name: "reset-keys", onclick: () => this.restore() });
    this.sheet = h("div", { class: "sheet", onclick: (event) => event.stopPropagation() },
      h("header", {}, h("h2", {}, "Keys"), this.note, this.reset,
        button("Close", { hint: "Esc", name: "close-help", onclick: () => bench.help() })),
      this.body);
    this.root = h("div", { class: "overlay", role: "dialog", "aria-modal": true, "aria-label": "Keys",
      onclick: () => bench.help() }, this.sheet);
    this.draw();
  }

  draw() {
    this.body.replaceChildren(...KEYS.map(([title, rows]) => h("section", {}, h("h3", {}, title),
      h("table", {}, rows.map((row) => this.row(row))))),
    this.plain("Draw with the keyboard", KEYBOARD), this.plain("Mouse", MOUSE));
    this.reset.disabled = !this.bench.bindings.changed;
    if (!this.changing) this.note.textContent = "Click a key to change it. Your keys stay in this browser.";
  }

  plain(title, rows) {
    return h("section", {}, h("h3", {}, title), h("table", {}, rows.map(([what, text]) =>
      h("tr", {}, h("td", {}, what), h("td", { class: "quiet" }, text)))));
  }

  row([text, ...commands]) {
    const { bindings } = this.bench;
    const keys = commands.map(([command]) => h("button", { type: "button", class: "key",
      "data-key": command, "aria-pressed": String(this.changing === command),
      "aria-label": `${text}: ${bindings.hint(command) || "no key"}. Change`,
      onclick: () => this.ask(command, text) },
    this.changing === command ? "…" : bindings.keysOf(command).map((combo) => h("kbd", {}, spelled(combo))),
    this.changing !== command && !bindings.keysOf(command).length && h("kbd", {}, "none")));
    // Many keys for one thing stand below its name: beside it they would leave no room.
    if (keys.length > 2) return h("tr", {}, h("td", { colspan: 2, class: "wide" }, text, h("div", { class: "key-list" }, keys)));
    return h("tr", {}, h("td", {}, h("div", { class: "key-list" }, keys)), h("td", {}, text));
  }

  ask(command, text) {
    this.changing = command;
    this.note.textContent = `${text}: press the new key, or Esc to leave it as it is.`;
    this.draw();
  }

  // Tab stays inside the dialog.
  turn(direction) {
    const stops = [...this.root.querySelectorAll("button:not(:disabled)")];
    const at = stops.indexOf(this.root.getRootNode().activeElement);
    stops[(at + direction + stops.length) % stops.length].focus();
    return true;
  }

  restore() {
    this.bench.bindings.reset();
    this.finish("All keys are as they were.");
  }

  finish(text) {
    this.changing = null;
    this.bench.toolbar.relabel();
    this.bench.panel.draw();
    this.draw();
    this.note.textContent = text;
  }

  // Every key while the overlay is open comes here; true when it was meant for it.
  key(event) {
    if (event.key === "Tab" && !this.changing) return this.turn(event.shiftKey ? -1 : 1);
    if (!this.changing) {
      if (event.key in SCROLLS) {
        this.sheet.scrollBy({ top: SCROLLS[event.key] });
        return true;
      }
      if (!["escape", ...this.bench.bindings.keysOf("help")].includes(combination(event))) return false;
      this.bench.help();
      return true;
    }
    if (MODIFIERS.includes(event.key)) return true;
    if (event.key === "Escape") {
      this.finish("Nothing was changed.");
      return true;
    }
    const command = this.changing;
    const keys = combination(event);
    const loser = this.bench.bindings.rebind(command, keys);
    this.finish(loser ? `${spelled(keys)} was taken from “${textOf(loser)}”, which has no key now unless it had two.`
      : `Changed to ${spelled(keys)}.`);
    return true;
  }
}
