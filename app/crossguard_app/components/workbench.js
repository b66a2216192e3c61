// The controller: items to go through, the frame on the stage, what the keys and buttons do.

import { Canvas } from "./canvas.js";
import { h, randomId } from "./dom.js";
import { moveBox, moveMask, normalBox, scaleMask } from "./geometry.js";
import { helpOverlay } from "./help.js";
import { prefetch } from "./images.js";
import { Items } from "./items.js";
import { bindKeys } from "./input.js";
import { Panel } from "./panel.js";
import { Renderer } from "./render.js";
import { Session } from "./session.js";
import { Sync } from "./sync.js";
import { Toolbar } from "./toolbar.js";
import { Tools } from "./tools.js";

const ITEM_MARK = "crossguard-item";

export class Workbench {
  constructor(data) {
    this.data = data;
    this.selection = null;
    this.hidden = false;
    this.grouped = true;
    this.clip = null;
    this.session = new Session(data.project, () => this.changed());
    this.items = new Items();
    this.canvas = new Canvas(() => this.draw());
    this.renderer = new Renderer(this.canvas.layer);
    this.tools = new Tools(this.canvas, this.renderer, this.toolHost());
    this.toolbar = new Toolbar(this);
    this.panel = new Panel(this);
    this.sync = new Sync(this);
    this.root = h("div", { class: "workbench", "data-mode": data.mode },
      this.toolbar.root, h("div", { class: "main" }, this.canvas.root, this.panel.root));
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
    this.canvas.destroy();
  }

  // ---- what Python says -------------------------------------------------------------------------------------

  receive(data) {
    this.data = data;
    this.session.receive(data.frames, data.acks);
    this.session.refuse(data.refused.map((entry) => entry.id));
    const before = this.items.current?.key;
    this.items.receive(data, (item) => this.closed(item));
    this.sync.received(data);
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
    this.sync.moved();
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
    this.root.dataset.frame = frame.id;
    this.root.dataset.item = item.key;
    // What `curate bench ui` and a browser's own profiler go by.
    performance.clearMarks(ITEM_MARK);
    performance.mark(ITEM_MARK, { detail: item.key });
    prefetch(this.items.ahead(2).map((next) => this.session.frame(next.frame_id)?.url).filter(Boolean));
  }

  place() {
    return this.issue?.bbox_xyxy ?? this.selected?.bbox_xyxy ?? null;
  }

  refresh() {
    this.draw();
    this.panel.draw();
    this.toolbar.draw();
  }

  changed() {
    this.sync.changed();
    this.refresh();
  }

  draw() {
    this.toolbar?.draw();
    const { frame, issue } = this;
    if (!frame || this.canvas.shown !== frame.url) return;
    const open = issue && !this.decision(issue.id);
    const proposal = open && issue.proposal?.bbox_xyxy ? issue.proposal : null;
    this.renderer.draw({
      frame, proposal, scale: this.canvas.scale, hidden: this.hidden, selected: this.selection,
      subject: issue?.annotation_id, place: issue?.bbox_xyxy,
      fate: open ? issue.proposal.kind : null,
      rename: open && issue.proposal.kind === "relabel" ? issue.proposal.label : null,
      colors: (name) => this.color(name),
    });
  }

  color(name) {
    return this.data.classes.find((entry) => entry.name === name)?.color ?? "#9aa4b2";
  }

  // The verdict on an issue that stands: of this page, or of the server.
  decision(issueId) {
    const own = this.session.done.findLast(({ operation }) => operation.closes === issueId);
    if (own) return own.operation.text;
    const item = this.items.find((entry) => entry.issue?.id === issueId);
    return item?.issue.state === "decided" || item?.issue.state === "obsolete" ? item.issue.verdict : null;
  }

  select(id) {
    this.selection = id;
    this.refresh();
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

  // ---- decisions --------------------------------------------------------------------------------------------

  push(operation, text) {
    return this.session.push({ frame_id: this.frame.id, source: this.data.source, text, ...operation });
  }

  // A verdict on the open issue; with its group when that is switched on.
  verdict(kind, text, fields = {}, { group = true } = {}) {
    const { issue } = this;
    if (!issue || this.decision(issue.id)) return false;
    const together = group && this.grouped && issue.group_id && issue.group_size > 1;
    this.push({ kind, issue_id: issue.id, closes: issue.id, target: issue.annotation_id,
      ...(together ? { group: true, group_id: issue.group_id } : {}), ...fields }, text);
    return true;
  }

  apply() {
    const { issue } = this;
    if (!issue || this.decision(issue.id)) return;
    if (issue.proposal.kind === "none") {
      this.toolbar.say("There is no proposal here: keep, edit or delete.");
      return;
    }
    if (this.verdict("apply", "proposal applied", { proposal: issue.proposal })) this.advance();
  }

  keep() {
    if (this.verdict("keep", "kept as it is")) this.advance();
    else if (this.data.mode !== "queue") this.step(1);
  }

  skip() {
    if (this.verdict("skip", "skipped")) this.advance();
  }

  // What was drawn or dragged is stored already; this only goes on, or says that nothing was changed.
  submit() {
    if (this.tools.closePolygon()) return;
    if (this.data.mode !== "queue") this.step(1);
    else if (!this.issue || this.decision(this.issue.id)) this.advance();
    else this.toolbar.say("Nothing was changed yet: drag or draw, or keep with Space.");
  }

  exclude() {
    const { issue, frame } = this;
    if (!frame || frame.excluded) return;
    if (this.verdict("exclude_frame", "frame excluded", {}, { group: false })) this.advance();
    else this.push({ kind: "exclude_frame" }, issue ? "frame excluded" : `${frame.name} excluded`);
  }

  // On the issue's own label this is the verdict and goes on; on another label it is a free change.
  remove() {
    if (this.tools.takeBackPoint()) return;
    const { selected } = this;
    if (!selected) {
      this.toolbar.say("Select a label first: click it, or press Tab.");
      return;
    }
    if (selected.id === this.issue?.annotation_id && this.verdict("delete_label", "label deleted")) {
      this.advance();
      return;
    }
    this.selection = null;
    this.push({ kind: "delete_label", annotation_id: selected.id }, `${selected.label} deleted`);
  }

  classify(index) {
    const name = this.data.classes[index]?.name;
    if (!name) return;
    this.drawAs = name;
    const { selected } = this;
    if (!selected) {
      this.toolbar.say(`New labels: ${name}`);
      this.panel.draw();
      return;
    }
    if (selected.label === name) return;
    if (selected.id === this.issue?.annotation_id && this.verdict("relabel", `now ${name}`,
      { label: name })) this.advance();
    else this.push({ kind: "relabel", annotation_id: selected.id, label: name }, `now ${name}`);
  }

  toggle(flag) {
    const { selected } = this;
    if (!selected) return;
    this.push({ kind: "edit", annotation_id: selected.id, flags: { [flag]: !selected[flag] } },
      `${flag}: ${selected[flag] ? "off" : "on"}`);
  }

  toolHost() {
    return {
      frame: () => this.frame,
      label: (id) => this.label(id),
      selected: () => this.selection,
      select: (id) => this.select(id),
      toolChanged: () => this.toolbar.draw(),
      shaped: (label, shape) => this.shaped(label, shape),
      drawn: (shape) => this.drawn(shape),
    };
  }

  shaped(label, shape) {
    const alone = { group: false };
    if (label.id === this.issue?.annotation_id && this.verdict("edit", "edited by hand", shape, alone)) return;
    this.push({ kind: "edit", annotation_id: label.id, ...shape }, `${label.label} changed`);
  }

  drawn(shape) {
    const { issue } = this;
    const name = this.drawAs ?? issue?.proposal?.label ?? issue?.label ?? this.data.classes[0].name;
    const fields = { kind: "add", annotation_id: randomId(), label: name, ...shape };
    this.selection = fields.annotation_id;
    if (issue?.type === "missing" && this.verdict("add", "drawn by hand", fields, { group: false })) return;
    this.push(fields, `${name} added`);
  }

  nudge([dx, dy], stretch) {
    const { selected, frame } = this;
    if (!selected) return;
    const [x1, y1, x2, y2] = selected.bbox_xyxy;
    if (stretch) {
      const box = normalBox([x1, y1, x2 + dx, y2 + dy], frame.width, frame.height);
      this.shaped(selected, { bbox_xyxy: box,
        ...(selected.mask ? { mask: scaleMask(selected.mask, selected.bbox_xyxy, box) } : {}) });
      return;
    }
    const moved = moveBox(selected.bbox_xyxy, dx, dy, frame.width, frame.height);
    this.shaped(selected, { bbox_xyxy: moved.box,
      ...(selected.mask ? { mask: moveMask(selected.mask, moved.dx, moved.dy) } : {}) });
  }

  paste() {
    if (!this.clip || !this.frame) return;
    const { label, mask, ...rest } = this.clip;
    const flags = Object.fromEntries(["occluded", "difficult", "ignore"].filter((f) => rest[f]).map((f) => [f, true]));
    const id = randomId();
    this.selection = id;
    this.push({ kind: "add", annotation_id: id, label, bbox_xyxy: rest.bbox_xyxy,
      ...(mask ? { mask } : {}), ...(Object.keys(flags).length ? { flags } : {}) }, `${label} pasted`);
  }

  undo() {
    const operation = this.session.undo();
    if (operation) {
      if (operation.closes) this.items.goTo((item) => item.issue?.id === operation.closes);
      else this.items.goTo((item) => item.frame_id === operation.frame_id);
      this.toolbar.say(`Undone: ${operation.text}`);
      this.open();
    } else if (this.data.undoable) {
      this.session.undoEarlier();
      this.toolbar.say(`Undone: ${this.data.undoable}`);
    } else this.toolbar.say("There is nothing to undo.");
  }

  // The verdict on the issue that is shown, whoever decided it and when.
  undoVerdict() {
    const { issue } = this;
    const newest = this.session.done.at(-1)?.operation;
    const own = this.session.done.some(({ operation }) => operation.closes === issue.id);
    if (newest?.closes === issue.id) this.undo();
    else if (own) this.toolbar.say("Undo your later decisions first (Ctrl+Z).");
    else if (issue.decision_id) this.session.undoEarlier(issue.decision_id);
  }

  redo() {
    const operation = this.session.redo();
    this.toolbar.say(operation ? `Done again: ${operation.text}` : "There is nothing to redo.");
    if (operation?.closes) this.advance();
  }

  cycle(direction) {
    const labels = this.frame?.labels ?? [];
    if (!labels.length) return;
    const index = labels.findIndex((label) => label.id === this.selection);
    const start = index < 0 && direction < 0 ? 0 : index;
    this.select(labels[(start + direction + labels.length) % labels.length].id);
  }

  zoomPlace() {
    const box = this.selected?.bbox_xyxy ?? this.place();
    if (box) this.canvas.zoomTo(box);
  }

  toggleHidden() {
    this.hidden = !this.hidden;
    this.refresh();
  }

  help() {
    if (this.overlay) {
      this.overlay.remove();
      this.overlay = null;
      this.canvas.root.focus({ preventScroll: true });
      return;
    }
    this.overlay = helpOverlay(() => this.help());
    this.root.append(this.overlay);
  }
}
