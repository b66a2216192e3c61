// Keys to commands. The listener sits on the window, in the capture phase: Streamlit's own shortcuts (c: clear
// the cache, r: rerun) must not hear what is meant for the stage.

import { isStolen } from "./keys.js";

const TYPING = new Set(["TEXTAREA", "SELECT"]);
const NO_TEXT = new Set(["checkbox", "radio", "button"]);

const SLIDES = /^(Arrow|Home|End|Page)/;

// Whether the key belongs to the field that has the focus; a slider takes only what moves it.
function isTyping(node, event) {
  if (node.tagName === "INPUT" && node.type === "range") return SLIDES.test(event.key);
  return TYPING.has(node.tagName) || node.isContentEditable || (node.tagName === "INPUT" && !NO_TEXT.has(node.type));
}

export function bindKeys(bench) {
  const handle = (event) => {
    const source = event.composedPath()[0];
    const inside = event.composedPath().includes(bench.root);
    if (!inside && source !== document.body) return;
    const taken = () => {
      event.preventDefault();
      event.stopImmediatePropagation();
    };
    if (bench.overlay?.key(event)) {
      taken();
      return;
    }
    if (bench.conflictView.key(event)) {
      taken();
      return;
    }
    // A button or a box to tick that was reached with Tab is pressed with Space or Enter, as everywhere.
    const onControl = ["BUTTON", "SUMMARY", "INPUT"].includes(source.tagName);
    const command = bench.bindings.commandOf(event);
    if ((isTyping(source, event) && command !== "buttons") || (onControl && [" ", "Enter"].includes(event.key) && !event.ctrlKey)) return;
    if (bench.overlay) {
      if (event.key !== "Tab") taken();
      return;
    }
    if (bench.tools.key(event)) {
      taken();
      return;
    }
    if (!command) {
      if (isStolen(event)) event.stopImmediatePropagation();
      return;
    }
    // Tab goes through the labels while the stage has the focus; elsewhere, and where there are none, through the buttons.
    if (event.key === "Tab" && (source !== bench.canvas.root || !bench.frame?.labels.length)) return;
    if (["copy", "paste"].includes(command) && !inside) return;
    taken();
    bench.run[command]();
  };
  window.addEventListener("keydown", handle, true);
  return () => window.removeEventListener("keydown", handle, true);
}
