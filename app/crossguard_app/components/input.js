// Keys to commands. The listener sits on the window, in the capture phase: Streamlit's own shortcuts (c: clear
// the cache, r: rerun) must not hear what is meant for the stage.

import { commandOf, isStolen } from "./keys.js";

const TYPING = new Set(["INPUT", "TEXTAREA", "SELECT"]);

const actions = (bench) => ({
  apply: () => bench.apply(),
  keep: () => bench.keep(),
  submit: () => bench.submit(),
  delete: () => bench.remove(),
  exclude: () => bench.exclude(),
  skip: () => bench.skip(),
  group: () => bench.panel.toggleGroup(),
  next: () => bench.step(1),
  previous: () => bench.step(-1),
  nextObject: () => bench.cycle(1),
  previousObject: () => bench.cycle(-1),
  box: () => bench.tools.use("box"),
  polygon: () => bench.tools.use("polygon"),
  repeat: () => bench.tools.use(bench.tools.last),
  class: (index) => bench.classify(index),
  occluded: () => bench.toggle("occluded"),
  difficult: () => bench.toggle("difficult"),
  ignore: () => bench.toggle("ignore"),
  nudge: (arrow) => bench.nudge(arrow, false),
  stretch: (arrow) => bench.nudge(arrow, true),
  copy: () => (bench.clip = bench.selected ?? bench.clip),
  paste: () => bench.paste(),
  undo: () => bench.undo(),
  redo: () => bench.redo(),
  cancel: () => bench.tools.cancel() || bench.select(null),
  fit: () => bench.canvas.fit(),
  zoomPlace: () => bench.zoomPlace(),
  zoomIn: () => bench.canvas.zoomBy(1.3),
  zoomOut: () => bench.canvas.zoomBy(1 / 1.3),
  hide: () => bench.toggleHidden(),
  help: () => bench.help(),
});

export function bindKeys(bench) {
  const run = actions(bench);
  bench.run = run;

  const handle = (event) => {
    const source = event.composedPath()[0];
    const inside = event.composedPath().includes(bench.root);
    if (!inside && source !== document.body) return;
    if (TYPING.has(source.tagName) || source.isContentEditable) return;
    const onButton = source.tagName === "BUTTON";
    // A button reached with Tab is pressed with Space or Enter, as everywhere.
    if (onButton && [" ", "Enter"].includes(event.key) && !event.ctrlKey) return;
    if (bench.overlay) {
      if (["Escape", "?", "F1"].includes(event.key)) bench.help();
      event.preventDefault();
      event.stopImmediatePropagation();
      return;
    }
    if (event.key === "Enter" && !event.ctrlKey && bench.tools.closePolygon()) return;
    const found = commandOf(event);
    if (!found) {
      if (isStolen(event)) event.stopImmediatePropagation();
      return;
    }
    const [command, argument] = found;
    // Tab goes through the labels while the stage has the focus; elsewhere through the buttons.
    if (command.endsWith("Object") && source !== bench.canvas.root) return;
    if (["copy", "paste"].includes(command) && !inside) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    run[command](argument);
  };
  window.addEventListener("keydown", handle, true);
  return () => window.removeEventListener("keydown", handle, true);
}
