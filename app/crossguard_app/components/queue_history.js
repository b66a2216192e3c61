// The newest decisions of everybody, each with its way back.

import { button, h } from "./dom.js";

const ago = (seconds) => {
  if (seconds < 10) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
};

export class QueueHistory {
  constructor(bench, onclose) {
    this.bench = bench;
    this.onclose = onclose;
    this.open = false;
    this.root = h("section", { class: "history", role: "dialog", "aria-label": "Decisions", hidden: true });
  }

  toggle() {
    if (this.open) this.close();
    else {
      this.open = true;
      this.root.hidden = false;
    }
  }

  close() {
    this.open = false;
    this.root.hidden = true;
    this.bench.canvas.root.focus({ preventScroll: true });
    this.onclose();
  }

  draw() {
    if (!this.open) return;
    const rows = this.bench.data.history ?? [];
    this.root.replaceChildren(
      h("header", {}, h("h3", {}, "Decisions"), button("Close", { hint: "Esc", onclick: () => this.close() })),
      rows.length ? h("ol", {}, rows.map((row) => this.row(row)))
        : h("p", { class: "quiet" }, "Nothing has been decided yet."));
  }

  row(row) {
    const known = row.issue_id && this.bench.items.find((item) => item.issue?.id === row.issue_id);
    return h("li", {},
      h("span", { class: "what" }, row.text),
      h("small", {}, `${row.who}, ${ago(Date.now() / 1000 - row.at)}`),
      known && button("Show", { kind: "link", onclick: () => this.show(row) }),
      row.standing && !this.bench.data.readonly && button("Undo", { kind: "link", name: `undo-${row.id}`, onclick: () => this.undo(row) }));
  }

  show(row) {
    this.bench.items.goTo((item) => item.issue?.id === row.issue_id);
    this.bench.open();
    this.close();
  }

  undo(row) {
    const { session } = this.bench;
    if (session.done.at(-1)?.last === row.id) {
      this.bench.rewind.undo();
      return;
    }
    // Decided longer ago or by somebody else: the server takes it back unless something was built on it.
    session.done = session.done.filter((entry) => entry.last !== row.id);
    session.undoEarlier(row.id);
    this.bench.toolbar.say(`Taking back: ${row.text}`);
  }
}
