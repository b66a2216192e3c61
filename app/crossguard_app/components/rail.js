// The tools, beside the stage.

import { button, h } from "./dom.js";

const TOOLS = [
  ["select", "Select and change", "select", "cancel"],
  ["box", "Draw a box", "box"],
  ["polygon", "Draw a polygon", "polygon"],
  ["ring", "Draw a hole or another part of the label", "ring"],
  ["segment", "Click-to-mask", "wand"],
  ["brush", "Brush", "brush"],
  ["eraser", "Eraser", "eraser"],
  ["split", "Split along a line", "split"],
  ["merge", "Merge two labels", "merge"],
];

export class Rail {
  constructor(bench) {
    this.bench = bench;
    this.nodes = new Map();
    this.root = h("div", { class: "rail", role: "toolbar", "aria-label": "Tools", "aria-orientation": "vertical" });
    for (const [tool, label, picture] of TOOLS) this.add(tool, label, picture, () => bench.tools.use(tool));
    this.root.append(h("hr", {}));
    this.add("snap", "Snap to neighbours", "magnet", () => bench.run.snap());
    this.add("brushSmaller", "Smaller brush", "minus", () => bench.run.brushSmaller());
    this.add("brushLarger", "Larger brush", "plus", () => bench.run.brushLarger());
    this.relabel();
  }

  add(name, label, picture, onclick) {
    const node = button("", { name, picture, kind: "tool", title: label,
      onclick: (event) => { onclick(); this.bench.toolbar.back(event); } });
    this.nodes.set(name, { node, label });
    this.root.append(node);
  }

  // Hints with the keys as they are now.
  relabel() {
    const commands = new Map(TOOLS.map(([tool, , , command]) => [tool, command ?? tool]));
    for (const [name, { node, label }] of this.nodes) {
      const hint = this.bench.bindings.hint(commands.get(name) ?? name);
      node.title = hint ? `${label} (${hint})` : label;
      node.setAttribute("aria-label", node.title);
    }
  }

  draw() {
    const { tools } = this.bench;
    for (const [tool] of TOOLS) this.nodes.get(tool).node.setAttribute("aria-pressed", String(tools.tool === tool));
    this.nodes.get("snap").node.setAttribute("aria-pressed", String(tools.snap.on));
    const painting = ["brush", "eraser"].includes(tools.tool);
    for (const name of ["brushSmaller", "brushLarger"]) this.nodes.get(name).node.hidden = !painting;
  }
}
