// What another source says about the frame, over its labels: a detector, a trained run, other labels. Each shape
// can be accepted alone, or all that are sure enough.

import { randomId } from "./dom.js";
import { overlap } from "./geometry.js";
import { Outlines } from "./outlines.js";

const SAME = 0.7; // IoU from which on a shape says what a label of its class says already
const KEEP = 40;

export class Layers {
  constructor(bench) {
    this.bench = bench;
    this.storage = `crossguard:layer:${bench.data.project}`;
    this.shown = false;
    this.key = null;
    this.least = 0.3;
    this.marked = null;
    this.state = "";
    this.shapes = new Map(); // "frame layer" -> shapes as they came
    this.outlines = new Outlines(bench);
    this.taken = new WeakSet(); // accepted, and being outlined
    try {
      Object.assign(this, JSON.parse(localStorage.getItem(this.storage) ?? "{}"));
    } catch {
      // Forbidden or damaged: the beginning serves.
    }
    // Frames chosen to be labelled come with what a detector sees on them.
    this.shown ||= Boolean(bench.data.suggest);
  }

  get choices() {
    return this.bench.data.layers;
  }

  // The chosen layer, while there is one of that name.
  get choice() {
    return this.choices.find((entry) => entry.key === this.key) ?? this.choices[0] ?? null;
  }

  save() {
    try {
      localStorage.setItem(this.storage, JSON.stringify({ shown: this.shown, key: this.key, least: this.least }));
    } catch {
      // Then it is as at first on the next visit.
    }
  }

  change(fields) {
    Object.assign(this, fields);
    this.marked = null;
    this.save();
    this.load();
    this.bench.refresh();
  }

  toggle() {
    this.change({ shown: !this.shown });
    this.bench.toolbar.say(this.shown ? `Shown: ${this.choice?.name ?? "nothing"}` : "Suggestions hidden");
  }

  threshold(value) {
    this.change({ least: Math.min(0.95, Math.max(0.05, Math.round(value * 100) / 100)), shown: true });
    this.bench.toolbar.say(`Suggestions from ${Math.round(this.least * 100)} % on`);
  }

  // Fetches the layer of the frame on the stage, unless it is here.
  async load() {
    const { frame } = this.bench;
    const { choice } = this;
    if (!this.shown || !choice || !frame) return;
    const key = `${frame.id} ${choice.key}`;
    const here = () => this.bench.frame?.id === frame.id && this.choice?.key === choice.key;
    const outline = () => this.outlines.soon(frame, choice, () => (here() ? this.visible() : []));
    if (this.shapes.has(key)) {
      outline();
      return;
    }
    this.shapes.set(key, []);
    this.state = "loading";
    try {
      const { shapes } = await this.bench.assist.ask(...request(choice, frame));
      this.shapes.set(key, shapes.map((shape, index) => ({ ...shape, key: String(index) })));
      this.state = "";
    } catch (error) {
      this.shapes.delete(key);
      this.state = error.message;
    }
    while (this.shapes.size > KEEP) this.shapes.delete(this.shapes.keys().next().value);
    if (this.bench.frame?.id !== frame.id) return;
    outline();
    this.bench.refresh();
  }

  // What is sure enough and not labelled already.
  visible() {
    const { frame } = this.bench;
    if (!this.shown || !frame || !this.choice) return [];
    const all = this.shapes.get(`${frame.id} ${this.choice.key}`) ?? [];
    return all.filter((shape) => (shape.score ?? 1) >= this.least && !this.taken.has(shape) && !frame.labels.some((label) =>
      label.label === shape.label && overlap(label.bbox_xyxy, shape.bbox_xyxy) >= SAME));
  }

  mark(key) {
    this.marked = key;
    if (key !== null) this.bench.selection = null;
    this.bench.refresh();
  }

  step(direction) {
    const shapes = this.visible();
    if (!shapes.length) {
      this.bench.toolbar.say(this.shown ? "There is no suggestion here." : "Show suggestions first (L).");
      return;
    }
    const at = shapes.findIndex((shape) => shape.key === this.marked);
    const start = at < 0 && direction < 0 ? 0 : at;
    const next = shapes[(start + direction + shapes.length) % shapes.length];
    this.mark(next.key);
    this.bench.canvas.reveal([(next.bbox_xyxy[0] + next.bbox_xyxy[2]) / 2, (next.bbox_xyxy[1] + next.bbox_xyxy[3]) / 2]);
    this.bench.toolbar.say(`Suggestion: ${next.label}`);
  }

  accept() {
    const shape = this.visible().find((entry) => entry.key === this.marked);
    if (shape) this.take([shape]);
    else this.step(1);
  }

  acceptAll() {
    this.take(this.visible());
  }

  // Accepts shapes of the frame on the stage; those that lack an outline get one first.
  async take(shapes) {
    const { bench, choice } = this;
    const { frame, item } = bench;
    const known = shapes.filter((shape) => bench.data.classes.some((entry) => entry.name === shape.label));
    if (!known.length) {
      bench.toolbar.say("There is no suggestion to accept.");
      return;
    }
    this.marked = null;
    const text = known.length === 1 ? `${known[0].label} accepted` : `${known.length} suggestions accepted`;
    const trouble = await this.outlined(frame, choice, known);
    const operations = known.map((shape) => ({ kind: "add", annotation_id: randomId(), frame_id: frame.id, item: item.key,
      label: shape.label, bbox_xyxy: shape.bbox_xyxy, ...(shape.mask ? { mask: shape.mask } : {}) }));
    if (operations.length === 1 && bench.frame?.id === frame.id) bench.selection = operations[0].annotation_id;
    bench.pushAll(operations, text, frame.id);
    bench.toolbar.say(trouble ? `${text}, as boxes: ${trouble}` : text, trouble ? "bad" : "");
  }

  // What went wrong, in words, or "".
  async outlined(frame, choice, shapes) {
    const { bench } = this;
    const bare = shapes.filter((shape) => this.outlines.missing(choice, shape));
    if (!bare.length) return "";
    for (const shape of shapes) this.taken.add(shape);
    bench.toolbar.say(`Outlining ${bare.length === 1 ? bare[0].label : `${bare.length} suggestions`} …`);
    bench.refresh();
    try {
      await this.outlines.fetch(frame, choice, bare);
      return "";
    } catch (error) {
      return error.message;
    } finally {
      for (const shape of shapes) this.taken.delete(shape);
    }
  }
}

function request(choice, frame) {
  const [kind, name] = [choice.key.slice(0, choice.key.indexOf(":")), choice.key.slice(choice.key.indexOf(":") + 1)];
  return kind === "run" ? ["detect", frame, { run: name }] : ["layer", frame, { source: name }];
}
