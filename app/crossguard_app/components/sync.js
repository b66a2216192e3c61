// Carries the outbox to Python as one value of component state, cumulative, so that a delivery that is lost or
// overtaken by the next one loses nothing; repeats it until it is acknowledged.

const AGAIN_MS = 2500;
const MOVE_MS = 140;
const PAINT_MS = 30; // first the screen, then the network: both want the same processor

export class Sync {
  constructor(bench) {
    this.bench = bench;
    this.attempt = 0;
    this.sentAt = 0;
    this.timer = null;
    this.flying = null; // what was sent and not answered yet: {number, at}
    this.more = false;
    this.repeat = setInterval(() => this.again(), 500);
    this.before = (event) => this.bench.session.pending.length && event.preventDefault();
    window.addEventListener("beforeunload", this.before);
  }

  stop() {
    clearInterval(this.repeat);
    clearTimeout(this.timer);
    window.removeEventListener("beforeunload", this.before);
  }

  changed() {
    this.sentAt = performance.now();
    this.soon(PAINT_MS);
  }

  // Python learns where we are, for the address of the page and the frames around.
  moved() {
    const key = this.bench.item?.key ?? null;
    if (key !== this.at && !(this.at === undefined && key === this.bench.data.cursor.key)) this.soon(MOVE_MS);
    this.at = key;
  }

  soon(delay) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.post(), delay);
  }

  // One delivery at a time: each makes Streamlit begin its run anew, and under a fast hand none would ever end.
  post() {
    const now = performance.now();
    this.more = Boolean(this.flying && now - this.flying.at < AGAIN_MS);
    if (this.more || !this.bench.send) return;
    this.sentAt = now;
    const outbox = this.bench.session.outbox();
    this.flying = { number: outbox.operations.at(-1)?.n ?? 0, at: now };
    const { key: at = null, frame_id: frame = null } = this.bench.item ?? {};
    this.bench.send({ ...outbox, at, frame, attempt: ++this.attempt });
  }

  // Whether the server has heard the last delivery, or forgot us altogether (it was restarted).
  answered({ acks, trouble }) {
    if (!this.flying || trouble) return;
    const ours = acks.client === this.bench.session.client;
    if (ours && acks.sequence < this.flying.number) return;
    this.flying = null;
    if (this.more || this.bench.session.pending.length) this.soon(ours ? 0 : 50);
  }

  again() {
    if (this.bench.session.pending.length && performance.now() - this.sentAt > AGAIN_MS) this.post();
    this.bench.toolbar.drawStatus();
  }

  received(data) {
    for (const entry of data.refused) {
      if (this.seen?.has(entry.id)) continue;
      (this.seen ??= new Set()).add(entry.id);
      if (!entry.message || entry.conflict || this.bench.conflicts.knows(entry.follows)) continue;
      this.bench.toolbar.say(`Not saved: ${entry.message}`, "bad");
    }
    if (data.trouble) this.bench.toolbar.say(data.trouble, "bad");
    this.answered(data);
    if (!this.flying && this.bench.session.pending.length && !data.trouble) this.soon(50);
  }

  // Waits until the server knows all that was done here.
  async settled() {
    for (let waited = 0; this.bench.session.pending.length; waited += 50) {
      if (waited > 10_000) throw new Error("The server has not saved your changes yet; try again in a moment.");
      await new Promise((done) => setTimeout(done, 50));
    }
  }

  // What the status shows: [class, text].
  get status() {
    const waiting = this.bench.session.pending.length;
    if (!waiting) return ["saved", "All changes saved"];
    const many = waiting === 1 ? "1 change" : `${waiting} changes`;
    if (performance.now() - this.sentAt < AGAIN_MS) return ["saving", `Saving ${many} …`];
    return ["late", `${many} kept in this browser, waiting for the server`];
  }
}
