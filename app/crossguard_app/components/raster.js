// A mask as pixels, and back: pixels are unit squares, a pixel belongs to what its centre lies in. Outlines run
// along the edges of pixels, so that the pixels of a traced mask are the same again.

import { assembled, signedArea } from "./areas.js";

const STEPS = [[1, 0], [0, 1], [-1, 0], [0, -1]]; // east, south, west, north: clockwise on the screen

export class Raster {
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.data = new Uint8Array(width * height);
  }

  // Sets (or clears) what lies in the mask. Within a part its rings count by even and odd, so holes stay out.
  fill(mask, value = 1) {
    for (const { exterior, holes } of mask.polygons) this.fillRings([exterior, ...(holes ?? [])], value);
  }

  fillRings(rings, value) {
    const ys = rings[0].map((point) => point[1]);
    const top = Math.max(0, Math.ceil(Math.min(...ys) - 0.5));
    const foot = Math.min(this.height - 1, Math.floor(Math.max(...ys) - 0.5));
    for (let y = top; y <= foot; y += 1) {
      const xs = [];
      for (const ring of rings) {
        for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
          const [ax, ay] = ring[j];
          const [bx, by] = ring[i];
          if (ay > y + 0.5 !== by > y + 0.5) xs.push(ax + ((bx - ax) * (y + 0.5 - ay)) / (by - ay));
        }
      }
      xs.sort((a, b) => a - b);
      for (let k = 0; k + 1 < xs.length; k += 2) this.run(y, xs[k], xs[k + 1], value);
    }
  }

  // Pixels of row y whose centres lie in [from, to).
  run(y, from, to, value) {
    const first = Math.max(0, Math.ceil(from - 0.5));
    const last = Math.min(this.width, Math.ceil(to - 0.5));
    if (last > first) this.data.fill(value, y * this.width + first, y * this.width + last);
  }

  // Everything within `radius` of the way from a to b. Gives the touched window [x1, y1, x2, y2].
  stroke([ax, ay], [bx, by], radius, value = 1) {
    const [dx, dy] = [bx - ax, by - ay];
    const square = dx * dx + dy * dy;
    const x1 = Math.max(0, Math.floor(Math.min(ax, bx) - radius));
    const y1 = Math.max(0, Math.floor(Math.min(ay, by) - radius));
    const x2 = Math.min(this.width, Math.ceil(Math.max(ax, bx) + radius));
    const y2 = Math.min(this.height, Math.ceil(Math.max(ay, by) + radius));
    for (let y = y1; y < y2; y += 1) {
      for (let x = x1; x < x2; x += 1) {
        const [px, py] = [x + 0.5 - ax, y + 0.5 - ay];
        const share = square ? Math.min(1, Math.max(0, (px * dx + py * dy) / square)) : 0;
        const [ox, oy] = [px - share * dx, py - share * dy];
        if (ox * ox + oy * oy <= radius * radius) this.data[y * this.width + x] = value;
      }
    }
    return [x1, y1, x2, y2];
  }

  at(x, y) {
    return x >= 0 && y >= 0 && x < this.width && y < this.height && this.data[y * this.width + x] === 1;
  }

  // The outline as polygons with holes; no polygons when nothing is set.
  trace() {
    const outsides = [];
    const holes = [];
    for (const walk of this.walks()) {
      for (const ring of untangled(walk)) (signedArea(ring) > 0 ? outsides : holes).push(ring);
    }
    return { polygons: assembled(outsides, holes) };
  }

  // Closed walks around the set pixels, the set ones on the right hand; corners only.
  walks() {
    const wide = this.width + 1;
    const out = new Uint8Array(wide * (this.height + 1)); // a bit for each direction that an edge leaves in
    const starts = [];
    for (let y = 0; y < this.height; y += 1) {
      for (let x = 0; x < this.width; x += 1) {
        if (!this.data[y * this.width + x]) continue;
        if (!this.at(x, y - 1)) starts.push(mark(out, y * wide + x, 0));
        if (!this.at(x + 1, y)) mark(out, y * wide + x + 1, 1);
        if (!this.at(x, y + 1)) mark(out, (y + 1) * wide + x + 1, 2);
        if (!this.at(x - 1, y)) mark(out, (y + 1) * wide + x, 3);
      }
    }
    const walks = [];
    for (const start of starts) if (out[start] & 1) walks.push(walk(out, wide, start));
    return walks;
  }
}

function mark(out, place, direction) {
  out[place] |= 1 << direction;
  return place;
}

function walk(out, wide, start) {
  const points = [];
  let place = start;
  let heading = 0;
  do {
    place += STEPS[heading][0] + STEPS[heading][1] * wide;
    // Where two ways meet, the right turn stays with the same pixel: what only touches at a corner is apart.
    const next = [1, 0, 3].map((turn) => (heading + turn) % 4).find((way) => out[place] & (1 << way));
    if (next !== heading) points.push([place % wide, Math.floor(place / wide)]);
    heading = next;
    out[place] &= ~(1 << heading);
  } while (place !== start || heading !== 0);
  return points;
}

// A walk that comes back to one of its corners is several rings that touch there.
function untangled(points) {
  const rings = [];
  const path = [];
  const seen = new Map();
  for (const point of points) {
    const key = `${point[0]},${point[1]}`;
    const known = seen.get(key);
    if (known !== undefined) {
      const loop = path.splice(known);
      for (const [x, y] of loop) seen.delete(`${x},${y}`);
      rings.push(loop);
    }
    seen.set(key, path.length);
    path.push(point);
  }
  rings.push(path);
  return rings.filter((ring) => ring.length > 3);
}
