// What only the queue shows around the editor: how the review goes, what was decided, what lies around the issue.

import { QueueBar } from "./queue_bar.js";
import { QueueStrip } from "./queue_strip.js";

export class QueueParts {
  constructor(bench) {
    this.bench = bench;
    this.bar = new QueueBar(bench);
    this.strip = new QueueStrip(bench);
  }

  // Another issue is on the screen.
  opened() {
    if (this.bench.data.mode === "queue") this.strip.show(this.bench.issue);
  }

  // The server spoke, or something was decided here.
  changed() {
    if (this.bench.data.mode === "queue") this.bar.draw();
  }

  // Whether there was something to close.
  cancel() {
    const { history } = this.bar;
    if (!history.open) return false;
    history.close();
    return true;
  }

  destroy() {
    this.strip.destroy();
  }
}
