// What the pointer does on the stage: select, pan, move, resize, drag and insert vertices, draw boxes and polygons.

import { copyMask, maskBox, moveBox, moveMask, normalBox, resizeBox, rings, round, sameBox, scaleMask, clamp }
  from "./geometry.js";

const CLICK = 3; // screen pixels that still count as a click
const CLOSE = 10;
const SMALLEST = 3; // a drawn box needs this many pixels of the frame on each side

export class Tools {
  // host: {frame(), label(id), selected(), select(id), shaped(label, fields), drawn(fields), toolChanged()}
  constructor(canvas, renderer, host) {
    this.canvas = canvas;
    this.renderer = renderer;
    this.host = host;
    this.tool = "select";
    this.last = "box";
    this.points = [];
    this.drag = null;
    const { svg } = canvas;
    svg.addEventListener("pointerdown", (event) => this.down(event));
    svg.addEventListener("pointermove", (event) => this.move(event));
    svg.addEventListener("pointerup", (event) => this.up(event));
    svg.addEventListener("pointercancel", () => this.cancel());
    svg.addEventListener("contextmenu", (event) => this.menu(event));
  }

  use(tool) {
    this.tool = tool;
    if (tool !== "select") this.last = tool;
    this.points = [];
    this.drag = null;
    this.renderer.drawDraft(null);
    this.canvas.root.dataset.tool = tool;
    this.host.toolChanged();
  }

  // Whether there was something to cancel.
  cancel() {
    const busy = this.tool !== "select" || this.drag !== null;
    const dragged = this.drag?.label;
    this.use("select");
    if (dragged) this.renderer.update(this.host.label(dragged.id));
    return busy;
  }

  inside(event) {
    const frame = this.host.frame();
    const [x, y] = this.canvas.point(event);
    return [clamp(round(x), 0, frame.width), clamp(round(y), 0, frame.height)];
  }

  down(event) {
    this.canvas.root.focus({ preventScroll: true });
    if (!this.host.frame() || event.button > 1) return;
    event.preventDefault();
    this.canvas.svg.setPointerCapture(event.pointerId);
    const start = { screen: [event.clientX, event.clientY], at: this.canvas.point(event), moved: false };
    if (event.button === 1) this.drag = { ...start, kind: "pan" };
    else if (this.tool === "box") this.drag = { ...start, kind: "draw", from: this.inside(event) };
    else if (this.tool === "polygon") this.drag = { ...start, kind: "point" };
    else this.drag = { ...start, ...this.grab(event) };
  }

  // What lies under the pointer, as the kind of drag that begins there.
  grab(event) {
    const role = event.target.dataset?.role;
    const label = this.host.label(this.host.selected());
    const { ring, index, side } = event.target.dataset ?? {};
    if (role === "side" && label) return { kind: "resize", label, side };
    if (role === "vertex" && label) {
      if (event.altKey) {
        this.removeVertex(label, Number(ring), Number(index));
        return { kind: "none" };
      }
      return { kind: "vertex", label, ring: Number(ring), index: Number(index), mask: copyMask(label.mask) };
    }
    if (role === "middle" && label) {
      const mask = copyMask(label.mask);
      rings(mask)[Number(ring)].splice(Number(index) + 1, 0, this.inside(event));
      return { kind: "vertex", label, ring: Number(ring), index: Number(index) + 1, mask };
    }
    const id = event.target.closest?.("[data-id]")?.dataset.id;
    if (id && id === label?.id) return { kind: "move", label };
    return { kind: "pan", hit: id ?? null, click: true };
  }

  move(event) {
    if (this.tool === "polygon" && this.points.length && !this.drag) {
      this.renderer.drawDraft({ points: this.points, pointer: this.inside(event) });
    }
    const drag = this.drag;
    if (!drag) return;
    const distance = Math.hypot(event.clientX - drag.screen[0], event.clientY - drag.screen[1]);
    if (!drag.moved && distance < CLICK) return;
    drag.moved = true;
    if (drag.kind === "pan") {
      this.canvas.panBy(event.movementX, event.movementY);
    } else if (drag.kind === "draw") {
      this.renderer.drawDraft({ box: [...drag.from, ...this.inside(event)] });
    } else if (drag.label) {
      drag.shape = this.shape(drag, event);
      this.renderer.update({ ...drag.label, ...drag.shape });
    }
  }

  shape(drag, event) {
    const { width, height } = this.host.frame();
    const { label } = drag;
    const [x, y] = this.canvas.point(event);
    if (drag.kind === "move") {
      const moved = moveBox(label.bbox_xyxy, x - drag.at[0], y - drag.at[1], width, height);
      return { bbox_xyxy: moved.box, ...(label.mask ? { mask: moveMask(label.mask, moved.dx, moved.dy) } : {}) };
    }
    if (drag.kind === "resize") {
      const box = resizeBox(label.bbox_xyxy, drag.side, x, y, width, height);
      return { bbox_xyxy: box, ...(label.mask ? { mask: scaleMask(label.mask, label.bbox_xyxy, box) } : {}) };
    }
    const mask = copyMask(drag.mask);
    rings(mask)[drag.ring][drag.index] = this.inside(event);
    return { mask, bbox_xyxy: normalBox(maskBox(mask), width, height) };
  }

  up(event) {
    const drag = this.drag;
    this.drag = null;
    if (!drag) return;
    if (drag.kind === "point") {
      if (!drag.moved) this.addPoint(event);
    } else if (drag.kind === "draw") {
      this.finishBox(drag, event);
    } else if (drag.kind === "pan") {
      if (drag.click && !drag.moved) this.host.select(drag.hit);
    } else if (drag.shape) {
      const changed = !sameBox(drag.shape.bbox_xyxy, drag.label.bbox_xyxy) || drag.kind === "vertex";
      if (changed) this.host.shaped(drag.label, drag.shape);
    } else if (drag.kind === "move") {
      this.host.select(this.below(event, drag.label.id));
    }
  }

  // A click on the selected label goes on to the one below it, so that nested labels can all be reached.
  below(event, id) {
    const bounds = this.canvas.svg.getRootNode().elementsFromPoint(event.clientX, event.clientY);
    const ids = [...new Set(bounds.map((node) => node.closest?.("[data-id]")?.dataset.id).filter(Boolean))];
    return ids[(ids.indexOf(id) + 1) % ids.length] ?? id;
  }

  finishBox(drag, event) {
    const { width, height } = this.host.frame();
    const raw = [...drag.from, ...this.inside(event)];
    this.renderer.drawDraft(null);
    if (Math.abs(raw[2] - raw[0]) < SMALLEST || Math.abs(raw[3] - raw[1]) < SMALLEST) return;
    this.use("select");
    this.host.drawn({ bbox_xyxy: normalBox(raw, width, height) });
  }

  addPoint(event) {
    const point = this.inside(event);
    const first = this.points[0];
    if (first && this.points.length > 2) {
      const near = Math.hypot(point[0] - first[0], point[1] - first[1]) * this.canvas.scale < CLOSE;
      if (near) {
        this.closePolygon();
        return;
      }
    }
    this.points.push(point);
    this.renderer.drawDraft({ points: this.points, pointer: point });
  }

  // Enter, or a click on the first point.
  closePolygon() {
    if (this.tool !== "polygon" || this.points.length < 3) return false;
    const { width, height } = this.host.frame();
    const mask = { polygons: [{ exterior: this.points }] };
    this.use("select");
    this.host.drawn({ mask, bbox_xyxy: normalBox(maskBox(mask), width, height) });
    return true;
  }

  takeBackPoint() {
    if (this.tool !== "polygon" || !this.points.length) return false;
    this.points.pop();
    this.renderer.drawDraft({ points: this.points });
    return true;
  }

  menu(event) {
    event.preventDefault();
    const { role, ring, index } = event.target.dataset ?? {};
    const label = this.host.label(this.host.selected());
    if (role === "vertex" && label) this.removeVertex(label, Number(ring), Number(index));
  }

  removeVertex(label, ring, index) {
    const mask = copyMask(label.mask);
    const points = rings(mask)[ring];
    if (points.length <= 3) return;
    points.splice(index, 1);
    const { width, height } = this.host.frame();
    this.host.shaped(label, { mask, bbox_xyxy: normalBox(maskBox(mask), width, height) });
  }
}
