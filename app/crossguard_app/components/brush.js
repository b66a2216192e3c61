// Brush and eraser: pixels of the selected label's mask, or of a new label. Each stroke is stored when it ends.

import { maskBox, normalBox } from "./geometry.js";
import { Raster } from "./raster.js";
import { boxRing } from "./rings.js";

const RADII = [1, 2, 3, 4, 6, 8, 11, 15, 20, 28, 40, 56, 80];
const OPACITY = 115;
let step = 4; // of both tools

export class BrushTool {
  constructor(tools, value) {
    this.tools = tools;
    this.value = value;
    this.raster = null;
    this.end = null;
  }

  get radius() {
    return RADII[step];
  }

  begin() {
    this.end = null;
  }

  cancel() {
    this.hide();
  }

  hide() {
    this.raster = null;
    this.tools.canvas.paint.hidden = true;
    this.tools.canvas.root.toggleAttribute("data-painting", false);
  }

  resize(direction) {
    step = Math.min(RADII.length - 1, Math.max(0, step + direction));
    if (this.at) this.hover(this.at);
    this.tools.host.say(`Brush: ${2 * this.radius} pixels across`);
  }

  hover(point) {
    this.at = point;
    this.tools.renderer.drawDraft({ ring: [...point, this.radius] });
  }

  leave() {
    this.tools.renderer.drawDraft(null);
  }

  down(drag, event) {
    if (!this.start()) return;
    drag.painted = this.tools.inside(event);
    this.paint(drag.painted, drag.painted);
  }

  drag(drag, event) {
    if (!this.raster || !drag.painted) return;
    const point = this.tools.inside(event);
    this.paint(drag.painted, point);
    drag.painted = point;
    this.hover(point);
  }

  up(drag) {
    if (!drag.painted) return;
    this.end = drag.painted;
    this.store();
  }

  // Enter paints a dot, with Shift a line from where the last stroke ended.
  tap(point, line) {
    if (!this.start()) return;
    this.paint(line && this.end ? this.end : point, point);
    this.end = point;
    this.store();
  }

  finish() {
    this.tools.use("select");
    return true;
  }

  // The pixels of the selected label. A box without a mask is erased from its whole, and painted from nothing.
  start() {
    const { host } = this.tools;
    const frame = host.frame();
    const label = host.label(host.selected());
    if (!label && !this.value) {
      host.say("Select the label to erase from: click it with Esc, or press Tab.");
      return false;
    }
    this.label = label ?? null;
    this.raster = new Raster(frame.width, frame.height);
    if (label?.mask) this.raster.fill(label.mask);
    else if (label && !this.value) this.raster.fill({ polygons: [{ exterior: boxRing(label.bbox_xyxy) }] });
    this.show(frame);
    return true;
  }

  show(frame) {
    const { paint } = this.tools.canvas;
    [paint.width, paint.height, paint.hidden] = [frame.width, frame.height, false];
    this.tools.canvas.root.toggleAttribute("data-painting", true);
    this.context = paint.getContext("2d", { willReadFrequently: true });
    this.color = rgb(this.tools.host.color(this.label));
    if (this.label) this.blit(around(this.label.bbox_xyxy));
  }

  paint(from, to) {
    this.blit(this.raster.stroke(from, to, this.radius, this.value));
  }

  // Copies a window of the mask to the canvas over the picture.
  blit([x1, y1, x2, y2]) {
    if (x2 <= x1 || y2 <= y1) return;
    const { data, width } = this.raster;
    const image = this.context.createImageData(x2 - x1, y2 - y1);
    for (let y = y1, place = 0; y < y2; y += 1) {
      for (let x = x1; x < x2; x += 1, place += 4) {
        if (!data[y * width + x]) continue;
        image.data.set(this.color, place);
        image.data[place + 3] = OPACITY;
      }
    }
    this.context.putImageData(image, x1, y1);
  }

  store() {
    const { host } = this.tools;
    const { width, height } = host.frame();
    const mask = this.raster.trace();
    const { label } = this;
    this.hide();
    if (!mask.polygons.length) {
      host.say(label ? "Nothing would be left of it: delete the label instead." : "Nothing was painted.");
      return;
    }
    const shape = { mask, bbox_xyxy: normalBox(maskBox(mask), width, height) };
    if (label) host.shaped(label, shape);
    else host.drawn(shape);
  }
}

const around = ([x1, y1, x2, y2]) => [Math.floor(x1), Math.floor(y1), Math.ceil(x2), Math.ceil(y2)];

function rgb(color) {
  const value = Number.parseInt(color.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}
