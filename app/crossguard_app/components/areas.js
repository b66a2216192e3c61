// Rings as areas: their size, what lies in them, and which holes belong to which outside.

export function signedArea(ring) {
  let sum = 0;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
    sum += ring[j][0] * ring[i][1] - ring[i][0] * ring[j][1];
  }
  return sum / 2;
}

export function inRing(ring, [x, y]) {
  let inside = false;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
    const [ax, ay] = ring[i];
    const [bx, by] = ring[j];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}

// Every hole goes to the smallest outside around it.
export function assembled(outsides, holes) {
  const polygons = outsides.map((exterior) => ({ exterior, holes: [], size: Math.abs(signedArea(exterior)) }));
  for (const hole of holes) {
    const around = polygons.filter((polygon) => inRing(polygon.exterior, inner(hole)));
    around.sort((one, other) => one.size - other.size)[0]?.holes.push(hole);
  }
  return polygons.map(({ exterior, holes: inside }) => ({ exterior, ...(inside.length ? { holes: inside } : {}) }));
}

// A point just inside a ring, beside its first edge: a corner may lie on the border of another ring.
function inner(ring) {
  const [[ax, ay], [bx, by]] = ring;
  const length = Math.hypot(bx - ax, by - ay) || 1;
  const turn = signedArea(ring) > 0 ? 0.01 : -0.01;
  return [(ax + bx) / 2 - (turn * (by - ay)) / length, (ay + by) / 2 + (turn * (bx - ax)) / length];
}
