// Rings and masks of polygons: inside or outside, cutting by a line, adding rings, thinning points.

import { assembled, inRing, signedArea } from "./areas.js";
import { round } from "./geometry.js";

const SMALLEST_AREA = 0.5; // square pixels: what is left of a cut beside a corner

export const boxRing = ([x1, y1, x2, y2]) => [[x1, y1], [x2, y1], [x2, y2], [x1, y2]];

const inPolygon = (polygon, point) =>
  inRing(polygon.exterior, point) && !(polygon.holes ?? []).some((hole) => inRing(hole, point));

const side = ([ax, ay], [bx, by], [x, y]) => (bx - ax) * (y - ay) - (by - ay) * (x - ax);

function edgesMeet(a, b, c, d) {
  return side(a, b, c) > 0 !== side(a, b, d) > 0 && side(c, d, a) > 0 !== side(c, d, b) > 0;
}

function ringsMeet(first, second) {
  return first.some((a, i) => {
    const b = first[(i + 1) % first.length];
    return second.some((c, j) => edgesMeet(a, b, c, second[(j + 1) % second.length]));
  });
}

const ringsOf = (polygon) => [polygon.exterior, ...(polygon.holes ?? [])];

function apart(first, second) {
  const crossing = ringsOf(first).some((a) => ringsOf(second).some((b) => ringsMeet(a, b)));
  return !crossing && !inPolygon(first, second.exterior[0]) && !inPolygon(second, first.exterior[0]);
}

// Both masks as one where they lie apart; null where they touch: then the server unites them.
export function beside(first, second) {
  const clear = first.polygons.every((a) => second.polygons.every((b) => apart(a, b)));
  return clear ? { polygons: [...first.polygons, ...second.polygons] } : null;
}

// A ring drawn into a mask: inside a part it is a hole, outside all of them another part. Where it crosses a border,
// null: then the server cuts it out when it begins inside ("hole"), or adds it.
export function withRing(mask, ring) {
  const within = mask.polygons.findIndex((polygon) => inPolygon(polygon, ring[0]));
  const touching = mask.polygons.some((polygon) => ringsOf(polygon).some((other) =>
    ringsMeet(other, ring) || inRing(ring, other[0])));
  if (touching) return { mask: null, hole: within >= 0 };
  if (within < 0) return { mask: { polygons: [...mask.polygons, { exterior: ring }] } };
  return { mask: { polygons: mask.polygons.map((polygon, index) =>
    index === within ? { exterior: polygon.exterior, holes: [...(polygon.holes ?? []), ring] } : polygon) } };
}

// The mask on both sides of the line through a and b; null when it lies on one side.
export function cut(mask, a, b) {
  const halves = [1, -1].map((sign) => ({ polygons: mask.polygons.flatMap((p) => half(p, a, b, sign)) }));
  return halves.every((entry) => entry.polygons.length) ? halves : null;
}

// The crossings of a polygon with the line come in pairs along it, and between the two of a pair lies its inside:
// each run of points on one side goes on, over the line, with the run that begins at the other end of its pair.
function half(polygon, a, b, sign) {
  const outsides = [];
  const holes = [];
  const runs = [];
  const crossings = [];
  ringsOf(polygon).forEach((given, number) => {
    // Outsides turn one way, holes the other, however they were drawn: then each run ends where the next begins.
    const ring = signedArea(given) > 0 === (number === 0) ? given : [...given].reverse();
    const signs = ring.map((point) => (side(a, b, point) >= 0 ? 1 : -1));
    const crossed = ring.map((point, i) => {
      const before = (i + ring.length - 1) % ring.length;
      return signs[i] === signs[before] ? null : crossing(a, b, ring[before], point);
    });
    const at = [...ring.keys()].filter((i) => crossed[i]);
    if (!at.length && signs[0] === sign) (number ? holes : outsides).push(ring);
    crossings.push(...at.map((i) => crossed[i]));
    at.forEach((first, k) => {
      if (signs[first] !== sign) return;
      const next = at[(k + 1) % at.length];
      const length = (next - first + ring.length) % ring.length;
      const points = Array.from({ length }, (_, step) => ring[(first + step) % ring.length]);
      crossed[first].run = { start: crossed[first], points, end: crossed[next] };
      runs.push(crossed[first].run);
    });
  });
  crossings.sort((one, other) => one.at - other.at);
  crossings.forEach((entry, i) => (entry.partner = crossings[i ^ 1]));
  return assembled([...outsides, ...joined(runs)], holes);
}

function crossing(a, b, p, q) {
  const from = side(a, b, p);
  const share = from / (from - side(a, b, q));
  const point = [round(p[0] + (q[0] - p[0]) * share), round(p[1] + (q[1] - p[1]) * share)];
  return { point, at: (point[0] - a[0]) * (b[0] - a[0]) + (point[1] - a[1]) * (b[1] - a[1]), run: null };
}

function joined(runs) {
  const rings = [];
  const left = new Set(runs);
  for (const first of runs) {
    const ring = [];
    for (let run = first; run && left.has(run); run = run.end.partner?.run) {
      left.delete(run);
      ring.push(run.start.point, ...run.points, run.end.point);
    }
    if (ring.length) rings.push(distinct(ring));
  }
  return rings.filter((ring) => ring.length > 2 && Math.abs(signedArea(ring)) >= SMALLEST_AREA);
}

const same = ([ax, ay], [bx, by]) => ax === bx && ay === by;

const distinct = (ring) => ring.filter((point, i) => !same(point, ring[(i + ring.length - 1) % ring.length]));

// Fewer points, none further than `tolerance` pixels from where the outline was (Douglas and Peucker 1973).
export function simplified(mask, tolerance) {
  const thin = (ring) => {
    const far = ring.reduce((best, point, i) =>
      distance(point, ring[0]) > distance(ring[best], ring[0]) ? i : best, 0);
    const kept = [...between(ring.slice(0, far + 1), tolerance).slice(0, -1),
      ...between([...ring.slice(far), ring[0]], tolerance).slice(0, -1)];
    return kept.length > 2 ? kept : ring;
  };
  return { polygons: mask.polygons.map(({ exterior, holes }) =>
    ({ exterior: thin(exterior), ...(holes?.length ? { holes: holes.map(thin) } : {}) })) };
}

const distance = ([ax, ay], [bx, by]) => Math.hypot(bx - ax, by - ay);

function between(points, tolerance) {
  const [first, last] = [points[0], points.at(-1)];
  const length = distance(first, last) || 1;
  let worst = 0;
  let off = 0;
  points.forEach((point, i) => {
    const height = Math.abs(side(first, last, point)) / length;
    if (i && i < points.length - 1 && height > off) [worst, off] = [i, height];
  });
  if (off <= tolerance) return [first, last];
  return [...between(points.slice(0, worst + 1), tolerance), ...between(points.slice(worst), tolerance).slice(1)];
}
