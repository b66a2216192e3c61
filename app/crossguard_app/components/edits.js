// What a person changes on labels: every change is one step of the undo history, whatever it touches.

import { randomId } from "./dom.js";
import { copyMask, maskBox, moveBox, moveMask, normalBox, resizeBox, rings, scaleMask } from "./geometry.js";
import { nextHandle } from "./handles.js";
import { beside, boxRing, cut, simplified, withRing } from "./rings.js";

const FLAGS = ["occluded", "difficult", "ignore"];
const THIN = 0.7; // pixels by which an outline may move when its points are thinned
const flagsOf = (label) => {
  const set = FLAGS.filter((flag) => label[flag]);
  return set.length ? { flags: Object.fromEntries(set.map((flag) => [flag, true])) } : {};
};
const outlineOf = (label) => label.mask ?? { polygons: [{ exterior: boxRing(label.bbox_xyxy) }] };

export class Edits {
  constructor(bench) {
    this.bench = bench;
    this.clip = null;
    this.ahead = 5;
    this.ignoreNext = false;
  }

  say(text) {
    this.bench.toolbar.say(text);
  }

  // The selected label, or null and a word about it.
  chosen() {
    const { selected, issue, bindings } = this.bench;
    if (!selected && issue && !issue.annotation_id) {
      this.say(`No label is selected. ${bindings.hint("keep")}: ${issue.answers.keep.toLowerCase()}. `
        + `${bindings.hint("nextObject")}: select one of the frame.`);
    } else if (!selected) this.say("Select a label first: click it, or press Tab.");
    return selected && !this.bench.conflicts.holds(selected.id) ? selected : null;
  }

  // ---- shape ------------------------------------------------------------------------------------------------

  // A new shape of a label. On the label of the open issue it is the verdict.
  shaped(label, shape) {
    const { bench } = this;
    if (bench.conflicts.holds(label.id)) {
      bench.refresh();
      return;
    }
    if (label.id === bench.issue?.annotation_id
      && bench.decisions.give("edit", "edited by hand", shape, { group: false })) return;
    bench.push({ kind: "edit", annotation_id: label.id, ...shape }, `${label.label} changed`);
  }

  masked(label, mask) {
    const { width, height } = this.bench.frame;
    this.shaped(label, { mask, bbox_xyxy: normalBox(maskBox(mask), width, height) });
  }

  drawn(shape) {
    const { bench } = this;
    const { issue } = bench;
    const name = bench.drawAs ?? issue?.proposal?.label ?? issue?.label ?? bench.data.classes[0].name;
    const fields = { kind: "add", annotation_id: randomId(), label: name, ...shape,
      ...(this.ignoreNext ? { flags: { ignore: true } } : {}) };
    this.ignoreNext = false;
    bench.selection = fields.annotation_id;
    if (issue?.type === "missing" && bench.decisions.give("add", "drawn by hand", fields, { group: false })) return;
    bench.push(fields, `${name} added`);
  }

  // A ring drawn into the selected label: a hole or another part.
  async ring(points) {
    const label = this.chosen();
    if (!label) return;
    const drawn = { polygons: [{ exterior: points }] };
    const { mask, hole } = withRing(outlineOf(label), points);
    const whole = mask ?? await this.combined(label, drawn, hole ? "subtract" : "unite");
    if (!whole) return;
    if (whole.polygons.length) this.masked(label, whole);
    else this.say("Nothing would be left of it: delete the label instead.");
  }

  // Overlapping shapes are put together on the server, exactly; null when that failed or the label changed since.
  async combined(label, other, how) {
    const { bench } = this;
    const { frame } = bench;
    try {
      const { mask } = await bench.assist.ask("combine", frame, { first: outlineOf(label), second: other, how });
      return bench.frame?.id === frame.id && bench.label(label.id)?.revision === label.revision ? mask : null;
    } catch (error) {
      bench.toolbar.say(error.message, "bad");
      return null;
    }
  }

  simplify() {
    const label = this.chosen();
    if (!label?.mask) {
      if (label) this.say("A box has no points to thin out.");
      return;
    }
    const before = rings(label.mask).flat().length;
    const mask = simplified(label.mask, THIN);
    const after = rings(mask).flat().length;
    if (after < before) this.masked(label, mask);
    this.say(after < before ? `${before} points became ${after}` : "Its points are as few as they can be.");
  }

  split(from, to) {
    const label = this.chosen();
    if (!label) return;
    const halves = cut(outlineOf(label), from, to);
    if (!halves) {
      this.say("The line does not cross the selected label.");
      return;
    }
    const { width, height } = this.bench.frame;
    const shapes = halves.map((mask) => ({ bbox_xyxy: normalBox(maskBox(mask), width, height),
      // A box cut straight stays two boxes.
      ...(label.mask || !halves.every(isBox) ? { mask } : {}) }));
    this.bench.pushAll([
      { kind: "edit", annotation_id: label.id, ...shapes[0] },
      { kind: "add", annotation_id: randomId(), label: label.label, ...shapes[1], ...flagsOf(label) },
    ], `${label.label} split`);
  }

  async merge(intoId, otherId) {
    const [label, other] = [this.bench.label(intoId), this.bench.label(otherId)];
    if (!label || !other) return;
    const { width, height } = this.bench.frame;
    const boxes = [label.bbox_xyxy, other.bbox_xyxy];
    const around = [Math.min(...boxes.map((box) => box[0])), Math.min(...boxes.map((box) => box[1])),
      Math.max(...boxes.map((box) => box[2])), Math.max(...boxes.map((box) => box[3]))];
    const plain = !label.mask && !other.mask;
    const mask = plain ? null
      : beside(outlineOf(label), outlineOf(other)) ?? await this.combined(label, outlineOf(other), "unite");
    if (!plain && !mask) return;
    this.bench.selection = label.id;
    this.bench.pushAll([
      { kind: "edit", annotation_id: label.id, bbox_xyxy: mask ? normalBox(maskBox(mask), width, height) : around,
        ...(mask ? { mask } : {}) },
      { kind: "delete_label", annotation_id: other.id },
    ], `${other.label} merged into ${label.label}`);
    this.say(`${other.label} merged into ${label.label}`);
  }

  // ---- handles ----------------------------------------------------------------------------------------------

  stepHandle(direction) {
    const label = this.chosen();
    if (!label) return;
    this.bench.handle = nextHandle(label, this.bench.handle, direction);
    const { side, ring, index } = this.bench.handle;
    const [x1, y1, x2, y2] = label.bbox_xyxy;
    const between = (low, high, less, more) => (side.includes(less) ? low : side.includes(more) ? high : (low + high) / 2);
    this.bench.canvas.reveal(side ? [between(x1, x2, "w", "e"), between(y1, y2, "n", "s")] : rings(label.mask)[ring][index]);
    this.say(side ? `Side ${side}: Ctrl+arrows move it` : `Point ${index + 1} of ring ${ring + 1}: Ctrl+arrows move it`);
    this.bench.draw();
  }

  // Moves the active handle, else the label.
  nudge([dx, dy]) {
    const label = this.chosen();
    if (!label) return;
    const { frame: { width, height }, handle } = this.bench;
    if (handle?.side) {
      const [x1, y1, x2, y2] = label.bbox_xyxy;
      const x = (handle.side.includes("w") ? x1 : x2) + dx;
      const y = (handle.side.includes("n") ? y1 : y2) + dy;
      this.fitted(label, resizeBox(label.bbox_xyxy, handle.side, x, y, width, height));
    } else if (handle && label.mask) {
      const mask = copyMask(label.mask);
      const point = rings(mask)[handle.ring]?.[handle.index];
      if (!point) return;
      point[0] = Math.min(width, Math.max(0, point[0] + dx));
      point[1] = Math.min(height, Math.max(0, point[1] + dy));
      this.masked(label, mask);
    } else {
      const moved = moveBox(label.bbox_xyxy, dx, dy, width, height);
      this.shaped(label, { bbox_xyxy: moved.box,
        ...(label.mask ? { mask: moveMask(label.mask, moved.dx, moved.dy) } : {}) });
    }
  }

  grow([dx, dy]) {
    const label = this.chosen();
    if (!label) return;
    const [x1, y1, x2, y2] = label.bbox_xyxy;
    this.fitted(label, normalBox([x1, y1, x2 + dx, y2 + dy], this.bench.frame.width, this.bench.frame.height));
  }

  fitted(label, box) {
    this.shaped(label, { bbox_xyxy: box,
      ...(label.mask ? { mask: scaleMask(label.mask, label.bbox_xyxy, box) } : {}) });
  }

  insertPoint() {
    const label = this.chosen();
    if (!label) return;
    if (!label.mask) {
      this.say("A box has no points: draw a polygon, or outline it (Click-to-mask).");
      return;
    }
    const { ring = 0, index = 0 } = this.bench.handle ?? {};
    const mask = copyMask(label.mask);
    const points = rings(mask)[ring] ?? rings(mask)[0];
    const [[ax, ay], [bx, by]] = [points[index % points.length], points[(index + 1) % points.length]];
    points.splice(index + 1, 0, [(ax + bx) / 2, (ay + by) / 2].map((value) => Math.round(value * 100) / 100));
    this.bench.handle = { ring, index: index + 1 };
    this.masked(label, mask);
  }

  removePoint(label, { ring, index }) {
    const mask = copyMask(label.mask);
    const points = rings(mask)[ring];
    if (!points?.[index]) return;
    this.bench.handle = null;
    if (points.length > 3) points.splice(index, 1);
    else dropRing(mask, ring);
    if (mask.polygons.length) this.masked(label, mask);
    else this.say("Three points are the least: delete the label instead.");
  }

  // The active point of an outline, when there is one: true when it is gone.
  removeActivePoint() {
    const { selected, handle } = this.bench;
    if (!selected?.mask || handle?.ring === undefined) return false;
    this.removePoint(selected, handle);
    return true;
  }

  // ---- class and flags --------------------------------------------------------------------------------------

  // On the issue's own label this is the verdict and goes on; on another label it is a free change.
  remove() {
    const { bench } = this;
    if (bench.tools.takeBack() || this.removeActivePoint()) return;
    const label = this.chosen();
    if (!label) return;
    if (label.id === bench.issue?.annotation_id && bench.decisions.give("delete_label", "label deleted")) {
      bench.advance();
      return;
    }
    bench.selection = null;
    bench.gap = bench.frame.labels.indexOf(label);
    bench.push({ kind: "delete_label", annotation_id: label.id }, `${label.label} deleted`);
  }

  classify(index) {
    const { bench } = this;
    const name = bench.data.classes[index]?.name;
    if (!name) return;
    bench.drawAs = name;
    const { selected } = bench;
    if (!selected) {
      this.say(`New labels: ${name}`);
      bench.panel.draw();
      return;
    }
    if (selected.label === name) return;
    if (selected.id === bench.issue?.annotation_id && bench.decisions.give("relabel", `now ${name}`,
      { label: name })) bench.advance();
    else bench.push({ kind: "relabel", annotation_id: selected.id, label: name }, `now ${name}`);
  }

  // With nothing selected, an ignore region is drawn.
  toggle(flag) {
    if (flag === "ignore" && !this.bench.selected) {
      this.bench.tools.use("polygon");
      this.ignoreNext = true;
      this.say("Draw around what is to be ignored; Enter closes it.");
      return;
    }
    const label = this.chosen();
    if (!label) return;
    this.bench.push({ kind: "edit", annotation_id: label.id, flags: { [flag]: !label[flag] } },
      `${flag}: ${label[flag] ? "off" : "on"}`);
  }

  // ---- over time --------------------------------------------------------------------------------------------

  copy() {
    const label = this.chosen();
    if (!label) return;
    this.clip = { label, frame: this.bench.frame.id };
    this.say(`Copied: ${label.label}`);
  }

  added(label, fields) {
    return { kind: "add", annotation_id: randomId(), label: label.label, bbox_xyxy: label.bbox_xyxy,
      ...(label.mask ? { mask: label.mask } : {}), ...flagsOf(label), ...fields };
  }

  // The track of a label; one without gets its first by the operation that comes along.
  track(label, frame) {
    if (label.track_id) return [label.track_id, []];
    const track = randomId().slice(0, 12);
    return [track, [{ kind: "edit", annotation_id: label.id, frame_id: frame, track_id: track }]];
  }

  // On another frame the copy is the same thing at another time: both belong to one track.
  paste() {
    const { bench, clip } = this;
    if (!clip || !bench.frame) {
      this.say("Nothing was copied yet.");
      return;
    }
    const source = bench.session.frame(clip.frame)?.labels.find((label) => label.id === clip.label.id);
    const known = bench.frame.labels.some((label) => label.track_id && label.track_id === source?.track_id);
    const [track, first] = source && clip.frame !== bench.frame.id && !known ? this.track(source, clip.frame) : [null, []];
    const fresh = this.added(source ?? clip.label, track ? { track_id: track } : {});
    bench.selection = fresh.annotation_id;
    bench.pushAll([...first, fresh], `${fresh.label} pasted`);
  }

  propagate() {
    const label = this.chosen();
    if (!label) return;
    const { frame } = this.bench;
    const [track, first] = this.track(label, frame.id);
    const there = (id) => this.bench.session.frame(id)?.labels.some((other) => other.track_id === track);
    const targets = frame.following.slice(0, this.ahead).filter((id) => !there(id));
    if (!targets.length) {
      this.say(frame.following.length ? "It is on these frames already." : "There is no later frame in this recording.");
      return;
    }
    this.bench.pushAll([...first, ...targets.map((id) => this.added(label, { frame_id: id, track_id: track }))],
      `${label.label} propagated to ${targets.length} frames`);
    this.say(`On the next ${targets.length} frames now. Ctrl+Z takes all of them back.`);
  }

  async carryOver() {
    await this.asked("parked", { source: this.bench.data.source }, ({ shapes }, frame) => {
      if (!shapes.length) return "Nothing of the last labelled frame stands still here unlabelled.";
      this.bench.pushAll(shapes.map((shape) => this.added(shape, { frame_id: frame,
        ...(shape.track_id ? { track_id: shape.track_id } : {}) })), `${shapes.length} carried over`);
      return `${shapes.length} carried over from the last labelled frame`;
    });
  }

  async interpolate() {
    const label = this.chosen();
    if (!label) return;
    await this.asked("interpolate", { label: label.id }, ({ shapes }) => {
      if (!shapes.length) return "There is no frame in between that lacks it.";
      this.bench.pushAll(shapes.map((shape) => this.added(shape, { frame_id: shape.frame_id, track_id: shape.track_id })),
        `${label.label} filled in on ${shapes.length} frames`);
      return `Filled in on ${shapes.length} frames`;
    });
  }

  // Asks the server, which must know all that was done here before.
  async asked(operation, fields, then) {
    const { bench } = this;
    const { frame } = bench;
    if (!frame) return;
    try {
      await bench.sync.settled();
      const answer = await bench.assist.ask(operation, frame, fields);
      this.say(then(answer, frame.id));
    } catch (error) {
      bench.toolbar.say(error.message, "bad");
    }
  }
}

function isBox({ polygons: [{ exterior, holes }, ...more] }) {
  const straight = exterior.every(([x, y], i) => {
    const [nx, ny] = exterior[(i + 1) % exterior.length];
    return x === nx || y === ny;
  });
  return !more.length && !holes && exterior.length === 4 && straight;
}

// A ring with three points goes as a whole: a hole alone, an outside with its part.
function dropRing(mask, number) {
  let place = 0;
  for (const polygon of mask.polygons) {
    const holes = polygon.holes ?? [];
    if (number === place) {
      mask.polygons = mask.polygons.filter((other) => other !== polygon);
      return;
    }
    if (number <= place + holes.length) {
      polygon.holes = holes.filter((_, index) => index !== number - place - 1);
      return;
    }
    place += 1 + holes.length;
  }
}
