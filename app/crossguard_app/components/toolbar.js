// The bar above the stage: moving on, zoom, light, undo, and whether everything is saved.

import { button, h } from "./dom.js";

const SAY_MS = 4500;

export class Toolbar {
  constructor(bench) {
    this.bench = bench;
    this.nodes = new Map();
    const group = (...children) => h("div", { class: "group" }, children);
    this.scale = h("output", { class: "scale", "aria-label": "Zoom" });
    this.message = h("div", { class: "message", role: "status", "aria-live": "polite" });
    this.status = h("div", { class: "status", role: "status", "data-testid": "saved-state" });
    this.sliders = ["brightness", "contrast"].map((name) => h("input", { type: "range", min: 0.3, max: 3, step: 0.05,
      value: 1, "data-light": name, oninput: (event) => bench.light.set(name, Number(event.target.value)), onpointerup: () => this.toStage() }));
    const [brightness, contrast] = this.sliders;
    this.popover = h("div", { class: "popover", hidden: true },
      h("label", {}, "Brightness", brightness), h("label", {}, "Contrast", contrast),
      this.make("As recorded", "plainLight", null));
    this.light = button("", { name: "light", picture: "sun", kind: "tool", title: "Brightness and contrast",
      onclick: () => this.togglePopover() });
    this.light.setAttribute("aria-expanded", "false");
    this.root = h("div", { class: "toolbar", role: "toolbar", "aria-label": "Editor" },
      bench.data.leaves && group(this.make("All frames", "list", "back", "All frames")),
      group(this.make("Previous", "previous", "previous"), this.make("Next", "next", "next")),
      group(this.make("Zoom out", "zoomOut", "minus"), this.scale, this.make("Zoom in", "zoomIn", "plus"),
        this.make("Whole frame", "fit", "fit"), this.make("Zoom to the object", "zoomPlace", "target")),
      group(h("div", { class: "holder" }, this.light, this.popover),
        this.make("What differs from the empty scene", "difference", "difference"), this.make("Hide the labels", "hide", "hide")),
      group(this.make("Undo", "undo", "undo"), this.make("Redo", "redo", "redo"), this.make("Keys", "help", "keys")),
      this.message, this.status);
    this.relabel();
  }

  // Buttons are made once: the one that has the focus must not vanish under it.
  make(label, command, picture, words = picture ? "" : label) {
    const node = button(words, { name: command, picture, title: label, kind: "tool",
      onclick: (event) => { this.bench.run[command](); this.back(event); } });
    this.nodes.set(command, { node, label });
    return node;
  }

  // Hints with the keys as they are now.
  relabel() {
    for (const [command, { node, label }] of this.nodes) {
      const hint = this.bench.bindings.hint(command);
      node.title = hint ? `${label} (${hint})` : label;
      node.setAttribute("aria-label", node.title);
    }
    this.bench.rail?.relabel();
  }

  // Whether it was open.
  closePopover() {
    const open = !this.popover.hidden;
    if (open) this.togglePopover();
    return open;
  }

  togglePopover() {
    this.popover.hidden = !this.popover.hidden;
    this.light.setAttribute("aria-expanded", String(!this.popover.hidden));
    if (!this.popover.hidden) this.sliders[0].focus();
  }

  // After a click with the mouse the keys go to the stage again.
  back(event) {
    if (event.detail > 0) this.toStage();
  }

  toStage() {
    this.bench.canvas.root.focus({ preventScroll: true });
  }

  draw() {
    const { light, hidden } = this.bench;
    const pressed = (name, on) => this.nodes.get(name).node.setAttribute("aria-pressed", String(on));
    pressed("hide", hidden);
    pressed("difference", light.difference);
    this.light.setAttribute("aria-pressed", String(light.values.brightness !== 1 || light.values.contrast !== 1));
    for (const slider of this.sliders) slider.value = light.values[slider.dataset.light];
    this.drawScale();
    this.drawStatus();
  }

  drawScale() {
    // Nothing is enlarged where nothing is shown.
    const text = this.bench.frame ? `${Math.round(this.bench.canvas.scale * 100)} %` : "";
    if (this.scale.textContent !== text) this.scale.textContent = text;
  }

  drawStatus() {
    const [kind, text] = this.bench.sync.status;
    if (this.status.textContent === text) return;
    this.status.textContent = text;
    this.status.dataset.kind = kind;
  }

  say(text, kind = "") {
    this.message.textContent = text;
    this.message.title = text;
    this.message.dataset.kind = kind;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (this.message.textContent = ""), kind === "bad" ? SAY_MS * 3 : SAY_MS);
  }
}
