// Somebody else was there first: what the server refused for that is kept here, with both versions, until the
// reviewer has chosen. It outlives a reload of the page.

import { randomId } from "./dom.js";
import { overlap, path, sameBox } from "./geometry.js";
import { reduce } from "./reduce.js";

const APART = 0.9; // IoU below which two shapes may be two things
const FLAGS = ["occluded", "difficult", "ignore"];

// What both versions are compared by. `same` is asked of two labels, `take` gives the fields of an edit.
const PARTS = [
  { name: "class", same: (a, b) => a.label === b.label, take: ({ label }) => ({ label }) },
  { name: "shape", same: (a, b) => sameBox(a.bbox_xyxy, b.bbox_xyxy) && outline(a) === outline(b),
    take: ({ bbox_xyxy, mask }, other) => ({ bbox_xyxy, ...maskFor(mask, other) }) },
  ...FLAGS.map((flag) => ({ name: flag, same: (a, b) => Boolean(a[flag]) === Boolean(b[flag]),
    take: (label) => ({ flags: { [flag]: Boolean(label[flag]) } }) })),
  { name: "track", same: (a, b) => (a.track_id ?? null) === (b.track_id ?? null),
    take: ({ track_id: track }) => (track ? { track_id: track } : {}) },
];

const outline = ({ mask }) => (mask ? path(mask) : "");
const maskFor = (mask, other) => (mask ? { mask } : other?.mask ? { mask: { polygons: [] } } : {});
const subjectOf = (operation) => operation.annotation_id ?? operation.target ?? null;

export const partsThatDiffer = (a, b) => PARTS.filter((part) => !part.same(a, b)).map((part) => part.name);

// The fields of an edit that makes of `other` what `label` is, in the parts named.
function fieldsOf(label, other, names) {
  const taken = PARTS.filter((part) => names.includes(part.name)).map((part) => part.take(label, other));
  const flags = Object.assign({}, ...taken.map((fields) => fields.flags));
  const { flags: _, ...fields } = Object.assign({}, ...taken);
  return Object.keys(flags).length ? { ...fields, flags } : fields;
}

const whole = (label) => ({ label: label.label, bbox_xyxy: label.bbox_xyxy,
  ...(label.mask ? { mask: label.mask } : {}),
  ...(FLAGS.some((flag) => label[flag]) ? { flags: Object.fromEntries(FLAGS.filter((flag) => label[flag]).map((flag) => [flag, true])) } : {}) });

// An operation as if it had just been made.
function anew({ n, id, batch, follows, expected_revision, ...operation }) {
  return operation;
}

// The operations of the refused ones that concern the thing itself; others came along in the same action.
export function isOwn(conflict, operation) {
  if (conflict.kind === "held") return true;
  if (conflict.issue_id && operation.issue_id === conflict.issue_id) return true;
  return subjectOf(operation) !== null && subjectOf(operation) === conflict.subject;
}

const ownOf = (conflict) => conflict.operations.filter((operation) => isOwn(conflict, operation));

// The reviewer's version: the label, or null where it is deleted or never was, and whether the frame is left out.
export function mine(conflict) {
  const [first] = ownOf(conflict);
  const start = conflict.seen ?? (first.kind === "add" || !subjectOf(first) ? null : conflict.theirs);
  const frame = { id: conflict.frame_id, excluded: false, labels: start ? [start] : [] };
  const { labels, excluded } = ownOf(conflict).reduce(reduce, frame);
  return { label: labels[0] ?? null, excluded };
}

const leftOut = (conflict) => conflict.kind === "issue" && conflict.verdict === "exclude_frame";

function agrees(conflict) {
  const own = mine(conflict);
  if (conflict.operations.some((operation) => !isOwn(conflict, operation)) || own.excluded !== leftOut(conflict)) return false;
  if (!own.label || !conflict.theirs) return !own.label && !conflict.theirs;
  return !partsThatDiffer(own.label, conflict.theirs).length;
}

// ---- the ways out: [{name, text, operations}] -----------------------------------------------------------------

export function choices(conflict) {
  if (conflict.kind === "held") {
    return [{ name: "again", text: "Try mine again", operations: conflict.operations.map(anew) },
      { name: "theirs", text: "Drop mine", operations: [] }];
  }
  const own = mine(conflict);
  const others = conflict.operations.filter((operation) => !isOwn(conflict, operation)).map(anew);
  const add = (label) => ({ kind: "add", annotation_id: randomId(), ...whole(label) });
  const ways = [
    { name: "theirs", text: theirsText(conflict), operations: [] },
    { name: "mine", text: mineText(own), operations: [...overTheirs(conflict, own, add), ...others] },
  ];
  const { seen, theirs } = conflict;
  if (own.label && theirs) {
    const [my, their] = seen ? [partsThatDiffer(own.label, seen), partsThatDiffer(theirs, seen)] : [[], []];
    if (my.length && their.length && !my.some((name) => their.includes(name))) {
      ways.push({ name: "merged", text: `Both changes: your ${my.join(", ")}, their ${their.join(", ")}`,
        operations: [edited(conflict, fieldsOf(own.label, theirs, my)), ...others] });
    }
    if (overlap(own.label.bbox_xyxy, theirs.bbox_xyxy) < APART) {
      ways.push({ name: "two", text: "Keep both, as two labels", operations: [add(own.label), ...others] });
    }
  }
  return ways;
}

const theirsText = ({ by, theirs, verdict }) =>
  `Take ${by}'s${theirs || verdict === "keep" ? "" : verdict === "exclude_frame" ? ": leave the frame out" : ": no label"}`;

const mineText = ({ label, excluded }) => `Keep mine${excluded ? ": leave the frame out" : label ? "" : ": no label"}`;

const edited = (conflict, fields) =>
  ({ kind: "edit", annotation_id: conflict.theirs.id, expected_revision: conflict.revision, ...fields });

// My version in the place of theirs.
function overTheirs(conflict, own, add) {
  const { theirs, seen, undoes, frame_id } = conflict;
  if (undoes) {
    const back = { kind: "undo", undoes, frame_id, restoreExcluded: false,
      restore: seen ? [{ id: seen.id, label: seen }] : theirs ? [{ id: theirs.id, label: null }] : [] };
    return [back, verdictAgain(conflict, own, seen)];
  }
  if (!own.label) return theirs ? [{ kind: "delete_label", annotation_id: theirs.id, expected_revision: conflict.revision }] : [];
  if (!theirs) return [add(own.label)];
  const names = partsThatDiffer(own.label, theirs);
  return names.length ? [edited(conflict, fieldsOf(own.label, theirs, names))] : [];
}

// The refused verdict once more; what was changed after it is in it.
function verdictAgain(conflict, own, seen) {
  const [first, ...later] = ownOf(conflict);
  const expected = seen ? { expected_revision: seen.revision } : {};
  const { group, group_id, ...verdict } = anew(first);
  if (!later.length || !own.label) return { ...verdict, ...expected, ...(later.length ? { kind: "delete_label" } : {}) };
  const kind = seen ? "edit" : "add";
  return { ...verdict, ...expected, kind, ...whole(own.label), ...(own.label.mask ? {} : maskFor(null, seen)) };
}

// ---- the list -------------------------------------------------------------------------------------------------

export class Conflicts {
  constructor(bench) {
    this.bench = bench;
    this.storage = `crossguard:conflicts:${bench.data.project}:${bench.data.reviewer}`;
    this.shown = null;
    this.wantsFocus = false; // the keyboard goes to the choices as soon as they are there
    this.list = [];
    try {
      this.list = JSON.parse(sessionStorage.getItem(this.storage) ?? "[]");
    } catch {
      // Forbidden or damaged: it begins empty.
    }
  }

  save() {
    try {
      if (this.list.length) sessionStorage.setItem(this.storage, JSON.stringify(this.list));
      else sessionStorage.removeItem(this.storage);
    } catch {
      // Storage may be full or forbidden; then they last as long as the page.
    }
  }

  // What the server refused, while the outbox still holds it.
  receive(refused) {
    if (!refused.length) return;
    const { pending } = this.bench.session;
    const known = new Map(pending.map((operation) => [operation.id, operation]));
    const size = this.list.length;
    for (const entry of refused) {
      const operation = known.get(entry.id);
      if (!operation || (!entry.conflict && !entry.follows)) continue;
      const { batch } = operation;
      this.meet(entry, batch ? pending.filter((other) => other.batch === batch) : [operation]);
    }
    this.save();
    if (this.list.length > size) this.arrived(this.list.at(-1));
  }

  meet({ conflict, follows }, operations) {
    if (follows) {
      this.list.find((other) => other.operations.some((operation) => operation.id === follows))?.operations.push(...operations);
      return;
    }
    const cause = operations.find((operation) => operation.issue_id) ?? operations[0];
    const issue = conflict.kind === "label" ? null : cause.issue_id;
    const subject = conflict.label_id ?? subjectOf(cause);
    const found = this.list.find((other) => other.kind === conflict.kind && other.subject === subject && other.issue_id === issue);
    if (found) {
      const { by, at, words, theirs, revision, undoes, verdict } = conflict;
      Object.assign(found, { by, at, words, theirs, revision, undoes, verdict });
      found.operations.push(...operations);
      return;
    }
    const met = { seen: null, ...conflict, id: randomId(), issue_id: issue, subject,
      // The added label of a missing-label issue is no version of what somebody else added.
      ...(cause.kind === "add" && conflict.kind === "issue" ? { subject: cause.annotation_id } : {}),
      item: cause.item ?? null, frame_id: cause.frame_id, operations };
    if (cause.kind === "skip" || (conflict.kind !== "held" && agrees(met))) {
      this.bench.toolbar.say(`${conflict.by} was faster and came to the same: ${conflict.words ?? "skipped"}.`);
    } else this.list.push(met);
  }

  knows(operationId) {
    return this.list.some((conflict) => conflict.operations.some((operation) => operation.id === operationId));
  }

  // Shown at once where it happened, unless something is being drawn.
  arrived(conflict) {
    if (this.isHere(conflict) && !this.bench.tools.busy) this.shown = conflict;
    this.bench.toolbar.say(`Not saved: ${conflict.by} was there first. Yours is kept until you choose.`, "bad");
  }

  isHere(conflict) {
    const { item, data } = this.bench;
    if (!item) return false;
    return data.mode === "queue" ? item.key === conflict.item : item.frame_id === conflict.frame_id;
  }

  // Another item is on the screen.
  opened() {
    if (this.shown && !this.isHere(this.shown)) this.shown = null;
    this.shown ??= this.list.find((conflict) => this.isHere(conflict)) ?? null;
  }

  // Whether a label waits for a choice: until then it is not changed any more.
  holds(labelId) {
    const waits = this.list.some((conflict) => conflict.kind !== "held" && conflict.subject === labelId);
    if (waits) this.bench.toolbar.say(`Somebody changed this label too: choose first (${this.bench.bindings.hint("conflict")}).`, "bad");
    return waits;
  }

  // Goes to one that waits, the next one when one is shown.
  look() {
    if (!this.list.length) return this.bench.toolbar.say("Nothing waits for your choice.");
    const next = this.list[(this.list.indexOf(this.shown) + 1) % this.list.length];
    this.shown = next;
    this.wantsFocus = true;
    if (this.isHere(next)) {
      this.bench.zoomPlace();
      this.bench.refresh();
      return null;
    }
    const key = this.bench.data.mode === "queue" ? next.item ?? next.frame_id : next.frame_id;
    next.item = key;
    this.bench.items.visit({ key, frame_id: next.frame_id, issue: null });
    this.bench.open();
    return null;
  }

  later() {
    this.shown = null;
    this.bench.refresh();
  }

  choose(name) {
    const { bench, shown } = this;
    const way = choices(shown).find((entry) => entry.name === name);
    if (!way) return;
    this.list = this.list.filter((conflict) => conflict !== shown);
    this.shown = null;
    this.save();
    const operations = way.operations.map((operation) => ({ frame_id: shown.frame_id, item: shown.item, ...operation }));
    if (operations.length) bench.pushAll(operations, `${shown.by}'s and mine: ${way.text.toLowerCase()}`);
    bench.toolbar.say(operations.length ? `${way.text}. ${bench.bindings.hint("undo")} takes it back.` : `${way.text}: done.`);
    if (this.list.some((conflict) => this.isHere(conflict))) this.opened();
    else if (bench.data.mode === "queue" && shown.issue_id && bench.issue?.id === shown.issue_id) {
      bench.advance();
      return;
    }
    bench.refresh();
  }
}
