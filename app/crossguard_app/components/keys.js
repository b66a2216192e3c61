// The key map: one table for the handler, the hints on the buttons and the overlay that explains it.

export const KEYS = [
  ["Decide", [
    ["apply", "b", "B", "Apply the proposal and go on"],
    ["keep", "space", "Space", "Keep: the label is right; go on"],
    ["submit", "ctrl+enter", "Ctrl+↵", "My edit is the answer; go on"],
    ["delete", "x delete backspace", "X", "Delete the selected label"],
    ["exclude", "shift+x", "⇧X", "Exclude the whole frame from training"],
    ["skip", "ctrl+space", "Ctrl+␣", "Skip: decide later"],
    ["group", "g", "G", "One answer for all labels at this place: on or off"],
  ]],
  ["Move on", [
    ["next", "f arrowright", "F →", "Next"],
    ["previous", "d arrowleft", "D ←", "Previous"],
    ["nextObject", "tab", "Tab", "Next object (Shift+Tab: the one before)"],
    ["previousObject", "shift+tab", "", ""],
  ]],
  ["Draw and change", [
    ["box", "w r", "W R", "Draw a box"],
    ["polygon", "p", "P", "Draw a polygon: click points, Enter closes it"],
    ["repeat", "n", "N", "The last drawing tool again"],
    ["class", "", "1 … 9", "Give the selected label this class"],
    ["occluded", "q", "Q", "Partly hidden: on or off"],
    ["difficult", "shift+q", "⇧Q", "Difficult, does not count: on or off"],
    ["ignore", "i", "I", "Ignore region: on or off"],
    ["nudge", "", "Ctrl+arrows", "Move by one pixel (with Shift: the lower right corner)"],
    ["copy", "ctrl+c", "Ctrl+C", "Copy the selected label"],
    ["paste", "ctrl+v", "Ctrl+V", "Paste it, here or on another frame"],
    ["undo", "ctrl+z", "Ctrl+Z", "Undo, over all frames"],
    ["redo", "ctrl+shift+z ctrl+y", "Ctrl+Shift+Z", "Redo"],
    ["cancel", "escape", "Esc", "Stop drawing, or select nothing"],
  ]],
  ["See", [
    ["fit", "0", "0", "The whole frame"],
    ["zoomPlace", "z", "Z", "Zoom to the object"],
    ["zoomIn", "+ =", "+", "Zoom in (or the wheel)"],
    ["zoomOut", "-", "−", "Zoom out (drag the background to pan)"],
    ["hide", "h", "H", "Hide or show the labels"],
    ["help", "? f1", "?", "This list"],
  ]],
];

const HINTS = {};
const COMMANDS = new Map();
for (const [, rows] of KEYS) {
  for (const [command, combinations, hint] of rows) {
    HINTS[command] = hint;
    for (const combination of combinations.split(" ").filter(Boolean)) COMMANDS.set(combination, command);
  }
}

export const hintOf = (command) => HINTS[command];

function combination(event) {
  const key = event.key === " " ? "space" : event.key.toLowerCase();
  const shifted = event.shiftKey && !["?", "+"].includes(key);
  return `${event.ctrlKey || event.metaKey ? "ctrl+" : ""}${shifted ? "shift+" : ""}${key}`;
}

const ARROWS = { arrowleft: [-1, 0], arrowright: [1, 0], arrowup: [0, -1], arrowdown: [0, 1] };

// The command and its argument, or null when the key means nothing here.
export function commandOf(event) {
  if (event.altKey) return null;
  const key = event.key.toLowerCase();
  const control = event.ctrlKey || event.metaKey;
  if (control && ARROWS[key]) return [event.shiftKey ? "stretch" : "nudge", ARROWS[key]];
  if (!control && !event.shiftKey && /^[1-9]$/.test(key)) return ["class", Number(key) - 1];
  const command = COMMANDS.get(combination(event));
  return command ? [command, null] : null;
}

// Keys that Streamlit takes for itself (clear cache, rerun) even where they mean nothing to us.
export const isStolen = (event) =>
  !event.ctrlKey && !event.metaKey && !event.altKey && ["c", "r"].includes(event.key.toLowerCase());
