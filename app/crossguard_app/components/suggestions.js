// The part of the panel about what another source says: which one, how sure, accept one or all. Its elements stay,
// so that the slider can be dragged while everything around it is drawn again.

import { button, h } from "./dom.js";

export class Suggestions {
  constructor(bench) {
    this.bench = bench;
    const { layers } = bench;
    const act = (label, command) => button(label, { name: command, hint: bench.bindings.hint(command),
      onclick: (event) => bench.panel.press(event, command) });
    this.show = h("input", { type: "checkbox", "data-action": "layer", onchange: () => layers.toggle() });
    this.choice = h("select", { "aria-label": "Suggestions of", "data-action": "layer-choice",
      onchange: (event) => {
        layers.change({ key: event.target.value, shown: true });
        bench.toolbar.toStage();
      } });
    this.slider = h("input", { type: "range", min: 0.05, max: 0.95, step: 0.05, "aria-label": "Least confidence",
      "data-action": "confidence", oninput: (event) => layers.threshold(Number(event.target.value)),
      onpointerup: () => bench.toolbar.toStage() });
    this.value = h("output", {});
    this.one = act("Accept", "accept");
    this.all = act("Accept all", "acceptAll");
    this.count = h("p", { class: "quiet", role: "status" });
    this.root = h("section", { class: "suggestions" },
      h("label", { class: "switch" }, this.show, h("span", {}, "Suggestions of")), this.choice,
      h("label", { class: "confidence" }, "from", this.slider, this.value), this.count,
      h("div", { class: "pair" }, this.one, this.all));
  }

  draw() {
    const { layers } = this.bench;
    this.root.hidden = !layers.choices.length;
    const names = layers.choices.map((entry) => entry.key).join("\n");
    if (this.names !== names) {
      this.names = names;
      this.choice.replaceChildren(...layers.choices.map((entry) => h("option", { value: entry.key }, entry.name)));
    }
    this.choice.value = layers.choice?.key ?? "";
    this.show.checked = layers.shown;
    this.slider.value = layers.least;
    this.value.textContent = `${Math.round(layers.least * 100)} %`;
    const shapes = layers.visible();
    this.one.disabled = !shapes.length;
    this.all.disabled = !shapes.length;
    this.root.toggleAttribute("data-off", !layers.shown);
    this.count.textContent = layers.state === "loading" ? "Looking at the frame …"
      : layers.state || (shapes.length === 1 ? "1 is not labelled yet" : `${shapes.length} are not labelled yet`);
  }
}
