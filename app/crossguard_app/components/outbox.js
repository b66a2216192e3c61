// What the server has not acknowledged, kept in the tab's storage so that it outlives the page: one entry for each
// step, written once and taken out once. Under a fast hand with the server away thousands of them may lie here.

export class Outbox {
  constructor(name) {
    this.prefix = `${name}:`;
    this.slot = 0;
    this.stored = []; // {slot, last}: in storage, oldest first
    this.waiting = []; // the same with their operations: storage was full or is forbidden
  }

  key(slot) {
    return `${this.prefix}${slot}`;
  }

  // What an earlier page of this tab left, oldest first, as steps; each stays in storage under its number.
  adopt() {
    const found = [];
    for (const [key, value] of entries()) {
      const slot = key.startsWith(this.prefix) ? Number(key.slice(this.prefix.length)) : NaN;
      if (Number.isInteger(slot)) found.push([slot, value]);
    }
    found.sort(([a], [b]) => a - b);
    this.slot = found.at(-1)?.[0] ?? 0;
    return found.flatMap(([slot, value]) => {
      try {
        return [{ slot, operations: JSON.parse(value) }];
      } catch {
        return []; // damaged
      }
    });
  }

  // A step of an earlier page under the numbers that it has on this one.
  keep(slot, last) {
    this.stored.push({ slot, last });
  }

  add(operations) {
    this.waiting.push({ slot: ++this.slot, last: operations.at(-1).n, operations });
    this.write();
  }

  // Everything up to this number is settled.
  settle(number) {
    const settled = (list) => {
      const index = list.findIndex((entry) => entry.last > number);
      return list.splice(0, index < 0 ? list.length : index);
    };
    try {
      for (const { slot } of settled(this.stored)) sessionStorage.removeItem(this.key(slot));
    } catch {
      // Forbidden: then nothing was stored either.
    }
    settled(this.waiting);
    this.write();
  }

  // In their order, so that what storage holds never has a gap.
  write() {
    try {
      while (this.waiting.length) {
        const [{ slot, last, operations }] = this.waiting;
        sessionStorage.setItem(this.key(slot), JSON.stringify(operations));
        this.stored.push({ slot, last });
        this.waiting.shift();
      }
    } catch {
      // Storage may be full or forbidden; the rest then lives in memory until there is room.
    }
  }
}

function entries() {
  try {
    return Object.entries(sessionStorage);
  } catch {
    return []; // forbidden
  }
}
