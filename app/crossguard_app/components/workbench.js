// The controller: items to go through, the frame on the stage, what the keys and buttons do.

import { Assist } from "./assist.js";
import { Canvas } from "./canvas.js";
import { commands } from "./commands.js";
import { Conflicts } from "./conflicts.js";
import { ConflictView } from "./conflict_view.js";
import { Decisions } from "./decisions.js";
import { h } from "./dom.js";
import { Edits } from "./edits.js";
import { Help } from "./help.js";
import { prefetch } from "./images.js";
import { Items } from "./items.js";
import { bindKeys } from "./input.js";
import { Bindings } from "./keys.js";
import { Layers } from "./layers.js";
import { Light } from "./light.js";
import { Panel } from "./panel.js";
import { QueueParts } from "./queue_parts.js";
import { Rail } from "./rail.js";
import { Renderer } from "./render.js";
import { Rewind } from "./rewind.js";
import { Session } from "./session.js";
import { Sync } from "./sync.js";
import { Toolbar } from "./toolbar.js";
import { Tools } from "./tools.js";

const ITEM_MARK = "crossguard-item";

export class Workbench {
  constructor(data) {
    this.data = data;
    this.selection = null;
    this.gap = null; // place of a label that was deleted: Tab goes on from there
    this.handle = null; // of the selected label, for the keyboard: {side} or {ring, index}
    this.hidden = false;
    this.bindings = new Bindings(data.reviewer);
    this.session = new Session(data.project, data.reviewer, () => this.changed());
    this.items = new Items();
    this.canvas = new Canvas(() => this.viewed());
    this.renderer = new Renderer(this.canvas);
    this.assist = new Assist(this, (state, text) => this.canvas.say(state, text));
    this.edits = new Edits(this);
    this.decisions = new Decisions(this);
    this.rewind = new Rewind(this);
    this.layers = new Layers(this);
    this.light = new Light(this);
    this.tools = new Tools(this.canvas, this.renderer, this.toolHost());
    this.run = commands(this);
    this.toolbar = new Toolbar(this);
    this.rail = new Rail(this);
    this.panel = new Panel(this);
    this.sync = new Sync(this);
    this.queue = new QueueParts(this);
    this.conflicts = new Conflicts(this);
    this.conflictView = new ConflictView(this);
    this.root = h("div", { class: "workbench", "data-mode": data.mode, "data-reviewer": data.reviewer },
      this.queue.bar.root, this.toolbar.root,
      h("div", { class: "main" }, this.rail.root, this.canvas.root, this.panel.root), this.queue.strip.root);
  }

  attach(parent) {
    parent.append(this.root);
    this.unbind = bindKeys(this);
    this.canvas.root.focus({ preventScroll: true });
  }

  detach() {
    this.unbind();
    this.root.remove();
  }

  destroy() {
    this.sync.stop();
    this.queue.destroy();
    this.canvas.destroy();
  }

  // ---- what Python says -------------------------------------------------------------------------------------

  receive(data) {
    if (data.reviewer !== this.data.reviewer) {
      this.bindings = new Bindings(data.reviewer);
      this.toolbar.relabel();
      this.root.dataset.reviewer = data.reviewer;
    }
    this.data = data;
    this.root.toggleAttribute("data-readonly", data.readonly);
    const refused = data.refused.map((entry) => entry.id);
    this.conflicts.receive(data.refused);
    this.session.receive(data.frames, data.acks, refused);
    this.session.refuse(refused);
    const before = this.items.current?.key;
    this.items.receive(data, (item) => this.closed(item));
    this.sync.received(data);
    this.queue.changed();
    if (this.items.current?.key === before && this.shownFrame === this.items.current?.frame_id) this.refresh();
    else this.open();
  }

  // Decided here, whether or not the server knows it yet.
  closed(item) {
    const frame = this.session.frame(item.frame_id);
    const subject = item.issue?.annotation_id;
    if (item.issue && frame?.excluded) return true;
    if (subject && frame && !frame.labels.some((label) => label.id === subject)) return true;
    return this.session.done.some(({ operation }) =>
      operation.closes && (operation.closes === item.issue?.id
        || (operation.group && operation.group_id === item.issue?.group_id)));
  }

  // ---- where we are -----------------------------------------------------------------------------------------

  get item() {
    return this.items.current;
  }

  get issue() {
    return this.item?.issue ?? null;
  }

  get frame() {
    return this.item ? this.session.frame(this.item.frame_id) : undefined;
  }

  label(id) {
    return this.frame?.labels.find((label) => label.id === id);
  }

  get selected() {
    return this.label(this.selection);
  }

  // The frame of the current item, with the issue's label selected and its place in view.
  async open() {
    const { item } = this;
    this.tools.use("select");
    this.selection = item?.issue?.annotation_id ?? item?.select ?? null;
    this.handle = null;
    this.gap = null;
    this.layers.marked = null;
    this.sync.moved();
    this.queue.opened();
    this.conflicts.opened();
    this.panel.draw();
    this.toolbar.draw();
    const frame = this.frame;
    this.root.toggleAttribute("data-empty", !frame);
    if (!frame) {
      this.shownFrame = null;
      return;
    }
    if (!(await this.canvas.show(frame)) || this.item !== item) return;
    this.shownFrame = frame.id;
    if (this.place()) this.canvas.zoomTo(this.place());
    else this.canvas.fit();
    this.draw();
    this.root.dataset.frame = frame.id;
    this.root.dataset.item = item.key;
    // What `curate bench ui` and a browser's own profiler go by.
    performance.clearMarks(ITEM_MARK);
    performance.mark(ITEM_MARK, { detail: item.key });
    this.layers.load();
    this.light.moved();
    this.assist.moved();
    prefetch(this.items.ahead(2).map((next) => this.session.frame(next.frame_id)?.url).filter(Boolean));
  }

  place() {
    return this.conflictView.place() ?? this.issue?.bbox_xyxy ?? this.selected?.bbox_xyxy ?? null;
  }

  refresh() {
    this.draw();
    this.panel.draw();
    this.toolbar.draw();
    this.rail.draw();
  }

  // Only the view moved: nothing is built anew.
  viewed() {
    this.renderer.rescale(this.canvas.scale);
    this.toolbar?.drawScale();
  }

  changed() {
    this.sync.changed();
    this.queue.changed();
    this.refresh();
  }

  draw() {
    const { frame, issue } = this;
    this.conflictView.draw();
    if (!frame || this.canvas.shown !== frame.url) return;
    const versions = this.conflictView.versions();
    const open = issue && !versions && !this.decisions.on(issue.id);
    const proposal = open && issue.proposal?.bbox_xyxy ? issue.proposal : null;
    this.renderer.draw({
      frame, proposal, versions, scale: this.canvas.scale, hidden: this.hidden,
      selected: versions ? null : this.selection,
      subject: issue?.annotation_id, place: issue?.bbox_xyxy,
      fate: open ? issue.proposal.kind : null,
      rename: open && issue.proposal.kind === "relabel" ? issue.proposal.label : null,
      handle: this.handle, ghosts: this.layers.visible(), marked: this.layers.marked,
      colors: (name) => this.color(name),
    });
  }

  color(name) {
    return this.data.classes.find((entry) => entry.name === name)?.color ?? "#9aa4b2";
  }

  select(id) {
    this.selection = id;
    if (id !== null) this.gap = null;
    this.handle = null;
    this.layers.marked = null;
    this.refresh();
    const { selected, frame } = this;
    if (!selected) return;
    const place = frame.labels.indexOf(selected) + 1;
    this.canvas.describe(`${selected.label}, ${this.panel.notes(selected)}, ${place} of ${frame.labels.length}`);
  }

  // ---- moving on --------------------------------------------------------------------------------------------

  step(direction) {
    if (this.items.step(direction, (item) => this.closed(item))) this.open();
    else this.toolbar.say(direction > 0 ? "That was the last one here." : "This is the first one.");
  }

  advance() {
    if (this.data.mode !== "queue") return;
    if (!this.items.step(1, (item) => this.closed(item))) this.items.end();
    // Now, not when the server has answered: the next issue and its picture are here already.
    this.open();
  }

  // ---- changes --------------------------------------------------------------------------------------------

  push(operation, text) {
    return this.pushAll([operation], text)[0];
  }

  // `home`: the frame to which undo leads back, by default the one on the stage.
  pushAll(operations, text, home = this.frame.id) {
    if (this.data.readonly) {
      this.lookOnly();
      return [];
    }
    const shared = { frame_id: home, source: this.data.source, item: this.item?.key, text };
    const pushed = this.session.pushAll(operations.map((operation) => ({ ...shared, ...operation })), text, home);
    this.toolbar.say(`${text[0].toUpperCase()}${text.slice(1)}. ${this.bindings.hint("undo")} takes it back.`);
    return pushed;
  }

  toolHost() {
    const { edits } = this;
    return {
      frame: () => this.frame,
      label: (id) => this.label(id),
      selected: () => this.selection,
      select: (id) => this.select(id),
      mark: (key) => this.layers.mark(key),
      takeHandle: (handle) => { this.handle = handle; },
      color: (label) => this.color(label?.label ?? this.drawAs ?? this.data.classes[0].name),
      say: (text, kind) => this.toolbar.say(text, kind),
      assist: this.assist,
      toolChanged: () => {
        if (this.tools.tool !== "select") edits.ignoreNext = false;
        this.rail?.draw();
      },
      shaped: (label, shape) => edits.shaped(label, shape),
      drawn: (shape) => edits.drawn(shape),
      ring: (points) => edits.ring(points),
      removePoint: (label, handle) => edits.removePoint(label, handle),
      split: (from, to) => edits.split(from, to),
      merge: (into, other) => edits.merge(into, other),
    };
  }

  cycle(direction) {
    const labels = this.frame?.labels ?? [];
    if (!labels.length) return;
    const index = labels.findIndex((label) => label.id === this.selection);
    let start = index;
    if (index < 0 && this.gap !== null) start = direction > 0 ? this.gap - 1 : this.gap;
    else if (index < 0 && direction < 0) start = 0;
    const next = labels[(start + direction + labels.length) % labels.length];
    const [x1, y1, x2, y2] = next.bbox_xyxy;
    this.select(next.id);
    this.canvas.reveal([(x1 + x2) / 2, (y1 + y2) / 2]);
  }

  // The server would refuse it; so it is not even tried, and what was dragged is drawn as it was.
  lookOnly() {
    this.refresh();
    this.toolbar.say("Your role is to look: nothing was changed. An owner can make you a reviewer.");
  }

  // Out of the picture, where Tab means the labels, to where it means the buttons; and back.
  toButtons() {
    const onStage = this.canvas.root.getRootNode().activeElement === this.canvas.root;
    const button = onStage && this.panel.root.querySelector("button:not(:disabled)");
    (button || this.canvas.root).focus({ preventScroll: true });
  }

  // To the list that led here, when all that was done is stored.
  async toList() {
    if (!this.data.leaves) return;
    try {
      await this.sync.settled();
      this.leave();
    } catch (error) {
      this.toolbar.say(error.message, "bad");
    }
  }

  zoomPlace() {
    const box = this.conflictView.place() ?? this.selected?.bbox_xyxy ?? this.place();
    if (box) this.canvas.zoomTo(box);
  }

  toggleHidden() {
    this.hidden = !this.hidden;
    this.refresh();
  }

  help() {
    if (this.overlay) {
      this.overlay.root.remove();
      this.overlay = null;
      this.canvas.root.focus({ preventScroll: true });
      return;
    }
    this.overlay = new Help(this);
    this.root.append(this.overlay.root);
    this.overlay.root.querySelector('[data-action="close-help"]').focus({ preventScroll: true });
  }
}
