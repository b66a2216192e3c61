// The things to go through, one after the other. In the queue: what was visited, then what the server ranks
// next. On the frame page: the frames around the current one, in their order.

export class Items {
  constructor() {
    this.token = null;
    this.list = [];
    this.trail = [];
    this.current = null;
  }

  find(test) {
    return this.trail.find(test) ?? this.list.find(test);
  }

  receive(data, closed) {
    this.mode = data.mode;
    this.list = data.items;
    const fresh = new Map(data.items.map((item) => [item.key, item]));
    const cursor = data.cursor;
    if (cursor.token !== this.token) {
      this.token = cursor.token;
      this.trail = [];
      this.current = fresh.get(cursor.key) ?? this.list.find((item) => !closed(item)) ?? null;
      if (this.current) this.trail = [this.current];
      return;
    }
    this.trail = this.trail.map((item) => fresh.get(item.key) ?? item);
    if (this.current) this.current = fresh.get(this.current.key) ?? this.current;
    else this.step(1, closed);
  }

  following(closed) {
    if (this.mode !== "queue") return this.list.slice(this.place() + 1);
    const visited = new Set(this.trail.map((item) => item.key));
    const at = this.trail.indexOf(this.current);
    const later = at < 0 ? [] : this.trail.slice(at + 1);
    return [...later, ...this.list.filter((item) => !visited.has(item.key) && !closed(item))];
  }

  place() {
    return this.list.findIndex((item) => item.key === this.current?.key);
  }

  ahead(count) {
    return this.following(() => false).slice(0, count);
  }

  step(direction, closed) {
    const next = direction > 0 ? this.after(closed) : this.before();
    if (!next) return false;
    if (!this.trail.includes(next)) this.trail.push(next);
    this.current = next;
    return true;
  }

  after(closed) {
    const [next] = this.following(closed);
    if (next || this.mode !== "queue") return next;
    // At the end: what was passed over without a verdict.
    return this.trail.find((item) => item !== this.current && !closed(item) && item.issue?.state === "open");
  }

  before() {
    if (this.mode !== "queue") return this.list[this.place() - 1];
    return this.trail[this.trail.indexOf(this.current) - 1];
  }

  goTo(test) {
    const found = this.find(test);
    if (!found) return false;
    if (!this.trail.includes(found)) this.trail.push(found);
    this.current = found;
    return true;
  }

  // Something that is in no list.
  visit(item) {
    if (this.goTo((known) => known.key === item.key)) return;
    this.trail.push(item);
    this.current = item;
  }

  end() {
    this.current = null;
  }
}
