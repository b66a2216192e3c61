// Without a drawing tool: select, pan, move, resize, drag and insert points.

import { copyMask, maskBox, moveBox, moveMask, normalBox, resizeBox, rings, sameBox, scaleMask } from "./geometry.js";

export class SelectTool {
  constructor(tools) {
    this.tools = tools;
    this.host = tools.host;
  }

  down(drag, event) {
    Object.assign(drag, this.grab(event));
    if (drag.label) this.tools.gather(drag.label.id);
  }

  // What lies under the pointer, as the kind of drag that begins there.
  grab(event) {
    const { host } = this;
    const label = host.label(host.selected());
    const { role, ring, index, side } = event.target.dataset ?? {};
    if (role === "side" && label) return { kind: "resize", label, side };
    if (role === "vertex" && label) {
      const handle = { ring: Number(ring), index: Number(index) };
      if (event.altKey) {
        host.removePoint(label, handle);
        return { kind: "none" };
      }
      host.takeHandle(handle);
      return { kind: "vertex", label, ...handle, mask: copyMask(label.mask) };
    }
    if (role === "middle" && label) {
      const mask = copyMask(label.mask);
      rings(mask)[Number(ring)].splice(Number(index) + 1, 0, this.tools.inside(event));
      return { kind: "vertex", label, ring: Number(ring), index: Number(index) + 1, mask, inserted: true };
    }
    const ghost = event.target.closest?.("[data-ghost]")?.dataset.ghost;
    const id = event.target.closest?.("[data-id]")?.dataset.id;
    if (id && id === label?.id) return { kind: "move", label };
    return { kind: "pan", hit: id ?? null, ghost: ghost ?? null, click: true };
  }

  drag(drag, event) {
    if (!drag.label) return;
    drag.shape = this.shape(drag, event);
    // A point that is being inserted has no handle of its own yet.
    this.tools.renderer.update({ ...drag.label, ...drag.shape });
  }

  shape(drag, event) {
    const { canvas, snap } = this.tools;
    const { width, height } = this.host.frame();
    const { label } = drag;
    const [x, y] = canvas.point(event);
    if (drag.kind === "move") {
      const moved = moveBox(label.bbox_xyxy, x - drag.at[0], y - drag.at[1], width, height);
      return { bbox_xyxy: moved.box, ...(label.mask ? { mask: moveMask(label.mask, moved.dx, moved.dy) } : {}) };
    }
    if (drag.kind === "resize") {
      const box = resizeBox(label.bbox_xyxy, drag.side, ...snap.sides([x, y], canvas.scale), width, height);
      return { bbox_xyxy: box, ...(label.mask ? { mask: scaleMask(label.mask, label.bbox_xyxy, box) } : {}) };
    }
    const mask = copyMask(drag.mask);
    rings(mask)[drag.ring][drag.index] = this.tools.snapped([x, y]);
    return { mask, bbox_xyxy: normalBox(maskBox(mask), width, height) };
  }

  up(drag, event) {
    if (drag.kind === "pan") {
      if (drag.moved) return;
      if (drag.ghost) this.host.mark(drag.ghost);
      else this.host.select(drag.hit);
    } else if (drag.shape) {
      const changed = !sameBox(drag.shape.bbox_xyxy, drag.label.bbox_xyxy) || drag.kind === "vertex";
      if (changed) this.host.shaped(drag.label, drag.shape);
    } else if (drag.kind === "move") {
      this.host.select(this.below(event, drag.label.id));
    }
  }

  // A click on the selected label goes on to the one below it, so that nested labels can all be reached.
  below(event, id) {
    const nodes = this.tools.canvas.root.getRootNode().elementsFromPoint(event.clientX, event.clientY);
    const ids = [...new Set(nodes.map((node) => node.closest?.("[data-id]")?.dataset.id).filter(Boolean))];
    return ids[(ids.indexOf(id) + 1) % ids.length] ?? id;
  }

  menu(event) {
    const { role, ring, index } = event.target.dataset ?? {};
    const label = this.host.label(this.host.selected());
    if (role === "vertex" && label) this.host.removePoint(label, { ring: Number(ring), index: Number(index) });
  }
}
