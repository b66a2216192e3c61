// A map of points: colour by, legend, zoom, loop around some. What is chosen goes to Python as one bit a point.

import { h, icon, s } from "./dom.js";
import { Points, packBits, scaleText, unpack } from "./points_data.js";
import { fetchBytes } from "./points_fetch.js";
import { Raster, lightGround } from "./points_raster.js";

const instances = new WeakMap();
const left = new Map(); // what a map showed when it was taken off the page, by its points, to go on from there
const CLICK = 4; // pixels that a click may wander

class PointMap {
  constructor(parent) {
    this.canvas = h("canvas", { class: "points" });
    this.loopLine = s("path", { class: "loop" });
    this.overlay = s("svg", { class: "overlay" }, this.loopLine);
    this.card = h("div", { class: "card", hidden: true });
    this.stage = h("div", { class: "stage", tabindex: 0, role: "application" },
      this.canvas, this.overlay, this.card);
    this.head = h("div", { class: "head" });
    this.legend = h("div", { class: "legend" });
    this.tools = h("div", { class: "tools" });
    this.foot = h("div", { class: "foot", "aria-live": "polite" });
    this.root = h("div", { class: "map" }, this.head,
      h("div", { class: "body" }, this.stage, this.tools, this.legend), this.foot);
    parent.append(this.root);
    this.raster = new Raster(this.canvas);
    this.tool = "loop";
    this.listen();
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(this.stage);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
  }

  destroy() {
    this.observer.disconnect();
    this.root.remove();
    left.clear();
    if (this.points && this.view) {
      left.set(this.data.token, { chosen: this.points.chosen, view: this.view, base: this.base });
    }
  }

  // The points are fetched beside the page's data, which says where they are; the newest word counts.
  async receive(data) {
    const fresh = data.version !== this.wanted;
    this.wanted = data.version;
    if (data.version === this.data?.version) this.data = data;
    if (!fresh) return;
    const what = `${data.count.toLocaleString("en")} ${data.noun}s`;
    this.foot.ariaBusy = String(!this.points); // so that not every step of it is read out
    const tell = (progress) => {
      if (!this.points && this.wanted === data.version) this.foot.textContent = `Fetching ${what}: ${progress}`;
    };
    let content;
    try {
      content = unpack(await fetchBytes(data.points, tell));
    } catch (error) {
      if (this.wanted !== data.version) return;
      this.wanted = null;
      this.foot.ariaBusy = "false";
      this.foot.textContent = `The map could not be fetched (${error.message}). Reload the page to try again.`;
      return;
    }
    if (this.wanted === data.version && this.root.isConnected) this.take(data, content);
  }

  take(data, content) {
    const before = this.points;
    const same = data.token === this.data?.token;
    this.data = data;
    this.points = new Points(content);
    const key = this.layer?.key ?? data.layer;
    this.layer = this.points.layers.find((layer) => layer.key === key) ?? this.points.layers[0];
    this.stage.setAttribute("aria-label", `${data.count} ${data.noun}s; draw around some to choose them`);
    const kept = before && same ? { chosen: before.chosen, view: this.view, base: this.base } : left.get(data.token);
    this.sent = "";
    if (kept?.chosen.length === data.count) {
      // The same points, perhaps in other colours: what was chosen stays chosen.
      this.points.chosen.set(kept.chosen);
      this.points.counted();
      this.view = kept.view;
      this.base = kept.base;
      this.sent = this.points.some ? packBits(this.points.chosen) : "";
    }
    this.foot.dataset.state = "";
    this.foot.ariaBusy = "false";
    this.drawHead();
    this.resized();
  }

  // ---- what is seen -----------------------------------------------------------------------------------------

  resized() {
    const { width, height } = this.stage.getBoundingClientRect();
    if (!width || !height || !this.points) return;
    this.dpr = Math.min(2, window.devicePixelRatio || 1);
    this.raster.resize(Math.round(width * this.dpr), Math.round(height * this.dpr));
    if (!this.view) this.fit();
    this.draw();
  }

  fit() {
    const { left, right, low, high } = this.points.bounds;
    const { width, height } = this.raster.image;
    const margin = 24 * this.dpr;
    const scale = Math.min((width - 2 * margin) / Math.max(right - left, 1e-6),
      (height - 2 * margin) / Math.max(high - low, 1e-6));
    this.view = { scale, x: width / 2 - (scale * (left + right)) / 2, y: height / 2 + (scale * (low + high)) / 2 };
    this.base = scale;
  }

  zoom(factor, px, py) {
    const scale = Math.min(this.base * 400, Math.max(this.base * 0.5, this.view.scale * factor));
    const change = scale / this.view.scale;
    this.view = { scale, x: px + (this.view.x - px) * change, y: py + (this.view.y - py) * change };
    this.draw();
  }

  zoomMiddle(factor) {
    this.zoom(factor, this.raster.image.width / 2, this.raster.image.height / 2);
  }

  draw() {
    if (this.queued) return;
    this.queued = requestAnimationFrame(() => {
      this.queued = 0;
      this.paint();
    });
  }

  paint() {
    const started = performance.now();
    const light = lightGround(this.root);
    const size = Math.max(1.6, Math.min(4.5, 9 - 1.35 * Math.log10(this.points.count + 10)));
    const grown = Math.min(2, (this.view.scale / this.base) ** 0.25);
    this.raster.draw(this.points, this.layer, this.view,
      { radius: size * grown * this.dpr, shade: light ? 0.78 : 1 });
    this.root.dataset.paints = String(Number(this.root.dataset.paints ?? 0) + 1);
    this.root.dataset.paintMs = (performance.now() - started).toFixed(1);
    this.drawFoot();
  }

  drawHead() {
    const layers = this.points.layers.map((layer) => h("button", {
      type: "button", class: "tab", "data-layer": layer.key, "aria-pressed": String(layer === this.layer),
      onclick: () => this.colour(layer) }, layer.title));
    const tools = [["loop", "loop", "Draw around points to choose them"],
      ["pan", "hand", "Drag the map; also with the right button, or with Space held"]];
    this.head.replaceChildren(h("div", { class: "tabs", role: "group", "aria-label": "Colour by" },
      h("span", { class: "quiet" }, "Colour by"), layers));
    this.tools.replaceChildren(
      ...tools.map(([key, picture, title]) => h("button", { type: "button", class: "tool", title, "aria-label": title,
        "data-tool": key, "aria-pressed": String(this.tool === key), onclick: () => this.use(key) }, icon(picture))),
      ...[["plus", "Closer (+)", () => this.zoomMiddle(1.5)], ["minus", "Farther (-)", () => this.zoomMiddle(1 / 1.5)],
        ["fit", "Everything (0)", () => { this.fit(); this.draw(); }]].map(([picture, title, onclick]) =>
        h("button", { type: "button", class: "tool", title, "aria-label": title, onclick }, icon(picture))));
    this.stage.dataset.tool = this.tool;
    this.drawLegend();
  }

  drawLegend() {
    const { layer } = this;
    const light = lightGround(this.root);
    const shown = (color) => `rgb(${color.map((value) => Math.round(value * (light ? 0.78 : 1))).join(" ")})`;
    if (!layer.entries) {
      const bar = h("div", { class: "bar", style: { background: `linear-gradient(to top, ${layer.stops.join(", ")})` } });
      const unknown = h("div", { class: "entry" },
        h("i", { style: { background: layer.unknown } }), h("span", {}, "unknown"));
      this.legend.replaceChildren(h("div", { class: "scale" }, h("span", {}, layer.high), bar, h("span", {}, layer.low)),
        ...(layer.hasUnknown ? [unknown] : []));
      return;
    }
    this.legend.replaceChildren(...layer.entries.map((entry, code) => entry.count > 0 && h("button", {
      type: "button", class: "entry", "aria-pressed": String(!layer.hidden.has(code)), "data-entry": entry.name,
      title: "Click hides or shows it; double click shows only this one",
      onclick: () => this.toggle(code), ondblclick: () => this.alone(code) },
    h("i", { style: { background: shown(layer.colors[code]) } }), h("span", {}, entry.name),
    h("b", {}, entry.count.toLocaleString("en")))).filter(Boolean));
  }

  drawFoot() {
    const { count, some } = this.points;
    const { noun } = this.data;
    const total = `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
    const state = some ? [h("b", {}, `${some.toLocaleString("en")} of ${total} chosen`),
      " · Shift adds, Alt takes away, Esc lets go"] : [`${total} · ${this.data.hint}`];
    if (this.foot.dataset.state === String([count, some])) return;
    this.foot.dataset.state = String([count, some]);
    this.foot.replaceChildren(...state.map((part) => (typeof part === "string" ? document.createTextNode(part) : part)));
  }

  // ---- what is asked for ------------------------------------------------------------------------------------

  colour(layer) {
    this.layer = layer;
    this.drawHead();
    this.draw();
    this.report("layer", layer.key);
  }

  use(tool) {
    this.tool = tool;
    this.drawHead();
  }

  toggle(code) {
    const { hidden } = this.layer;
    if (hidden.has(code)) hidden.delete(code);
    else hidden.add(code);
    this.drawLegend();
    this.draw();
  }

  alone(code) {
    const { hidden, entries } = this.layer;
    hidden.clear();
    entries.forEach((_, other) => other !== code && hidden.add(other));
    this.drawLegend();
    this.draw();
  }

  send() {
    const bits = this.points.some ? packBits(this.points.chosen) : "";
    if (bits === (this.sent ?? "")) return;
    this.sent = bits;
    this.report("selection", { token: this.data.token, bits });
  }

  letGo() {
    this.points.pick(-1, "only");
    this.draw();
    this.send();
  }

  // ---- pointer and keys -------------------------------------------------------------------------------------

  at(event) {
    const box = this.stage.getBoundingClientRect();
    return [(event.clientX - box.left) * this.dpr, (event.clientY - box.top) * this.dpr];
  }

  toMap([px, py]) {
    return [(px - this.view.x) / this.view.scale, (this.view.y - py) / this.view.scale];
  }

  listen() {
    // There is nothing to do before the points are here.
    const on = (name, act, options) =>
      this.stage.addEventListener(name, (event) => this.points && act(event), options);
    on("pointerdown", (event) => this.down(event));
    on("pointermove", (event) => this.move(event));
    on("pointerup", (event) => this.up(event));
    on("pointercancel", () => this.stop());
    on("pointerleave", () => { this.card.hidden = true; });
    on("contextmenu", (event) => event.preventDefault());
    on("dblclick", () => this.letGo());
    on("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * 0.0016), ...this.at(event));
    }, { passive: false });
    on("keydown", (event) => this.key(event));
    on("keyup", (event) => { if (event.key === " ") this.space = false; });
  }

  down(event) {
    this.stage.focus({ preventScroll: true });
    this.stage.setPointerCapture(event.pointerId);
    this.card.hidden = true;
    const pan = event.button !== 0 || this.space || this.tool === "pan";
    this.drag = { pan, from: this.at(event), last: this.at(event), loop: [this.at(event)], far: 0 };
    event.preventDefault();
  }

  move(event) {
    const here = this.at(event);
    const { drag } = this;
    if (!drag) {
      this.hover(here);
      return;
    }
    drag.far = Math.max(drag.far, Math.hypot(here[0] - drag.from[0], here[1] - drag.from[1]));
    if (drag.pan) {
      this.view = { ...this.view, x: this.view.x + here[0] - drag.last[0], y: this.view.y + here[1] - drag.last[1] };
      this.draw();
    } else if (Math.hypot(here[0] - drag.loop.at(-1)[0], here[1] - drag.loop.at(-1)[1]) > 4) {
      drag.loop.push(here);
      const path = drag.loop.map(([x, y]) => `${x / this.dpr} ${y / this.dpr}`).join("L");
      this.loopLine.setAttribute("d", `M${path}Z`);
    }
    drag.last = here;
  }

  up(event) {
    const { drag } = this;
    this.stop();
    if (!drag) return;
    const how = event.shiftKey ? "add" : event.altKey ? "drop" : "only";
    if (drag.far < CLICK * this.dpr) {
      if (event.button !== 0) return;
      const place = this.toMap(drag.from);
      const i = this.points.nearest(...place, (9 * this.dpr) / this.view.scale, this.layer);
      if (i < 0 && how !== "only") return;
      this.points.pick(i, how);
    } else if (drag.pan) return;
    else this.points.choose(drag.loop.map((place) => this.toMap(place)), how, this.layer);
    this.draw();
    this.send();
  }

  stop() {
    this.drag = null;
    this.loopLine.setAttribute("d", "");
  }

  key(event) {
    const keys = {
      Escape: () => this.letGo(), "+": () => this.zoomMiddle(1.5), "=": () => this.zoomMiddle(1.5),
      "-": () => this.zoomMiddle(1 / 1.5), 0: () => { this.fit(); this.draw(); }, " ": () => { this.space = true; },
      ArrowLeft: () => this.shift(1, 0), ArrowRight: () => this.shift(-1, 0),
      ArrowUp: () => this.shift(0, 1), ArrowDown: () => this.shift(0, -1),
    };
    let run = keys[event.key];
    if (event.key === "a" && (event.ctrlKey || event.metaKey)) {
      run = () => {
        this.points.chooseShown(this.layer);
        this.draw();
        this.send();
      };
    }
    // Streamlit listens to single letters (c, r) on the page.
    event.stopPropagation();
    if (!run) return;
    event.preventDefault();
    run();
  }

  shift(dx, dy) {
    const step = 60 * this.dpr;
    this.view = { ...this.view, x: this.view.x + dx * step, y: this.view.y + dy * step };
    this.draw();
  }

  // ---- the card under the pointer ---------------------------------------------------------------------------

  hover(here) {
    const i = this.points.nearest(...this.toMap(here), (8 * this.dpr) / this.view.scale, this.layer);
    this.stage.classList.toggle("over", i >= 0);
    if (i < 0) {
      this.card.hidden = true;
      this.hovered = -1;
      return;
    }
    if (i !== this.hovered) this.fillCard(i);
    this.hovered = i;
    this.card.hidden = false;
    const [x, y] = here.map((value) => value / this.dpr);
    const { width, height } = this.stage.getBoundingClientRect();
    Object.assign(this.card.style, {
      left: `${x + 16 + this.card.offsetWidth > width ? x - 16 - this.card.offsetWidth : x + 16}px`,
      top: `${Math.max(4, Math.min(y + 12, height - this.card.offsetHeight - 4))}px` });
  }

  fillCard(i) {
    const rows = this.points.layers.map((layer) => {
      const code = layer.codes[i];
      const unknown = !layer.entries && code === 255;
      const value = layer.entries ? layer.entries[code]?.name : unknown ? "unknown" : scaleText(layer, code);
      return [h("dt", {}, layer.title), h("dd", {}, value)];
    });
    this.card.replaceChildren(...[this.picture(i), h("dl", {}, rows)].filter(Boolean));
  }

  picture(i) {
    const { frame, boxes } = this.points;
    if (!frame || !this.data.pictures) return null;
    const url = this.data.pictures.replace("NUMBER", frame[i]);
    if (!boxes) return h("img", { src: url, alt: "" });
    const [x1, y1, x2, y2] = boxes.subarray(4 * i, 4 * i + 4);
    const side = Math.max(x2 - x1, y2 - y1) * 1.5;
    const view = [(x1 + x2 - side) / 2, (y1 + y2 - side) / 2, side, side];
    return s("svg", { viewBox: view.join(" ") }, s("image", { href: url }),
      s("rect", { x: x1, y: y1, width: x2 - x1, height: y2 - y1 }));
  }
}

export default function mount({ parentElement, data, setStateValue }) {
  let map = instances.get(parentElement);
  if (!map) {
    map = new PointMap(parentElement);
    instances.set(parentElement, map);
  }
  map.report = setStateValue;
  map.receive(data);
  return () => {
    instances.get(parentElement)?.destroy();
    instances.delete(parentElement);
  };
}
