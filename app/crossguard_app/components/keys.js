// The key map: one table for the handler, the hints on the buttons and the overlay that explains and changes it.
// A row: [text, [command, combinations], ...]; combinations are separated by spaces.

const digits = Array.from({ length: 9 }, (_, index) => [`class${index + 1}`, String(index + 1)]);
const arrows = (command, mods) => ["left", "right", "up", "down"].map((way) =>
  [`${command}${way[0].toUpperCase()}${way.slice(1)}`, `${mods}arrow${way}`]);

export const KEYS = [
  ["Decide", [
    ["Apply the proposal and go on", ["apply", "b"]],
    ["Keep: the label, or all of the frame, is right; go on", ["keep", "space"]],
    ["My edit is the answer; go on. While drawing: finish", ["submit", "ctrl+enter"]],
    ["Delete the selected label, or the active point", ["delete", "x delete backspace"]],
    ["Exclude the whole frame from training", ["exclude", "shift+x"]],
    ["Skip: decide later", ["skip", "ctrl+space"]],
    ["One answer for all labels at this place: on or off", ["group", "g"]],
  ]],
  ["Move on", [
    ["Next", ["next", "f arrowright"]],
    ["Previous", ["previous", "d arrowleft"]],
    ["Next or previous object", ["nextObject", "tab"], ["previousObject", "shift+tab"]],
    ["From the picture to the buttons, and back", ["buttons", "f6"]],
    ["Back to the list of frames", ["list", "alt+arrowup"]],
    ["Undo, over all frames", ["undo", "ctrl+z"]],
    ["Redo", ["redo", "ctrl+shift+z ctrl+y"]],
    ["Stop drawing, or select nothing", ["cancel", "escape"]],
    ["What somebody else changed too: look and choose", ["conflict", "c"]],
  ]],
  ["Draw", [
    ["Box", ["box", "w r"]],
    ["Polygon", ["polygon", "p"]],
    ["A hole or another part of the selected label", ["ring", "shift+p"]],
    ["Click-to-mask", ["segment", "s"]],
    ["Outline the selected box", ["outline", "shift+s"]],
    ["Brush; again: eraser", ["brush", "e"], ["eraser", "shift+e"]],
    ["Smaller or larger brush", ["brushSmaller", "["], ["brushLarger", "]"]],
    ["The last drawing tool again", ["repeat", "n"]],
    ["Snap to neighbours: on or off", ["snap", "shift+n"]],
  ]],
  ["Change the selected label", [
    ["Class", ...digits],
    ["Partly hidden (occluded)", ["occluded", "q"]],
    ["Difficult: does not count", ["difficult", "shift+q"]],
    ["Ignore region; with nothing selected: draw one", ["ignore", "i"]],
    ["Move by a pixel, or the active handle", ...arrows("nudge", "ctrl+")],
    ["Resize: the lower right corner by a pixel", ...arrows("grow", "ctrl+shift+")],
    ["Next or previous handle: point, edge or corner", ["nextHandle", "v"], ["previousHandle", "shift+v"]],
    ["Insert a point after the active one", ["insertPoint", "insert j"]],
    ["Fewer points", ["simplify", "shift+j"]],
    ["Split along a line", ["split", "k"]],
    ["Merge with another label", ["merge", "m"]],
  ]],
  ["Over time", [
    ["Copy", ["copy", "ctrl+c"]],
    ["Paste: on another frame it is the same track", ["paste", "ctrl+v"]],
    ["Propagate to the next frames", ["propagate", "ctrl+b"]],
    ["Carry over what stands still from the last labelled frame", ["carryOver", "t"]],
    ["Fill the frames between two keyframes of the track", ["interpolate", "y"]],
  ]],
  ["Suggestions", [
    ["Show or hide what another source says", ["layer", "l"]],
    ["Next suggestion", ["nextGhost", "o"], ["previousGhost", "shift+o"]],
    ["Accept the suggestion", ["accept", "a"]],
    ["Accept all suggestions", ["acceptAll", "shift+a"]],
    ["Lower or higher confidence", ["lessSure", ","], ["moreSure", "."]],
  ]],
  ["See", [
    ["The whole frame", ["fit", "0"]],
    ["Zoom to the object", ["zoomPlace", "z"]],
    ["Zoom in or out", ["zoomIn", "+ ="], ["zoomOut", "-"]],
    ["Pan", ...arrows("pan", "shift+")],
    ["Darker or brighter", ["darker", "<"], ["brighter", ">"]],
    ["Less or more contrast", ["flatter", "{"], ["harder", "}"]],
    ["Light as recorded", ["plainLight", "\\"]],
    ["What differs from the empty scene", ["difference", "u"]],
    ["Hide or show the labels", ["hide", "h"]],
    ["This list", ["help", "? f1"]],
  ]],
];

const DEFAULTS = new Map(KEYS.flatMap(([, rows]) =>
  rows.flatMap(([, ...commands]) => commands.map(([command, keys]) => [command, keys.split(" ")]))));

const TEXTS = new Map(KEYS.flatMap(([, rows]) => rows.flatMap(([text, ...commands]) =>
  commands.map(([command]) => [command, text]))));

export const textOf = (command) => TEXTS.get(command) ?? command;

const SIGNS = { arrowleft: "←", arrowright: "→", arrowup: "↑", arrowdown: "↓", enter: "↵", space: "Space",
  escape: "Esc", delete: "Del", backspace: "⌫", tab: "Tab", insert: "Ins", ctrl: "Ctrl", shift: "⇧", alt: "Alt" };

export function combination(event) {
  const key = event.key === " " ? "space" : event.key.toLowerCase();
  // The shift is in the sign already: "?" and "<" lie elsewhere on every keyboard.
  const sign = key.length === 1 && !/[\p{L}\d]/u.test(key);
  const mods = [(event.ctrlKey || event.metaKey) && "ctrl+", event.altKey && "alt+", event.shiftKey && !sign && "shift+"];
  return mods.filter(Boolean).join("") + key;
}

export function spelled(keys) {
  const parts = keys === "+" ? ["+"] : keys.split("+").map((part, i, all) => (part === "" && i === all.length - 1 ? "+" : part));
  const names = parts.filter(Boolean).map((part) => SIGNS[part] ?? part.toUpperCase());
  return names.join(names.length > 1 && names[0] !== "⇧" ? "+" : "");
}

// Which keys run which command: the defaults, and what this user changed in this browser.
export class Bindings {
  constructor(user) {
    this.storage = `crossguard:keys:${user}`;
    let saved = {};
    try {
      saved = JSON.parse(localStorage.getItem(this.storage) ?? "{}");
    } catch {
      saved = {}; // forbidden or damaged: the defaults serve
    }
    this.own = new Map(Object.entries(saved).filter(([command, keys]) =>
      DEFAULTS.has(command) && Array.isArray(keys) && keys.every((key) => typeof key === "string")));
    this.index();
  }

  index() {
    this.commands = new Map();
    for (const command of DEFAULTS.keys()) for (const keys of this.keysOf(command)) this.commands.set(keys, command);
  }

  keysOf(command) {
    return this.own.get(command) ?? DEFAULTS.get(command) ?? [];
  }

  hint(command) {
    return this.keysOf(command).slice(0, 2).map(spelled).join(" ");
  }

  commandOf(event) {
    return this.commands.get(combination(event)) ?? null;
  }

  // Gives a command these keys alone; another command that had them loses them. Gives the loser, or null.
  rebind(command, keys) {
    const loser = this.commands.get(keys);
    if (loser && loser !== command) this.own.set(loser, this.keysOf(loser).filter((other) => other !== keys));
    this.own.set(command, [keys]);
    this.save();
    return loser && loser !== command ? loser : null;
  }

  reset() {
    this.own.clear();
    this.save();
  }

  get changed() {
    return this.own.size > 0;
  }

  save() {
    this.index();
    try {
      localStorage.setItem(this.storage, JSON.stringify(Object.fromEntries(this.own)));
    } catch {
      // Storage may be full or forbidden; the change then lasts as long as the page.
    }
  }
}

// Keys that Streamlit takes for itself (clear cache, rerun) even where they mean nothing to us.
export const isStolen = (event) =>
  !event.ctrlKey && !event.metaKey && !event.altKey && ["c", "r"].includes(event.key.toLowerCase());
