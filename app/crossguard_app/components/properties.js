// The part of the panel about the selected label: its flags, its points, its copies over time.

import { button, h } from "./dom.js";
import { rings } from "./geometry.js";
import { textOf } from "./keys.js";

const FLAGS = [["Partly hidden", "occluded"], ["Difficult", "difficult"], ["Ignore region", "ignore"]];

export function properties(bench) {
  const { selected, edits } = bench;
  const act = (label, command, disabled = false, kind = "") => button(label, { name: command, kind, disabled,
    title: textOf(command), hint: bench.bindings.hint(command).split(" ")[0], onclick: (event) => bench.panel.press(event, command) });
  const flags = FLAGS.map(([label, name]) => {
    const node = act(label, name, !selected && name !== "ignore", "toggle");
    node.setAttribute("aria-pressed", String(Boolean(selected?.[name])));
    return node;
  });
  const ahead = h("input", { type: "number", min: 1, max: 10, value: edits.ahead, "aria-label": "Frames to propagate to",
    "data-action": "ahead", onchange: (event) => {
      edits.ahead = Math.min(10, Math.max(1, Math.round(Number(event.target.value)) || 1));
      bench.panel.draw();
      bench.toolbar.toStage();
    } });
  return h("details", { class: "fold", open: bench.panel.isOpen("label"), ontoggle: (event) => bench.panel.folded("label", event) },
    h("summary", {}, selected ? `Selected: ${selected.label}` : "Nothing selected",
      selected && h("small", {}, describe(selected))),
    h("div", { class: "grid" }, flags,
      act("Outline it", "outline", !selected), act("Fewer points", "simplify", !selected?.mask),
      act("Fill between", "interpolate", !selected?.track_id),
      act("Copy", "copy", !selected), act("Paste", "paste", !edits.clip),
      h("div", { class: "joined" }, act("Propagate to next", "propagate", !selected), ahead),
      bench.issue && act("Carry over", "carryOver")));
}

function describe(label) {
  const parts = [];
  if (label.mask) parts.push(`${rings(label.mask).flat().length} points`);
  if (label.track_id) parts.push(`track ${label.track_id}`);
  return parts.join(" · ");
}
