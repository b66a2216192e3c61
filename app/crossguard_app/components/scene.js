// The empty scene with what is known about it, and regions to draw: click by click, drag a corner, drag a region.

import { h, icon, s } from "./dom.js";

const instances = new WeakMap();
const KINDS = { ignore_regions: "Ignore region", far_zone: "Far zone" };
const NEAR = 10; // CSS pixels

class Scene {
  constructor(parent) {
    this.image = s("image", { preserveAspectRatio: "none" });
    this.boxes = s("g", { class: "boxes" });
    this.shapes = s("g", { class: "shapes" });
    this.draft = s("g", { class: "draft" });
    this.stage = s("svg", { class: "stage", tabindex: 0, role: "application" },
      s("defs", {}, ["ignore_regions", "far_zone"].map((kind) => s("pattern",
        { id: `hatch-${kind}`, width: 9, height: 9, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
        s("rect", { width: 9, height: 9, class: `ground ${kind}` }),
        s("line", { x1: 0, y1: 0, x2: 0, y2: 9, class: `line ${kind}` })))),
      this.image, this.boxes, this.shapes, this.draft);
    this.head = h("div", { class: "head" });
    this.foot = h("div", { class: "foot", "aria-live": "polite" });
    this.root = h("div", { class: "scene" }, this.head, this.stage, this.foot);
    parent.append(this.root);
    this.hiddenLayers = new Set();
    this.tool = null;
    this.points = [];
    this.history = [];
    this.listen();
  }

  receive(data) {
    const fresh = data.token !== this.data?.token;
    this.data = data;
    if (fresh) {
      this.regions = data.regions.map((region) => ({ ...region, points: region.points.map((point) => [...point]) }));
      this.history = [];
      this.selected = -1;
      this.points = [];
    }
    this.stage.setAttribute("viewBox", `0 0 ${data.width} ${data.height}`);
    this.stage.style.aspectRatio = `${data.width} / ${data.height}`;
    this.stage.style.width = `min(100%, calc(max(360px, 100vh - 250px) * ${data.width / data.height}))`;
    for (const [name, value] of Object.entries({ href: data.image, width: data.width, height: data.height })) {
      this.image.setAttribute(name, value);
    }
    this.stage.setAttribute("aria-label", "The empty scene; draw regions in which nothing counts");
    this.draw();
  }

  // Screen pixels of one pixel of the frame.
  get scale() {
    return this.stage.getBoundingClientRect().width / this.data.width || 1;
  }

  at(event) {
    const box = this.stage.getBoundingClientRect();
    const clip = (value, most) => Math.round(Math.max(0, Math.min(most, value)) * 10) / 10;
    return [clip(((event.clientX - box.left) / box.width) * this.data.width, this.data.width),
      clip(((event.clientY - box.top) / box.height) * this.data.height, this.data.height)];
  }

  // ---- drawing ----------------------------------------------------------------------------------------------

  draw() {
    this.drawHead();
    this.drawBoxes();
    this.shapes.replaceChildren(...this.regions.flatMap((region, number) => this.shape(region, number)));
    this.drawDraft();
    this.drawFoot();
  }

  drawHead() {
    const press = (on) => String(Boolean(on));
    const drawing = this.data.editable ? [
      h("div", { class: "group" }, Object.entries(KINDS).map(([kind, title]) => h("button",
        { type: "button", class: `tab ${kind}`, "data-tool": kind, "aria-pressed": press(this.tool === kind),
          title: `Draw: ${title.toLowerCase()}`, onclick: () => this.use(this.tool === kind ? null : kind) },
        icon("polygon"), title)),
      h("button", { type: "button", class: "tab", "data-action": "delete", disabled: this.selected < 0,
        title: "Delete the selected region (Del)", onclick: () => this.remove() }, "Delete"),
      h("button", { type: "button", class: "tab", "data-action": "back", disabled: !this.history.length,
        title: "Take the last change back (Ctrl+Z)", onclick: () => this.back() }, icon("undo")))] : [];
    this.head.replaceChildren(...drawing,
      h("div", { class: "group" }, this.data.layers.map((layer) => h("button",
        { type: "button", class: "layer", "data-layer": layer.key, title: layer.says,
          "aria-pressed": press(!this.hiddenLayers.has(layer.key)), onclick: () => this.toggle(layer.key) },
        h("i", { style: { borderColor: layer.color } }), `${layer.title} ${layer.items.length}`))));
  }

  drawBoxes() {
    this.boxes.replaceChildren(...this.data.layers.filter((layer) => !this.hiddenLayers.has(layer.key))
      .flatMap((layer) => layer.items.map((item, number) => {
        const [x1, y1, x2, y2] = item.box;
        const picked = this.data.picked === `${layer.key}:${number}`;
        return s("rect", { x: x1, y: y1, width: x2 - x1, height: y2 - y1, stroke: layer.color, fill: layer.color,
          class: `box ${picked ? "picked" : ""}`, "fill-opacity": 0.08 + 0.3 * item.strength, "data-place": `${layer.key}:${number}`,
          onclick: (event) => !this.tool && this.pick(event) }, s("title", {}, item.text));
      })));
  }

  // The smallest box under the pointer; another click there takes the next one, which may lie right below.
  pick(event) {
    const [x, y] = this.at(event);
    const size = ([x1, y1, x2, y2]) => (x2 - x1) * (y2 - y1);
    const under = this.data.layers.filter((layer) => !this.hiddenLayers.has(layer.key))
      .flatMap((layer) => layer.items.map((item, number) => ({ name: `${layer.key}:${number}`, box: item.box })))
      .filter(({ box: [x1, y1, x2, y2] }) => x >= x1 && x <= x2 && y >= y1 && y <= y2)
      .sort((a, b) => size(a.box) - size(b.box));
    const at = under.findIndex(({ name }) => name === this.data.picked);
    this.report("picked", under.length ? under[(at + 1) % under.length].name : event.target.dataset.place);
  }

  shape(region, number) {
    const selected = number === this.selected;
    const body = s("polygon", { points: region.points.map((point) => point.join(",")).join(" "),
      class: `region ${region.kind} ${selected ? "selected" : ""}`, fill: `url(#hatch-${region.kind})`,
      "data-region": number }, s("title", {}, KINDS[region.kind]));
    if (!selected) return [body];
    const size = 5 / this.scale;
    const corners = region.points.map(([x, y], corner) => s("circle",
      { cx: x, cy: y, r: size, class: "corner", "data-corner": corner },
      s("title", {}, "Drag it; Alt and click takes it away")));
    const middles = region.points.map(([x, y], corner) => {
      const [nx, ny] = region.points[(corner + 1) % region.points.length];
      return s("circle", { cx: (x + nx) / 2, cy: (y + ny) / 2, r: size * 0.7, class: "middle", "data-middle": corner },
        s("title", {}, "Drag to add a corner"));
    });
    return [body, ...middles, ...corners];
  }

  drawDraft(here) {
    const line = [...this.points, ...(here && this.points.length ? [here] : [])];
    const size = 4.5 / this.scale;
    this.draft.replaceChildren(
      line.length > 1 && s("polyline", { points: line.map((point) => point.join(",")).join(" "), class: "line" }),
      ...this.points.map(([x, y], number) => s("circle", { cx: x, cy: y, r: number ? size : size * 1.5, class: "corner" })));
    for (const node of [...this.draft.childNodes]) if (node.nodeType === Node.TEXT_NODE) node.remove();
    this.stage.classList.toggle("drawing", Boolean(this.tool));
  }

  drawFoot() {
    const text = this.tool
      ? this.points.length < 3 ? "Click the corners one after the other; Esc gives up"
        : "Click the first corner, or press Enter, to close the region"
      : this.selected >= 0 ? "Drag corners or the whole region; small dots add a corner, Alt and click takes one away"
        : this.data.hint;
    this.foot.textContent = text;
  }

  // ---- changes ----------------------------------------------------------------------------------------------

  use(tool) {
    this.tool = tool;
    this.points = [];
    if (tool) this.selected = -1;
    this.stage.focus({ preventScroll: true });
    this.draw();
  }

  toggle(key) {
    if (this.hiddenLayers.has(key)) this.hiddenLayers.delete(key);
    else this.hiddenLayers.add(key);
    this.draw();
  }

  note() {
    this.history.push(JSON.stringify(this.regions));
  }

  changed() {
    this.draw();
    this.report("draft", { token: this.data.token, regions: this.regions });
  }

  back() {
    if (!this.history.length) return;
    this.regions = JSON.parse(this.history.pop());
    this.selected = Math.min(this.selected, this.regions.length - 1);
    this.changed();
  }

  remove() {
    if (this.selected < 0) return;
    this.note();
    this.regions.splice(this.selected, 1);
    this.selected = -1;
    this.changed();
  }

  close() {
    if (this.points.length < 3) return;
    this.note();
    this.regions.push({ kind: this.tool, points: this.points });
    this.selected = this.regions.length - 1;
    this.points = [];
    this.tool = null;
    this.changed();
  }

  // ---- pointer and keys -------------------------------------------------------------------------------------

  listen() {
    const { stage } = this;
    stage.addEventListener("pointerdown", (event) => this.down(event));
    stage.addEventListener("pointermove", (event) => this.move(event));
    stage.addEventListener("pointerup", () => this.up());
    stage.addEventListener("pointercancel", () => this.up());
    stage.addEventListener("dblclick", () => this.tool && this.close());
    stage.addEventListener("keydown", (event) => this.key(event));
  }

  down(event) {
    if (event.button !== 0 || !this.data.editable) return;
    this.stage.focus({ preventScroll: true });
    const here = this.at(event);
    if (this.tool) {
      const [first] = this.points;
      const closes = first && Math.hypot(first[0] - here[0], first[1] - here[1]) * this.scale < NEAR;
      const last = this.points.at(-1);
      const twice = last && Math.hypot(last[0] - here[0], last[1] - here[1]) * this.scale < 3;
      if (closes && this.points.length > 2) this.close();
      else if (!twice) {
        this.points.push(here);
        this.draw();
      }
      return;
    }
    const { corner, middle, region } = event.target.dataset ?? {};
    if (corner !== undefined && event.altKey) this.dropCorner(Number(corner));
    else if (corner !== undefined) this.grab(event, here, { corner: Number(corner) });
    else if (middle !== undefined) this.grab(event, here, { middle: Number(middle) });
    else if (region !== undefined) {
      this.selected = Number(region);
      this.grab(event, here, {});
      this.draw();
    } else if (this.selected >= 0) {
      this.selected = -1;
      this.draw();
    }
  }

  grab(event, here, part) {
    this.stage.setPointerCapture(event.pointerId);
    this.drag = { ...part, from: here, moved: false, points: this.regions[this.selected].points.map((point) => [...point]) };
    event.preventDefault();
  }

  move(event) {
    const here = this.at(event);
    if (this.tool) {
      this.drawDraft(here);
      return;
    }
    const { drag } = this;
    if (!drag) return;
    if (!drag.moved) {
      this.note();
      drag.moved = true;
    }
    const region = this.regions[this.selected];
    const [dx, dy] = [here[0] - drag.from[0], here[1] - drag.from[1]];
    const round = (value) => Math.round(value * 10) / 10;
    if (drag.corner !== undefined) region.points = drag.points.map((point, k) => (k === drag.corner ? here : point));
    else if (drag.middle !== undefined) region.points = drag.points.toSpliced(drag.middle + 1, 0, here);
    else region.points = this.shifted(drag.points, dx, dy).map(([x, y]) => [round(x), round(y)]);
    this.draw();
  }

  // Moved as a whole, inside the frame.
  shifted(points, dx, dy) {
    const xs = points.map(([x]) => x);
    const ys = points.map(([, y]) => y);
    const inside = (value, low, high, most) => Math.max(-low, Math.min(most - high, value));
    const x = inside(dx, Math.min(...xs), Math.max(...xs), this.data.width);
    const y = inside(dy, Math.min(...ys), Math.max(...ys), this.data.height);
    return points.map((point) => [point[0] + x, point[1] + y]);
  }

  up() {
    const { drag } = this;
    this.drag = null;
    if (drag?.moved) this.changed();
  }

  dropCorner(corner) {
    const { points } = this.regions[this.selected];
    if (points.length <= 3) return;
    this.note();
    points.splice(corner, 1);
    this.changed();
  }

  key(event) {
    event.stopPropagation();
    const undo = event.key === "z" && (event.ctrlKey || event.metaKey);
    const run = undo ? () => this.back() : {
      Escape: () => (this.tool && this.points.length ? this.use(this.tool) : this.use(null)),
      Enter: () => this.tool && this.close(),
      Backspace: () => (this.tool ? (this.points.pop(), this.draw()) : this.remove()),
      Delete: () => this.remove(),
    }[event.key];
    if (!run) return;
    event.preventDefault();
    run();
  }
}

export default function mount({ parentElement, data, setStateValue, setTriggerValue }) {
  let scene = instances.get(parentElement);
  if (!scene) {
    scene = new Scene(parentElement);
    instances.set(parentElement, scene);
  }
  scene.report = (name, value) => (name === "picked" ? setTriggerValue : setStateValue)(name, value);
  scene.receive(data);
  return () => {
    instances.get(parentElement)?.root.remove();
    instances.delete(parentElement);
  };
}
