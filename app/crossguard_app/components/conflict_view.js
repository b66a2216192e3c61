// The conflict that is shown, in the panel beside the stage: both versions as fields, and the ways out. A notice
// over the stage says how many wait.

import { button, h } from "./dom.js";
import { choices, mine, partsThatDiffer } from "./conflicts.js";
import { vertexCount } from "./geometry.js";

const FLAGS = ["occluded", "difficult", "ignore"];

const when = (seconds) => new Date(seconds * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });

export class ConflictView {
  constructor(bench) {
    this.bench = bench;
    this.text = h("span", {});
    this.notice = h("button", { type: "button", class: "conflict-notice", "data-action": "conflict", hidden: true,
      onclick: () => bench.conflicts.look() }, this.text, h("kbd", { "aria-hidden": "true" }, ""));
    this.live = h("div", { class: "spoken", role: "status" });
    bench.canvas.root.append(this.notice, this.live);
  }

  draw() {
    const { list, shown } = this.bench.conflicts;
    const others = list.filter((conflict) => conflict !== shown).length;
    this.notice.hidden = !others;
    this.notice.lastChild.textContent = this.bench.bindings.hint("conflict");
    const who = [...new Set(list.map((conflict) => conflict.by))].join(", ");
    const text = others ? `${who} changed the same: ${others} of yours ${others === 1 ? "waits" : "wait"} for your choice` : "";
    if (this.text.textContent === text) return;
    this.text.textContent = text;
    this.live.textContent = text;
  }

  // Both versions for the stage, or null.
  versions() {
    const { shown } = this.bench.conflicts;
    if (!shown || shown.kind === "held") return null;
    return { theirs: shown.theirs, mine: mine(shown).label, seen: shown.seen, by: shown.by, subject: shown.subject };
  }

  // What the stage zooms to.
  place() {
    const { theirs, mine: own, seen } = this.versions() ?? {};
    const boxes = [theirs, own, seen].filter(Boolean).map((label) => label.bbox_xyxy);
    if (!boxes.length) return null;
    const side = (index, pick) => pick(...boxes.map((box) => box[index]));
    return [side(0, Math.min), side(1, Math.min), side(2, Math.max), side(3, Math.max)];
  }

  card() {
    const { shown } = this.bench.conflicts;
    return h("section", { class: "card conflict", role: "group", "aria-label": "Somebody changed this",
 },
    h("header", {}, h("span", { class: "type" }, shown.kind === "held" ? "Somebody is at this issue" : "Somebody changed this")),
    h("p", {}, this.sentence(shown)),
    shown.kind === "held" ? null : this.table(shown, mine(shown)),
    h("div", { class: "answers" }, choices(shown).map((way, index) => button(way.text, { name: `choose-${way.name}`,
      title: way.text, hint: String(index + 1),
      onclick: () => this.choose(way.name) })),
    button("Later", { name: "choose-later", hint: "Esc", onclick: () => this.bench.conflicts.later() })));
  }

  sentence(shown) {
    if (shown.kind === "held") {
      return `${shown.by} is looking at this issue, until ${when(shown.at)} at most. Your answer is kept here.`;
    }
    const what = shown.kind === "issue" ? `${shown.by} has decided this issue: ${shown.words}` : `${shown.by}: ${shown.words}`;
    return `${what}, ${when(shown.at)}. Yours is not saved yet, and kept here until you choose.`;
  }

  table({ theirs, by, verdict, operations }, { label: own, excluded }) {
    const differ = theirs && own ? partsThatDiffer(own, theirs) : ["class", "shape", ...FLAGS, "track"];
    const row = (name, title, value) => {
      const [their, my] = [theirs, own].map((label) => (label ? value(label) : "—"));
      if ([their, my].every((text) => ["—", "no"].includes(text))) return null;
      return h("tr", { class: differ.includes(name) ? "differs" : "" }, h("th", { scope: "row" }, title), h("td", {}, their), h("td", {}, my));
    };
    const left = (out, label) => (out ? "frame left out" : label ? "a label" : "no label");
    const count = operations.length > 1 ? ` (${operations.length} changes)` : "";
    return h("table", { class: "versions" },
      h("thead", {}, h("tr", {}, h("td", {}), h("th", { scope: "col", class: "theirs" }, by),
        h("th", { scope: "col", class: "mine" }, `You${count}`))),
      h("tbody", {},
        theirs && own && !excluded && verdict !== "exclude_frame" ? null
          : h("tr", { class: "differs" }, h("th", { scope: "row" }, "says"),
            h("td", {}, left(verdict === "exclude_frame", theirs)), h("td", {}, left(excluded, own))),
        row("class", "class", (label) => label.label),
        row("shape", "size", ({ bbox_xyxy: [x1, y1, x2, y2] }) => `${round(x2 - x1)} × ${round(y2 - y1)}`),
        row("shape", "corner", ({ bbox_xyxy: [x1, y1] }) => `${round(x1)}, ${round(y1)}`),
        row("shape", "outline", ({ mask }) => (mask ? `${vertexCount(mask)} points` : "—")),
        FLAGS.map((flag) => row(flag, flag, (label) => (label[flag] ? "yes" : "no"))),
        row("track", "track", ({ track_id: track }) => track ?? "—")));
  }

  // Digits choose while the card has the focus: elsewhere they are classes. True when the key was meant for it.
  key(event) {
    const { conflicts } = this.bench;
    if (!event.composedPath().some((node) => node.classList?.contains("conflict"))) return false;
    const way = event.ctrlKey || event.metaKey || event.altKey ? null : choices(conflicts.shown)[Number(event.key) - 1];
    if (event.key !== "Escape" && !way) return false;
    if (way) this.choose(way.name);
    else conflicts.later();
    this.bench.toolbar.toStage();
    return true;
  }

  choose(name) {
    this.bench.conflicts.choose(name);
    this.bench.toolbar.toStage();
  }
}

const round = (value) => Math.round(value * 10) / 10;
