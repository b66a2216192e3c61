// Draws a frame's labels, the proposal of an issue and what other sources say into the SVG layers. Lines keep their
// width at every zoom; tags and handles are sized in screen pixels. A label that did not change keeps its element.

import { s, set } from "./dom.js";
import { area, path, vertexCount } from "./geometry.js";
import { Handles } from "./handles.js";

const TAG = 12;
const FLAGS = ["occluded", "difficult", "ignore", "iscrowd"];

const boxAttributes = ([x1, y1, x2, y2]) => ({ x: x1, y: y1, width: x2 - x1, height: y2 - y1 });

const bodyAttributes = (shape) => (shape.mask ? { d: path(shape.mask) } : boxAttributes(shape.bbox_xyxy));

function outline(shape, attributes) {
  const given = { ...bodyAttributes(shape), ...attributes };
  return shape.mask ? s("path", { "fill-rule": "evenodd", ...given }) : s("rect", given);
}

const cross = ([x1, y1, x2, y2]) => `M${x1} ${y1}L${x2} ${y2}M${x2} ${y1}L${x1} ${y2}`;

export class Renderer {
  constructor(canvas) {
    this.ground = s("g", {});
    this.proposals = s("g", { class: "proposals" });
    this.ghosts = s("g", { class: "ghosts" });
    this.labels = s("g", {});
    this.versions = s("g", { class: "version-shapes" });
    canvas.layer.append(this.ground, this.ghosts, this.proposals, this.labels, this.versions);
    this.front = s("g", {});
    this.draft = s("g", { class: "draft" });
    this.cross = s("path", { class: "cursor" });
    this.handles = new Handles();
    canvas.live.append(this.front, this.handles.root, this.draft, this.cross);
    this.entries = new Map();
    this.tags = new Set();
  }

  // scene: {frame, scale, colors, selected, handle, subject, hidden, proposal, place, fate, rename, ghosts, marked}
  draw(scene) {
    this.scene = scene;
    const { frame, proposal, place } = scene;
    this.tags.clear();
    this.ground.replaceChildren(...(place ? [this.surround(place, frame)] : []));
    this.proposals.replaceChildren(...(proposal ? this.proposal(proposal) : []));
    this.drawGhosts();
    this.drawLabels();
    this.drawVersions();
    this.drawHandles();
  }

  // Only the zoom changed.
  rescale(scale) {
    if (!this.scene || this.scene.scale === scale) return;
    this.scene.scale = scale;
    for (const tag of this.tags) this.fitTag(tag);
    this.drawHandles();
    if (this.drafted) this.drawDraft(this.drafted);
    if (this.crossAt) this.drawCross(this.crossAt);
  }

  // Dims what lies around the place of the issue.
  surround(box, frame) {
    const pad = 0.35;
    const [w, t] = [(box[2] - box[0]) * pad, (box[3] - box[1]) * pad];
    const [x1, y1, x2, y2] = [box[0] - w, box[1] - t, box[2] + w, box[3] + t];
    return s("path", { class: "dim", "fill-rule": "evenodd",
      d: `M0 0H${frame.width}V${frame.height}H0ZM${x1} ${y1}H${x2}V${y2}H${x1}Z` });
  }

  proposal(proposal) {
    const shape = { mask: proposal.mask, bbox_xyxy: proposal.bbox_xyxy };
    return [outline(shape, { class: "proposal-shape" }),
      proposal.mask && s("rect", { ...boxAttributes(proposal.bbox_xyxy), class: "proposal-box" }),
      this.tag(proposal.text, proposal.bbox_xyxy, "proposal-tag", "var(--ok)", true).group].filter(Boolean);
  }

  // Shapes of other sources: to look at, to accept.
  drawGhosts() {
    const { ghosts, marked, colors, hidden } = this.scene;
    this.ghosts.replaceChildren(...(hidden ? [] : ghosts ?? []).map((ghost) => {
      const chosen = ghost.key === marked;
      const group = s("g", { class: chosen ? "ghost marked" : "ghost", "data-ghost": ghost.key,
        style: `--tone: ${colors(ghost.label)}` }, outline(ghost, { class: "body" }));
      if (chosen) {
        const score = ghost.score === null || ghost.score === undefined ? "" : ` ${Math.round(ghost.score * 100)} %`;
        group.append(this.tag(`${ghost.label}${score}`, ghost.bbox_xyxy, "", colors(ghost.label)).group);
      }
      return group;
    }));
  }

  drawLabels() {
    const { frame, hidden, selected } = this.scene;
    const entries = new Map();
    const nodes = [];
    let front = null;
    const doubled = [this.scene.versions?.subject, this.scene.versions?.theirs?.id];
    const shown = frame.labels.filter((label) => !doubled.includes(label.id));
    const ordered = hidden ? [] : shown.sort((a, b) => area(b.bbox_xyxy) - area(a.bbox_xyxy));
    for (const label of ordered) {
      const signature = this.signature(label);
      const old = this.entries.get(label.id);
      const entry = old?.signature === signature ? old : { ...this.build(label), signature };
      entries.set(label.id, entry);
      if (entry.tag) this.tags.add(entry.tag);
      if (label.id === selected) front = entry;
      else nodes.push(entry.group);
    }
    this.entries = entries;
    const there = this.labels.children;
    if (nodes.length !== there.length || nodes.some((node, i) => node !== there[i])) this.labels.replaceChildren(...nodes);
    this.front.replaceChildren(...(front ? [front.group] : []));
    for (const tag of this.tags) this.fitTag(tag);
  }

  // What two people made of one label, and what both of them saw before.
  drawVersions() {
    const { versions } = this.scene;
    this.labels.toggleAttribute("data-faint", Boolean(versions));
    this.versions.replaceChildren();
    if (!versions) return;
    for (const [name, text] of [["seen", ""], ["theirs", versions.by], ["mine", "yours"]]) {
      const label = versions[name];
      if (!label) continue;
      this.versions.append(outline(label, { class: `version ${name}` }));
      if (text) this.versions.append(this.tag(`${text}: ${label.label}`, label.bbox_xyxy, name, `var(--${name})`, name === "mine").group);
    }
  }

  // Everything that an element shows, as text.
  signature(label) {
    const { selected, subject, fate, rename, colors } = this.scene;
    const state = label.id === subject ? [fate, rename] : [];
    return JSON.stringify([label.revision, label.label, label.bbox_xyxy, FLAGS.map((flag) => Boolean(label[flag])),
      label.mask ? vertexCount(label.mask) : 0, label.id === selected, label.id === subject, state,
      colors(label.label)]);
  }

  build(label) {
    const { colors, selected, subject, fate, rename } = this.scene;
    const color = colors(label.label);
    const own = label.id === subject;
    const states = ["label", label.id === selected && "selected", own && "subject",
      own && fate === "delete_label" && "doomed", label.occluded && "occluded",
      (label.ignore || label.difficult || label.iscrowd) && "uncounted", label.ignore && "ignored"];
    const group = s("g", { class: states.filter(Boolean).join(" "), "data-id": label.id, style: `--tone: ${color}` });
    const body = outline(label, { class: "body", "data-role": "shape" });
    const bounds = label.mask && s("rect", { ...boxAttributes(label.bbox_xyxy), class: "bounds", "data-role": "shape" });
    const crossed = own && fate === "delete_label" && s("path", { class: "cross", d: cross(label.bbox_xyxy) });
    const text = own && rename ? `${label.label} → ${rename}` : label.label;
    const tag = (label.id === selected || own) && this.tag(text, label.bbox_xyxy, "", color);
    group.append(...[body, bounds, crossed, tag?.group].filter(Boolean));
    return { group, body, bounds, crossed, tag };
  }

  // `below`: under the box, where it leaves room for another one above.
  tag(text, box, className, color, below = false) {
    const group = s("g", { class: `tag ${className}` },
      s("rect", { width: text.length * TAG * 0.62 + TAG * 0.8, height: TAG * 1.5, rx: TAG * 0.25, fill: color }),
      s("text", { x: TAG * 0.4, y: TAG * 1.1, "font-size": TAG }, text));
    const tag = { group, box, below };
    this.tags.add(tag);
    this.fitTag(tag);
    return tag;
  }

  fitTag({ group, box: [x, y, , bottom], below }) {
    const unit = 1 / this.scene.scale;
    const high = TAG * 1.55 * unit;
    const room = bottom + high < this.scene.frame.height;
    const above = y > TAG * 1.7 * unit ? y - high : y;
    const top = below ? (room ? bottom + 0.05 * unit : bottom - high) : above;
    group.setAttribute("transform", `translate(${x} ${top}) scale(${unit})`);
  }

  // Moves the selected label's elements while it is dragged; the others stay as they are.
  update(label) {
    const entry = this.entries.get(label.id);
    if (!entry || Boolean(label.mask) !== Boolean(entry.bounds)) return;
    entry.signature = null;
    set(entry.body, bodyAttributes(label));
    if (entry.bounds) set(entry.bounds, boxAttributes(label.bbox_xyxy));
    if (entry.crossed) entry.crossed.setAttribute("d", cross(label.bbox_xyxy));
    if (entry.tag) this.fitTag(Object.assign(entry.tag, { box: label.bbox_xyxy }));
    this.handles.follow(label, this.scene.scale);
  }

  drawHandles() {
    const { frame, selected, hidden, scale, handle } = this.scene;
    const label = hidden ? null : frame.labels.find((item) => item.id === selected);
    this.handles.draw(label, scale, handle);
  }

  // draft: {box, points, pointer, line, mask, clicks, ring: [x, y, radius]}
  drawDraft(draft) {
    this.drafted = draft;
    this.draft.replaceChildren();
    if (!draft) return;
    const { scale } = this.scene;
    const add = (node) => this.draft.append(node);
    if (draft.mask) add(s("path", { d: path(draft.mask), "fill-rule": "evenodd", class: "suggestion" }));
    if (draft.box) {
      const [ax, ay, bx, by] = draft.box;
      add(s("rect", boxAttributes([Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)])));
    }
    if (draft.line) add(s("polyline", { points: draft.line.map((point) => point.join(",")).join(" "), class: "knife" }));
    if (draft.points?.length) {
      const line = [...draft.points, ...(draft.pointer ? [draft.pointer] : [])];
      add(s("polyline", { points: line.map((point) => point.join(",")).join(" ") }));
      draft.points.forEach(([x, y], index) => add(
        s("circle", { cx: x, cy: y, r: (index ? 3.5 : 5.5) / scale, class: index ? "" : "first" })));
    }
    for (const { at, positive } of draft.clicks ?? []) {
      add(s("circle", { cx: at[0], cy: at[1], r: 5 / scale, class: positive ? "yes" : "no" }));
    }
    if (draft.ring) {
      const [x, y, radius] = draft.ring;
      add(s("circle", { cx: x, cy: y, r: radius, class: "brush" }));
    }
  }

  // The keyboard's pointer, or none.
  drawCross(point) {
    this.crossAt = point;
    this.cross.style.display = point ? "" : "none";
    if (!point) return;
    const [x, y] = point;
    const [near, far] = [4 / this.scene.scale, 16 / this.scene.scale];
    this.cross.setAttribute("d", `M${x - far} ${y}H${x - near}M${x + near} ${y}H${x + far}` +
      `M${x} ${y - far}V${y - near}M${x} ${y + near}V${y + far}`);
  }
}
