// Split a label along a line; merge two.

// Drag the line, or click its two ends.
export class SplitTool {
  constructor(tools) {
    this.tools = tools;
    this.from = null;
  }

  get busy() {
    return this.from !== null;
  }

  begin() {
    if (!this.tools.host.selected()) this.tools.host.say("Select the label to split, then draw the line.");
  }

  cancel() {
    this.from = null;
  }

  down(drag, event) {
    drag.first = this.from === null;
    this.from ??= this.tools.inside(event);
  }

  drag(_, event) {
    this.hover(this.tools.inside(event));
  }

  hover(point) {
    if (this.from) this.tools.renderer.drawDraft({ line: [this.from, point] });
  }

  up(drag, event) {
    if (drag.moved || !drag.first) this.tap(this.tools.inside(event));
  }

  tap(point) {
    const { from } = this;
    if (!from) {
      this.from = point;
      return;
    }
    if (from[0] === point[0] && from[1] === point[1]) return;
    this.tools.use("select");
    this.tools.host.split(from, point);
  }

  back() {
    if (!this.from) return false;
    this.from = null;
    this.tools.renderer.drawDraft(null);
    return true;
  }
}

// The selected label takes another one in: click it, or go to it with Tab and press Enter.
export class MergeTool {
  constructor(tools) {
    this.tools = tools;
    this.into = null;
  }

  begin() {
    this.into = this.tools.host.selected();
    this.tools.host.say(this.into ? "Click the label to merge with, or Tab to it and press Enter."
      : "Select a label first, then choose Merge.");
    if (!this.into) this.tools.use("select");
  }

  cancel() {
    this.into = null;
  }

  up(drag, event) {
    if (drag.moved) return;
    const nodes = this.tools.canvas.root.getRootNode().elementsFromPoint(event.clientX, event.clientY);
    const ids = nodes.map((node) => node.closest?.("[data-id]")?.dataset.id).filter(Boolean);
    const other = ids.find((id) => id !== this.into);
    if (other) this.join(other);
  }

  finish() {
    const other = this.tools.host.selected();
    if (!other || other === this.into) return false;
    this.join(other);
    return true;
  }

  join(other) {
    const { into } = this;
    this.tools.use("select");
    this.tools.host.merge(into, other);
  }
}
