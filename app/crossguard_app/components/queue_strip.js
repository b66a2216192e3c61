// The strip below the editor: the label before and after, the place a moment earlier and later, what is alike.
// It waits until a person has looked for a moment, so that it never stands in the way of the next issue.

import { h, s } from "./dom.js";
import { path } from "./geometry.js";

const SHOW_MS = 120;
const AHEAD_MS = 500;
const KEEP = 40;

const GROUPS = [
  ["change", "Before and after"],
  ["film", "This place in time"],
  ["alike", "Most alike"],
];

export class QueueStrip {
  constructor(bench) {
    this.bench = bench;
    this.known = new Map(); // address -> promise of what lies around that issue
    this.root = h("section", { class: "strip", "aria-label": "Around this issue" });
  }

  destroy() {
    clearTimeout(this.timer);
    clearTimeout(this.ahead);
  }

  show(issue) {
    if (issue?.id === this.shown) return;
    this.destroy();
    this.shown = issue?.id ?? null;
    this.root.dataset.issue = "";
    this.root.replaceChildren();
    if (!issue) return;
    this.timer = setTimeout(() => this.fill(issue), SHOW_MS);
    this.ahead = setTimeout(() => this.bench.items.ahead(1).forEach((item) => this.prepare(item.issue)), AHEAD_MS);
  }

  async fill(issue) {
    const around = await this.around(issue.context);
    if (this.shown !== issue.id) return;
    if (!around) {
      this.root.replaceChildren(h("p", { class: "quiet" }, "What lies around this issue could not be loaded."));
      return;
    }
    this.root.replaceChildren(...GROUPS.map(([name, title]) => this.group(name, title, around[name])));
    this.root.dataset.issue = issue.id;
  }

  async prepare(issue) {
    const around = issue && (await this.around(issue.context));
    if (!around) return;
    for (const [name] of GROUPS) for (const { url } of around[name]) new Image().src = url;
  }

  around(address) {
    let answer = this.known.get(address);
    if (!answer) {
      answer = fetch(address).then((response) => (response.ok ? response.json() : null)).catch(() => null);
      this.known.set(address, answer);
      answer.then((value) => value || this.known.delete(address));
      while (this.known.size > KEEP) this.known.delete(this.known.keys().next().value);
    }
    return answer;
  }

  group(name, title, pictures) {
    const empty = name === "alike" && (this.bench.label(this.bench.issue?.annotation_id)
      ? "Known after the next scan: this label has changed." : "There is no label here to compare with.");
    if (!pictures.length && !empty) return null;
    return h("div", { class: `strip-group ${name}` }, h("h4", {}, title),
      pictures.length ? h("div", { class: "strip-row" }, pictures.map((picture) => this.picture(picture)))
        : h("p", { class: "quiet" }, empty));
  }

  picture({ url, view, shapes, text, frame_id: frame, now, other, color }) {
    const [x1, y1, x2, y2] = view;
    const place = this.bench.issue?.bbox_xyxy;
    return h("a", { class: `strip-picture${now ? " now" : ""}${other ? " other" : ""}`, href: `frames?frame=${frame}`,
      target: "_blank", rel: "noopener", tabindex: -1, title: `${text}: open this frame in another tab` },
    h("span", { class: "strip-view" },
      h("img", { src: url, alt: "", draggable: "false" }),
      s("svg", { viewBox: `${x1} ${y1} ${x2 - x1} ${y2 - y1}`, preserveAspectRatio: "xMidYMid meet" },
        shapes.map((shape) => this.shape(shape)),
        !color && place && !shapes.length && s("rect", { class: "place", x: place[0], y: place[1],
          width: place[2] - place[0], height: place[3] - place[1] }))),
    h("small", {}, color && h("i", { style: { background: color } }), text));
  }

  shape({ box, mask, color }) {
    const look = { stroke: color, fill: "none", "vector-effect": "non-scaling-stroke" };
    if (mask) return s("path", { d: path(mask), ...look });
    if (!box) return null;
    return s("rect", { x: box[0], y: box[1], width: box[2] - box[0], height: box[3] - box[1], ...look });
  }
}
