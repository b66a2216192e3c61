// Boxes and polygons, point by point.

import { maskBox, normalBox } from "./geometry.js";

const SMALLEST = 3; // a drawn box needs this many pixels of the frame on each side
const CLOSE = 10; // screen pixels around the first point that close a polygon

// Drag from corner to corner, or click both.
export class BoxTool {
  constructor(tools) {
    this.tools = tools;
    this.from = null;
  }

  get busy() {
    return this.from !== null;
  }

  cancel() {
    this.from = null;
  }

  down(drag, event) {
    this.tools.gather();
    drag.first = this.from === null;
    this.from ??= this.tools.snapped(this.tools.inside(event));
  }

  drag(_, event) {
    this.hover(this.tools.snapped(this.tools.inside(event)));
  }

  hover(point) {
    if (this.from) this.tools.renderer.drawDraft({ box: [...this.from, ...point] });
  }

  up(drag, event) {
    if (drag.moved || !drag.first) this.close(this.tools.snapped(this.tools.inside(event)));
  }

  tap(point) {
    if (this.from) this.close(point);
    else this.from = point;
  }

  close(point) {
    const { width, height } = this.tools.host.frame();
    const raw = [...this.from, ...point];
    this.from = null;
    this.tools.renderer.drawDraft(null);
    if (Math.abs(raw[2] - raw[0]) < SMALLEST || Math.abs(raw[3] - raw[1]) < SMALLEST) {
      this.tools.host.say("That box is too small: drag from corner to corner.");
      return;
    }
    this.tools.use("select");
    this.tools.host.drawn({ bbox_xyxy: normalBox(raw, width, height) });
  }

  back() {
    if (!this.from) return false;
    this.from = null;
    this.tools.renderer.drawDraft(null);
    return true;
  }
}

// A label of its own ("new"), or a hole or another part of the selected one ("ring").
export class PolygonTool {
  constructor(tools, kind) {
    this.tools = tools;
    this.kind = kind;
    this.points = [];
  }

  get busy() {
    return this.points.length > 0;
  }

  cancel() {
    this.points = [];
  }

  up(drag, event) {
    this.tools.gather();
    if (!drag.moved) this.tap(this.tools.snapped(this.tools.inside(event)));
  }

  hover(pointer) {
    if (this.points.length) this.tools.renderer.drawDraft({ points: this.points, pointer });
  }

  tap(point) {
    const [first] = this.points;
    const last = this.points.at(-1);
    const near = (other) => Math.hypot(point[0] - other[0], point[1] - other[1]) * this.tools.canvas.scale;
    if (this.points.length > 2 && (near(first) < CLOSE || near(last) === 0)) {
      this.finish();
      return;
    }
    if (last && near(last) === 0) return;
    this.points.push(point);
    this.tools.renderer.drawDraft({ points: this.points, pointer: point });
  }

  // Enter, or a click on the first point.
  finish() {
    if (this.points.length < 3) return false;
    const { points } = this;
    const { width, height } = this.tools.host.frame();
    this.tools.use("select");
    if (this.kind === "ring") {
      this.tools.host.ring(points);
      return true;
    }
    const mask = { polygons: [{ exterior: points }] };
    this.tools.host.drawn({ mask, bbox_xyxy: normalBox(maskBox(mask), width, height) });
    return true;
  }

  back() {
    if (!this.points.length) return false;
    this.points = this.points.slice(0, -1);
    this.tools.renderer.drawDraft({ points: this.points });
    return true;
  }
}
