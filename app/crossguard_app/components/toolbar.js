// The bar above the stage: moving on, tools, zoom, undo, and whether everything is saved.

import { button, h } from "./dom.js";
import { hintOf } from "./keys.js";

const SAY_MS = 4500;

export class Toolbar {
  constructor(bench) {
    this.bench = bench;
    this.left = h("div", { class: "group" });
    this.tools = h("div", { class: "group" });
    this.zoom = h("div", { class: "group" });
    this.history = h("div", { class: "group" });
    this.message = h("div", { class: "message", role: "status", "aria-live": "polite" });
    this.status = h("div", { class: "status", role: "status", "data-testid": "saved-state" });
    this.root = h("div", { class: "toolbar", role: "toolbar", "aria-label": "Editor" },
      this.left, this.tools, this.zoom, this.history, this.message, this.status);
    this.fill();
  }

  // Buttons are made once: the one that has the focus must not vanish under it.
  fill() {
    const make = (label, command, picture) => {
      const node = button("", { name: command, picture, title: `${label} (${hintOf(command)})`, kind: "tool",
        onclick: (event) => this.press(event, command) });
      return node;
    };
    this.left.append(make("Previous", "previous", "previous"), make("Next", "next", "next"));
    this.select = button("", { name: "select", picture: "select", title: "Select and change (Esc)", kind: "tool",
      onclick: (event) => { this.bench.tools.use("select"); this.back(event); } });
    this.box = make("Draw a box", "box", "box");
    this.polygon = make("Draw a polygon", "polygon", "polygon");
    this.tools.append(this.select, this.box, this.polygon);
    this.scale = h("output", { class: "scale" });
    this.zoom.append(make("Zoom out", "zoomOut", "minus"), this.scale, make("Zoom in", "zoomIn", "plus"),
      make("Whole frame", "fit", "fit"), make("Zoom to the object", "zoomPlace", "target"));
    this.hide = make("Hide the labels", "hide", "hide");
    this.zoom.append(this.hide);
    this.history.append(make("Undo", "undo", "undo"), make("Redo", "redo", "redo"),
      button("Keys", { hint: "?", name: "help", kind: "tool", onclick: () => this.bench.help() }));
  }

  press(event, command) {
    this.bench.run[command]();
    this.back(event);
  }

  // After a click with the mouse the keys go to the stage again.
  back(event) {
    if (event.detail > 0) this.bench.canvas.root.focus({ preventScroll: true });
  }

  draw() {
    const { tool } = this.bench.tools;
    for (const name of ["select", "box", "polygon"]) this[name].setAttribute("aria-pressed", String(tool === name));
    this.hide.setAttribute("aria-pressed", String(this.bench.hidden));
    const text = `${Math.round(this.bench.canvas.scale * 100)} %`;
    if (this.scale.textContent !== text) this.scale.textContent = text;
    this.drawStatus();
  }

  drawStatus() {
    const [kind, text] = this.bench.sync.status;
    if (this.status.textContent === text) return;
    this.status.textContent = text;
    this.status.dataset.kind = kind;
  }

  say(text, kind = "") {
    this.message.textContent = text;
    this.message.dataset.kind = kind;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (this.message.textContent = ""), kind === "bad" ? SAY_MS * 3 : SAY_MS);
  }
}
