// The tool in hand. Pointer and keyboard come together here as points of the frame; what a tool makes of them
// stands in its own module. A tool may have: down, drag, up, hover, tap, finish, back, cancel, leave, busy.

import { BoxTool, PolygonTool } from "./draw.js";
import { BrushTool } from "./brush.js";
import { MergeTool, SplitTool } from "./join.js";
import { SegmentTool } from "./segment.js";
import { SelectTool } from "./select.js";
import { clamp, round } from "./geometry.js";
import { Snap } from "./snap.js";

const CLICK = 3; // screen pixels that still count as a click
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Tools {
  constructor(canvas, renderer, host) {
    this.canvas = canvas;
    this.renderer = renderer;
    this.host = host;
    this.snap = new Snap();
    this.table = {
      select: new SelectTool(this), box: new BoxTool(this), polygon: new PolygonTool(this, "new"),
      ring: new PolygonTool(this, "ring"), segment: new SegmentTool(this), brush: new BrushTool(this, 1),
      eraser: new BrushTool(this, 0), split: new SplitTool(this), merge: new MergeTool(this),
    };
    this.tool = "select";
    this.last = "box";
    this.cross = null; // where the keyboard points
    this.held = null;
    const { root } = canvas;
    root.addEventListener("pointerdown", (event) => this.down(event));
    root.addEventListener("pointermove", (event) => this.later(event));
    root.addEventListener("pointerup", (event) => this.up(event));
    root.addEventListener("pointercancel", () => this.cancel());
    root.addEventListener("pointerleave", () => !this.held && this.active.leave?.());
    root.addEventListener("contextmenu", (event) => this.menu(event));
  }

  get active() {
    return this.table[this.tool];
  }

  // Whether something is drawn that is not stored yet.
  get busy() {
    return Boolean(this.active.busy);
  }

  use(tool) {
    this.active.cancel?.();
    this.tool = tool;
    if (!["select", "merge"].includes(tool)) this.last = tool;
    this.held = null;
    this.setCross(null);
    this.renderer.drawDraft(null);
    this.canvas.root.dataset.tool = tool;
    this.active.begin?.();
    this.host.toolChanged();
  }

  // Whether there was something to cancel.
  cancel() {
    const busy = this.tool !== "select" || this.held !== null;
    const dragged = this.held?.label;
    this.use("select");
    if (dragged) this.renderer.update(this.host.label(dragged.id));
    return busy;
  }

  finish() {
    return this.active.finish?.() ?? false;
  }

  takeBack() {
    return this.active.back?.() ?? false;
  }

  // ---- the pointer ------------------------------------------------------------------------------------------

  // Where an event is on the frame, inside it, in hundredths of a pixel.
  inside(event) {
    return this.within(this.canvas.point(event));
  }

  within([x, y]) {
    const { width, height } = this.host.frame();
    return [clamp(round(x), 0, width), clamp(round(y), 0, height)];
  }

  snapped(point) {
    return this.within(this.snap.point(point, this.canvas.scale));
  }

  gather(except) {
    this.snap.gather(this.host.frame().labels, except);
  }

  down(event) {
    if (event.target.closest?.(".stage-badge, .conflict-notice")) return;
    this.canvas.root.focus({ preventScroll: true });
    if (!this.host.frame() || this.held || event.button > (this.active.secondary ? 2 : 1)) return;
    event.preventDefault();
    this.canvas.root.setPointerCapture(event.pointerId);
    this.setCross(null);
    const here = [event.clientX, event.clientY];
    this.held = { screen: here, last: here, at: this.canvas.point(event), moved: false,
      secondary: event.button === 2 || (event.button === 0 && event.shiftKey) };
    if (event.button === 1) this.held.kind = "pan";
    else this.active.down?.(this.held, event);
  }

  // At most once a frame: a mouse tells its place up to a thousand times a second.
  later(event) {
    this.latest = event;
    this.ticket ??= requestAnimationFrame(() => this.moveNow());
  }

  moveNow() {
    cancelAnimationFrame(this.ticket);
    const event = this.latest;
    this.ticket = this.latest = null;
    if (!event || !this.host.frame()) return;
    const drag = this.held;
    if (!drag) {
      this.active.hover?.(this.inside(event), event);
      return;
    }
    const distance = Math.hypot(event.clientX - drag.screen[0], event.clientY - drag.screen[1]);
    if (!drag.moved && distance < CLICK) return;
    drag.moved = true;
    if (drag.kind === "pan") {
      this.canvas.panBy(event.clientX - drag.last[0], event.clientY - drag.last[1]);
      drag.last = [event.clientX, event.clientY];
    } else this.active.drag?.(drag, event);
  }

  up(event) {
    if (this.latest) {
      this.latest = event;
      this.moveNow();
    }
    const drag = this.held;
    this.held = null;
    if (drag && (drag.kind !== "pan" || drag.click)) this.active.up?.(drag, event);
  }

  menu(event) {
    event.preventDefault();
    this.active.menu?.(event);
  }

  // ---- the keyboard -----------------------------------------------------------------------------------------

  setCross(point) {
    this.cross = point;
    this.renderer.drawCross(point);
  }

  // Arrows and Enter while a tool is in hand; true when the key was meant for it.
  key(event) {
    if (this.tool === "select" || !this.host.frame() || event.ctrlKey || event.metaKey || event.altKey) return false;
    const way = ARROWS[event.key];
    if (way && this.active.tap) {
      const step = event.shiftKey ? 10 : 1;
      const from = this.cross ?? this.canvas.middle();
      this.setCross(this.within(this.cross ? from.map((value, i) => value + way[i] * step) : from));
      this.canvas.reveal(this.cross);
      this.active.hover?.(this.cross);
      return true;
    }
    if (event.key !== "Enter") return false;
    if (!this.cross || !this.active.tap) return this.finish();
    this.gather();
    this.active.tap(this.snapped(this.cross), event.shiftKey);
    return true;
  }
}
