// Snaps a point to the outlines of the labels around, so that neighbours share their border.

import { rings } from "./geometry.js";
import { boxRing } from "./rings.js";

const REACH = 9; // screen pixels

export class Snap {
  constructor() {
    this.on = false;
    this.rings = [];
  }

  // Taken once at the beginning of a drag: the neighbours stay where they are.
  gather(labels, except) {
    this.rings = this.on ? labels.filter((label) => label.id !== except)
      .flatMap((label) => (label.mask ? rings(label.mask) : [boxRing(label.bbox_xyxy)])) : [];
  }

  // The nearest corner within reach, else the nearest place on an edge, else the point itself.
  point(at, scale) {
    const reach = REACH / scale;
    let [corner, cornerOff, edge, edgeOff] = [null, reach, null, reach];
    for (const ring of this.rings) {
      for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
        const off = Math.hypot(ring[i][0] - at[0], ring[i][1] - at[1]);
        if (off < cornerOff) [corner, cornerOff] = [ring[i], off];
        const foot = footOf(at, ring[j], ring[i]);
        const away = Math.hypot(foot[0] - at[0], foot[1] - at[1]);
        if (away < edgeOff) [edge, edgeOff] = [foot, away];
      }
    }
    return corner ?? edge ?? at;
  }

  // Each coordinate by itself, to the nearest corner's: for the sides of a box.
  sides(at, scale) {
    const reach = REACH / scale;
    return at.map((value, axis) => {
      let [best, off] = [value, reach];
      for (const ring of this.rings) {
        for (const corner of ring) {
          const away = Math.abs(corner[axis] - value);
          const beside = Math.abs(corner[1 - axis] - at[1 - axis]) * scale < 300;
          if (away < off && beside) [best, off] = [corner[axis], away];
        }
      }
      return best;
    });
  }
}

function footOf([x, y], [ax, ay], [bx, by]) {
  const [dx, dy] = [bx - ax, by - ay];
  const square = dx * dx + dy * dy;
  const share = square ? Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / square)) : 0;
  return [ax + share * dx, ay + share * dy];
}
