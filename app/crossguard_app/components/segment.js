// Click-to-mask: clicks (this, not this) and a box go to the segmenter; its answer is a draft until it is accepted.

export class SegmentTool {
  constructor(tools) {
    this.tools = tools;
    this.secondary = true; // the right button means "not this"
    this.clear();
  }

  clear() {
    this.clicks = [];
    this.box = null;
    this.answer = null;
    this.asked = (this.asked ?? 0) + 1;
  }

  get busy() {
    return this.clicks.length > 0 || this.box !== null;
  }

  begin() {
    this.clear();
    this.tools.host.assist.use();
    this.tools.host.say("Click the thing, or drag a box around it. Right click: not this. Enter takes it.");
  }

  cancel() {
    this.clear();
    this.tools.host.assist.rest();
  }

  drag(drag, event) {
    drag.from ??= this.tools.within(drag.at);
    this.draw([...drag.from, ...this.tools.inside(event)]);
  }

  up(drag, event) {
    const point = this.tools.inside(event);
    if (!drag.moved) {
      this.tap(point, drag.secondary);
      return;
    }
    const [ax, ay, bx, by] = [...(drag.from ?? this.tools.within(drag.at)), ...point];
    this.box = [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)];
    this.ask();
  }

  tap(point, negative) {
    this.clicks.push({ at: point, positive: !negative });
    this.ask();
  }

  back() {
    if (!this.busy) return false;
    if (this.clicks.length) this.clicks.pop();
    else this.box = null;
    if (this.busy) this.ask();
    else {
      this.clear();
      this.draw();
    }
    return true;
  }

  draw(box = this.box) {
    this.tools.renderer.drawDraft({ mask: this.answer?.mask, clicks: this.clicks, box: this.answer ? null : box });
  }

  async ask() {
    this.draw();
    const asked = (this.asked += 1);
    const prompt = { box: this.box, points: this.clicks.map((click) => click.at),
      positive: this.clicks.map((click) => click.positive) };
    try {
      const answer = await this.tools.host.assist.segment(prompt);
      if (asked !== this.asked) return;
      this.answer = answer.mask ? answer : null;
      if (!answer.mask) this.tools.host.say("Nothing stands out there: click elsewhere, or drag a box.");
      this.draw();
    } catch (error) {
      if (asked === this.asked) this.tools.host.say(error.message, "bad");
    }
  }

  finish() {
    if (!this.answer) return false;
    const { mask, bbox_xyxy } = this.answer;
    this.tools.use("select");
    this.tools.host.drawn({ mask, bbox_xyxy });
    return true;
  }
}
