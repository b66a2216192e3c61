// Draws points straight into the pixels of a canvas: 100,000 discs take a few milliseconds of plain CPU, on any
// machine, without WebGL (which a browser without a GPU may not have).

// A disc (or a cross) as offsets with coverage 0..255.
function stamp(radius, cross) {
  const reach = Math.ceil(radius);
  const cells = [];
  for (let dy = -reach; dy <= reach; dy += 1) {
    for (let dx = -reach; dx <= reach; dx += 1) {
      const away = Math.hypot(dx, dy);
      const arm = Math.min(Math.abs(dx - dy), Math.abs(dx + dy)) / Math.SQRT2;
      const cover = cross
        ? Math.min(1, Math.max(0, radius * 0.34 + 0.5 - arm)) * Math.min(1, Math.max(0, radius + 0.5 - away))
        : Math.min(1, Math.max(0, radius + 0.5 - away));
      if (cover > 0.04) cells.push([dx, dy, Math.round(cover * 255)]);
    }
  }
  return cells;
}

// From so many points on, discs have hard edges: blending the edges would take most of the time, and nobody sees it.
const HARD = 15000;

export class Raster {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.stamps = new Map();
  }

  resize(width, height) {
    if (this.image?.width === width && this.image?.height === height) return;
    this.canvas.width = width;
    this.canvas.height = height;
    this.image = this.context.createImageData(width, height);
    this.pixels = this.image.data;
    this.words = new Uint32Array(this.pixels.buffer);
  }

  stamp(radius, cross) {
    const key = `${radius.toFixed(1)}${cross}`;
    if (!this.stamps.has(key)) {
      const cells = stamp(radius, cross);
      const { width } = this.image;
      this.stamps.set(key, {
        reach: Math.ceil(radius),
        offsets: Int32Array.from(cells, ([dx, dy]) => 4 * (dy * width + dx)),
        covers: Uint8Array.from(cells, ([, , cover]) => cover),
      });
    }
    return this.stamps.get(key);
  }

  // View: { scale, x, y } takes a map point to pixels. Shade: factor on the colours (below 1 on light ground).
  draw(points, layer, view, { radius, shade }) {
    this.stamps.clear(); // their offsets hang on the width
    this.words.fill(0);
    const dim = points.some > 0;
    const pass = points.count > HARD ? this.hard : this.soft;
    for (const chosen of dim ? [0, 1] : [0]) {
      pass.call(this, points, layer, view, radius + (chosen ? 0.6 : 0), shade, dim ? chosen : -1);
    }
    this.context.putImageData(this.image, 0, 0);
  }

  // As `soft`, one write a pixel.
  hard(points, layer, view, radius, shade, only) {
    const { xy, chosen, crossed, count } = points;
    const { codes, colors, hidden } = layer;
    const { width, height } = this.image;
    const { words } = this;
    const alpha = only === 0 ? 60 : 245;
    const table = Uint32Array.from(colors, ([red, green, blue]) =>
      ((alpha << 24) | ((blue * shade) << 16) | ((green * shade) << 8) | (red * shade)) >>> 0);
    const spots = [false, true].map((cross) => {
      const { reach, offsets, covers } = this.stamp(radius + (cross ? 1.4 : 0), cross);
      return { reach, offsets: offsets.filter((_, k) => covers[k] > 110).map((offset) => offset / 4) };
    });
    const edge = spots[1].reach;
    const some = hidden.size > 0;
    for (let i = 0; i < count; i += 1) {
      if (only >= 0 && chosen[i] !== only) continue;
      const code = codes[i];
      if (some && hidden.has(code)) continue;
      const px = (xy[2 * i] * view.scale + view.x + 0.5) | 0;
      const py = (view.y - xy[2 * i + 1] * view.scale + 0.5) | 0;
      if (px < edge || py < edge || px >= width - edge || py >= height - edge) continue;
      const { offsets } = spots[crossed[i]];
      const at = py * width + px;
      const color = table[code];
      for (let k = 0; k < offsets.length; k += 1) words[at + offsets[k]] = color;
    }
  }

  // Only: 0 the points not chosen (pale), 1 the chosen ones, -1 all.
  soft(points, layer, view, radius, shade, only) {
    const { xy, chosen, crossed } = points;
    const { codes, colors, hidden } = layer;
    const { width, height } = this.image;
    const { pixels } = this;
    const table = new Uint8Array(colors.length * 3);
    colors.forEach((color, k) => color.forEach((value, c) => { table[3 * k + c] = value * shade; }));
    const strength = only === 0 ? 0.22 : 0.92;
    const disc = this.stamp(radius, false);
    const cross = this.stamp(radius + 1.4, true);
    const edge = cross.reach;
    for (let i = 0; i < points.count; i += 1) {
      if (only >= 0 && chosen[i] !== only) continue;
      const code = codes[i];
      if (hidden.size && hidden.has(code)) continue;
      const px = Math.round(xy[2 * i] * view.scale + view.x);
      const py = Math.round(view.y - xy[2 * i + 1] * view.scale);
      if (px < edge || py < edge || px >= width - edge || py >= height - edge) continue;
      const { offsets, covers } = crossed[i] ? cross : disc;
      const at = 4 * (py * width + px);
      const red = table[3 * code];
      const green = table[3 * code + 1];
      const blue = table[3 * code + 2];
      for (let k = 0; k < offsets.length; k += 1) {
        const to = at + offsets[k];
        const cover = covers[k] * strength;
        const under = pixels[to + 3];
        if (under === 0) {
          pixels[to] = red;
          pixels[to + 1] = green;
          pixels[to + 2] = blue;
          pixels[to + 3] = cover;
        } else {
          const part = cover / 255;
          pixels[to] += (red - pixels[to]) * part;
          pixels[to + 1] += (green - pixels[to + 1]) * part;
          pixels[to + 2] += (blue - pixels[to + 2]) * part;
          pixels[to + 3] = under + (255 - under) * part;
        }
      }
    }
  }
}

// Whether the page is light: then bright colours need to be darker to be seen.
export function lightGround(node) {
  const [red, green, blue] = (getComputedStyle(node).color.match(/[\d.]+/g) ?? [255, 255, 255]).map(Number);
  return red * 0.3 + green * 0.59 + blue * 0.11 < 128;
}
