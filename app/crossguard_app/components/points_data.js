// The points of a map as typed arrays: decoding, colours, who is under the pointer, who is inside a loop.

const KINDS = { f32: Float32Array, u32: Uint32Array, u16: Uint16Array, u8: Uint8Array };

// A map as it was fetched: four bytes of length, JSON, then the arrays that the JSON names by their places.
export function unpack(buffer) {
  const size = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  const array = ({ kind, at, length }) => new KINDS[kind](buffer, 4 + size + at, length);
  const { pictures } = head;
  return { ...head, xy: array(head.xy), crossed: array(head.crossed),
    layers: head.layers.map((layer) => ({ ...layer, codes: array(layer.codes) })),
    pictures: pictures && { frame: array(pictures.frame), boxes: pictures.boxes && array(pictures.boxes) } };
}

// One bit a point, eight to a byte, first point first: 12.5 kB for 100,000 points, however many are chosen.
export function packBits(chosen) {
  const packed = new Uint8Array(Math.ceil(chosen.length / 8));
  for (let i = 0; i < chosen.length; i += 1) if (chosen[i]) packed[i >> 3] |= 128 >> (i & 7);
  let text = "";
  for (let i = 0; i < packed.length; i += 4096) text += String.fromCharCode(...packed.subarray(i, i + 4096));
  return btoa(text);
}

export function rgb(hex) {
  const value = parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

// The value behind a code of a scale, as text.
export function scaleText(layer, code) {
  const value = layer.least + ((layer.most - layer.least) * code) / 254;
  return layer.whole ? String(Math.round(value)) : value.toFixed(2);
}

// 256 colours between the stops of a scale; the last one stands for "unknown".
function ramp(stops, unknown) {
  const colors = stops.map(rgb);
  const table = [];
  for (let i = 0; i < 255; i += 1) {
    const at = (i / 254) * (colors.length - 1);
    const low = Math.min(colors.length - 2, Math.floor(at));
    table.push(colors[low].map((value, k) => Math.round(value + (colors[low + 1][k] - value) * (at - low))));
  }
  table.push(rgb(unknown));
  return table;
}

export class Points {
  constructor(data) {
    this.count = data.count;
    this.xy = data.xy;
    this.crossed = data.crossed;
    this.layers = data.layers.map((layer) => ({
      ...layer,
      colors: layer.entries ? layer.entries.map((entry) => rgb(entry.color)) : ramp(layer.stops, layer.unknown),
      hidden: new Set(),
    }));
    this.frame = data.pictures?.frame;
    this.boxes = data.pictures?.boxes;
    this.chosen = new Uint8Array(this.count);
    this.some = 0;
    this.sort();
  }

  // A grid of cells over the map, each with its points, to find the nearest one quickly.
  sort() {
    const side = Math.max(1, Math.min(512, Math.ceil(Math.sqrt(this.count / 2))));
    let [low, left, high, right] = [Infinity, Infinity, -Infinity, -Infinity];
    for (let i = 0; i < this.count; i += 1) {
      const x = this.xy[2 * i];
      const y = this.xy[2 * i + 1];
      left = Math.min(left, x);
      right = Math.max(right, x);
      low = Math.min(low, y);
      high = Math.max(high, y);
    }
    this.bounds = this.count ? { left, right, low, high } : { left: -1, right: 1, low: -1, high: 1 };
    this.side = side;
    this.cell = Math.max(this.bounds.right - this.bounds.left, this.bounds.high - this.bounds.low, 1e-6) / side;
    this.starts = new Uint32Array(side * side + 1);
    const where = new Uint32Array(this.count);
    for (let i = 0; i < this.count; i += 1) {
      where[i] = this.cellOf(this.xy[2 * i], this.xy[2 * i + 1]);
      this.starts[where[i] + 1] += 1;
    }
    for (let i = 0; i < side * side; i += 1) this.starts[i + 1] += this.starts[i];
    const next = this.starts.slice();
    this.members = new Uint32Array(this.count);
    for (let i = 0; i < this.count; i += 1) this.members[next[where[i]]++] = i;
  }

  axis(value, start) {
    return Math.max(0, Math.min(this.side - 1, Math.floor((value - start) / this.cell)));
  }

  cellOf(x, y) {
    return this.axis(y, this.bounds.low) * this.side + this.axis(x, this.bounds.left);
  }

  // The shown point nearest to a place within a reach, in map units; -1 when there is none.
  nearest(x, y, reach, layer) {
    let best = -1;
    let least = reach * reach;
    for (let row = this.axis(y - reach, this.bounds.low); row <= this.axis(y + reach, this.bounds.low); row += 1) {
      const first = row * this.side + this.axis(x - reach, this.bounds.left);
      const last = row * this.side + this.axis(x + reach, this.bounds.left);
      for (let k = this.starts[first]; k < this.starts[last + 1]; k += 1) {
        const i = this.members[k];
        const away = (this.xy[2 * i] - x) ** 2 + (this.xy[2 * i + 1] - y) ** 2;
        if (away < least && !this.isHidden(i, layer)) {
          least = away;
          best = i;
        }
      }
    }
    return best;
  }

  isHidden(i, layer) {
    return layer.hidden.size > 0 && layer.hidden.has(layer.codes[i]);
  }

  // Choose what lies inside a loop [[x, y], ...]. How: "only", "add" or "drop". What is hidden stays out.
  choose(loop, how, layer) {
    if (how === "only") this.chosen.fill(0);
    const xs = loop.map(([x]) => x);
    const ys = loop.map(([, y]) => y);
    const box = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    for (let i = 0; i < this.count; i += 1) {
      const x = this.xy[2 * i];
      const y = this.xy[2 * i + 1];
      if (x < box[0] || x > box[1] || y < box[2] || y > box[3] || this.isHidden(i, layer)) continue;
      if (inside(xs, ys, x, y)) this.chosen[i] = how === "drop" ? 0 : 1;
    }
    this.counted();
  }

  pick(i, how) {
    if (how === "only") this.chosen.fill(0);
    if (i >= 0) this.chosen[i] = how === "drop" ? 0 : 1;
    this.counted();
  }

  chooseShown(layer) {
    for (let i = 0; i < this.count; i += 1) this.chosen[i] = this.isHidden(i, layer) ? 0 : 1;
    this.counted();
  }

  counted() {
    let some = 0;
    for (let i = 0; i < this.count; i += 1) some += this.chosen[i];
    this.some = some;
  }
}

// Even-odd rule, one ray to the right.
function inside(xs, ys, x, y) {
  let odd = false;
  for (let i = 0, j = xs.length - 1; i < xs.length; j = i, i += 1) {
    if (ys[i] > y !== ys[j] > y && x < ((xs[j] - xs[i]) * (y - ys[i])) / (ys[j] - ys[i]) + xs[i]) odd = !odd;
  }
  return odd;
}
