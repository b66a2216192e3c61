// Draws a frame's labels, the proposal of an issue and the handles of the selected label into the SVG layer.
// Lines keep their width at every zoom; handles are sized in screen pixels.

import { s, set } from "./dom.js";
import { area, path, rings, vertexCount } from "./geometry.js";

const CORNERS = ["nw", "ne", "se", "sw"];
const MAX_VERTICES = 240;

function outline(shape, attributes) {
  if (shape.mask) return s("path", { d: path(shape.mask), "fill-rule": "evenodd", ...attributes });
  const [x1, y1, x2, y2] = shape.bbox_xyxy;
  return s("rect", { x: x1, y: y1, width: x2 - x1, height: y2 - y1, ...attributes });
}

function frameOf(box, attributes) {
  const [x1, y1, x2, y2] = box;
  return s("rect", { x: x1, y: y1, width: x2 - x1, height: y2 - y1, ...attributes });
}

function tag(text, box, scale, className, color) {
  const size = 12 / scale;
  const [x, y] = [box[0], box[1]];
  const above = y > size * 1.7;
  const width = text.length * size * 0.62 + size * 0.8;
  return s("g", { class: `tag ${className}`, transform: `translate(${x} ${above ? y - size * 1.55 : y})` },
    s("rect", { width, height: size * 1.5, rx: size * 0.25, fill: color }),
    s("text", { x: size * 0.4, y: size * 1.1, "font-size": size }, text));
}

const cross = ([x1, y1, x2, y2]) =>
  s("path", { class: "cross", d: `M${x1} ${y1}L${x2} ${y2}M${x2} ${y1}L${x1} ${y2}` });

export class Renderer {
  constructor(layer) {
    this.layer = layer;
    this.ground = s("g", {});
    this.proposals = s("g", { class: "proposals" });
    this.labels = s("g", {});
    this.handles = s("g", { class: "handles" });
    this.draft = s("g", { class: "draft" });
    layer.append(this.ground, this.proposals, this.labels, this.handles, this.draft);
    this.nodes = new Map();
  }

  // scene: {frame, scale, colors, selected, subject, hidden, proposal, place}
  draw(scene) {
    this.scene = scene;
    const { frame, scale, hidden } = scene;
    this.ground.replaceChildren();
    this.proposals.replaceChildren();
    this.labels.replaceChildren();
    this.nodes.clear();
    if (scene.place) this.drawPlace(scene.place, frame);
    if (scene.proposal) this.drawProposal(scene.proposal, scale);
    if (!hidden) {
      const ordered = [...frame.labels].sort((a, b) =>
        (a.id === scene.selected) - (b.id === scene.selected) || area(b.bbox_xyxy) - area(a.bbox_xyxy));
      for (const label of ordered) this.labels.append(this.node(label));
    }
    this.drawHandles();
  }

  // Dims what lies around the place of the issue.
  drawPlace(box, frame) {
    const pad = 0.35;
    const [w, t] = [(box[2] - box[0]) * pad, (box[3] - box[1]) * pad];
    const [x1, y1, x2, y2] = [box[0] - w, box[1] - t, box[2] + w, box[3] + t];
    this.ground.append(s("path", { class: "dim", "fill-rule": "evenodd",
      d: `M0 0H${frame.width}V${frame.height}H0ZM${x1} ${y1}H${x2}V${y2}H${x1}Z` }));
  }

  drawProposal(proposal, scale) {
    const shape = { mask: proposal.mask, bbox_xyxy: proposal.bbox_xyxy };
    this.proposals.append(outline(shape, { class: "proposal-shape" }));
    if (proposal.mask) this.proposals.append(frameOf(proposal.bbox_xyxy, { class: "proposal-box" }));
    this.proposals.append(tag(proposal.text, proposal.bbox_xyxy, scale, "proposal-tag", "var(--ok)"));
  }

  node(label) {
    const { colors, scale, selected, subject } = this.scene;
    const color = colors(label.label);
    const state = [label.id === selected && "selected", label.id === subject && "subject",
      label.id === subject && this.scene.fate === "delete_label" && "doomed", label.occluded && "occluded", (label.ignore || label.difficult || label.iscrowd) && "uncounted"];
    const group = s("g", { class: ["label", ...state.filter(Boolean)].join(" "), "data-id": label.id,
      style: `--tone: ${color}` });
    group.append(outline(label, { class: "body", "data-role": "shape" }));
    if (label.mask) group.append(frameOf(label.bbox_xyxy, { class: "bounds", "data-role": "shape" }));
    if (label.id === subject && this.scene.fate === "delete_label") group.append(cross(label.bbox_xyxy));
    if (label.id === selected || label.id === subject) {
      const next = label.id === subject && this.scene.rename;
      group.append(tag(next ? `${label.label} → ${next}` : label.label, label.bbox_xyxy, scale, "", color));
    }
    this.nodes.set(label.id, group);
    return group;
  }

  // Redraws one label while it is dragged; the others stay as they are.
  update(label) {
    const old = this.nodes.get(label.id);
    if (!old) return;
    old.replaceWith(this.node(label));
    this.drawHandles(label);
  }

  drawHandles(shape) {
    this.handles.replaceChildren();
    const { frame, selected, hidden, scale } = this.scene;
    const label = shape ?? frame.labels.find((item) => item.id === selected);
    if (!label || hidden) return;
    const unit = 1 / scale;
    const [x1, y1, x2, y2] = label.bbox_xyxy;
    const edges = { n: [x1, y1, x2, y1], e: [x2, y1, x2, y2], s: [x1, y2, x2, y2], w: [x1, y1, x1, y2] };
    for (const [role, [ax, ay, bx, by]] of Object.entries(edges)) {
      this.handles.append(s("line", { x1: ax, y1: ay, x2: bx, y2: by, "stroke-width": 9 * unit,
        class: "edge", "data-role": "side", "data-side": role }));
    }
    const points = [[x1, y1], [x2, y1], [x2, y2], [x1, y2]];
    CORNERS.forEach((role, index) => {
      const [cx, cy] = points[index];
      this.handles.append(s("rect", { x: cx - 4.5 * unit, y: cy - 4.5 * unit, width: 9 * unit, height: 9 * unit,
        rx: 2 * unit, class: "corner", "data-role": "side", "data-side": role }));
    });
    if (label.mask && vertexCount(label.mask) <= MAX_VERTICES) this.drawVertices(label, unit);
  }

  drawVertices(label, unit) {
    rings(label.mask).forEach((ring, ringIndex) => {
      ring.forEach(([x, y], index) => {
        const [nx, ny] = ring[(index + 1) % ring.length];
        if (Math.hypot(nx - x, ny - y) > 22 * unit) {
          this.handles.append(s("circle", { cx: (x + nx) / 2, cy: (y + ny) / 2, r: 3 * unit, class: "middle",
            "data-role": "middle", "data-ring": ringIndex, "data-index": index }));
        }
      });
      ring.forEach(([x, y], index) => {
        this.handles.append(s("circle", { cx: x, cy: y, r: 4.2 * unit, class: "vertex",
          "data-role": "vertex", "data-ring": ringIndex, "data-index": index }));
      });
    });
  }

  drawDraft(draft) {
    this.draft.replaceChildren();
    if (!draft) return;
    const { scale } = this.scene;
    if (draft.box) {
      const [ax, ay, bx, by] = draft.box;
      this.draft.append(set(s("rect", {}), { x: Math.min(ax, bx), y: Math.min(ay, by),
        width: Math.abs(bx - ax), height: Math.abs(by - ay) }));
    }
    if (draft.points?.length) {
      const line = [...draft.points, ...(draft.pointer ? [draft.pointer] : [])];
      this.draft.append(s("polyline", { points: line.map((point) => point.join(",")).join(" ") }));
      draft.points.forEach(([x, y], index) => this.draft.append(
        s("circle", { cx: x, cy: y, r: (index ? 3.5 : 5.5) / scale, class: index ? "" : "first" })));
    }
  }
}
