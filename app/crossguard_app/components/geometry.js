// Boxes [x1, y1, x2, y2] and masks {polygons: [{exterior, holes}]} in absolute pixels of the frame.

const MIN_SIDE = 1;

export const round = (value) => Math.round(value * 100) / 100;

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

export function normalBox(box, width, height) {
  const [ax, ay, bx, by] = box;
  const x1 = clamp(Math.min(ax, bx), 0, width - MIN_SIDE);
  const y1 = clamp(Math.min(ay, by), 0, height - MIN_SIDE);
  const x2 = clamp(Math.max(ax, bx), x1 + MIN_SIDE, width);
  const y2 = clamp(Math.max(ay, by), y1 + MIN_SIDE, height);
  return [x1, y1, x2, y2].map(round);
}

export function moveBox(box, dx, dy, width, height) {
  const [x1, y1, x2, y2] = box;
  const mx = clamp(dx, -x1, width - x2);
  const my = clamp(dy, -y1, height - y2);
  return { box: [x1 + mx, y1 + my, x2 + mx, y2 + my].map(round), dx: mx, dy: my };
}

// role: any of "n", "s", "w", "e" and their corners; the sides that it names follow the pointer.
export function resizeBox(box, role, x, y, width, height) {
  const [x1, y1, x2, y2] = box;
  const px = clamp(x, 0, width);
  const py = clamp(y, 0, height);
  const next = [
    role.includes("w") ? Math.min(px, x2 - MIN_SIDE) : x1,
    role.includes("n") ? Math.min(py, y2 - MIN_SIDE) : y1,
    role.includes("e") ? Math.max(px, x1 + MIN_SIDE) : x2,
    role.includes("s") ? Math.max(py, y1 + MIN_SIDE) : y2,
  ];
  return next.map(round);
}

export const area = ([x1, y1, x2, y2]) => (x2 - x1) * (y2 - y1);

// Intersection over union of two boxes.
export function overlap(a, b) {
  const wide = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const high = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  const both = wide > 0 && high > 0 ? wide * high : 0;
  return both / (area(a) + area(b) - both);
}

export const sameBox = (a, b) => a.every((value, index) => Math.abs(value - b[index]) < 0.005);

const mapMask = (mask, point) => ({
  polygons: mask.polygons.map((polygon) => ({
    exterior: polygon.exterior.map(point),
    ...(polygon.holes?.length ? { holes: polygon.holes.map((ring) => ring.map(point)) } : {}),
  })),
});

export const copyMask = (mask) => mapMask(mask, ([x, y]) => [x, y]);

export const moveMask = (mask, dx, dy) => mapMask(mask, ([x, y]) => [round(x + dx), round(y + dy)]);

export function scaleMask(mask, from, to) {
  const sx = (to[2] - to[0]) / (from[2] - from[0]);
  const sy = (to[3] - to[1]) / (from[3] - from[1]);
  return mapMask(mask, ([x, y]) => [round(to[0] + (x - from[0]) * sx), round(to[1] + (y - from[1]) * sy)]);
}

export function maskBox(mask) {
  const points = mask.polygons.flatMap((polygon) => polygon.exterior);
  const xs = points.map((point) => point[0]);
  const ys = points.map((point) => point[1]);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)].map(round);
}

export const rings = (mask) =>
  mask.polygons.flatMap((polygon) => [polygon.exterior, ...(polygon.holes ?? [])]);

export function path(mask) {
  return rings(mask)
    .map((ring) => `M${ring.map(([x, y]) => `${x} ${y}`).join("L")}Z`)
    .join("");
}

export const vertexCount = (mask) => rings(mask).reduce((sum, ring) => sum + ring.length, 0);
