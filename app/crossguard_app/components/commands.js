// Every command by its name: keys, buttons and the key map speak of the same ones.

const WAYS = { Left: [-1, 0], Right: [1, 0], Up: [0, -1], Down: [0, 1] };
const PAN = 60; // screen pixels
// They would throw away what is being drawn.
const DRAWING = ["box", "polygon", "ring", "segment", "eraser", "split", "merge"];
// They change something, or lead to a change: not for who may only look.
const CHANGING = ["apply", "submit", "delete", "exclude", "skip", "group", "undo", "redo", "repeat", "outline", "brush",
  "brushSmaller", "brushLarger", "snap", "occluded", "difficult", "ignore", "nextHandle", "previousHandle", "insertPoint",
  "simplify", "copy", "paste", "propagate", "carryOver", "interpolate", "accept", "acceptAll"];
const LEAVING = ["conflict", "next", "previous", "keep", "apply", "skip", "exclude", "nextObject", "previousObject", "list"];

export function commands(bench) {
  const { tools, edits, decisions, rewind, layers, light, canvas } = bench;
  const run = {
    apply: () => decisions.apply(),
    keep: () => decisions.keep(),
    submit: () => decisions.submit(),
    delete: () => edits.remove(),
    exclude: () => decisions.exclude(),
    skip: () => decisions.skip(),
    group: () => bench.panel.toggleGroup(),
    next: () => bench.step(1),
    previous: () => bench.step(-1),
    nextObject: () => bench.cycle(1),
    previousObject: () => bench.cycle(-1),
    buttons: () => bench.toButtons(),
    list: () => bench.toList(),
    undo: () => rewind.undo(),
    redo: () => rewind.redo(),
    cancel: () => bench.toolbar.closePopover() || bench.queue.cancel() || tools.cancel() || bench.select(null),
    select: () => tools.use("select"),
    repeat: () => tools.use(tools.last),
    outline: () => outline(bench),
    brush: () => tools.use(tools.tool === "brush" ? "eraser" : "brush"),
    brushSmaller: () => tools.table.brush.resize(-1),
    brushLarger: () => tools.table.brush.resize(1),
    snap: () => {
      tools.snap.on = !tools.snap.on;
      bench.toolbar.say(tools.snap.on ? "Points snap to neighbours" : "Points stay where they are put");
      bench.rail.draw();
    },
    occluded: () => edits.toggle("occluded"),
    difficult: () => edits.toggle("difficult"),
    ignore: () => edits.toggle("ignore"),
    nextHandle: () => edits.stepHandle(1),
    previousHandle: () => edits.stepHandle(-1),
    insertPoint: () => edits.insertPoint(),
    simplify: () => edits.simplify(),
    copy: () => edits.copy(),
    paste: () => edits.paste(),
    propagate: () => edits.propagate(),
    carryOver: () => edits.carryOver(),
    interpolate: () => edits.interpolate(),
    layer: () => layers.toggle(),
    nextGhost: () => layers.step(1),
    previousGhost: () => layers.step(-1),
    accept: () => layers.accept(),
    acceptAll: () => layers.acceptAll(),
    lessSure: () => layers.threshold(layers.least - 0.05),
    moreSure: () => layers.threshold(layers.least + 0.05),
    fit: () => canvas.fit(),
    zoomPlace: () => bench.zoomPlace(),
    zoomIn: () => canvas.zoomBy(1.3),
    zoomOut: () => canvas.zoomBy(1 / 1.3),
    darker: () => light.step("brightness", -1),
    brighter: () => light.step("brightness", 1),
    flatter: () => light.step("contrast", -1),
    harder: () => light.step("contrast", 1),
    plainLight: () => light.plain(),
    difference: () => light.toggleDifference(),
    hide: () => bench.toggleHidden(),
    conflict: () => bench.conflicts.look(),
    help: () => bench.help(),
  };
  for (const tool of DRAWING) run[tool] = () => tools.use(tool);
  for (let index = 0; index < 9; index += 1) run[`class${index + 1}`] = () => edits.classify(index);
  for (const [way, step] of Object.entries(WAYS)) {
    run[`nudge${way}`] = () => edits.nudge(step);
    run[`grow${way}`] = () => edits.grow(step);
    run[`pan${way}`] = () => canvas.panBy(-step[0] * PAN, -step[1] * PAN);
  }
  for (const name of Object.keys(run)) {
    const act = run[name];
    if (CHANGING.includes(name) || DRAWING.includes(name) || /^(class|nudge|grow)/.test(name)) {
      run[name] = () => (bench.data.readonly ? bench.lookOnly() : act());
    }
  }
  for (const name of LEAVING) {
    const go = run[name];
    run[name] = () => (tools.busy ? bench.toolbar.say("Finish what you draw first: Ctrl+Enter, or Esc to drop it.") : go());
  }
  return run;
}

// The segmenter's outline of the selected label's box takes the place of its shape.
async function outline(bench) {
  const label = bench.edits.chosen();
  if (!label) return;
  const frame = bench.frame.id;
  bench.assist.use();
  try {
    const { mask, bbox_xyxy } = await bench.assist.segment({ box: label.bbox_xyxy });
    const now = bench.label(label.id);
    if (bench.frame?.id !== frame || now?.revision !== label.revision) return;
    if (mask) bench.edits.shaped(now, { mask, bbox_xyxy });
    else bench.toolbar.say("Nothing stands out inside the box.");
  } catch (error) {
    bench.toolbar.say(error.message, "bad");
  } finally {
    bench.assist.rest();
  }
}
