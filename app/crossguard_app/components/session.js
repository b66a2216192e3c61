// What is on the screen and what the server does not know yet. Every change is a numbered operation in an outbox
// that stays (also over a reload of the page) until the server has stored it and acknowledged its number.

import { randomId } from "./dom.js";
import { Outbox } from "./outbox.js";
import { difference, reduce } from "./reduce.js";

const LOCAL = ["restore", "restoreExcluded", "proposal", "target", "text", "closes", "group_id", "item"];
const DELIVERY = 100; // operations sent at a time
const KEEP_FRAMES = 200;

// The revision that the server told, and the change of this page that stands on it by now.
const seen = ({ told, revision, last }) => ({ expected_revision: told ?? revision, ...(last ? { follows: last } : {}) });

const wire = (operation) =>
  Object.fromEntries(Object.entries(operation).filter(([key]) => !LOCAL.includes(key)));

export class Session {
  // What one person left undelivered is never sent in another's name: the outbox is kept by person.
  constructor(project, reviewer, onchange) {
    this.client = randomId();
    this.kept = new Outbox(`crossguard:outbox:${project}:${reviewer}`);
    this.onchange = onchange;
    this.number = 0;
    this.ack = 0;
    this.pending = [];
    this.done = []; // what Ctrl+Z takes back, newest last
    this.redoable = [];
    this.base = new Map();
    this.views = new Map();
    this.adopt();
  }

  // Operations that an earlier page of this tab could not deliver. They keep their decision ids, so that one
  // that did arrive is not applied twice.
  adopt() {
    for (const { slot, operations } of this.kept.adopt()) {
      for (const operation of operations) this.pending.push({ ...operation, n: ++this.number });
      this.kept.keep(slot, this.number);
    }
  }

  // The oldest operations that wait, never a part of a batch: after an outage there may be thousands.
  outbox() {
    let end = Math.min(DELIVERY, this.pending.length);
    const { batch } = this.pending[end - 1] ?? {};
    while (batch && this.pending[end]?.batch === batch) end += 1;
    return { client: this.client, operations: this.pending.slice(0, end).map(wire), known: this.ack };
  }

  // The server's word: frames as stored after it applied everything up to `ack`, and the ids of what it refused.
  receive(frames, acks, refused) {
    const ack = acks.client === this.client ? acks.sequence : 0;
    if (ack > this.ack) {
      this.ack = ack;
      const gone = new Set(refused);
      const until = this.pending.findIndex((operation) => operation.n > ack);
      const settled = this.pending.splice(0, until < 0 ? this.pending.length : until);
      for (const operation of settled) if (!gone.has(operation.id)) this.commit(operation);
      this.kept.settle(ack);
    }
    // A frame read before the server applied what is acknowledged by now would take the screen back in time.
    if (ack >= this.ack) {
      for (const frame of Object.values(frames)) {
        this.base.delete(frame.id);
        this.base.set(frame.id, frame);
      }
    } else {
      for (const frame of Object.values(frames)) if (!this.base.has(frame.id)) this.base.set(frame.id, frame);
    }
    while (this.base.size > KEEP_FRAMES) this.base.delete(this.base.keys().next().value);
    this.views.clear();
  }

  commit(operation) {
    const frame = this.base.get(operation.frame_id);
    if (frame) this.base.set(frame.id, { ...reduce(frame, operation), guessed: true });
  }

  frame(id) {
    if (!this.views.has(id)) {
      const base = this.base.get(id);
      this.views.set(id, base && this.pending.reduce(reduce, base));
    }
    return this.views.get(id);
  }

  push(operation) {
    return this.pushAll([operation])[0];
  }

  // What one action changes, maybe on several frames: stored whole or not at all, undone as one.
  // `home` is the frame on the stage: undo leads back there.
  pushAll(operations, text = operations[0].text, home = operations[0].frame_id) {
    const batch = operations.length > 1 ? { batch: randomId() } : {};
    const entries = operations.map((operation) => this.enter({ ...operation, ...batch }));
    this.done.push({ text, home, operation: entries[0].operation, entries });
    this.redoable = [];
    this.kept.add(entries.map((entry) => entry.operation));
    this.onchange();
    return entries.map((entry) => entry.operation);
  }

  enter(operation) {
    const before = this.frame(operation.frame_id);
    const target = operation.annotation_id ?? operation.target;
    const label = before?.labels.find((entry) => entry.id === target);
    const complete = this.queue({ ...operation, id: operation.id ?? randomId(),
      // What the reviewer saw: if somebody else changed it since, the server refuses.
      ...(label && operation.expected_revision === undefined ? seen(label) : {}) });
    const after = this.frame(operation.frame_id);
    return { operation: complete, last: complete.id,
      back: before && after ? difference(before, after) : {},
      forth: before && after ? difference(after, before) : {} };
  }

  queue(operation) {
    const complete = { ...operation, n: ++this.number };
    this.pending.push(complete);
    const view = this.views.get(operation.frame_id);
    if (view) this.views.set(operation.frame_id, reduce(view, complete));
    return complete;
  }

  undo() {
    return this.turn(this.done, this.redoable, "back");
  }

  // The undo of an undo.
  redo() {
    return this.turn(this.redoable, this.done, "forth");
  }

  turn(from, to, direction) {
    const step = from.pop();
    if (!step) return null;
    const batch = step.entries.length > 1 ? { batch: randomId() } : {};
    const turned = new Map();
    for (const entry of direction === "back" ? [...step.entries].reverse() : step.entries) {
      turned.set(entry, this.queue({ ...this.turned(entry, direction), ...batch }));
    }
    to.push({ ...step, entries: step.entries.map((entry) => ({ ...entry, last: turned.get(entry).id })) });
    this.kept.add([...turned.values()]);
    this.onchange();
    return step;
  }

  turned({ operation, last, ...ways }, direction) {
    const { frame_id, source } = operation;
    // That somebody looked is no decision: its opposite takes it back.
    if (operation.kind === "seen") {
      return { kind: direction === "back" ? "unseen" : "seen", id: randomId(), frame_id, source };
    }
    return { kind: "undo", id: randomId(), undoes: last, frame_id, ...ways[direction] };
  }

  // Undo of something that another page decided, by default the reviewer's last; only the server knows it.
  undoEarlier(decisionId = null) {
    this.kept.add([this.queue({ kind: "undo", id: randomId(), frame_id: "", undoes: decisionId })]);
    this.onchange();
  }

  // A refused operation is gone for good: nothing may refer to it.
  refuse(ids) {
    const gone = new Set(ids);
    const stands = (step) => !step.entries.some((entry) => gone.has(entry.last));
    this.done = this.done.filter(stands);
    this.redoable = this.redoable.filter(stands);
  }
}
