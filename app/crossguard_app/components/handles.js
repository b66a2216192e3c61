// The handles of the selected label: edges and corners of its box, points of its outline and the dots between them.

import { s, set } from "./dom.js";
import { rings, vertexCount } from "./geometry.js";

const CORNERS = ["nw", "ne", "se", "sw"];
const SIDES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];
const MAX_VERTICES = 240; // of a brushed outline there are too many to take hold of one
const ROOM = 22; // screen pixels between two points that leave room for a dot
const CROWDED = 6; // with fewer screen pixels from point to point, on average, they hide the thing: zoom in

function tooDense(mask, scale) {
  const way = rings(mask).reduce((sum, ring) => sum + ring.reduce((part, [x, y], i) => {
    const [nx, ny] = ring[(i + 1) % ring.length];
    return part + Math.hypot(nx - x, ny - y);
  }, 0), 0);
  return (way * scale) / vertexCount(mask) < CROWDED;
}

export class Handles {
  constructor() {
    this.root = s("g", { class: "handles" });
    this.nodes = null;
  }

  draw(label, scale, active) {
    this.root.replaceChildren();
    this.nodes = null;
    this.root.toggleAttribute("data-active", Boolean(active));
    if (!label) return;
    const marked = (on) => (on ? " active" : "");
    const edges = ["n", "e", "s", "w"].map((side) => s("line", { class: `edge${marked(active?.side === side)}`,
      "data-role": "side", "data-side": side }));
    const corners = CORNERS.map((side) => s("rect", { class: `corner${marked(active?.side === side)}`,
      "data-role": "side", "data-side": side }));
    const points = [];
    if (label.mask && vertexCount(label.mask) <= MAX_VERTICES
      && (active?.ring !== undefined || !tooDense(label.mask, scale))) {
      rings(label.mask).forEach((ring, number) => ring.forEach((_, index) => {
        const here = { "data-ring": number, "data-index": index };
        const on = active?.ring === number && active?.index === index;
        points.push({ vertex: s("circle", { class: `vertex${marked(on)}`, "data-role": "vertex", ...here }),
          middle: s("circle", { class: "middle", "data-role": "middle", ...here }) });
      }));
    }
    this.nodes = { edges, corners, points };
    this.root.append(...edges, ...corners, ...points.map((point) => point.middle), ...points.map((point) => point.vertex));
    this.follow(label, scale);
  }

  // Puts the handles that are there where the shape is now.
  follow(label, scale) {
    if (!this.nodes) return;
    const { edges, corners, points } = this.nodes;
    const unit = 1 / scale;
    const [x1, y1, x2, y2] = label.bbox_xyxy;
    const at = [[x1, y1], [x2, y1], [x2, y2], [x1, y2]];
    edges.forEach((edge, i) => {
      const [[ax, ay], [bx, by]] = [at[i], at[(i + 1) % 4]];
      set(edge, { x1: ax, y1: ay, x2: bx, y2: by });
    });
    corners.forEach((corner, i) => set(corner, { x: at[i][0] - 4.5 * unit, y: at[i][1] - 4.5 * unit,
      width: 9 * unit, height: 9 * unit, rx: 2 * unit }));
    if (!points.length) return;
    let place = 0;
    for (const ring of rings(label.mask)) {
      ring.forEach(([x, y], index) => {
        const point = points[place];
        place += 1;
        if (!point) return;
        const [nx, ny] = ring[(index + 1) % ring.length];
        set(point.vertex, { cx: x, cy: y, r: 4.2 * unit });
        set(point.middle, { cx: (x + nx) / 2, cy: (y + ny) / 2, r: 3 * unit });
        point.middle.style.display = Math.hypot(nx - x, ny - y) > ROOM * unit ? "" : "none";
      });
    }
  }
}

// The handle after (or before) one, for the keyboard: points of an outline, else sides of the box.
export function nextHandle(label, handle, direction) {
  const list = label.mask
    ? rings(label.mask).flatMap((ring, number) => ring.map((_, index) => ({ ring: number, index })))
    : SIDES.map((side) => ({ side }));
  const at = list.findIndex((entry) => handle && Object.keys(entry).every((name) => entry[name] === handle[name]));
  const start = at < 0 && direction < 0 ? 0 : at;
  return list[(start + direction + list.length) % list.length];
}
