// Outlines for boxes that a detector suggests, where the labels of the project have masks. The segmenter makes them: a
// few at a time while a frame is looked at, at once when a suggestion is accepted.

const REST_MS = 400; // a frame that is looked at this long gets its suggestions outlined
const AT_ONCE = 6;
const MOST = 32; // of one request, as the server has it

export class Outlines {
  constructor(bench) {
    this.bench = bench;
    this.asked = new WeakSet(); // shapes that are outlined, or in which nothing stands out
  }

  missing(choice, shape) {
    return Boolean(this.bench.data.masks && choice?.key.startsWith("run:") && !shape.mask && !this.asked.has(shape));
  }

  // What is in sight, once the eye rests on it. `sight` gives the shapes that show by then, or none any more.
  soon(frame, choice, sight) {
    clearTimeout(this.timer);
    if (this.bench.data.masks) this.timer = setTimeout(() => this.work(frame, choice, sight), REST_MS);
  }

  async work(frame, choice, sight) {
    for (;;) {
      const bare = sight().filter((shape) => this.missing(choice, shape)).slice(0, AT_ONCE);
      if (!bare.length) return;
      try {
        await this.fetch(frame, choice, bare);
      } catch {
        return; // Somebody went on, or the segmenter failed: who accepts one is told.
      }
      this.bench.refresh();
    }
  }

  // Fills in the masks of these shapes of one frame and layer.
  async fetch(frame, choice, shapes) {
    for (let from = 0; from < shapes.length; from += MOST) {
      const part = shapes.slice(from, from + MOST);
      const { masks } = await this.bench.assist.ask("outline", frame, {
        run: choice.key.slice("run:".length), shapes: part.map((shape) => Number(shape.key)) });
      part.forEach((shape, index) => {
        shape.mask = masks[index];
        this.asked.add(shape);
      });
    }
  }
}
