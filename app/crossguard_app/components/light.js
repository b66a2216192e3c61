// How the picture is shown: brightness, contrast, and what differs from the empty scene over it.

const STEP = 0.15;
const PLAIN = { brightness: 1, contrast: 1 };

export class Light {
  constructor(bench) {
    this.bench = bench;
    this.values = { ...PLAIN };
    this.difference = false;
    this.urls = new Map();
  }

  set(name, value) {
    this.values[name] = Math.min(3, Math.max(0.3, Math.round(value * 100) / 100));
    this.apply();
    this.bench.toolbar.say(`Brightness ${percent(this.values.brightness)}, contrast ${percent(this.values.contrast)}`);
  }

  step(name, direction) {
    this.set(name, this.values[name] + direction * STEP);
  }

  plain() {
    this.values = { ...PLAIN };
    this.apply();
    this.bench.toolbar.say("Light as recorded");
  }

  apply() {
    const { brightness, contrast } = this.values;
    const plain = brightness === 1 && contrast === 1;
    this.bench.canvas.slot.style.filter = plain ? "" : `brightness(${brightness}) contrast(${contrast})`;
    this.bench.toolbar.draw();
  }

  toggleDifference() {
    this.difference = !this.difference;
    this.bench.toolbar.draw();
    this.moved();
  }

  // Another frame is on the stage.
  async moved() {
    const { canvas, frame } = this.bench;
    const layer = canvas.difference;
    layer.hidden = true;
    if (!this.difference || !frame) return;
    try {
      if (!this.urls.has(frame.id)) {
        this.bench.toolbar.say("Comparing with the empty scene …");
        const { url } = await this.bench.assist.ask("difference", frame);
        this.urls.set(frame.id, url);
      }
      if (!this.difference || this.bench.frame?.id !== frame.id) return;
      const image = new Image();
      image.src = this.urls.get(frame.id);
      await image.decode();
      if (!this.difference || this.bench.frame?.id !== frame.id) return;
      Object.assign(layer.style, { width: `${frame.width}px`, height: `${frame.height}px`,
        backgroundImage: `url("${image.src}")` });
      layer.hidden = false;
      this.bench.toolbar.say("Coloured: what differs from the empty scene");
    } catch (error) {
      this.difference = false;
      this.bench.toolbar.draw();
      this.bench.toolbar.say(error.message, "bad");
    }
  }
}

const percent = (value) => `${Math.round(value * 100)} %`;
