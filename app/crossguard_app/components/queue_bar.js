// One line above the editor: decided and open issues, the errors that are left, the pace, and the decisions
// that can be taken back.

import { button, h } from "./dom.js";
import { QueueHistory } from "./queue_history.js";

const round = (value) => Math.round(value).toLocaleString("en");

export class QueueBar {
  constructor(bench) {
    this.bench = bench;
    this.meter = h("i");
    this.text = h("p", { class: "review-text" });
    this.history = new QueueHistory(bench, () => this.draw());
    this.toggle = button("Decisions", { name: "history", kind: "tool", title: "What was decided, to take back",
      onclick: () => { this.history.toggle(); this.draw(); } });
    this.root = h("div", { class: "review-bar" },
      h("div", { class: "review-meter", role: "img", "aria-label": "Share of the queue that is decided" }, this.meter),
      this.text, this.toggle, this.history.root);
  }

  draw() {
    const { progress } = this.bench.data;
    if (!progress) return;
    // What the server has not counted yet; a group counts as the one answer that it is.
    const waiting = this.bench.session.pending.filter((operation) => operation.closes).length;
    const decided = progress.decided + waiting;
    const open = Math.max(0, progress.open - waiting);
    const all = decided + open;
    this.meter.style.width = `${all ? (100 * decided) / all : 0}%`;
    const parts = [[round(decided), "decided"], [round(open), "open"]];
    if (progress.skipped) parts.push([round(progress.skipped), "skipped"]);
    const { items, low, high } = progress.next;
    const near = items > 1 ? `, ${round(low)} to ${round(high)} in the next ${items}` : "";
    parts.push([`about ${round(progress.expected)}`, `errors left${near}`]);
    if (progress.precision !== null) parts.push([`${round(100 * progress.precision)} %`, "were errors"]);
    if (progress.per_minute) parts.push([round(progress.per_minute), "a minute"]);
    this.text.replaceChildren(...parts.flatMap(([number, words], index) =>
      [index ? h("span", { class: "dot" }, "· ") : "", h("b", {}, number), ` ${words} `]));
    this.toggle.setAttribute("aria-expanded", String(this.history.open));
    this.history.draw();
  }
}
