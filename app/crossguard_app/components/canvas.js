// The stage: a picture and an SVG layer over it that zoom and pan together.

import { h, s } from "./dom.js";
import { clamp } from "./geometry.js";
import { picture } from "./images.js";

const MAX_SCALE = 24;

export class Canvas {
  constructor(onview) {
    this.onview = onview;
    this.scale = 1;
    this.x = 0;
    this.y = 0;
    this.size = [1, 1];
    this.shown = null;
    this.goal = null; // what to show again when the window changes its size
    this.layer = s("g", { class: "layer" });
    // What changes while something is dragged has a surface of its own: the thousand others are not painted again.
    this.live = s("g", { class: "layer" });
    const whole = { width: "100%", height: "100%" };
    this.svg = s("svg", { class: "shapes", ...whole }, this.layer);
    this.top = s("svg", { class: "shapes live", ...whole }, this.live);
    this.slot = h("div", { class: "slot" });
    this.difference = h("div", { class: "difference", hidden: true });
    this.paint = h("canvas", { class: "paint", hidden: true });
    this.holder = h("div", { class: "picture" }, this.slot, this.difference, this.paint);
    this.message = h("div", { class: "stage-message", role: "status" });
    this.badge = h("div", { class: "stage-badge", role: "status", "data-state": "off" });
    this.spoken = h("div", { class: "spoken", "aria-live": "polite" });
    this.root = h("div", { class: "stage", tabindex: 0, role: "application",
      "aria-label": "Frame with its labels: Tab goes through them, F6 to the buttons" },
    this.holder, this.svg, this.top, this.message, this.badge, this.spoken);
    this.root.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.observer = new ResizeObserver(() => this.goal?.());
    this.observer.observe(this.root);
  }

  destroy() {
    this.observer.disconnect();
  }

  // Whether click-to-mask is ready: "off", "reading", "ready" or "failed".
  say(state, text) {
    this.badge.dataset.state = state;
    this.badge.textContent = text || (state === "ready" ? "Click-to-mask is ready" : "");
  }

  // For screen readers only.
  describe(text) {
    this.spoken.textContent = text;
  }

  async show(frame) {
    this.size = [frame.width, frame.height];
    if (this.shown === frame.url) return true;
    this.wanted = frame.url;
    try {
      const image = await picture(frame.url);
      if (this.wanted !== frame.url) return false;
      image.width = frame.width;
      image.height = frame.height;
      this.slot.replaceChildren(image);
      this.message.textContent = "";
    } catch {
      if (this.wanted !== frame.url) return false;
      this.slot.replaceChildren();
      this.message.textContent =
        `The picture of ${frame.name} cannot be shown: its file is missing or broken.`;
    }
    this.shown = frame.url;
    return true;
  }

  apply() {
    const transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    this.holder.style.transform = transform;
    // Enlarged pixels stay pixels: edges are placed against them.
    this.holder.style.imageRendering = this.scale >= 4 ? "pixelated" : "auto";
    const moved = `translate(${this.x} ${this.y}) scale(${this.scale})`;
    this.layer.setAttribute("transform", moved);
    this.live.setAttribute("transform", moved);
    this.onview();
  }

  view() {
    return [this.root.clientWidth || 1, this.root.clientHeight || 1];
  }

  fit() {
    this.goal = () => this.fit();
    const [width, height] = this.view();
    this.scale = Math.min(width / this.size[0], height / this.size[1]);
    this.x = (width - this.size[0] * this.scale) / 2;
    this.y = (height - this.size[1] * this.scale) / 2;
    this.apply();
  }

  // So near that the place takes about a third of the stage, never further away than the whole frame.
  zoomTo(box) {
    this.goal = () => this.zoomTo(box);
    const [width, height] = this.view();
    const whole = Math.min(width / this.size[0], height / this.size[1]);
    const near = Math.min(width / (box[2] - box[0]), height / (box[3] - box[1])) / 3;
    this.scale = clamp(near, whole, whole * 5);
    this.x = width / 2 - ((box[0] + box[2]) / 2) * this.scale;
    this.y = height / 2 - ((box[1] + box[3]) / 2) * this.scale;
    this.bound();
    this.apply();
  }

  // The frame covers the stage where it is larger, and is centred where it is smaller.
  bound() {
    const view = this.view();
    const shift = [this.x, this.y].map((offset, axis) => {
      const extent = this.size[axis] * this.scale;
      if (extent <= view[axis]) return (view[axis] - extent) / 2;
      return clamp(offset, view[axis] - extent, 0);
    });
    [this.x, this.y] = shift;
  }

  zoomBy(factor, at) {
    this.goal = null;
    const [width, height] = this.view();
    const [px, py] = at ?? [width / 2, height / 2];
    const whole = Math.min(width / this.size[0], height / this.size[1]);
    const scale = clamp(this.scale * factor, whole * 0.8, MAX_SCALE);
    this.x = px - ((px - this.x) * scale) / this.scale;
    this.y = py - ((py - this.y) * scale) / this.scale;
    this.scale = scale;
    this.bound();
    this.apply();
  }

  panBy(dx, dy) {
    this.goal = null;
    this.x += dx;
    this.y += dy;
    this.bound();
    this.apply();
  }

  // Moves the view just so far that a point of the frame is well inside.
  reveal([px, py]) {
    const edge = 40;
    const [dx, dy] = [[px, this.x], [py, this.y]].map(([value, offset], axis) => {
      const at = value * this.scale + offset;
      return clamp(at, edge, Math.max(edge, this.view()[axis] - edge)) - at;
    });
    if (dx || dy) this.panBy(dx, dy);
  }

  // The middle of what is in view, in whole pixels of the frame.
  middle() {
    const at = [[this.x, 0], [this.y, 1]].map(([offset, axis]) => (this.view()[axis] / 2 - offset) / this.scale);
    return at.map((value, axis) => clamp(Math.round(value), 0, this.size[axis]));
  }

  wheel(event) {
    event.preventDefault();
    const bounds = this.root.getBoundingClientRect();
    this.zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)),
      [event.clientX - bounds.left, event.clientY - bounds.top]);
  }

  // Pointer to pixels of the frame.
  point(event) {
    const bounds = this.root.getBoundingClientRect();
    return [(event.clientX - bounds.left - this.x) / this.scale,
      (event.clientY - bounds.top - this.y) / this.scale];
  }
}
