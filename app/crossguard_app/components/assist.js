// What the editor asks the server for beside its frames: masks for clicks, overlays, labels in between.

const REST_MS = 400; // a frame that is looked at this long is read for click-to-mask

export class Assist {
  constructor(bench, onstate) {
    this.bench = bench;
    this.onstate = onstate;
    this.state = ["off", ""];
    this.storage = `crossguard:click-to-mask:${bench.data.project}`;
    this.ready = new Set();
    this.inHand = false;
    try {
      this.used = localStorage.getItem(this.storage) === "1";
    } catch {
      this.used = false;
    }
  }

  async ask(op, frame, fields = {}) {
    let answer;
    try {
      answer = await fetch(this.bench.data.assist, { method: "POST", headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ op, frame: frame.id, token: frame.token, ...fields }) });
    } catch {
      throw new Error("The server does not answer. What you did is kept; try again in a moment.");
    }
    const value = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
    if (!answer.ok) throw new Error(value.error);
    return value;
  }

  // Click-to-mask is in hand. Once used in this project, frames are read ahead before it is asked for.
  use() {
    this.inHand = true;
    this.used = true;
    try {
      localStorage.setItem(this.storage, "1");
    } catch {
      // Then it is asked for again on the next visit.
    }
    this.prepare();
  }

  rest() {
    this.inHand = false;
    this.tell(...this.state);
  }

  // Another frame is on the stage.
  moved() {
    clearTimeout(this.timer);
    if (this.used) this.timer = setTimeout(() => this.prepare(), this.inHand ? 0 : REST_MS);
  }

  async prepare() {
    const { frame } = this.bench;
    if (!frame) return;
    if (this.ready.has(frame.id)) this.tell("ready", "");
    else this.tell("reading", "Click-to-mask is reading this frame …");
    const ahead = this.bench.items.ahead(2).map((item) => item.frame_id);
    try {
      const { ready } = await this.ask("ready", frame, { ahead });
      if (ready) this.ready.add(frame.id);
      if (this.bench.frame?.id === frame.id) this.tell(ready ? "ready" : "off", "");
    } catch (error) {
      if (this.bench.frame?.id === frame.id) this.tell("failed", `Click-to-mask: ${error.message}`);
    }
  }

  async segment(prompt) {
    const { frame } = this.bench;
    const waiting = !this.ready.has(frame.id);
    if (waiting) this.tell("reading", "Click-to-mask is reading this frame …");
    const started = performance.now();
    const answer = await this.ask("segment", frame, prompt);
    this.ready.add(frame.id);
    if (this.bench.frame?.id === frame.id) this.tell("ready", "");
    performance.clearMarks("crossguard-mask");
    performance.mark("crossguard-mask", { detail: Math.round(performance.now() - started) });
    return answer;
  }

  tell(state, text) {
    this.state = [state, text];
    this.onstate(this.inHand || state === "failed" ? state : "off", text);
  }
}
