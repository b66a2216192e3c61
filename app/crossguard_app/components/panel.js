// The column beside the stage: the issue with its evidence and the verdicts, and the labels of the frame.

import { button, h } from "./dom.js";
import { textOf } from "./keys.js";
import { properties } from "./properties.js";
import { Suggestions } from "./suggestions.js";

const MOST_ROWS = 120; // labels listed at once, those around the selected one

export class Panel {
  constructor(bench) {
    this.bench = bench;
    this.root = h("aside", { class: "panel" });
    this.suggestions = new Suggestions(bench);
    this.open = new Set(bench.data.mode === "queue" ? [] : ["label"]);
  }

  // Which folds are open is remembered: the panel is drawn anew with every change.
  isOpen(name) {
    return this.open.has(name);
  }

  folded(name, event) {
    if (event.target.open) this.open.add(name);
    else this.open.delete(name);
  }

  toggleGroup() {
    this.bench.decisions.grouped = !this.bench.decisions.grouped;
    this.draw();
  }

  draw() {
    const { bench } = this;
    const { item, frame, issue } = bench;
    const acts = (build) => (bench.data.readonly ? h("p", { class: "quiet" }, "Your role is to look.") : build());
    const focus = this.root.getRootNode().activeElement?.dataset?.action;
    this.root.replaceChildren();
    bench.root.toggleAttribute("data-finished", !item && !bench.session.pending.length);
    if (!item) this.root.append(this.empty());
    else if (!frame) this.root.append(h("p", { class: "quiet" }, "Loading the frame …"));
    else if (bench.conflicts.shown) this.root.append(bench.conflictView.card(), ...this.tools(frame).slice(1));
    else if (issue) this.root.append(this.issueCard(issue), acts(() => this.verdicts(issue)), ...this.tools(frame));
    else this.root.append(this.frameCard(frame), acts(() => this.actions(frame)), ...this.tools(frame));
    if (bench.conflicts.wantsFocus && this.root.querySelector(".conflict")) {
      bench.conflicts.wantsFocus = false;
      this.root.querySelector(".conflict button").focus({ preventScroll: true });
    } else if (focus) this.root.querySelector(`[data-action="${CSS.escape(focus)}"]`)?.focus();
  }

  tools(frame) {
    this.suggestions.draw();
    return [...(this.bench.data.readonly ? [] : [properties(this.bench)]), this.suggestions.root, this.labels(frame)];
  }

  empty() {
    if (this.bench.session.pending.length) return h("p", { class: "quiet" }, "Fetching the next ones …");
    const { title, text, command, ways } = this.bench.data.empty;
    return h("div", { class: "empty" }, h("h3", {}, title), h("p", {}, text), command && h("code", {}, command),
      h("div", { class: "ways" }, ways.map(([words, href], index) =>
        h("a", { class: index ? "button" : "button primary", href }, words))));
  }

  issueCard(issue) {
    const decided = this.bench.decisions.on(issue.id);
    return h("section", { class: "card", "data-issue": issue.id },
      h("header", {},
        h("span", { class: "type", "data-type": issue.type }, issue.title),
        issue.label && this.chip(issue.label),
        h("span", { class: "rank" }, issue.rank ?? "")),
      h("p", { class: "explanation" }, issue.explanation),
      h("div", { class: "meter", title: "Calibrated probability that this is an error" },
        h("div", { class: "bar" }, h("i", { style: { width: `${Math.round(issue.probability * 100)}%` } })),
        h("span", {}, `${Math.round(issue.probability * 100)} % likely an error`)),
      issue.proposal.says && h("p", { class: "proposal" }, h("b", {}, "Proposal "), issue.proposal.says),
      issue.numbers.length > 0 && h("details", { class: "evidence" }, h("summary", {}, "Evidence in numbers"),
        h("dl", {}, issue.numbers.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]))),
      decided && h("p", { class: "decided" }, `Decided: ${decided}. `,
        !this.bench.data.readonly && button("Undo", { kind: "link", name: "undo-verdict",
          onclick: (event) => { this.bench.rewind.undoVerdict(); this.bench.toolbar.back(event); } })));
  }

  chip(name) {
    return h("span", { class: "chip" }, h("i", { style: { background: this.bench.color(name) } }), name);
  }

  press(event, command) {
    this.bench.run[command]();
    this.bench.toolbar.back(event);
  }

  action(label, command, kind = "", disabled = false) {
    return button(label, { name: command, title: textOf(command), hint: this.bench.bindings.hint(command), kind, disabled,
      onclick: (event) => this.press(event, command) });
  }

  verdicts(issue) {
    const { bench } = this;
    const decided = Boolean(bench.decisions.on(issue.id));
    const many = issue.group_id && issue.group_size > 1;
    const all = many && bench.decisions.grouped ? ` · all ${issue.group_size}` : "";
    const none = issue.proposal.kind === "none";
    return h("section", { class: "verdicts" },
      many && h("label", { class: "group-toggle" },
        h("input", { type: "checkbox", checked: bench.decisions.grouped, onchange: () => this.toggleGroup() }),
        h("span", {}, `One answer for ${issue.group_size} labels at this place`), h("kbd", {}, this.bench.bindings.hint("group"))),
      h("div", { class: "answers" },
        this.action(`${issue.answers.apply}${none ? "" : all}`, "apply", "primary", decided || none),
        this.action(`${issue.answers.keep}${all}`, "keep", "", decided)),
      h("div", { class: "pair" },
        this.action(decided ? "Go on" : "Edit done", "submit"),
        this.action("Skip", "skip", "", decided)),
      h("div", { class: "pair" },
        this.action("Delete label", "delete", "danger", !bench.selected),
        this.action("Exclude frame", "exclude", "danger", bench.frame.excluded)),
      this.classes());
  }

  // Classes as buttons: the new class of the selected label, or of the next drawn one.
  classes() {
    const { bench } = this;
    const active = bench.selected?.label ?? bench.drawAs ?? null;
    return h("div", { class: "classes", role: "group", "aria-label": bench.selected ? "Class of the label" : "Class to draw" },
      bench.data.classes.map((entry, index) => h("button", { type: "button", class: "button class",
        "aria-pressed": String(entry.name === active), "data-action": `class-${index}`,
        onclick: (event) => { bench.edits.classify(index); bench.toolbar.back(event); } },
      h("i", { style: { background: entry.color } }), h("span", { class: "text" }, entry.name),
      index < 9 && h("kbd", {}, index + 1))));
  }

  frameCard(frame) {
    return h("section", { class: "card" },
      h("header", {}, h("span", { class: "type" }, "Frame"),
        frame.excluded && h("span", { class: "flag" }, "excluded"),
        frame.seen && h("span", { class: "flag good",
          title: "The whole frame was looked at: what is not labelled is not there" }, "looked at")),
      h("p", { class: "frame-name" }, frame.name),
      frame.note && h("p", { class: "proposal" }, frame.note),
      h("p", { class: "facts" }, frame.facts.map(([name, value]) =>
        h("span", { title: name, "aria-label": `${name}: ${value}` }, value))));
  }

  actions(frame) {
    return h("section", { class: "verdicts" },
      this.classes(),
      h("div", { class: "pair" },
        this.action(frame.labels.length ? "All is right" : "Nothing here", "keep", "primary"),
        this.action("Delete label", "delete", "danger", !this.bench.selected)),
      h("div", { class: "pair" },
        this.action("Carry over", "carryOver"),
        this.action("Exclude frame", "exclude", "danger", frame.excluded)));
  }

  labels(frame) {
    const { bench } = this;
    const at = Math.max(0, frame.labels.findIndex((label) => label.id === bench.selection));
    const from = Math.max(0, Math.min(at - MOST_ROWS / 2, frame.labels.length - MOST_ROWS));
    const rows = frame.labels.slice(from, from + MOST_ROWS).map((label) => h("li", {},
      h("button", { type: "button", class: "row", "aria-pressed": String(label.id === bench.selection),
        "data-label": label.id, onclick: (event) => { bench.select(label.id); bench.toolbar.back(event); } },
      h("i", { style: { background: bench.color(label.label) } }),
      h("span", { class: "text" }, label.label),
      h("small", {}, this.notes(label)))));
    const count = frame.labels.length;
    const shown = count > rows.length ? `, ${from + 1} to ${from + rows.length} listed` : "";
    const title = count === 1 ? "1 label on this frame" : `${count} labels on this frame${shown}`;
    return h("section", { class: "labels" }, h("h4", {}, title),
      rows.length ? h("ol", {}, rows) : h("p", { class: "quiet" }, this.howToBegin()));
  }

  howToBegin() {
    const key = (command) => this.bench.bindings.hint(command).split(" ")[0] || "its button";
    if (this.bench.data.readonly) return "Nothing is labelled here.";
    return `Nothing is labelled here. Draw a box (${key("box")}), click the things (${key("segment")}), ` +
      `or see what a detector suggests (${key("layer")}).`;
  }

  notes(label) {
    const [x1, y1, x2, y2] = label.bbox_xyxy;
    const notes = [`${Math.round(x2 - x1)} × ${Math.round(y2 - y1)}`];
    for (const flag of ["occluded", "difficult", "ignore", "iscrowd"]) if (label[flag]) notes.push(flag);
    if (label.mask) notes.push("mask");
    if (label.track_id) notes.push("track");
    return notes.join(" · ");
  }
}
